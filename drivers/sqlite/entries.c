/* entries.c: GREY, TOUCH, LEARN and MERGE on the rows of greylist_entry. The write lock is held, so
 * what is read stays so until it is written. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"

int64_t slide(int64_t expires, int64_t now, int64_t keep)
{
    return expires >= now + keep ? expires : now + keep + keep / 64;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

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

/* Writes a row with what people want to read, making it where it is not there. */
static int entry_put(struct storage_session *session, const struct storage_sighting *s,
                     const struct storage_row *row)
{
    const struct storage_reading *r = s->reading;
    sqlite3_stmt *put = session->statements[SQL_ENTRY_PUT];
    bind_row(put, &s->key, row);
    if (r == NULL) {
        for (int i = 8; i <= 14; i++)
            sqlite3_bind_null(put, i);
        return session_run(session, SQL_ENTRY_PUT);
    }
    bind_text(put, 8, r->client_address);
    bind_text(put, 9, r->client_name);
    bind_text(put, 10, r->helo_name);
    bind_text(put, 11, r->sender);
    bind_text(put, 12, r->recipient);
    bind_text(put, 13, r->country);
    bind_text(put, 14, r->policy);
    return session_run(session, SQL_ENTRY_PUT);
}

static int entry_update(struct storage_session *session, const struct storage_sighting *s,
                        const struct storage_row *row)
{
    bind_row(session->statements[SQL_ENTRY_UPDATE], &s->key, row);
    return session_run(session, SQL_ENTRY_UPDATE);
}

/* A dead row is as good as none, but what was merged into it must not be held against a new one. */
static int forget_merges(struct storage_session *session, const struct storage_key *key)
{
    sqlite3_bind_blob(session->statements[SQL_MERGE_ERASE], 1, key->bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    return session_run(session, SQL_MERGE_ERASE);
}

/* The key's own row: *alive says whether it counts. */
static int entry_own(struct storage_session *session, const struct storage_sighting *s,
                     struct storage_row *row, bool *alive)
{
    int code = entry_get(session, &s->key, row);
    *alive = code == SQLITE_ROW && row->expires > s->now;
    bool dead = code == SQLITE_ROW && !*alive;
    if (!*alive)
        memset(row, 0, sizeof(*row));
    if (dead && !s->look)
        return forget_merges(session, &s->key);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool is_better(const struct storage_row *a, const struct storage_row *b)
{
    if ((a->passes > 0) != (b->passes > 0))
        return a->passes > 0;
    return a->first_seen < b->first_seen;
}

/* The best live history of the key and its alternates. */
static int entry_best(struct storage_session *session, const struct storage_sighting *s,
                      struct storage_row *row, bool *alive, bool *own)
{
    int code = entry_own(session, s, row, alive);
    *own = *alive;
    for (uint8_t i = 0; code == SQLITE_OK && i < s->alternates_count; i++) {
        struct storage_row other;
        code = entry_get(session, &s->alternate[i], &other);
        if (code == SQLITE_ROW && other.expires > s->now && (!*alive || is_better(&other, row))) {
            *row = other;
            row->origin = (uint8_t)(i + 1);
            *alive = true;
        }
        if (code == SQLITE_ROW || code == SQLITE_DONE)
            code = SQLITE_OK;
    }
    return code;
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

static int grey(struct storage_session *session, const struct storage_sighting *s,
                struct storage_row *row)
{
    bool alive = false;
    bool own = false;
    bool passed_now = false;
    for (uint8_t i = 0; i < s->exemptions_count; i++) {
        bool exempt = false;
        int code = counters_exempt(session, &s->exemption[i], s->now, s->look, &exempt, row);
        row->exempt = exempt ? (uint8_t)(i + 1) : 0;
        if (code != SQLITE_OK || exempt)
            return code;
    }
    int code = entry_best(session, s, row, &alive, &own);
    if (code != SQLITE_OK)
        return code;
    if (!alive) {
        seen_first(row, s->now);
        row->tries = s->count;
        row->expires = s->now + s->window;
    } else {
        seen(row, s->now);
        passed_now = row->passes == 0 && s->now - row->first_seen >= s->delay;
        if (row->passes == 0 && !passed_now) {
            row->tries += s->count;
        } else {
            row->passes += s->count;
            row->waited = passed_now ? s->now - row->first_seen : row->waited;
            row->expires = slide(passed_now ? 0 : row->expires, s->now, s->keep);
        }
    }
    if (s->look)
        return SQLITE_OK;
    code = own && !passed_now && row->origin == 0 ? entry_update(session, s, row)
                                                  : entry_put(session, s, row);
    for (uint8_t i = 0; code == SQLITE_OK && passed_now && i < s->on_pass_count; i++) {
        struct storage_row ignored;
        code = counters_observe(session, &s->on_pass[i], &ignored);
    }
    return code;
}

static int touch(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    bool alive = false;
    int code = entry_own(session, s, row, &alive);
    if (code != SQLITE_OK || !alive || row->passes == 0) {
        memset(row, 0, sizeof(*row));
        row->status = STORAGE_NOT_FOUND;
        return code;
    }
    seen(row, s->now);
    row->passes += s->count;
    row->expires = slide(row->expires, s->now, s->keep);
    return s->look ? SQLITE_OK : entry_update(session, s, row);
}

static int learn(struct storage_session *session, const struct storage_sighting *s,
                 struct storage_row *row)
{
    bool alive = false;
    int code = entry_own(session, s, row, &alive);
    if (code != SQLITE_OK)
        return code;
    bool known = alive && row->passes > 0;
    if (!alive)
        seen_first(row, s->now);
    seen(row, s->now);
    row->passes += s->count;
    row->expires = slide(known ? row->expires : 0, s->now, s->keep);
    if (s->look)
        return SQLITE_OK;
    return known ? entry_update(session, s, row) : entry_put(session, s, row);
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
    bool alive = false;
    int code = entry_own(session, s, row, &alive);
    if (code != SQLITE_OK)
        return code;
    code = alive ? merged_before(session, s) : SQLITE_DONE;
    if (code != SQLITE_DONE)
        return code == SQLITE_ROW ? SQLITE_OK : code;
    row->first_seen = alive ? earlier(row->first_seen, m->first_seen) : m->first_seen;
    row->last_seen = later(row->last_seen, m->last_seen);
    row->expires = later(row->expires, m->expires);
    row->waited = later(row->waited, m->waited);
    row->tries += m->tries;
    row->passes += m->passes;
    code = alive ? entry_update(session, s, row) : entry_put(session, s, row);
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
