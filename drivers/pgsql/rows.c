/* rows.c: the rows of a batch: asked for by their keys, read, and written by arrays, one statement for
 * each way of writing, however many there are. */
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/batch.h"

/* --- Reading ---------------------------------------------------------------------------------- */

void rows_ask_entries(struct batch *b)
{
    size_t count = 0;
    for (size_t i = 0; i < b->count; i++)
        count += !is_counter(&b->sightings[i]);
    params_reset(&b->params);
    params_array(&b->params, ELEMENT_KEY, count);
    for (size_t i = 0; i < b->count; i++) {
        if (!is_counter(&b->sightings[i]))
            element_bytes(&b->params, b->sightings[i].key.bytes, STORAGE_KEY_SIZE);
    }
    params_array_end(&b->params);
    session_send(b->session,
                 b->reads ? "SELECT key, first_seen, last_seen, expires, waited, tries, passes,"
                            " merged FROM greylist_entry WHERE key = ANY($1) ORDER BY key"
                          : "SELECT key, first_seen, last_seen, expires, waited, tries, passes,"
                            " merged FROM greylist_entry WHERE key = ANY($1) ORDER BY key"
                            " FOR UPDATE",
                 &b->params);
}

void rows_ask_others(struct batch *b)
{
    params_reset(&b->params);
    params_array(&b->params, ELEMENT_KEY, b->others_count);
    for (size_t i = 0; i < b->others_count; i++)
        element_bytes(&b->params, b->others[i].key.bytes, STORAGE_KEY_SIZE);
    params_array_end(&b->params);
    session_send(b->session,
                 "SELECT key, first_seen, last_seen, expires, waited, tries, passes"
                 " FROM greylist_entry WHERE key = ANY($1)",
                 &b->params);
}

void rows_ask_counters(struct batch *b, const struct counters *counters, bool lock)
{
    params_reset(&b->params);
    params_array(&b->params, ELEMENT_KEY, counters->count);
    for (size_t i = 0; i < counters->count; i++)
        element_bytes(&b->params, counters->list[i].key.bytes, STORAGE_KEY_SIZE);
    params_array_end(&b->params);
    session_send(b->session,
                 lock ? "SELECT key, first_seen, last_seen, expires, count, marks"
                        " FROM greylist_counter WHERE key = ANY($1) ORDER BY key FOR UPDATE"
                      : "SELECT key, first_seen, last_seen, expires, count, marks"
                        " FROM greylist_counter WHERE key = ANY($1)",
                 &b->params);
}

static bool read_times(const PGresult *result, int at, struct storage_row *row)
{
    return read_integer(result, at, 1, &row->first_seen) &&
           read_integer(result, at, 2, &row->last_seen) &&
           read_integer(result, at, 3, &row->expires);
}

static bool read_entry(const PGresult *result, int at, struct storage_row *row)
{
    return read_times(result, at, row) && read_integer(result, at, 4, &row->waited) &&
           read_number(result, at, 5, &row->tries) && read_number(result, at, 6, &row->passes);
}

/* Of what stands there the last MERGES_MAX whole ones. */
static void read_merged(const PGresult *result, int at, struct entry *e)
{
    if (PQnfields(result) < 8 || PQgetisnull(result, at, 7) != 0)
        return;
    size_t size = (size_t)PQgetlength(result, at, 7) / MERGE_SIZE * MERGE_SIZE;
    size_t skip = size > sizeof(e->merged) ? size - sizeof(e->merged) : 0;
    e->merged_size = size - skip;
    memcpy(e->merged, PQgetvalue(result, at, 7) + skip, e->merged_size);
}

/* Answers and sightings are both sorted by key. */
bool rows_read_entries(struct batch *b, const PGresult *result)
{
    struct storage_key key;
    size_t i = 0;
    for (int at = 0; at < PQntuples(result); at++) {
        if (!read_key(result, at, 0, &key))
            return false;
        while (i < b->count &&
               (is_counter(&b->sightings[i]) || key_order(&b->sightings[i].key, &key) != 0))
            i++;
        if (i == b->count || !read_entry(result, at, &b->entries[i].row))
            return false;
        b->entries[i].there = true;
        read_merged(result, at, &b->entries[i++]);
    }
    return true;
}

bool rows_read_others(struct batch *b, const PGresult *result)
{
    struct storage_key key;
    for (int at = 0; at < PQntuples(result); at++) {
        if (!read_key(result, at, 0, &key))
            return false;
        struct other *other =
            bsearch(&key, b->others, b->others_count, sizeof(*b->others), key_order);
        if (other == NULL || !read_entry(result, at, &other->row))
            return false;
        other->there = true;
    }
    return true;
}

