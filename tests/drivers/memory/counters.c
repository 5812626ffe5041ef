/*
 * counters.c: COUNT, PAIR and TAKE. Of a counter, last_seen is when something last counted: what
 * came too soon after it must not put off the next that counts.
 */
#include "store.h"

#include <stdlib.h>

/* A fresh row for a key whose row is absent or dead. */
static struct memory_row *make_counter(struct memory_store *store,
                                       const struct storage_sighting *sighting)
{
    struct memory_row *row = memory_table_find(&store->counters, &sighting->key);

    if (row == NULL) {
        row = memory_table_add(&store->counters, &sighting->key);
    } else {
        memory_row_reset(row);
    }
    if (row != NULL) {
        row->history.first_seen = sighting->now;
        row->history.last_seen = sighting->now;
        row->history.expires = sighting->now;
    }
    return row;
}

static bool gap_is_over(const struct memory_store *store, const struct storage_sighting *sighting,
                        const struct memory_row *row)
{
    if (sighting->min_gap == 0 && !memory_broken(store, MEMORY_BREAK_GAP_ZERO)) {
        return true; /* also where the clock goes back */
    }
    return sighting->now - row->history.last_seen >= sighting->min_gap ||
           memory_broken(store, MEMORY_BREAK_COUNT_NO_GAP);
}

static bool see_count(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer)
{
    struct memory_row *row = memory_live(store, &store->counters, &sighting->key, sighting->now);

    if (sighting->count == 0) {
        if (row == NULL) {
            *answer = (struct storage_row){.status = STORAGE_NOT_FOUND};
            return true;
        }
        if (memory_broken(store, MEMORY_BREAK_COUNT_ZERO_SLIDES)) {
            memory_slide(store, &row->history.expires, sighting->now, sighting->keep);
        }
        *answer = memory_answer(&row->history);
        return true;
    }
    if (row == NULL) {
        row = make_counter(store, sighting);
        if (row == NULL) {
            return false;
        }
        row->history.count = sighting->count;
    } else if (gap_is_over(store, sighting, row)) {
        row->history.count = memory_add(store, row->history.count, sighting->count);
        row->history.last_seen = sighting->now;
    } else if (memory_broken(store, MEMORY_BREAK_COUNT_LAST_SEEN)) {
        row->history.last_seen = sighting->now;
    }
    memory_slide(store, &row->history.expires, sighting->now, sighting->keep);
    *answer = memory_answer(&row->history);
    return true;
}

static bool has_mark(const struct memory_row *row, uint64_t mark)
{
    for (uint32_t i = 0; i < row->marks_count; i++) {
        if (row->marks[i] == mark) {
            return true;
        }
    }
    return false;
}

/* Whether a live row takes this mark. */
static bool takes_mark(const struct memory_store *store, const struct storage_sighting *sighting,
                       const struct memory_row *row)
{
    if (row->marks_count >= STORAGE_MARKS && !memory_broken(store, MEMORY_BREAK_PAIR_UNBOUNDED)) {
        return false;
    }
    if (has_mark(row, sighting->mark) && !memory_broken(store, MEMORY_BREAK_PAIR_DOUBLES)) {
        return false;
    }
    return gap_is_over(store, sighting, row);
}

static bool add_mark(struct memory_row *row, const struct storage_sighting *sighting)
{
    uint64_t *marks = realloc(row->marks, (row->marks_count + (size_t)1) * sizeof *marks);

    if (marks == NULL) {
        return false;
    }
    marks[row->marks_count++] = sighting->mark;
    row->marks = marks;
    row->history.count = row->marks_count;
    row->history.last_seen = sighting->now;
    return true;
}

static bool see_pair(struct memory_store *store, const struct storage_sighting *sighting,
                     struct storage_row *answer)
{
    struct memory_row *row = memory_live(store, &store->counters, &sighting->key, sighting->now);
    bool absent = row == NULL;

    if (absent) {
        row = make_counter(store, sighting);
    }
    if (row == NULL) {
        return false;
    }
    if ((absent || takes_mark(store, sighting, row)) && !add_mark(row, sighting)) {
        return false;
    }
    if (sighting->window == 0) {
        memory_slide(store, &row->history.expires, sighting->now, sighting->keep);
    } else if (absent || memory_broken(store, MEMORY_BREAK_PAIR_WINDOW_SLIDES)) {
        row->history.expires = sighting->now + sighting->window;
    }
    *answer = memory_answer(&row->history);
    return true;
}

static bool see_take(struct memory_store *store, const struct storage_sighting *sighting,
                     struct storage_row *answer)
{
    struct memory_row *row = memory_live(store, &store->counters, &sighting->key, sighting->now);

    if (row == NULL ||
        (row->history.count < sighting->count && !memory_broken(store, MEMORY_BREAK_TAKE_ANY))) {
        *answer = (struct storage_row){.status = STORAGE_NOT_FOUND};
        return true;
    }
    *answer = memory_answer(&row->history);
    if (!memory_broken(store, MEMORY_BREAK_TAKE_LEAVES)) {
        (void)memory_table_remove(&store->counters, &sighting->key);
    }
    return true;
}

bool memory_see_counter(struct memory_store *store, const struct storage_sighting *sighting,
                        struct storage_row *answer)
{
    switch (sighting->op) {
    case STORAGE_COUNT:
        return see_count(store, sighting, answer);
    case STORAGE_PAIR:
        return see_pair(store, sighting, answer);
    default:
        return see_take(store, sighting, answer);
    }
}
