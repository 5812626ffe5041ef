/* ring.c: see ring.h. */
#include "core/data/ring.h"

#include <stdio.h>

#include "core/store/walk.h"

static bool count_one(void *context, const struct storage_record *record)
{
    size_t *count = context;
    (void)record;
    ++*count;
    return true;
}

enum storage_status ring_count(struct store_line *line, size_t kind, size_t *count,
                               struct storage_error *error)
{
    struct storage_query query = {.kind = kind};
    *count = 0;
    return store_walk(line, &query, count_one, count, error);
}

struct oldest {
    size_t count;
    char ids[RING_STEP][STORAGE_ID_MAX + 1];
};

static bool note_id(void *context, const struct storage_record *record)
{
    struct oldest *o = context;
    snprintf(o->ids[o->count], sizeof(o->ids[0]), "%s", record->id);
    o->count++;
    return true;
}

enum storage_status ring_trim(struct store_line *line, size_t kind, size_t excess, size_t *removed,
                              struct storage_error *error)
{
    struct oldest oldest = {.count = 0};
    struct storage_change changes[RING_STEP];
    struct storage_query query = {
        .kind = kind,
        .order = STORAGE_BY_ID,
        .limit = excess < RING_STEP ? excess : RING_STEP,
    };
    *removed = 0;
    if (excess == 0)
        return STORAGE_OK;
    enum storage_status status = store_search(line, &query, note_id, &oldest, error);
    for (size_t i = 0; i < oldest.count; i++)
        changes[i] = (struct storage_change){.id = oldest.ids[i], .expected = STORAGE_ANY_VERSION};
    if (status == STORAGE_OK && oldest.count > 0)
        status = store_change(line, kind, changes, oldest.count, error);
    if (status == STORAGE_OK)
        *removed = oldest.count;
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}
