/*
 * counters.c: what a sighting makes of a counter (COUNT, PAIR, TAKE).
 */
#include <string.h>

#include "driver.h"

static void answer(struct storage_row *row, const struct counter *counter)
{
    row->status = STORAGE_OK;
    row->first_seen = counter->first_seen;
    row->last_seen = counter->last_seen;
    row->expires = counter->expires;
    row->count = counter->count;
}

static void make_row(struct counter *counter, int64_t now)
{
    memset(counter, 0, sizeof *counter);
    counter->first_seen = now;
    counter->last_seen = now;
}

static bool gap_is_over(const struct counter *counter, const struct storage_sighting *sighting)
{
    return sighting->min_gap == 0 || sighting->now - counter->last_seen >= sighting->min_gap;
}

static void count(struct counter *counter, bool live, const struct storage_sighting *sighting)
{
    if (!live) {
        make_row(counter, sighting->now);
        counter->count = sighting->count;
    } else if (gap_is_over(counter, sighting)) {
        counter->count = add(counter->count, sighting->count);
        counter->last_seen = sighting->now;
    }
    counter->expires = slide(counter->expires, live, sighting->now, sighting->keep);
}

static bool has_mark(const struct counter *counter, uint64_t mark)
{
    for (uint32_t i = 0; i < counter->marks_count; i++) {
        if (counter->marks[i] == mark) {
            return true;
        }
    }
    return false;
}

static void pair(struct counter *counter, bool live, const struct storage_sighting *sighting)
{
    if (!live) {
        make_row(counter, sighting->now);
        counter->expires = sighting->now + sighting->window;
    }
    if (!live || (counter->marks_count < STORAGE_MARKS && !has_mark(counter, sighting->mark) &&
                  gap_is_over(counter, sighting))) {
        counter->marks[counter->marks_count++] = sighting->mark;
        counter->last_seen = sighting->now;
    }
    counter->count = counter->marks_count;
    if (sighting->window == 0) {
        counter->expires = slide(counter->expires, live, sighting->now, sighting->keep);
    }
}

enum storage_status counter_see(struct call *call, const struct storage_sighting *sighting,
                                struct storage_row *row)
{
    struct counter before;
    enum storage_status status = counter_load(call, &sighting->key, sighting->now, &before);

    if (status != STORAGE_OK) {
        return status;
    }

    struct counter after = before;
    bool takes = sighting->op == STORAGE_TAKE;
    bool looks = sighting->look || (sighting->op == STORAGE_COUNT && sighting->count == 0);

    if ((takes || (looks && sighting->count == 0)) &&
        (!before.live || before.count < sighting->count)) {
        row->status = STORAGE_NOT_FOUND;
        return STORAGE_OK;
    }
    if (sighting->op == STORAGE_PAIR) {
        pair(&after, before.live, sighting);
    } else if (!takes && sighting->count > 0) {
        count(&after, before.live, sighting);
    }
    answer(row, &after);
    return looks ? STORAGE_OK : counter_save(call, &sighting->key, &before, takes ? NULL : &after);
}
