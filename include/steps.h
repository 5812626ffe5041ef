/*
 * steps.h: the transitions of storage.h in plain C, for a driver that reads a row, works out the next
 * one and writes it. A driver whose database does that itself has no use for it. No part of the
 * contract: storage.h says what holds, tests/conformance/ proves it.
 *
 * Nothing here locks, allocates or fails. A row is struct storage_row without its status; `live` says
 * whether the store has the row and its expires is later than the sighting's now.
 */
#ifndef MONGREY_STEPS_H
#define MONGREY_STEPS_H

#include "storage.h"

/* A counter: the row and, of PAIR, its marks. */
struct steps_counter {
    struct storage_row row;
    uint32_t marks_count;
    uint64_t marks[STORAGE_MARKS];
};

static inline int64_t steps_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t steps_later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Counts stay at their greatest number. */
static inline uint32_t steps_sum(uint32_t a, uint32_t b)
{
    return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

/* expires, where it slides: left alone while late enough. */
static inline int64_t steps_slide(int64_t expires, int64_t now, int64_t keep)
{
    return expires >= now + keep ? expires : now + keep + keep / 64;
}

/* --- Entries --------------------------------------------------------------------------------- */

/* Whether the history of an alternate wins over the best so far; both are live. */
static inline bool steps_is_better(const struct storage_row *other, const struct storage_row *best)
{
    if ((other->passes > 0) != (best->passes > 0))
        return other->passes > 0;
    return other->first_seen < best->first_seen;
}

static inline void steps_seen(struct storage_row *row, int64_t now)
{
    row->first_seen = steps_earlier(row->first_seen, now);
    row->last_seen = steps_later(row->last_seen, now);
}

static inline void steps_begin(struct storage_row *row, int64_t now)
{
    *row = (struct storage_row){.first_seen = now, .last_seen = now};
}

/* GREY, of the history that was chosen. True: this is the first pass, on_pass is due. */
static inline bool steps_grey(const struct storage_sighting *s, struct storage_row *row, bool live)
{
    if (!live) {
        steps_begin(row, s->now);
        row->tries = s->count;
        row->expires = s->now + s->window;
        return false;
    }
    steps_seen(row, s->now);
    bool waited = s->now - row->first_seen >= s->delay;
    bool first = row->passes == 0 && waited;
    if (row->passes == 0 && !waited) {
        row->tries = steps_sum(row->tries, s->count);
        return false;
    }
    row->passes = steps_sum(row->passes, s->count);
    row->waited = first ? s->now - row->first_seen : row->waited;
    row->expires = steps_slide(row->expires, s->now, s->keep);
    return first;
}

/* LEARN; TOUCH the same, of a live row that has passed. */
static inline void steps_learn(const struct storage_sighting *s, struct storage_row *row, bool live)
{
    if (!live)
        steps_begin(row, s->now);
    steps_seen(row, s->now);
    row->passes = steps_sum(row->passes, s->count);
    row->expires = steps_slide(row->expires, s->now, s->keep);
}

/* MERGE, of a position that is not in the row yet, with expires later than now. */
static inline void steps_merge(const struct storage_merge *m, struct storage_row *row, bool live)
{
    if (!live)
        *row = (struct storage_row){.first_seen = m->first_seen};
    row->first_seen = steps_earlier(row->first_seen, m->first_seen);
    row->last_seen = steps_later(row->last_seen, m->last_seen);
    row->expires = steps_later(row->expires, m->expires);
    row->waited = steps_later(row->waited, m->waited);
    row->tries = steps_sum(row->tries, m->tries);
    row->passes = steps_sum(row->passes, m->passes);
}

/* --- Counters -------------------------------------------------------------------------------- */

static inline bool steps_gap_is_over(const struct storage_sighting *s,
                                     const struct storage_row *row)
{
    return s->min_gap == 0 || s->now - row->last_seen >= s->min_gap;
}

/* COUNT, of more than nothing. */
static inline void steps_count(const struct storage_sighting *s, struct steps_counter *c, bool live)
{
    if (!live)
        *c = (struct steps_counter){.row = {.first_seen = s->now}};
    if (!live || steps_gap_is_over(s, &c->row)) {
        c->row.count = steps_sum(c->row.count, s->count);
        c->row.last_seen = s->now;
    }
    c->row.expires = steps_slide(c->row.expires, s->now, s->keep);
}

static inline bool steps_has_mark(const struct steps_counter *c, uint64_t mark)
{
    for (uint32_t i = 0; i < c->marks_count; i++) {
        if (c->marks[i] == mark)
            return true;
    }
    return false;
}

/* PAIR. */
static inline void steps_pair(const struct storage_sighting *s, struct steps_counter *c, bool live)
{
    if (!live) {
        *c = (struct steps_counter){.row = {.first_seen = s->now}};
        c->row.expires = s->window > 0 ? s->now + s->window : 0;
    }
    bool taken = c->marks_count < STORAGE_MARKS && !steps_has_mark(c, s->mark) &&
                 (!live || steps_gap_is_over(s, &c->row));
    if (taken) {
        c->marks[c->marks_count++] = s->mark;
        c->row.last_seen = s->now;
    }
    c->row.count = c->marks_count;
    if (s->window == 0)
        c->row.expires = steps_slide(c->row.expires, s->now, s->keep);
}

#endif
