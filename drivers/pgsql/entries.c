/* entries.c: GREY, TOUCH, LEARN and MERGE. The rows are locked, or known to be absent (who inserts one
 * meanwhile makes our own insert fail), so what was read stays so until it is written. */
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/batch.h"

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void seen(struct storage_row *row, int64_t now)
{
    row->first_seen = earlier(row->first_seen, now);
    row->last_seen = later(row->last_seen, now);
}

static void seen_first(struct storage_row *row, int64_t now)
{
    memset(row, 0, sizeof(*row));
    row->first_seen = now;
    row->last_seen = now;
}

/* A dead row is as good as none; what was merged into it is forgotten. */
static void bury(struct entry *e, int64_t now)
{
    e->alive = e->there && e->row.expires > now;
    if (!e->alive) {
        memset(&e->row, 0, sizeof(e->row));
        e->merged_size = 0;
    }
}

/* `turned`: it went from not passed to passed, so the reading is that of now. */
static void decide(struct entry *e, const struct storage_sighting *s, bool turned)
{
    if (!e->there)
        e->fate = FATE_INSERT;
    else if (!e->alive)
        e->fate = FATE_ALL;
    else
        e->fate = turned && s->reading != NULL ? FATE_ALL : FATE_NUMBERS;
}

static bool is_better(const struct storage_row *a, const struct storage_row *b)
{
    if ((a->passes > 0) != (b->passes > 0))
        return a->passes > 0;
    return a->first_seen < b->first_seen;
}

/* Among the live histories of the alternates, one that is better than *row (which counts if alive). */
static bool find_best(const struct batch *b, const struct storage_sighting *s,
                      struct storage_row *row, bool alive)
{
    for (uint8_t i = 0; i < s->alternates_count; i++) {
        const struct other *other =
            bsearch(&s->alternate[i], b->others, b->others_count, sizeof(*b->others), key_order);
        if (other == NULL || !other->there || other->row.expires <= s->now)
            continue;
        if (!alive || is_better(&other->row, row)) {
            *row = other->row;
            row->origin = (uint8_t)(i + 1);
            alive = true;
        }
    }
    return alive;
}

/* The table of STORAGE_GREY. True: this is the first pass. */
static bool grey_step(const struct storage_sighting *s, struct storage_row *row, bool alive)
{
    if (!alive) {
        seen_first(row, s->now);
        row->tries = s->count;
        row->expires = s->now + s->window;
        return false;
    }
    seen(row, s->now);
    bool waited = s->now - row->first_seen >= s->delay;
    bool first = row->passes == 0 && waited;
    if (row->passes == 0 && !waited) {
        row->tries = sum(row->tries, s->count);
        return false;
    }
    row->passes = sum(row->passes, s->count);
    row->waited = first ? s->now - row->first_seen : row->waited;
    row->expires = slide(row->expires, s->now, s->keep);
    return first;
}

/* The first exemption that holds answers, and slides. */
static bool exempt(const struct batch *b, const struct storage_sighting *s, struct entry *e,
                   struct storage_row *row)
{
    for (uint8_t i = 0; i < s->exemptions_count; i++) {
        const struct storage_exemption *x = &s->exemption[i];
        const struct counter *c = counters_find(&b->peeked, &x->key);
        if (c == NULL || !c->there || c->row.expires <= s->now || c->row.count < x->at_least)
            continue;
        counters_row(row, c);
        row->exempt = (uint8_t)(i + 1);
        row->expires = slide(c->row.expires, s->now, x->keep);
        if (row->expires != c->row.expires)
            e->slides = x;
        return true;
    }
    return false;
}

static void grey(const struct batch *b, const struct storage_sighting *s, struct entry *e,
                 struct storage_row *row)
{
    if (exempt(b, s, e, row))
        return;
    bury(e, s->now);
    bool had_passed = e->alive && e->row.passes > 0;
    bool alive = had_passed || find_best(b, s, &e->row, e->alive);
    e->first_pass = grey_step(s, &e->row, alive);
    decide(e, s, !had_passed && e->row.passes > 0);
    *row = e->row;
}

