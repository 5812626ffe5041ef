/* counter_rows.c: greylist_counter in SQL. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

#define COLUMNS "key_, first_seen, last_seen, expires, count, marks"
#define COLUMNS_COUNT 6

static int counter_order(const void *key, const void *counter)
{
    return memcmp(key, ((const struct counter *)counter)->key.bytes, STORAGE_KEY_SIZE);
}

struct counter *counters_find(const struct counters *counters, const struct storage_key *key)
{
    return bsearch(key->bytes, counters->list, counters->count, sizeof(*counters->list),
                   counter_order);
}

static void unpack_marks(struct counter *c, const char *bytes, unsigned long size)
{
    for (unsigned long i = 0; bytes != NULL && i + 8 <= size && c->now.marks_count < STORAGE_MARKS;
         i += 8) {
        uint64_t mark = 0;
        for (unsigned long k = 0; k < 8; k++)
            mark = mark << 8 | (unsigned char)bytes[i + k];
        c->now.marks[c->now.marks_count++] = mark;
    }
}

static bool read_counter(const struct counters *counters, char **columns,
                         const unsigned long *sizes)
{
    struct storage_key key;
    if (!read_key(columns[0], sizes[0], &key))
        return false;
    struct counter *c = counters_find(counters, &key);
    if (c == NULL || !read_times(columns + 1, &c->now.row) ||
        !read_count(columns[4], &c->now.row.count))
        return false;
    c->stored = true;
    c->there = true;
    c->now.marks_count = 0;
    unpack_marks(c, columns[5], sizes[5]);
    return true;
}

enum storage_status counters_read(struct storage_session *session, const struct storage_key *keys,
                                  size_t count, bool lock, struct counters *out,
                                  struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    out->count = count;
    out->list = calloc(count, sizeof(*out->list));
    if (out->list == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    for (size_t i = 0; i < count; i++)
        out->list[i].key = keys[i];
    sql_begin(&session->sql, "SELECT " COLUMNS " FROM greylist_counter FORCE INDEX (PRIMARY)"
                             " WHERE key_ IN ");
    sql_keys(&session->sql, keys, count);
    sql_put(&session->sql, lock ? " FOR UPDATE" : "");
    enum storage_status status = session_ask(session, COLUMNS_COUNT, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        if (!read_counter(out, columns, mysql_fetch_lengths(result)))
            status = mysql_refuse(error, STORAGE_SCHEMA,
                                  "a counter of the store holds what this driver never wrote");
    }
    mysql_free_result(result);
    return status;
}

static void add_counter(struct sql *sql, const struct counter *c)
{
    const int64_t numbers[] = {c->now.row.first_seen, c->now.row.last_seen, c->now.row.expires,
                               c->now.row.count};
    char marks[STORAGE_MARKS * 8];
    for (unsigned i = 0; i < c->now.marks_count; i++) {
        for (unsigned k = 0; k < 8; k++)
            marks[i * 8 + k] = (char)(unsigned char)(c->now.marks[i] >> (56 - 8 * k));
    }
    sql_put(sql, "(");
    sql_key(sql, c->key.bytes);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        sql_put(sql, ",");
        sql_number(sql, numbers[i]);
    }
    sql_put(sql, ",");
    if (c->now.marks_count > 0)
        sql_bytes(sql, marks, c->now.marks_count * 8U);
    else
        sql_put(sql, "NULL");
    sql_put(sql, ")");
}

enum way { WAY_UPDATE, WAY_ERASE, WAY_INSERT, WAYS };

static enum way way_of(const struct counter *c)
{
    if (!c->changed || (!c->stored && !c->there))
        return WAYS;
    return !c->stored ? WAY_INSERT : c->there ? WAY_UPDATE : WAY_ERASE;
}

/* As with entries: who is not there is inserted plainly, and another session's counter is never
 * overwritten. */
static const struct {
    const char *begin;
    const char *end;
} ways[WAYS] = {
    [WAY_UPDATE] = {"INSERT INTO greylist_counter (" COLUMNS ") VALUES ",
                    " ON DUPLICATE KEY UPDATE first_seen = VALUES(first_seen),"
                    " last_seen = VALUES(last_seen), expires = VALUES(expires),"
                    " count = VALUES(count), marks = VALUES(marks)"},
    [WAY_ERASE] = {"DELETE FROM greylist_counter WHERE key_ IN (", ")"},
    [WAY_INSERT] = {"INSERT INTO greylist_counter (" COLUMNS ") VALUES ", ""},
};

static enum storage_status write_some(struct storage_session *session,
                                      const struct counters *counters, enum way way,
                                      struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    struct sql *sql = &session->sql;
    size_t waiting = 0;
    for (size_t i = 0; status == STORAGE_OK && i < counters->count; i++) {
        const struct counter *c = &counters->list[i];
        if (way_of(c) != way)
            continue;
        if (waiting++ == 0)
            sql_begin(sql, ways[way].begin);
        else
            sql_put(sql, ",");
        if (way == WAY_ERASE)
            sql_key(sql, c->key.bytes);
        else
            add_counter(sql, c);
        if (session_is_full(session)) {
            sql_put(sql, ways[way].end);
            status = session_run(session, error);
            waiting = 0;
        }
    }
    if (status != STORAGE_OK || waiting == 0)
        return status;
    sql_put(sql, ways[way].end);
    return session_run(session, error);
}

enum storage_status counters_write(struct storage_session *session, const struct counters *counters,
                                   struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    for (int way = 0; status == STORAGE_OK && way < WAYS; way++)
        status = write_some(session, counters, (enum way)way, error);
    return status;
}
