/* counters.c: COUNT, PAIR and TAKE on the rows of greylist_counter. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"
#include "include/steps.h"

static void unpack_marks(struct steps_counter *c, const unsigned char *blob, int size)
{
    for (int i = 0; blob != NULL && i + 8 <= size && c->marks_count < STORAGE_MARKS; i += 8) {
        uint64_t mark = 0;
        for (int k = 0; k < 8; k++)
            mark = mark << 8 | blob[i + k];
        c->marks[c->marks_count++] = mark;
    }
}

/* SQLITE_OK; *alive says whether there is one that counts. */
static int counter_get(struct storage_session *session, const struct storage_key *key, int64_t now,
                       struct steps_counter *c, bool *alive)
{
    sqlite3_stmt *get = session->statements[SQL_COUNTER_GET];
    memset(c, 0, sizeof(*c));
    *alive = false;
    sqlite3_bind_blob(get, 1, key->bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    int code = sqlite3_step(get);
    if (code == SQLITE_ROW && sqlite3_column_int64(get, 2) > now) {
        *alive = true;
        c->row.first_seen = sqlite3_column_int64(get, 0);
        c->row.last_seen = sqlite3_column_int64(get, 1);
        c->row.expires = sqlite3_column_int64(get, 2);
        c->row.count = (uint32_t)sqlite3_column_int64(get, 3);
        unpack_marks(c, sqlite3_column_blob(get, 4), sqlite3_column_bytes(get, 4));
    }
    sqlite3_reset(get);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int counter_put(struct storage_session *session, const struct storage_key *key,
                       const struct steps_counter *c)
{
    unsigned char blob[STORAGE_MARKS * 8];
    sqlite3_stmt *put = session->statements[SQL_COUNTER_PUT];
    for (unsigned i = 0; i < c->marks_count; i++) {
        for (unsigned k = 0; k < 8; k++)
            blob[i * 8 + k] = (unsigned char)(c->marks[i] >> (56 - 8 * k));
    }
    sqlite3_bind_blob(put, 1, key->bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, c->row.first_seen);
    sqlite3_bind_int64(put, 3, c->row.last_seen);
    sqlite3_bind_int64(put, 4, c->row.expires);
    sqlite3_bind_int64(put, 5, c->row.count);
    if (c->marks_count > 0)
        sqlite3_bind_blob(put, 6, blob, (int)(c->marks_count * 8), SQLITE_STATIC);
    else
        sqlite3_bind_null(put, 6);
    return session_run(session, SQL_COUNTER_PUT);
}

static int not_found(struct storage_row *row, int code)
{
    memset(row, 0, sizeof(*row));
    row->status = STORAGE_NOT_FOUND;
    return code;
}

static int count(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    struct steps_counter c;
    bool alive;
    int code = counter_get(session, &s->key, s->now, &c, &alive);
    if (code != SQLITE_OK || (s->count == 0 && !alive))
        return not_found(row, code);
    if (s->count > 0) {
        steps_count(s, &c, alive);
        code = counter_put(session, &s->key, &c);
    }
    *row = c.row;
    return code;
}

static int pair(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    struct steps_counter c;
    bool alive;
    int code = counter_get(session, &s->key, s->now, &c, &alive);
    if (code != SQLITE_OK)
        return not_found(row, code);
    steps_pair(s, &c, alive);
    *row = c.row;
    return counter_put(session, &s->key, &c);
}

static int take(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    struct steps_counter c;
    bool alive;
    int code = counter_get(session, &s->key, s->now, &c, &alive);
    if (code != SQLITE_OK || !alive || c.row.count < s->count)
        return not_found(row, code);
    *row = c.row;
    sqlite3_bind_blob(session->statements[SQL_COUNTER_ERASE], 1, s->key.bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    return session_run(session, SQL_COUNTER_ERASE);
}

int counters_observe(struct storage_session *session, const struct storage_sighting *sighting,
                     struct storage_row *row)
{
    switch (sighting->op) {
    case STORAGE_COUNT:
        return count(session, sighting, row);
    case STORAGE_PAIR:
        return pair(session, sighting, row);
    default:
        return take(session, sighting, row);
    }
}

int counters_exempt(struct storage_session *session, const struct storage_exemption *exemption,
                    int64_t now, bool look, bool *exempt, struct storage_row *row)
{
    struct steps_counter c;
    bool alive;
    int code = counter_get(session, &exemption->key, now, &c, &alive);
    *exempt = code == SQLITE_OK && alive && c.row.count >= exemption->at_least;
    if (!*exempt)
        return code;
    int64_t expires = steps_slide(c.row.expires, now, exemption->keep);
    bool moved = expires != c.row.expires;
    c.row.expires = expires;
    *row = c.row;
    return moved && !look ? counter_put(session, &exemption->key, &c) : SQLITE_OK;
}