bool rows_read_counters(struct batch *b, struct counters *counters, const PGresult *result)
{
    (void)b;
    struct storage_key key;
    for (int at = 0; at < PQntuples(result); at++) {
        if (!read_key(result, at, 0, &key))
            return false;
        struct counter *c = counters_find(counters, &key);
        if (c == NULL || !read_times(result, at, &c->row) ||
            !read_number(result, at, 4, &c->row.count) || PQnfields(result) != 6)
            return false;
        c->there = true;
        c->alive = true;
        if (PQgetisnull(result, at, 5) == 0)
            counters_unpack(c, (const uint8_t *)PQgetvalue(result, at, 5),
                            (size_t)PQgetlength(result, at, 5));
    }
    return true;
}

/* --- Writing entries -------------------------------------------------------------------------- */

#define ENTRY_NUMBERS 6
#define ENTRY_TEXTS 7

static int64_t entry_number(const struct storage_row *row, int column)
{
    const int64_t numbers[ENTRY_NUMBERS] = {row->first_seen, row->last_seen, row->expires,
                                            row->waited,     row->tries,     row->passes};
    return numbers[column];
}

static const struct storage_text *entry_text(const struct storage_reading *r, int column)
{
    const struct storage_text *texts[ENTRY_TEXTS] = {
        &r->client_address, &r->client_name, &r->helo_name, &r->sender,
        &r->recipient,      &r->country,     &r->policy};
    return texts[column];
}

static size_t count_fate(const struct batch *b, enum fate fate)
{
    size_t count = 0;
    for (size_t i = 0; b->has_entries && i < b->count; i++)
        count += b->entries[i].fate == fate;
    return count;
}

static void put_key(struct batch *b, size_t i)
{
    element_bytes(&b->params, b->sightings[i].key.bytes, STORAGE_KEY_SIZE);
}

static void put_merged(struct batch *b, size_t i)
{
    const struct entry *e = &b->entries[i];
    if (e->merged_size > 0)
        element_bytes(&b->params, e->merged, e->merged_size);
    else
        element_null(&b->params);
}

static void put_text(struct batch *b, size_t i, int column)
{
    const struct storage_reading *r = b->sightings[i].reading;
    if (r == NULL)
        element_null(&b->params);
    else
        element_bytes(&b->params, entry_text(r, column)->data, entry_text(r, column)->size);
}

/* $1 the keys, $2 to $7 the numbers, $8 what was merged, $9 to $15 the texts. */
static void fill_entries(struct batch *b, enum fate fate, size_t count)
{
    int columns = fate == FATE_NUMBERS  ? 1 + ENTRY_NUMBERS
                  : fate == FATE_MERGED ? 2 + ENTRY_NUMBERS
                                        : 2 + ENTRY_NUMBERS + ENTRY_TEXTS;
    params_reset(&b->params);
    for (int column = 0; column < columns; column++) {
        enum element element = column == 0                   ? ELEMENT_KEY
                               : column <= ENTRY_NUMBERS     ? ELEMENT_INTEGER
                               : column == ENTRY_NUMBERS + 1 ? ELEMENT_BYTES
                                                             : ELEMENT_TEXT;
        params_array(&b->params, element, count);
        for (size_t i = 0; i < b->count; i++) {
            if (b->entries[i].fate != fate)
                continue;
            if (element == ELEMENT_KEY)
                put_key(b, i);
            else if (element == ELEMENT_INTEGER)
                element_integer(&b->params, entry_number(&b->entries[i].row, column - 1));
            else if (element == ELEMENT_BYTES)
                put_merged(b, i);
            else
                put_text(b, i, column - ENTRY_NUMBERS - 2);
        }
        params_array_end(&b->params);
    }
}

#define SET_NUMBERS                                                                               \
    "UPDATE greylist_entry e SET first_seen = u.a, last_seen = u.b, expires = u.c, waited = u.d," \
    " tries = u.e, passes = u.f"
#define FROM_NUMBERS " FROM unnest($1, $2, $3, $4, $5, $6, $7"
#define WHERE_KEY " WHERE e.key = u.key"

