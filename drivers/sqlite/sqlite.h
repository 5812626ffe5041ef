/* sqlite.h: what the files of this driver share. It knows SQLite and the storage door, nothing
 * else. */
#ifndef MONGREY_DRIVER_SQLITE_H
#define MONGREY_DRIVER_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>

#include "include/storage.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x4d475259 /* "MGRY" in the file's header */

/* The statements that every session keeps prepared. */
enum statement {
    SQL_BEGIN_WRITE,
    SQL_BEGIN_READ,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_ENTRY_GET,
    SQL_ENTRY_PUT,
    SQL_ENTRY_UPDATE,
    SQL_ENTRY_ERASE,
    SQL_MERGE_GET,
    SQL_MERGE_PUT,
    SQL_MERGE_ERASE,
    SQL_COUNTER_GET,
    SQL_COUNTER_PUT,
    SQL_COUNTER_ERASE,
    SQL_REVISION_GET,
    SQL_REVISION_MOVE,
    SQL_PURGE_ENTRIES,
    SQL_PURGE_COUNTERS,
    SQL_PURGE_MERGES,
    SQL_TALLY,
    STATEMENTS
};

struct storage_db {
    const struct storage_host *host;
    char *path; /* of the file; NULL: in memory */
    /* A database in memory is one connection, which the sessions take in turn. */
    sqlite3 *memory;
    pthread_mutex_t lock;
};

struct storage_session {
    struct storage_db *db;
    sqlite3 *sqlite;
    sqlite3_stmt *statements[STATEMENTS];
};

/* --- driver.c --- */
/* What SQLite's code means to the caller; fills the error. Call it before anything else that could
 * replace the connection's message. */
enum storage_status sqlite_status(sqlite3 *sqlite, int code, struct storage_error *error);
enum storage_status sqlite_refuse(struct storage_error *error, enum storage_status status,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Every call of the door goes on between these two. */
void session_enter(struct storage_session *session);
enum storage_status session_leave(struct storage_session *session, enum storage_status status);

/* --- session.c --- */
enum storage_status sqlite_connect(const struct storage_db *db, sqlite3 **sqlite,
                                   struct storage_error *error);
enum storage_status session_prepare(struct storage_session *session, struct storage_error *error);
/* Runs a kept statement that gives no row, and makes it ready for the next time. */
int session_run(struct storage_session *session, enum statement which);
/* Ends a transaction by commit or, where status is not OK, by rollback. */
enum storage_status session_end(struct storage_session *session, enum storage_status status,
                                struct storage_error *error);

/* --- schema.c --- */
enum storage_status schema_upgrade(sqlite3 *sqlite, const struct storage_host *host,
                                   struct storage_error *error);

/* --- entries.c, counters.c, observe.c --- */
int entries_observe(struct storage_session *session, const struct storage_sighting *sighting,
                    struct storage_row *row);
int counters_observe(struct storage_session *session, const struct storage_sighting *sighting,
                     struct storage_row *row);
/* Whether a counter spares a sighting its row; if so it slides and *row is it. */
int counters_exempt(struct storage_session *session, const struct storage_exemption *exemption,
                    int64_t now, bool look, bool *exempt, struct storage_row *row);
enum storage_status sqlite_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error);

/* --- records.c, search.c --- */
enum storage_status sqlite_change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error);
enum storage_status sqlite_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error);

/* --- upkeep.c --- */
enum storage_status sqlite_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error);
enum storage_status sqlite_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error);
enum storage_status sqlite_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error);

#endif
