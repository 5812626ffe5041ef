/* counters.c: COUNT, PAIR and TAKE on the counters that are locked for the batch. */
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/batch.h"

void counters_row(struct storage_row *row, const struct counter *c)
{
    *row = (struct storage_row){
        .first_seen = c->row.first_seen,
        .last_seen = c->row.last_seen,
        .expires = c->row.expires,
        .count = c->row.count,
    };
}

struct counter *counters_find(const struct counters *counters, const struct storage_key *key)
{
    if (counters->count == 0)
        return NULL;
    return bsearch(key, counters->list, counters->count, sizeof(*counters->list), key_order);
}

void counters_unpack(struct counter *c, const uint8_t *marks, size_t size)
{
    c->marks_count = 0;
    for (size_t i = 0; i + 8 <= size && c->marks_count < STORAGE_MARKS; i += 8) {
        uint64_t mark = 0;
        for (size_t k = 0; k < 8; k++)
            mark = mark << 8 | marks[i + k];
        c->marks[c->marks_count++] = mark;
    }
}

/* Whether it lives; of a dead one nothing stays. */
static bool is_alive(struct counter *c, int64_t now)
{
    c->alive = c->alive && c->row.expires > now;
    if (!c->alive) {
        memset(&c->row, 0, sizeof(c->row));
        c->marks_count = 0;
    }
    return c->alive;
}

/* From now on it is there, if only in this batch yet. */
static void moved(struct counter *c)
{
    c->alive = true;
    c->changed = true;
}

static void not_found(struct storage_row *row)
{
    row->status = STORAGE_NOT_FOUND;
}

static void count(const struct storage_sighting *s, struct counter *c, bool alive,
                  struct storage_row *row)
{
    if (s->count == 0 && !alive) {
        not_found(row);
        return;
    }
    if (s->count > 0) {
        if (!alive)
            c->row.first_seen = s->now;
        if (!alive || s->min_gap == 0 || s->now - c->row.last_seen >= s->min_gap) {
            c->row.count = sum(c->row.count, s->count);
            c->row.last_seen = s->now;
        }
        c->row.expires = slide(c->row.expires, s->now, s->keep);
        moved(c);
    }
    counters_row(row, c);
}

static bool takes_mark(const struct counter *c, const struct storage_sighting *s)
{
    if (c->marks_count >= STORAGE_MARKS)
        return false;
    if (s->min_gap > 0 && s->now - c->row.last_seen < s->min_gap)
        return false;
    for (unsigned i = 0; i < c->marks_count; i++) {
        if (c->marks[i] == s->mark)
            return false;
    }
    return true;
}

static void pair(const struct storage_sighting *s, struct counter *c, bool alive,
                 struct storage_row *row)
{
    if (!alive) {
        c->row.first_seen = s->now;
        c->row.expires = s->window > 0 ? s->now + s->window : 0;
    }
    if (!alive || takes_mark(c, s)) {
        c->marks[c->marks_count++] = s->mark;
        c->row.last_seen = s->now;
    }
    c->row.count = c->marks_count;
    if (s->window == 0)
        c->row.expires = slide(c->row.expires, s->now, s->keep);
    moved(c);
    counters_row(row, c);
}

static void take(const struct storage_sighting *s, struct counter *c, bool alive,
                 struct storage_row *row)
{
    if (!alive || c->row.count < s->count) {
        not_found(row);
        return;
    }
    counters_row(row, c);
    c->alive = false;
    c->changed = true;
}

static void move(const struct batch *b, const struct storage_sighting *s, struct storage_row *row)
{
    struct counter *c = counters_find(&b->locked, &s->key);
    if (c == NULL) /* never: all keys were gathered */
        return;
    bool alive = is_alive(c, s->now);
    if (s->op == STORAGE_COUNT)
        count(s, c, alive, row);
    else if (s->op == STORAGE_PAIR)
        pair(s, c, alive, row);
    else
        take(s, c, alive, row);
}

static void slide_exemption(const struct batch *b, const struct storage_exemption *x, int64_t now)
{
    struct counter *c = counters_find(&b->locked, &x->key);
    if (c == NULL || !c->alive || c->row.expires <= now)
        return;
    int64_t expires = slide(c->row.expires, now, x->keep);
    c->changed = c->changed || expires != c->row.expires;
    c->row.expires = expires;
}

void counters_step(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        if (is_counter(s)) {
            move(b, s, &b->rows[i]);
            continue;
        }
        if (b->entries[i].slides != NULL)
            slide_exemption(b, b->entries[i].slides, s->now);
        for (uint8_t k = 0; b->entries[i].first_pass && k < s->on_pass_count; k++) {
            struct storage_row ignored = {.status = STORAGE_OK};
            move(b, &s->on_pass[k], &ignored);
        }
    }
}