static const char *const entry_sql[] = {
    [FATE_NUMBERS] = SET_NUMBERS FROM_NUMBERS ") u(key, a, b, c, d, e, f)" WHERE_KEY,
    [FATE_MERGED] =
        SET_NUMBERS ", merged = u.g" FROM_NUMBERS ", $8) u(key, a, b, c, d, e, f, g)" WHERE_KEY,
    [FATE_ALL] = SET_NUMBERS
    ", merged = u.g, client_address = u.h, client_name = u.i, helo_name = u.j, sender = u.k,"
    " recipient = u.l, country = u.m, policy = u.n" FROM_NUMBERS
    ", $8, $9, $10, $11, $12, $13, $14, $15)"
    " u(key, a, b, c, d, e, f, g, h, i, j, k, l, m, n)" WHERE_KEY,
    [FATE_INSERT] =
        "INSERT INTO greylist_entry (key, first_seen, last_seen, expires, waited, tries, passes,"
        " merged, client_address, client_name, helo_name, sender, recipient, country, policy)"
        " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
};

/* --- Writing counters ------------------------------------------------------------------------- */

enum counter_fate { COUNTER_INSERT, COUNTER_UPDATE, COUNTER_DELETE };

static bool has_fate(const struct counter *c, enum counter_fate fate)
{
    if (!c->changed)
        return false;
    switch (fate) {
    case COUNTER_INSERT:
        return c->alive && !c->there;
    case COUNTER_UPDATE:
        return c->alive && c->there;
    default:
        return !c->alive && c->there;
    }
}

static int64_t counter_number(const struct counter *c, int column)
{
    const int64_t numbers[] = {c->row.first_seen, c->row.last_seen, c->row.expires, c->row.count};
    return numbers[column];
}

static void put_marks(struct batch *b, const struct counter *c)
{
    uint8_t marks[STORAGE_MARKS * 8];
    if (c->marks_count == 0) {
        element_null(&b->params);
        return;
    }
    for (unsigned i = 0; i < c->marks_count; i++) {
        for (unsigned k = 0; k < 8; k++)
            marks[i * 8 + k] = (uint8_t)(c->marks[i] >> (56 - 8 * k));
    }
    element_bytes(&b->params, marks, (size_t)c->marks_count * 8);
}

/* $1 the keys, $2 to $5 the numbers, $6 the marks; to delete, the keys only. */
static void fill_counters(struct batch *b, enum counter_fate fate, size_t count)
{
    params_reset(&b->params);
    for (int column = 0; column < (fate == COUNTER_DELETE ? 1 : 6); column++) {
        params_array(&b->params,
                     column == 0  ? ELEMENT_KEY
                     : column < 5 ? ELEMENT_INTEGER
                                  : ELEMENT_BYTES,
                     count);
        for (size_t i = 0; i < b->locked.count; i++) {
            const struct counter *c = &b->locked.list[i];
            if (!has_fate(c, fate))
                continue;
            if (column == 0)
                element_bytes(&b->params, c->key.bytes, STORAGE_KEY_SIZE);
            else if (column < 5)
                element_integer(&b->params, counter_number(c, column - 1));
            else
                put_marks(b, c);
        }
        params_array_end(&b->params);
    }
}

static const char *const counter_sql[] = {
    [COUNTER_INSERT] =
        "INSERT INTO greylist_counter (key, first_seen, last_seen, expires, count, marks)"
        " SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
    [COUNTER_UPDATE] =
        "UPDATE greylist_counter e SET first_seen = u.a, last_seen = u.b, expires = u.c,"
        " count = u.d, marks = u.e FROM unnest($1, $2, $3, $4, $5, $6) u(key, a, b, c, d, e)"
        " WHERE e.key = u.key",
    [COUNTER_DELETE] = "DELETE FROM greylist_counter WHERE key = ANY($1)",
};

bool rows_write(struct batch *b)
{
    bool any = false;
    for (enum fate fate = FATE_NUMBERS; fate <= FATE_INSERT; fate++) {
        size_t count = count_fate(b, fate);
        if (count == 0)
            continue;
        fill_entries(b, fate, count);
        session_send(b->session, entry_sql[fate], &b->params);
        any = true;
    }
    for (enum counter_fate fate = COUNTER_INSERT; fate <= COUNTER_DELETE; fate++) {
        size_t count = 0;
        for (size_t i = 0; i < b->locked.count; i++)
            count += has_fate(&b->locked.list[i], fate);
        if (count == 0)
            continue;
        fill_counters(b, fate, count);
        session_send(b->session, counter_sql[fate], &b->params);
        any = true;
    }
    return any;
}
