/* page.c: see page.h. */
#include "core/store/page.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"

#define FIRST_SLICE 1024 /* the first slice's part of all the time that there is */
#define QUICK 100        /* ms: a slice that takes less is followed by a larger one */
#define GROWTH 4

/* Before and behind all other entries of the same time. */
static const char lowest[] = "00000000000000000000000000000000";
static const char highest[] = "ffffffffffffffffffffffffffffffff";

struct paging {
    struct storage_query query;
    struct storage_condition conditions[STORAGE_CONDITIONS];
    storage_each *each;
    void *context;
    struct page_end *end;
    struct page_end begin;
    char from[STORAGE_ID_MAX + 1]; /* lent to the driver while the entries move `end` */
    bool stopped;                  /* by `each` */
    int64_t last;                  /* the furthest time that an entry has */
    int64_t width;                 /* of the next slice, ms */
};

static bool lend(void *context, const struct storage_record *record)
{
    struct paging *p = context;
    p->end->value = record->values[p->query.order].integer;
    snprintf(p->end->id, sizeof(p->end->id), "%s", record->id);
    p->query.limit--;
    p->stopped = !p->each(p->context, record);
    return !p->stopped;
}

static void go_on_behind_end(struct paging *p)
{
    memcpy(p->from, p->end->id, sizeof(p->from));
    p->query.after_id = p->from;
    p->query.after_value = (struct storage_value){.type = STORAGE_TIME, .integer = p->end->value};
}

/* --- The time that there is ------------------------------------------------------------------- */

struct edge {
    size_t order;
    bool found;
    int64_t value;
};

static bool note_edge(void *context, const struct storage_record *record)
{
    struct edge *edge = context;
    edge->found = true;
    edge->value = record->values[edge->order].integer;
    return false;
}

static enum storage_status find_edge(struct store_line *line, const struct paging *p,
                                     bool descending, struct edge *edge,
                                     struct storage_error *error)
{
    const struct storage_query query = {
        .kind = p->query.kind, .order = p->query.order, .descending = descending, .limit = 1};
    *edge = (struct edge){.order = p->query.order};
    return store_search(line, &query, note_edge, edge, error);
}

/* Where the page begins, and the furthest that it may have to look. */
static enum storage_status find_edges(struct store_line *line, struct paging *p, bool *none,
                                      struct storage_error *error)
{
    struct edge near;
    struct edge far;
    bool down = p->query.descending;
    enum storage_status status = find_edge(line, p, !down, &far, error);
    if (status == STORAGE_OK)
        status = find_edge(line, p, down, &near, error);
    if (status != STORAGE_OK)
        return status;
    *none = !near.found || !far.found;
    p->last = far.value;
    if (!*none && p->query.after_id == NULL) {
        p->end->value = down ? near.value + 1 : near.value - 1;
        snprintf(p->end->id, sizeof(p->end->id), "%s", down ? lowest : highest);
        go_on_behind_end(p);
    }
    int64_t all = down ? p->end->value - p->last : p->last - p->end->value;
    p->width = all < 0 ? 1 : all / FIRST_SLICE + 1;
    return STORAGE_OK;
}

/* --- Slices ----------------------------------------------------------------------------------- */

/* It may be a lock, and no slice that is too large. */
static void nap(void)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    nanosleep(&moment, NULL);
}

/* The next slice's far edge. */
static int64_t slice_edge(const struct paging *p)
{
    bool down = p->query.descending;
    int64_t left = down ? p->end->value - p->last : p->last - p->end->value;
    int64_t width = left < 0 ? 0 : left < p->width ? left : p->width;
    return down ? p->end->value - width : p->end->value + width;
}

static enum storage_status search_slice(struct store_line *line, struct paging *p, int64_t edge,
                                        struct storage_error *error)
{
    bool down = p->query.descending;
    p->conditions[p->query.conditions_count - 1] = (struct storage_condition){
        .field = p->query.order,
        .relation = down ? STORAGE_GT : STORAGE_LT,
        .value = {.type = STORAGE_TIME, .integer = down ? edge - 1 : edge + 1},
    };
    int64_t began = clock_steady();
    enum storage_status status = store_search(line, &p->query, lend, p, error);
    if (status == STORAGE_BUSY) {
        p->width = p->width / (GROWTH * GROWTH) + 1;
        nap();
    } else if (clock_steady() - began < QUICK) {
        p->width = p->width < INT64_MAX / GROWTH ? p->width * GROWTH : p->width;
    }
    return status;
}

static bool moved(const struct paging *p)
{
    return p->end->value != p->begin.value || strcmp(p->end->id, p->begin.id) != 0;
}

static enum storage_status search_slices(struct store_line *line, struct paging *p,
                                         int64_t deadline, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    bool down = p->query.descending;
    p->begin = *p->end;
    while (!p->stopped && p->query.limit > 0) {
        int64_t edge = slice_edge(p);
        status = search_slice(line, p, edge, error);
        if (status != STORAGE_OK && status != STORAGE_BUSY)
            return status;
        if (status == STORAGE_OK && !p->stopped && p->query.limit > 0) {
            /* All of the slice was looked at. */
            p->end->value = edge;
            snprintf(p->end->id, sizeof(p->end->id), "%s", down ? lowest : highest);
            p->end->is_last = down ? edge <= p->last : edge >= p->last;
        }
        if (p->end->is_last)
            return STORAGE_OK;
        /* Who can not even pass one moment is told so; else one would go on for ever. */
        if (clock_steady() >= deadline)
            return moved(p) ? STORAGE_OK : status;
        go_on_behind_end(p);
    }
    return STORAGE_OK;
}

enum storage_status page_search(struct store_line *line, const struct storage_query *query,
                                int64_t deadline, storage_each *each, void *context,
                                struct page_end *end, struct storage_error *error)
{
    struct paging p = {.query = *query, .each = each, .context = context, .end = end};
    bool none = false;
    *end = (struct page_end){.value = query->after_value.integer};
    snprintf(end->id, sizeof(end->id), "%s", query->after_id == NULL ? "" : query->after_id);
    if (query->conditions_count >= STORAGE_CONDITIONS) {
        snprintf(error->text, sizeof(error->text), "too many conditions");
        return STORAGE_INVALID;
    }
    if (query->conditions_count > 0)
        memcpy(p.conditions, query->conditions, query->conditions_count * sizeof(p.conditions[0]));
    p.query.conditions = p.conditions;
    p.query.conditions_count++;
    if (query->after_id != NULL)
        go_on_behind_end(&p);
    enum storage_status status = find_edges(line, &p, &none, error);
    if (status != STORAGE_OK)
        return status;
    end->is_last = none;
    return none ? STORAGE_OK : search_slices(line, &p, deadline, error);
}
