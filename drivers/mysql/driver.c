/* driver.c: the driver's name plate, and how a store and its sessions begin and end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/mysql/mysql.h"

static void start_library(void)
{
    (void)mysql_server_init(0, NULL, NULL);
}

/* Whether the next server may do better. */
static bool is_worth_next(enum storage_status status, const struct storage_error *error)
{
    return status == STORAGE_UNAVAILABLE || status == STORAGE_BUSY ||
           (status == STORAGE_DENIED && status_is_read_only(error->native));
}

enum storage_status mysql_reach(struct storage_session *session, bool opening,
                                struct storage_error *error)
{
    struct storage_db *db = session->db;
    const struct storage_host *host = db->host;
    int64_t end = clock_now() + host->connect_timeout + host->call_timeout;
    size_t first = atomic_load(&db->server);
    enum storage_status status = STORAGE_UNAVAILABLE;
    for (size_t i = 0; i < db->servers_count; i++) {
        size_t number = (first + i) % db->servers_count;
        session->deadline = end;
        if (i > 0 && clock_now() + host->connect_timeout > end)
            break; /* no time left: the next call begins with this one */
        atomic_store(&db->server, number);
        status = session_connect(session, &db->servers[number], error);
        if (status == STORAGE_OK)
            status = schema_upgrade(session, opening, error);
        if (status == STORAGE_OK)
            return STORAGE_OK;
        session_close(session);
        if (!is_worth_next(status, error))
            return status;
    }
    atomic_store(&db->server, (atomic_load(&db->server) + 1) % db->servers_count);
    /* There is no session on which the same call could be done again, or an UNCERTAIN one known. */
    return status == STORAGE_BUSY || status == STORAGE_UNCERTAIN ? STORAGE_UNAVAILABLE : status;
}

static void db_close(struct storage_db *db)
{
    if (db == NULL)
        return;
    free(db->servers);
    free(db->texts);
    free(db);
}

static void db_detach(struct storage_session *session)
{
    if (session == NULL)
        return;
    session_close(session);
    sql_free(&session->sql);
    free(session);
}

static enum storage_status make_session(struct storage_db *db, bool opening,
                                        struct storage_session **out, struct storage_error *error)
{
    struct storage_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    session->db = db;
    enum storage_status status = mysql_reach(session, opening, error);
    if (status == STORAGE_OK)
        *out = session;
    else
        db_detach(session);
    return status;
}

static enum storage_status db_attach(struct storage_db *db, struct storage_session **out,
                                     struct storage_error *error)
{
    return make_session(db, false, out, error);
}

static enum storage_status db_open(const struct storage_host *host, const struct storage_url *url,
                                   struct storage_db **out, struct storage_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct storage_session *session = NULL;
    pthread_once(&once, start_library);
    struct storage_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    db->host = host;
    enum storage_status status = url_read(db, url, error);
    if (status == STORAGE_OK)
        status = make_session(db, true, &session, error);
    db_detach(session);
    if (status == STORAGE_OK)
        *out = db;
    else
        db_close(db);
    return status;
}

static const char *library(void)
{
    static char name[64];
    snprintf(name, sizeof(name), "MariaDB Connector/C %s", MARIADB_PACKAGE_VERSION);
    return name;
}

static const char *const schemes[] = {"mysql", "mariadb", NULL};

extern const struct storage_driver storage_driver_mysql;

const struct storage_driver storage_driver_mysql = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "mysql",
    .schemes = schemes,
    .writers = 4,
    .batch = 256,
    .library = library,
    .open = db_open,
    .close = db_close,
    .attach = db_attach,
    .detach = db_detach,
    .observe = mysql_observe,
    .change = mysql_change,
    .search = mysql_search,
    .revision = mysql_revision,
    .purge = mysql_purge,
    .tally = mysql_tally,
};