static void touch(const struct storage_sighting *s, struct entry *e, struct storage_row *row)
{
    bury(e, s->now);
    if (!e->alive || e->row.passes == 0) {
        row->status = STORAGE_NOT_FOUND;
        return;
    }
    seen(&e->row, s->now);
    e->row.passes = sum(e->row.passes, s->count);
    e->row.expires = slide(e->row.expires, s->now, s->keep);
    e->fate = FATE_NUMBERS;
    *row = e->row;
}

static void learn(const struct storage_sighting *s, struct entry *e, struct storage_row *row)
{
    bury(e, s->now);
    bool had_passed = e->alive && e->row.passes > 0;
    if (!e->alive)
        seen_first(&e->row, s->now);
    seen(&e->row, s->now);
    e->row.passes = sum(e->row.passes, s->count);
    e->row.expires = slide(e->row.expires, s->now, s->keep);
    decide(e, s, !had_passed);
    *row = e->row;
}

static uint64_t position_at(const uint8_t *bytes)
{
    uint64_t position = 0;
    for (size_t i = 0; i < 8; i++)
        position = position << 8 | bytes[i];
    return position;
}

/* Remembers an origin's position, as the newest; false: it, or a later one, was merged before. */
static bool remember(struct entry *e, const struct storage_merge *m)
{
    for (size_t at = 0; at < e->merged_size; at += MERGE_SIZE) {
        if (memcmp(e->merged + at, m->origin, STORAGE_KEY_SIZE) != 0)
            continue;
        if (position_at(e->merged + at + STORAGE_KEY_SIZE) >= m->position)
            return false;
        e->merged_size -= MERGE_SIZE;
        memmove(e->merged + at, e->merged + at + MERGE_SIZE, e->merged_size - at);
        break;
    }
    if (e->merged_size == sizeof(e->merged)) {
        e->merged_size -= MERGE_SIZE;
        memmove(e->merged, e->merged + MERGE_SIZE, e->merged_size);
    }
    uint8_t *to = e->merged + e->merged_size;
    memcpy(to, m->origin, STORAGE_KEY_SIZE);
    for (size_t i = 0; i < 8; i++)
        to[STORAGE_KEY_SIZE + i] = (uint8_t)(m->position >> (56 - 8 * i));
    e->merged_size += MERGE_SIZE;
    return true;
}

static void merge(const struct storage_sighting *s, struct entry *e, struct storage_row *row)
{
    const struct storage_merge *m = s->merge;
    struct storage_row *own = &e->row;
    bury(e, s->now);
    if (m->expires <= s->now || !remember(e, m)) {
        row->status = STORAGE_NOT_FOUND;
        return;
    }
    own->first_seen = e->alive ? earlier(own->first_seen, m->first_seen) : m->first_seen;
    own->last_seen = e->alive ? later(own->last_seen, m->last_seen) : m->last_seen;
    own->expires = later(own->expires, m->expires);
    own->waited = later(own->waited, m->waited);
    own->tries = sum(own->tries, m->tries);
    own->passes = sum(own->passes, m->passes);
    decide(e, s, false);
    if (e->fate == FATE_NUMBERS)
        e->fate = FATE_MERGED;
    *row = *own;
}

void entries_step(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        if (is_counter(s))
            continue;
        struct entry *e = &b->entries[i];
        if (s->op == STORAGE_GREY)
            grey(b, s, e, &b->rows[i]);
        else if (s->op == STORAGE_TOUCH)
            touch(s, e, &b->rows[i]);
        else if (s->op == STORAGE_LEARN)
            learn(s, e, &b->rows[i]);
        else
            merge(s, e, &b->rows[i]);
    }
}
