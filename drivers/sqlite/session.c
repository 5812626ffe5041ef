/* session.c: a connection, its kept statements, and the ends of transactions. */
#include <time.h>

#include "drivers/sqlite/sqlite.h"

static const char *const sql[STATEMENTS] = {
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_ENTRY_GET] = "SELECT first_seen, last_seen, expires, waited, tries, passes"
                      " FROM greylist_entry WHERE key = ?1",
    [SQL_ENTRY_PUT] =
        "INSERT INTO greylist_entry (key, first_seen, last_seen, expires, waited, tries, passes,"
        " client_address, client_name, helo_name, sender, recipient, country, policy)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT (key) DO UPDATE SET first_seen = ?2, last_seen = ?3, expires = ?4,"
        " waited = ?5, tries = ?6, passes = ?7, client_address = ?8, client_name = ?9,"
        " helo_name = ?10, sender = ?11, recipient = ?12, country = ?13, policy = ?14",
    [SQL_ENTRY_UPDATE] = "UPDATE greylist_entry SET first_seen = ?2, last_seen = ?3, expires = ?4,"
                         " waited = ?5, tries = ?6, passes = ?7 WHERE key = ?1",
    [SQL_ENTRY_ERASE] = "DELETE FROM greylist_entry WHERE key = ?1",
    [SQL_MERGE_GET] = "SELECT position FROM greylist_merge WHERE key = ?1 AND origin = ?2",
    [SQL_MERGE_PUT] = "INSERT INTO greylist_merge (key, origin, position) VALUES (?1, ?2, ?3)"
                      " ON CONFLICT (key, origin) DO UPDATE SET position = ?3",
    [SQL_MERGE_ERASE] = "DELETE FROM greylist_merge WHERE key = ?1",
    [SQL_COUNTER_GET] = "SELECT first_seen, last_seen, expires, count, marks"
                        " FROM greylist_counter WHERE key = ?1",
    [SQL_COUNTER_PUT] =
        "INSERT INTO greylist_counter (key, first_seen, last_seen, expires, count, marks)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (key) DO UPDATE SET first_seen = ?2, last_seen = ?3, expires = ?4,"
        " count = ?5, marks = ?6",
    [SQL_COUNTER_ERASE] = "DELETE FROM greylist_counter WHERE key = ?1",
    [SQL_REVISION_GET] = "SELECT value FROM mongrey WHERE name = 'revision'",
    [SQL_REVISION_MOVE] = "UPDATE mongrey SET value = value + 1 WHERE name = 'revision'",
    [SQL_PURGE_ENTRIES] = "DELETE FROM greylist_entry WHERE rowid IN (SELECT rowid FROM"
                          " greylist_entry WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    [SQL_PURGE_COUNTERS] = "DELETE FROM greylist_counter WHERE key IN (SELECT key FROM"
                           " greylist_counter WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    [SQL_PURGE_MERGES] = "DELETE FROM greylist_merge WHERE key IN (SELECT m.key FROM"
                         " greylist_merge m LEFT JOIN greylist_entry e ON e.key = m.key"
                         " WHERE e.key IS NULL LIMIT ?1)",
    [SQL_TALLY] = "SELECT count(*), coalesce(sum(passes), 0), coalesce(sum(tries), 0),"
                  " coalesce(sum(passes = 0 AND first_seen < ?2), 0),"
                  " coalesce(sum(waited > 0 AND passes > 0), 0),"
                  " coalesce(sum(CASE WHEN passes > 0 THEN waited ELSE 0 END), 0)"
                  " FROM greylist_entry WHERE first_seen >= ?1",
};

/* WAL lets readers and the writer go on beside each other; FULL makes a commit survive a power cut.
 */
static const char journal[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;";
static const char settle[] = "PRAGMA trusted_schema = OFF;"
                             "PRAGMA temp_store = MEMORY;"
                             "PRAGMA cache_size = -4096;"
                             "PRAGMA wal_autocheckpoint = 2000;";

/* Several that open a new file at once get in each other's way here, and SQLite's own waiting does not
 * cover the change to WAL. */
static int set_journal(sqlite3 *sqlite, uint32_t timeout)
{
    uint32_t waited = 0;
    int code = sqlite3_busy_timeout(sqlite, 0);
    while (code == SQLITE_OK) {
        code = sqlite3_exec(sqlite, journal, NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY || waited >= timeout)
            break;
        waited += (uint32_t)sqlite3_sleep(10);
        code = SQLITE_OK;
    }
    int restored = sqlite3_busy_timeout(sqlite, (int)timeout);
    return code == SQLITE_OK ? restored : code;
}

enum storage_status sqlite_connect(const struct storage_db *db, sqlite3 **sqlite,
                                   struct storage_error *error)
{
    const char *path = db->path != NULL ? db->path : ":memory:";
    bool read_only = db->host->read_only && db->path != NULL;
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (db->path == NULL)
        flags |= SQLITE_OPEN_CREATE;
    flags |= SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, sqlite, flags, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(*sqlite, (int)db->host->call_timeout);
    if (code == SQLITE_OK && !read_only)
        code = set_journal(*sqlite, db->host->call_timeout);
    if (code == SQLITE_OK)
        code = sqlite3_exec(*sqlite, settle, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = text_functions(*sqlite);
    if (code == SQLITE_OK)
        return STORAGE_OK;
    enum storage_status status = sqlite_status(*sqlite, code, error);
    sqlite3_close(*sqlite);
    *sqlite = NULL;
    return status;
}

enum storage_status session_prepare(struct storage_session *session, struct storage_error *error)
{
    for (int i = 0; i < STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(session->sqlite, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &session->statements[i], NULL);
        if (code != SQLITE_OK)
            return sqlite_status(session->sqlite, code, error);
    }
    return STORAGE_OK;
}

int session_run(struct storage_session *session, enum statement which)
{
    sqlite3_stmt *statement = session->statements[which];
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* --- What takes too long ---------------------------------------------------------------------- */

#define LOOK_EVERY 4000 /* steps of SQLite's machine: less than a millisecond */

static int64_t steady(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int is_late(void *argument)
{
    const struct storage_session *session = argument;
    return steady() >= session->deadline;
}

void session_hurry(struct storage_session *session, int64_t timeout)
{
    session->deadline = steady() + timeout;
    sqlite3_progress_handler(session->sqlite, LOOK_EVERY, is_late, session);
}

void session_relax(struct storage_session *session)
{
    sqlite3_progress_handler(session->sqlite, 0, NULL, NULL);
}

enum storage_status session_end(struct storage_session *session, enum storage_status status,
                                struct storage_error *error)
{
    if (status == STORAGE_OK) {
        int code = session_run(session, SQL_COMMIT);
        if (code == SQLITE_OK)
            return STORAGE_OK;
        status = sqlite_status(session->sqlite, code, error);
        /* A sync that failed says nothing of what is on the disk now. */
        if ((code & 0xff) == SQLITE_IOERR)
            status = STORAGE_UNCERTAIN;
    }
    if (sqlite3_get_autocommit(session->sqlite) == 0)
        session_run(session, SQL_ROLLBACK);
    return status;
}
