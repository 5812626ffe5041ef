/* counters.c: COUNT, PAIR and TAKE. All that a batch does to a counter is worked out here and written
 * once. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

static bool is_alive(const struct counter *c, int64_t now)
{
    return c->there && c->now.row.expires > now;
}

static void not_found(struct storage_row *row)
{
    memset(row, 0, sizeof(*row));
    row->status = STORAGE_NOT_FOUND;
}

static void step_count(const struct storage_sighting *s, struct counter *c, struct storage_row *row)
{
    if (s->count == 0 && !is_alive(c, s->now)) {
        not_found(row);
        return;
    }
    if (s->count > 0) {
        steps_count(s, &c->now, is_alive(c, s->now));
        c->there = true;
        c->changed = true;
    }
    *row = c->now.row;
}

static void step_pair(const struct storage_sighting *s, struct counter *c, struct storage_row *row)
{
    steps_pair(s, &c->now, is_alive(c, s->now));
    c->there = true;
    c->changed = true;
    *row = c->now.row;
}

static void step_take(const struct storage_sighting *s, struct counter *c, struct storage_row *row)
{
    if (!is_alive(c, s->now) || c->now.row.count < s->count) {
        not_found(row);
        return;
    }
    *row = c->now.row;
    c->there = false;
    c->changed = true;
}

static void step(const struct storage_sighting *s, const struct counters *counters,
                 struct storage_row *row)
{
    struct counter *c = counters_find(counters, &s->key);
    switch (s->op) {
    case STORAGE_COUNT:
        step_count(s, c, row);
        break;
    case STORAGE_PAIR:
        step_pair(s, c, row);
        break;
    default:
        step_take(s, c, row);
        break;
    }
}

static bool only_looks(const struct storage_sighting *s)
{
    return s->op == STORAGE_COUNT && s->count == 0;
}

static bool is_counter(const struct storage_sighting *s)
{
    return s->op >= STORAGE_COUNT;
}

static void exempt(const struct storage_sighting *s, const struct counters *counters,
                   struct storage_row *row)
{
    for (uint8_t i = 0; row->exempt == 0 && i < s->exemptions_count; i++) {
        struct counter *c = counters_find(counters, &s->exemption[i].key);
        if (!is_alive(c, s->now) || c->now.row.count < s->exemption[i].at_least)
            continue;
        c->now.row.expires = steps_slide(c->now.row.expires, s->now, s->exemption[i].keep);
        *row = c->now.row;
        row->exempt = (uint8_t)(i + 1);
    }
}

/* An exemption is read without a lock: many sightings of many hosts are spared by one counter. Its lock
 * is taken later, and just where it has to slide. */
enum storage_status counters_view(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error)
{
    struct counters counters = {.list = NULL};
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted += only_looks(&sightings[i])         ? 1
                  : sightings[i].op == STORAGE_GREY ? sightings[i].exemptions_count
                                                    : 0;
    if (wanted == 0)
        return STORAGE_OK;
    struct storage_key *keys = calloc(wanted, sizeof(*keys));
    if (keys == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    wanted = 0;
    for (size_t i = 0; i < count; i++) {
        const struct storage_sighting *s = &sightings[i];
        if (only_looks(s))
            keys[wanted++] = s->key;
        for (uint8_t k = 0; s->op == STORAGE_GREY && k < s->exemptions_count; k++)
            keys[wanted++] = s->exemption[k].key;
    }
    wanted = keys_settle(keys, wanted);
    enum storage_status status = counters_read(session, keys, wanted, false, &counters, error);
    for (size_t i = 0; status == STORAGE_OK && i < count; i++) {
        if (only_looks(&sightings[i]))
            step(&sightings[i], &counters, &rows[i]);
    }
    for (size_t i = 0; status == STORAGE_OK && i < count; i++) {
        if (sightings[i].op == STORAGE_GREY)
            exempt(&sightings[i], &counters, &rows[i]);
    }
    free(counters.list);
    free(keys);
    return status;
}

/* --- The counters that a batch moves ---------------------------------------------------------- */

struct moves {
    const struct storage_sighting *sightings;
    size_t count;
    struct storage_row *rows;
    const struct entry *entries;
    size_t entries_count;
};

/* An exemption that answered and has just slid: others need no lock. It was read unlocked, and slides in
 * the store if it is still there. */
static const struct storage_exemption *slid(const struct moves *m, size_t i)
{
    const struct storage_sighting *s = &m->sightings[i];
    uint8_t number = m->rows[i].exempt;
    if (s->op != STORAGE_GREY || s->look || number == 0)
        return NULL;
    const struct storage_exemption *x = &s->exemption[number - 1];
    return m->rows[i].expires == steps_slide(0, s->now, x->keep) ? x : NULL;
}

static uint8_t passing(const struct moves *m, size_t i)
{
    const struct entry *e = &m->entries[i];
    return e->first && !e->sighting->look ? e->sighting->on_pass_count : 0;
}

/* The keys that all this is about; keys NULL: how many at most. */
static size_t gather(const struct moves *m, struct storage_key *keys)
{
    size_t wanted = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct storage_exemption *x = slid(m, i);
        bool moves = is_counter(&m->sightings[i]) && !only_looks(&m->sightings[i]);
        if (keys != NULL && moves)
            keys[wanted] = m->sightings[i].key;
        else if (keys != NULL && x != NULL)
            keys[wanted] = x->key;
        wanted += moves || x != NULL;
    }
    for (size_t i = 0; i < m->entries_count; i++) {
        for (uint8_t k = 0; k < passing(m, i); k++, wanted++) {
            if (keys != NULL)
                keys[wanted] = m->entries[i].sighting->on_pass[k].key;
        }
    }
    return wanted;
}

static void move_all(const struct moves *m, const struct counters *counters)
{
    for (size_t i = 0; i < m->count; i++) {
        if (is_counter(&m->sightings[i]) && !only_looks(&m->sightings[i]))
            step(&m->sightings[i], counters, &m->rows[i]);
    }
    for (size_t i = 0; i < m->entries_count; i++) {
        for (uint8_t k = 0; k < passing(m, i); k++) {
            struct storage_row ignored;
            if (!only_looks(&m->entries[i].sighting->on_pass[k]))
                step(&m->entries[i].sighting->on_pass[k], counters, &ignored);
        }
    }
    for (size_t i = 0; i < m->count; i++) {
        const struct storage_exemption *x = slid(m, i);
        struct counter *c = x != NULL ? counters_find(counters, &x->key) : NULL;
        if (c == NULL || !is_alive(c, m->sightings[i].now))
            continue;
        int64_t expires = steps_slide(c->now.row.expires, m->sightings[i].now, x->keep);
        c->changed = c->changed || expires != c->now.row.expires;
        c->now.row.expires = expires;
    }
}

enum storage_status counters_observe(struct storage_session *session,
                                     const struct storage_sighting *sightings, size_t count,
                                     struct storage_row *rows, const struct entry *entries,
                                     size_t entries_count, struct storage_error *error)
{
    const struct moves m = {sightings, count, rows, entries, entries_count};
    struct counters counters = {.list = NULL};
    size_t wanted = gather(&m, NULL);
    if (wanted == 0)
        return STORAGE_OK;
    struct storage_key *keys = calloc(wanted, sizeof(*keys));
    if (keys == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    gather(&m, keys);
    wanted = keys_settle(keys, wanted);
    enum storage_status status = counters_read(session, keys, wanted, true, &counters, error);
    if (status == STORAGE_OK) {
        move_all(&m, &counters);
        status = counters_write(session, &counters, error);
    }
    free(counters.list);
    free(keys);
    return status;
}
