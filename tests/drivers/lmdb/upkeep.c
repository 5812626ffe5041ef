/*
 * upkeep.c: the change token, purging what has expired, and sums.
 */
#include <string.h>

#include "driver.h"

#define LOOK_AT_CLOCK 256 /* rows between two looks at the time that is left */

static enum storage_status nothing(struct call *call, void *argument)
{
    (void)call;
    (void)argument;
    return STORAGE_OK;
}

/* Every transaction reads the mark anyway, and the revision is in it. */
enum storage_status driver_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error)
{
    struct call call;

    call_begin(&call, session, error);

    enum storage_status status = call_read(&call, nothing, NULL);

    if (status == STORAGE_OK) {
        *revision = call.mark.revision;
    }
    return status;
}

/* --- Purge ------------------------------------------------------------------------------------- */

struct purging {
    int64_t now;
    size_t limit;
    size_t removed;
};

/* The order of expiry is asked anew for each row, for its first place moves as rows go. When time
 * runs short, what was done so far is kept: "at most limit" says no less. */
static enum storage_status purge_rows(struct call *call, void *argument)
{
    struct purging *purging = argument;
    MDB_cursor *cursor = NULL;
    MDB_val place;
    MDB_val data;
    enum storage_status status = STORAGE_OK;
    int code = mdb_cursor_open(call->txn, call->store->dbi[EXPIRES], &cursor);

    purging->removed = 0;
    while (code == 0 && status == STORAGE_OK && purging->removed < purging->limit) {
        code = mdb_cursor_get(cursor, &place, &data, MDB_FIRST);
        if (code != 0 || place.mv_size < 8 || expires_of(&place) > purging->now) {
            break;
        }
        status = row_expired(call, &place);
        purging->removed += status == STORAGE_OK;
        if (purging->removed % LOOK_AT_CLOCK == 0 && call_late(call)) {
            break;
        }
    }
    mdb_cursor_close(cursor);
    if (code != 0 && code != MDB_NOTFOUND) {
        return result(call, code, "the order of expiry cannot be read");
    }
    return status;
}

enum storage_status driver_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error)
{
    struct purging purging = {.now = now, .limit = limit};
    struct call call;

    call_begin(&call, session, error);
    mdb_reader_check(call.store->env, NULL); /* a reader that was killed keeps pages from reuse */

    enum storage_status status = call_write(&call, purge_rows, &purging);

    *removed = status == STORAGE_OK ? purging.removed : 0;
    return status;
}

/* --- Tally ------------------------------------------------------------------------------------- */

struct tallying {
    int64_t since;
    int64_t abandoned_before;
    struct storage_tally *tally;
};

static void tally_entry(const struct tallying *tallying, const struct entry *entry)
{
    struct storage_tally *tally = tallying->tally;

    if (entry->first_seen < tallying->since) {
        return;
    }
    tally->entries++;
    tally->accepted += entry->passes;
    tally->rejected += entry->tries;
    tally->abandoned += entry->passes == 0 && entry->first_seen < tallying->abandoned_before;
    if (entry->passes > 0 && entry->waited > 0) {
        tally->passed++;
        tally->waited += entry->waited;
    }
}

static enum storage_status tally_rows(struct call *call, void *argument)
{
    const struct tallying *tallying = argument;
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    struct entry entry;
    size_t seen = 0;
    int code = mdb_cursor_open(call->txn, call->store->dbi[ENTRIES], &cursor);

    memset(tallying->tally, 0, sizeof *tallying->tally);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    }
    while (code == 0) {
        if (!entry_unpack(&entry, &data)) {
            code = MDB_CORRUPTED;
            break;
        }
        tally_entry(tallying, &entry);
        if (++seen % LOOK_AT_CLOCK == 0 && call_late(call)) {
            mdb_cursor_close(cursor);
            return say(call->error, STORAGE_BUSY, 0, "no time left to sum up the entries");
        }
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return result(call, code == MDB_NOTFOUND ? 0 : code, "the entries cannot be read");
}

enum storage_status driver_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error)
{
    struct tallying tallying = {since, abandoned_before, tally};
    struct call call;

    call_begin(&call, session, error);
    return call_read(&call, tally_rows, &tallying);
}
