/* upkeep.c: the change token, the removal of what has expired, and the sums for the metrics. */
#include <string.h>

#include "drivers/sqlite/sqlite.h"

enum storage_status sqlite_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error)
{
    sqlite3_stmt *get = session->statements[SQL_REVISION_GET];
    session_enter(session);
    /* This call comes every second or so: the time to notice that what is written goes into a file that
     * nobody can find any more. */
    int moved = 0;
    sqlite3_file_control(session->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved != 0)
        return session_leave(session, sqlite_refuse(error, STORAGE_UNAVAILABLE,
                                                    "the database file was removed or replaced"));
    int code = sqlite3_step(get);
    *revision = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(get, 0) : 0;
    sqlite3_reset(get);
    enum storage_status status = STORAGE_OK;
    if (code != SQLITE_ROW)
        status = code == SQLITE_DONE
                     ? sqlite_refuse(error, STORAGE_SCHEMA, "the store has no revision")
                     : sqlite_status(session->sqlite, code, error);
    return session_leave(session, status);
}

/* Runs one bounded DELETE, whose last parameter is the limit. */
static int purge_some(struct storage_session *session, enum statement which, size_t limit,
                      size_t *removed)
{
    sqlite3_stmt *purge = session->statements[which];
    if (*removed >= limit)
        return SQLITE_OK;
    sqlite3_bind_int64(purge, sqlite3_bind_parameter_count(purge), (int64_t)(limit - *removed));
    int code = session_run(session, which);
    if (code == SQLITE_OK)
        *removed += (size_t)sqlite3_changes(session->sqlite);
    return code;
}

enum storage_status sqlite_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    size_t merges = 0;
    *removed = 0;
    session_enter(session);
    int code = session_run(session, SQL_BEGIN_WRITE);
    sqlite3_bind_int64(session->statements[SQL_PURGE_ENTRIES], 1, now);
    sqlite3_bind_int64(session->statements[SQL_PURGE_COUNTERS], 1, now);
    if (code == SQLITE_OK)
        code = purge_some(session, SQL_PURGE_ENTRIES, limit, removed);
    if (code == SQLITE_OK && *removed > 0)
        code = purge_some(session, SQL_PURGE_MERGES, limit, &merges);
    if (code == SQLITE_OK)
        code = purge_some(session, SQL_PURGE_COUNTERS, limit, removed);
    if (code != SQLITE_OK)
        status = sqlite_status(session->sqlite, code, error);
    status = session_end(session, status, error);
    if (status != STORAGE_OK)
        *removed = 0;
    return session_leave(session, status);
}

enum storage_status sqlite_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    sqlite3_stmt *sum = session->statements[SQL_TALLY];
    enum storage_status status = STORAGE_OK;
    memset(tally, 0, sizeof(*tally));
    session_enter(session);
    sqlite3_bind_int64(sum, 1, since);
    sqlite3_bind_int64(sum, 2, abandoned_before);
    /* There is no asking for less: it gets all the time that a call may take. */
    session_hurry(session, (int64_t)host->connect_timeout + host->call_timeout);
    int code = sqlite3_step(sum);
    if (code == SQLITE_ROW) {
        tally->entries = sqlite3_column_int64(sum, 0);
        tally->accepted = sqlite3_column_int64(sum, 1);
        tally->rejected = sqlite3_column_int64(sum, 2);
        tally->abandoned = sqlite3_column_int64(sum, 3);
        tally->passed = sqlite3_column_int64(sum, 4);
        tally->waited = sqlite3_column_int64(sum, 5);
    } else {
        status = sqlite_status(session->sqlite, code, error);
    }
    sqlite3_reset(sum);
    session_relax(session);
    return session_leave(session, status);
}
