/* entry_rows.c: greylist_entry and greylist_merge in SQL. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

#define COLUMNS "key_, id, first_seen, last_seen, expires, waited, tries, passes"
#define COLUMNS_COUNT 8
#define READING "client_address, client_name, helo_name, sender, recipient, country, policy"

static bool read_row(char **columns, struct storage_row *row)
{
    memset(row, 0, sizeof(*row));
    return read_times(columns + 2, row) && read_integer(columns[5], &row->waited) &&
           read_count(columns[6], &row->tries) && read_count(columns[7], &row->passes);
}

static enum storage_status rubbish(struct storage_error *error)
{
    return mysql_refuse(error, STORAGE_SCHEMA,
                        "a row of the store holds what this driver never wrote");
}

/* The index is named: by its own estimate the server might read a small table whole, and lock all that
 * it reads. */
static void select_rows(struct sql *sql)
{
    sql_begin(sql, "SELECT " COLUMNS " FROM greylist_entry FORCE INDEX (by_key) WHERE key_ IN ");
}

static int entry_order(const void *key, const void *entry)
{
    return memcmp(key, ((const struct entry *)entry)->sighting->key.bytes, STORAGE_KEY_SIZE);
}

static struct entry *find_entry(struct entry *entries, size_t count, char **columns,
                                const unsigned long *sizes)
{
    struct storage_key key;
    if (!read_key(columns[0], sizes[0], &key))
        return NULL;
    return bsearch(key.bytes, entries, count, sizeof(*entries), entry_order);
}

enum storage_status rows_lock(struct storage_session *session, struct entry *entries, size_t count,
                              struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    select_rows(&session->sql);
    for (size_t i = 0; i < count; i++) {
        sql_put(&session->sql, i == 0 ? "(" : ",");
        sql_key(&session->sql, entries[i].sighting->key.bytes);
    }
    sql_put(&session->sql, entries[0].sighting->look ? ")" : ") FOR UPDATE");
    enum storage_status status = session_ask(session, COLUMNS_COUNT, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        struct entry *e = find_entry(entries, count, columns, mysql_fetch_lengths(result));
        if (e == NULL || !read_unsigned(columns[1], &e->id) || !read_row(columns, &e->row)) {
            status = rubbish(error);
            break;
        }
        e->there = true;
        e->alive = e->row.expires > e->sighting->now;
        if (!e->alive)
            memset(&e->row, 0, sizeof(e->row));
    }
    mysql_free_result(result);
    return status;
}

static int alternate_order(const void *key, const void *alternate)
{
    return memcmp(key, ((const struct alternate *)alternate)->key.bytes, STORAGE_KEY_SIZE);
}

enum storage_status rows_alternates(struct storage_session *session, struct alternate *alternates,
                                    size_t count, struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    struct storage_key key;
    select_rows(&session->sql);
    for (size_t i = 0; i < count; i++) {
        sql_put(&session->sql, i == 0 ? "(" : ",");
        sql_key(&session->sql, alternates[i].key.bytes);
    }
    sql_put(&session->sql, ")");
    enum storage_status status = session_ask(session, COLUMNS_COUNT, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        struct alternate *a = NULL;
        if (read_key(columns[0], mysql_fetch_lengths(result)[0], &key))
            a = bsearch(key.bytes, alternates, count, sizeof(*alternates), alternate_order);
        if (a == NULL || !read_row(columns, &a->row)) {
            status = rubbish(error);
            break;
        }
        a->there = true;
    }
    mysql_free_result(result);
    return status;
}

static void note_merged(struct entry *e, const char *origin, unsigned long size, int64_t position)
{
    const struct storage_merge *m = e->sighting->merge;
    if (size == STORAGE_KEY_SIZE && memcmp(origin, m->origin, STORAGE_KEY_SIZE) == 0 &&
        position >= 0 && (uint64_t)position >= m->position)
        e->merged = true;
}

/* What was merged into a row belongs to who has the row locked. */
enum storage_status rows_merged(struct storage_session *session, struct entry *entries,
                                size_t count, struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    size_t wanted = 0;
    sql_begin(&session->sql, "SELECT key_, origin, position FROM greylist_merge WHERE key_ IN ");
    for (size_t i = 0; i < count; i++) {
        if (entries[i].sighting->op != STORAGE_MERGE || !entries[i].alive)
            continue;
        sql_put(&session->sql, wanted++ == 0 ? "(" : ",");
        sql_key(&session->sql, entries[i].sighting->key.bytes);
    }
    if (wanted == 0)
        return STORAGE_OK;
    sql_put(&session->sql, ")");
    enum storage_status status = session_ask(session, 3, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(result);
        struct entry *e = find_entry(entries, count, columns, sizes);
        int64_t position;
        if (e == NULL || columns[1] == NULL || !read_integer(columns[2], &position))
            status = rubbish(error);
        else if (e->sighting->op == STORAGE_MERGE)
            note_merged(e, columns[1], sizes[1], position);
    }
    mysql_free_result(result);
    return status;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void add_numbers(struct sql *sql, const struct entry *e)
{
    const struct storage_row *row = e->answer;
    const int64_t numbers[] = {row->first_seen, row->last_seen, row->expires,
                               row->waited,     row->tries,     row->passes};
    sql_key(sql, e->sighting->key.bytes);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        sql_put(sql, ",");
        sql_number(sql, numbers[i]);
    }
}

