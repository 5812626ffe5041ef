/* walk.c: see walk.h. */
#include "core/store/walk.h"

#include <stdio.h>
#include <string.h>

#define PAGE 1000

struct walk {
    storage_each *each;
    void *context;
    size_t count; /* of the page */
    bool ended;
    char last[STORAGE_ID_MAX + 1];
};

static bool step(void *context, const struct storage_record *record)
{
    struct walk *w = context;
    snprintf(w->last, sizeof(w->last), "%s", record->id);
    w->count++;
    w->ended = !w->each(w->context, record);
    return !w->ended;
}

enum storage_status store_walk(struct store_line *line, const struct storage_query *query,
                               storage_each *each, void *context, struct storage_error *error)
{
    struct walk w = {.each = each, .context = context};
    struct storage_query page = *query;
    char from[STORAGE_ID_MAX + 1]; /* lent to the driver while the records move `last` */
    enum storage_status status;
    page.order = STORAGE_BY_ID;
    page.after_id = NULL;
    page.limit = PAGE;
    do {
        w.count = 0;
        status = store_search(line, &page, step, &w, error);
        memcpy(from, w.last, sizeof(from));
        page.after_id = from;
    } while (status == STORAGE_OK && !w.ended && w.count == PAGE);
    return status;
}
