/* entries.c: GREY, TOUCH, LEARN and MERGE on the rows of greylist_entry. The write lock is held, so
 * what is read stays so until it is written. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"
#include "include/steps.h"

/* SQLITE_ROW or SQLITE_DONE, else an error. */
static int entry_get(struct storage_session *session, const struct storage_key *key,
                     struct storage_row *row)
{
    sqlite3_stmt *get = session->statements[SQL_ENTRY_GET];
    sqlite3_bind_blob(get, 1, key->bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    int code = sqlite3_step(get);
    memset(row, 0, sizeof(*row));
    if (code == SQLITE_ROW) {
        row->first_seen = sqlite3_column_int64(get, 0);
        row->last_seen = sqlite3_column_int64(get, 1);
        row->expires = sqlite3_column_int64(get, 2);
        row->waited = sqlite3_column_int64(get, 3);
        row->tries = (uint32_t)sqlite3_column_int64(get, 4);
        row->passes = (uint32_t)sqlite3_column_int64(get, 5);
    }
    sqlite3_reset(get);
    return code;
}

static void bind_row(sqlite3_stmt *put, const struct storage_key *key,
                     const struct storage_row *row)
{
    sqlite3_bind_blob(put, 1, key->bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, row->first_seen);
    sqlite3_bind_int64(put, 3, row->last_seen);
    sqlite3_bind_int64(put, 4, row->expires);
    sqlite3_bind_int64(put, 5, row->waited);
    sqlite3_bind_int64(put, 6, row->tries);
    sqlite3_bind_int64(put, 7, row->passes);
}

static void bind_text(sqlite3_stmt *put, int index, struct storage_text t)
{
    sqlite3_bind_text(put, index, t.size > 0 ? t.data : "", (int)t.size, SQLITE_STATIC);
}

static int entry_update(struct storage_session *session, const struct storage_sighting *s,
                        const struct storage_row *row)
{
    bind_row(session->statements[SQL_ENTRY_UPDATE], &s->key, row);
    return session_run(session, SQL_ENTRY_UPDATE);
}

/* Writes a row with what people want to read, making it where it is not there. */
static int entry_put(struct storage_session *session, const struct storage_sighting *s,
                     const struct storage_row *row)
{
    const struct storage_reading *r = s->reading;
    sqlite3_stmt *put = session->statements[SQL_ENTRY_PUT];
    bind_row(put, &s->key, row);
    bind_text(put, 8, r->client_address);
    bind_text(put, 9, r->client_name);
    bind_text(put, 10, r->helo_name);
    bind_text(put, 11, r->sender);
    bind_text(put, 12, r->recipient);
    bind_text(put, 13, r->country);
    bind_text(put, 14, r->policy);
    return session_run(session, SQL_ENTRY_PUT);
}

static int entry_put_bare(struct storage_session *session, const struct storage_sighting *s,
                          const struct storage_row *row)
{
    sqlite3_stmt *put = session->statements[SQL_ENTRY_PUT];
    bind_row(put, &s->key, row);
    for (int i = 8; i <= 14; i++)
        sqlite3_bind_null(put, i);
    return session_run(session, SQL_ENTRY_PUT);
}

static int run_on_key(struct storage_session *session, enum statement which,
                      const struct storage_key *key)
{
    sqlite3_bind_blob(session->statements[which], 1, key->bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    return session_run(session, which);
}

/* What a key's row is to a sighting. A dead row is as good as none, but it is there. */
enum own { OWN_ABSENT, OWN_DEAD, OWN_ALIVE };

static int entry_own(struct storage_session *session, const struct storage_sighting *s,
                     struct storage_row *row, enum own *own)
{
    int code = entry_get(session, &s->key, row);
    *own = code != SQLITE_ROW ? OWN_ABSENT : row->expires > s->now ? OWN_ALIVE : OWN_DEAD;
    if (*own == OWN_DEAD)
        memset(row, 0, sizeof(*row));
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Makes a row. What is left of a dead one goes first: its texts, and what was merged into it. */
static int entry_make(struct storage_session *session, const struct storage_sighting *s,
                      const struct storage_row *row, enum own own)
{
    int code = SQLITE_OK;
    if (own == OWN_DEAD)
        code = run_on_key(session, SQL_ENTRY_ERASE, &s->key);
    if (own == OWN_DEAD && code == SQLITE_OK)
        code = run_on_key(session, SQL_MERGE_ERASE, &s->key);
    if (code != SQLITE_OK)
        return code;
    return s->reading != NULL ? entry_put(session, s, row) : entry_put_bare(session, s, row);
}

/* Writes a row; `turned`: it went from not passed to passed, so the reading is that of now. */
static int entry_write(struct storage_session *session, const struct storage_sighting *s,
                       const struct storage_row *row, enum own own, bool turned)
{
    if (own != OWN_ALIVE)
        return entry_make(session, s, row, own);
    return turned && s->reading != NULL ? entry_put(session, s, row)
                                        : entry_update(session, s, row);
}

/* Among the live histories of the alternates, one that is better than *row (which counts if *alive). */
static int entry_best(struct storage_session *session, const struct storage_sighting *s,
                      struct storage_row *row, bool *alive)
{
    for (uint8_t i = 0; i < s->alternates_count; i++) {
        struct storage_row other;
        int code = entry_get(session, &s->alternate[i], &other);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            return code;
        if (code == SQLITE_DONE || other.expires <= s->now)
            continue;
        if (!*alive || steps_is_better(&other, row)) {
            *row = other;
            row->origin = (uint8_t)(i + 1);
            *alive = true;
        }
    }
    return SQLITE_OK;
}

static int grey_exempt(struct storage_session *session, const struct storage_sighting *s,
                       struct storage_row *row)
{
    int code = SQLITE_OK;
    for (uint8_t i = 0; code == SQLITE_OK && row->exempt == 0 && i < s->exemptions_count; i++) {
        bool exempt = false;
        code = counters_exempt(session, &s->exemption[i], s->now, s->look, &exempt, row);
        row->exempt = exempt ? (uint8_t)(i + 1) : 0;
    }
    return code;
}

static int grey(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    enum own own = OWN_ABSENT;
    int code = grey_exempt(session, s, row);
    if (code != SQLITE_OK || row->exempt > 0)
        return code;
    code = entry_own(session, s, row, &own);
    bool alive = own == OWN_ALIVE;
    bool had_passed = alive && row->passes > 0;
    if (code == SQLITE_OK && !had_passed)
        code = entry_best(session, s, row, &alive);
    if (code != SQLITE_OK)
        return code;
    bool first = steps_grey(s, row, alive);
    if (s->look)
        return SQLITE_OK;
    code = entry_write(session, s, row, own, !had_passed && row->passes > 0);
    for (uint8_t i = 0; code == SQLITE_OK && first && i < s->on_pass_count; i++) {
        struct storage_row ignored;
        code = counters_observe(session, &s->on_pass[i], &ignored);
    }
    return code;
}

static int touch(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    enum own own;
    int code = entry_own(session, s, row, &own);
    if (code != SQLITE_OK || own != OWN_ALIVE || row->passes == 0) {
        memset(row, 0, sizeof(*row));
        row->status = STORAGE_NOT_FOUND;
        return code;
    }
    steps_learn(s, row, true);
    return s->look ? SQLITE_OK : entry_update(session, s, row);
}

static int learn(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    enum own own;
    int code = entry_own(session, s, row, &own);
    if (code != SQLITE_OK)
        return code;
    bool had_passed = own == OWN_ALIVE && row->passes > 0;
    steps_learn(s, row, own == OWN_ALIVE);
    return s->look ? SQLITE_OK : entry_write(session, s, row, own, !had_passed);
}

/* SQLITE_ROW where this position, or a later one, of the origin was merged before. */
static int merged_before(struct storage_session *session, const struct storage_sighting *s)
{
    sqlite3_stmt *get = session->statements[SQL_MERGE_GET];
    sqlite3_bind_blob(get, 1, s->key.bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(get, 2, s->merge->origin, STORAGE_KEY_SIZE, SQLITE_STATIC);
    int code = sqlite3_step(get);
    if (code == SQLITE_ROW && (uint64_t)sqlite3_column_int64(get, 0) < s->merge->position)
        code = SQLITE_DONE;
    sqlite3_reset(get);
    return code;
}

static int remember_merge(struct storage_session *session, const struct storage_sighting *s)
{
    sqlite3_stmt *put = session->statements[SQL_MERGE_PUT];
    sqlite3_bind_blob(put, 1, s->key.bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(put, 2, s->merge->origin, STORAGE_KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(put, 3, (int64_t)s->merge->position);
    return session_run(session, SQL_MERGE_PUT);
}

static int merge(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    const struct storage_merge *m = s->merge;
    enum own own;
    int code = entry_own(session, s, row, &own);
    if (code == SQLITE_OK)
        code = own == OWN_ALIVE ? merged_before(session, s) : SQLITE_DONE;
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        return code;
    if (code == SQLITE_ROW || m->expires <= s->now) {
        row->status = STORAGE_NOT_FOUND;
        return SQLITE_OK;
    }
    steps_merge(m, row, own == OWN_ALIVE);
    code = entry_write(session, s, row, own, false);
    return code == SQLITE_OK ? remember_merge(session, s) : code;
}

int entries_observe(struct storage_session *session, const struct storage_sighting *sighting,
                    struct storage_row *row)
{
    switch (sighting->op) {
    case STORAGE_GREY:
        return grey(session, sighting, row);
    case STORAGE_TOUCH:
        return touch(session, sighting, row);
    case STORAGE_LEARN:
        return learn(session, sighting, row);
    default:
        return merge(session, sighting, row);
    }
}
