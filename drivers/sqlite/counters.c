/* counters.c: COUNT, PAIR and TAKE on the rows of greylist_counter. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"

struct counter {
    struct storage_row row;
    unsigned marks_count;
    uint64_t marks[STORAGE_MARKS];
};

static void unpack_marks(struct counter *c, const unsigned char *blob, int size)
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
                       struct counter *c, bool *alive)
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
                       const struct counter *c)
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
    struct counter c;
    bool alive;
    int code = counter_get(session, &s->key, s->now, &c, &alive);
    if (code != SQLITE_OK || (s->count == 0 && !alive))
        return not_found(row, code);
    if (s->count > 0) {
        if (!alive)
            c.row.first_seen = s->now;
        if (!alive || s->min_gap == 0 || s->now - c.row.last_seen >= s->min_gap) {
            c.row.count = sum(c.row.count, s->count);
            c.row.last_seen = s->now;
        }
        c.row.expires = slide(c.row.expires, s->now, s->keep);
        code = counter_put(session, &s->key, &c);
    }
    *row = c.row;
    return code;
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

static int pair(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    struct counter c;
    bool alive;
    int code = counter_get(session, &s->key, s->now, &c, &alive);
    if (code != SQLITE_OK)
        return not_found(row, code);
    if (!alive) {
        c.row.first_seen = s->now;
        c.row.expires = s->window > 0 ? s->now + s->window : 0;
    }
    if (!alive || takes_mark(&c, s)) {
        c.marks[c.marks_count++] = s->mark;
        c.row.last_seen = s->now;
    }
    c.row.count = c.marks_count;
    if (s->window == 0)
        c.row.expires = slide(c.row.expires, s->now, s->keep);
    *row = c.row;
    return counter_put(session, &s->key, &c);
}

static int take(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    struct counter c;
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
    struct counter c;
    bool alive;
    int code = counter_get(session, &exemption->key, now, &c, &alive);
    *exempt = code == SQLITE_OK && alive && c.row.count >= exemption->at_least;
    if (!*exempt)
        return code;
    int64_t expires = slide(c.row.expires, now, exemption->keep);
    bool moved = expires != c.row.expires;
    c.row.expires = expires;
    *row = c.row;
    return moved && !look ? counter_put(session, &exemption->key, &c) : SQLITE_OK;
}