static void add_reading(struct sql *sql, const struct storage_reading *r)
{
    if (r == NULL) {
        sql_put(sql, ",NULL,NULL,NULL,NULL,NULL,NULL,NULL");
        return;
    }
    const struct storage_text texts[] = {r->client_address, r->client_name, r->helo_name, r->sender,
                                         r->recipient,      r->country,     r->policy};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        sql_put(sql, ",");
        sql_bytes(sql, texts[i].data, texts[i].size);
    }
}

/*
 * A new row is a plain INSERT, which never takes another session's row for its own. The others are there
 * and locked, and are found by their id: for them this is an UPDATE of many rows at once.
 */
static const struct {
    const char *begin;
    const char *end;
} writings[] = {
    [WRITE_NEW] =
        {"INSERT INTO greylist_entry (key_, first_seen, last_seen, expires, waited, tries,"
         " passes, " READING ") VALUES ",
         ""},
    [WRITE_NUMBERS] = {"INSERT INTO greylist_entry (id, key_, first_seen, last_seen, expires,"
                       " waited, tries, passes) VALUES ",
                       " ON DUPLICATE KEY UPDATE first_seen = VALUES(first_seen),"
                       " last_seen = VALUES(last_seen), expires = VALUES(expires),"
                       " waited = VALUES(waited), tries = VALUES(tries),"
                       " passes = VALUES(passes)"},
    [WRITE_ALL] =
        {"INSERT INTO greylist_entry (id, key_, first_seen, last_seen, expires, waited, tries,"
         " passes, " READING ") VALUES ",
         " ON DUPLICATE KEY UPDATE first_seen = VALUES(first_seen),"
         " last_seen = VALUES(last_seen), expires = VALUES(expires), waited = VALUES(waited),"
         " tries = VALUES(tries), passes = VALUES(passes),"
         " client_address = VALUES(client_address), client_name = VALUES(client_name),"
         " helo_name = VALUES(helo_name), sender = VALUES(sender),"
         " recipient = VALUES(recipient), country = VALUES(country), policy = VALUES(policy)"},
};

static void add_entry(struct sql *sql, const struct entry *e)
{
    sql_put(sql, "(");
    if (e->writing != WRITE_NEW)
        sql_add(sql, "%llu,", (unsigned long long)e->id);
    add_numbers(sql, e);
    if (e->writing != WRITE_NUMBERS)
        add_reading(sql, e->sighting->reading);
    sql_put(sql, ")");
}

/* All entries that are written in this way, in as few statements as the server takes. */
static enum storage_status write_some(struct storage_session *session, const struct entry *entries,
                                      size_t count, int writing, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    size_t waiting = 0;
    for (size_t i = 0; status == STORAGE_OK && i < count; i++) {
        if ((int)entries[i].writing != writing)
            continue;
        if (waiting == 0)
            sql_begin(&session->sql, writings[writing].begin);
        else
            sql_put(&session->sql, ",");
        add_entry(&session->sql, &entries[i]);
        waiting++;
        if (session_is_full(session)) {
            sql_put(&session->sql, writings[writing].end);
            status = session_run(session, error);
            waiting = 0;
        }
    }
    if (status != STORAGE_OK || waiting == 0)
        return status;
    sql_put(&session->sql, writings[writing].end);
    return session_run(session, error);
}

/* What was merged into a row that is dead goes with it. */
static enum storage_status forget_merges(struct storage_session *session,
                                         const struct entry *entries, size_t count,
                                         struct storage_error *error)
{
    size_t wanted = 0;
    sql_begin(&session->sql, "DELETE FROM greylist_merge WHERE key_ IN ");
    for (size_t i = 0; i < count; i++) {
        if (entries[i].writing != WRITE_ALL || entries[i].alive)
            continue;
        sql_put(&session->sql, wanted++ == 0 ? "(" : ",");
        sql_key(&session->sql, entries[i].sighting->key.bytes);
    }
    if (wanted == 0)
        return STORAGE_OK;
    sql_put(&session->sql, ")");
    return session_run(session, error);
}

static enum storage_status remember_merges(struct storage_session *session,
                                           const struct entry *entries, size_t count,
                                           struct storage_error *error)
{
    struct sql *sql = &session->sql;
    size_t wanted = 0;
    sql_begin(sql, "INSERT INTO greylist_merge (key_, origin, position) VALUES ");
    for (size_t i = 0; i < count; i++) {
        const struct storage_sighting *s = entries[i].sighting;
        if (s->op != STORAGE_MERGE || entries[i].writing == WRITE_NOTHING)
            continue;
        sql_put(sql, wanted++ == 0 ? "(" : ",(");
        sql_key(sql, s->key.bytes);
        sql_put(sql, ",");
        sql_key(sql, s->merge->origin);
        sql_add(sql, ",%llu)", (unsigned long long)s->merge->position);
    }
    if (wanted == 0)
        return STORAGE_OK;
    sql_put(sql, " ON DUPLICATE KEY UPDATE position = VALUES(position)");
    return session_run(session, error);
}

enum storage_status rows_write(struct storage_session *session, const struct entry *entries,
                               size_t count, struct storage_error *error)
{
    enum storage_status status = forget_merges(session, entries, count, error);
    if (status == STORAGE_OK)
        status = write_some(session, entries, count, WRITE_NUMBERS, error);
    if (status == STORAGE_OK)
        status = write_some(session, entries, count, WRITE_ALL, error);
    if (status == STORAGE_OK)
        status = write_some(session, entries, count, WRITE_NEW, error);
    return status == STORAGE_OK ? remember_merges(session, entries, count, error) : status;
}
