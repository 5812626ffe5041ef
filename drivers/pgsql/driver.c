/* driver.c: the driver's name plate, opening a store and attaching to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

static void db_close(struct storage_db *db)
{
    if (db == NULL)
        return;
    address_free(&db->address);
    free(db);
}

static void db_detach(struct storage_session *session)
{
    if (session == NULL)
        return;
    session_close(session);
    free(session);
}

/* What an administrator should know: once, when the store is opened. */
static void warn(struct storage_session *session)
{
    const struct storage_host *host = session->db->host;
    struct storage_error error;
    if (host->read_only || atomic_exchange(&session->db->warned, true) ||
        session_begin(session, &error) != STORAGE_OK)
        return;
    session_send(session,
                 "SELECT (current_setting('fsync') = 'off')::int::bigint,"
                 " (current_setting('synchronous_commit') = 'off')::int::bigint,"
                 " pg_is_in_recovery()::int::bigint",
                 NULL);
    static const char *const lines[] = {
        "PostgreSQL runs with fsync = off: a crash of its machine may destroy the store",
        "PostgreSQL runs with synchronous_commit = off: a crash loses the newest entries",
        "this PostgreSQL server is a standby: it can be read, and takes no sighting",
    };
    int64_t on = 0;
    if (session_trip(session, NO_COMMIT, &error) != STORAGE_OK)
        return;
    for (int i = 0; i < 3; i++) {
        if (read_integer(session->results[0], 0, i, &on) && on != 0)
            host->log(host->log_context, STORAGE_WARNING, lines[i]);
    }
}

static enum storage_status check_encoding(const struct storage_session *session,
                                          struct storage_error *error)
{
    const char *encoding = PQparameterStatus(session->conn, "server_encoding");
    if (encoding == NULL || strcmp(encoding, "UTF8") == 0)
        return STORAGE_OK;
    return pgsql_refuse(
        error, STORAGE_INVALID,
        "the database \"%.60s\" has the encoding %.20s; make one with UTF8: createdb "
        "-E UTF8 -T template0 NAME",
        session->db->address.database, encoding);
}

/* Each new session asks anew: behind the address there may be another server now. */
static enum storage_status db_attach(struct storage_db *db, struct storage_session **out,
                                     struct storage_error *error)
{
    struct storage_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    session->db = db;
    enum storage_status status = session_connect(session, error);
    if (status == STORAGE_OK)
        status = check_encoding(session, error);
    if (status == STORAGE_OK)
        status = schema_upgrade(session, error);
    if (status == STORAGE_OK)
        warn(session);
    if (status == STORAGE_OK)
        *out = session;
    else
        db_detach(session);
    return status;
}

static enum storage_status db_open(const struct storage_host *host, const struct storage_url *url,
                                   struct storage_db **out, struct storage_error *error)
{
    struct storage_session *session = NULL;
    struct storage_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    db->host = host;
    snprintf(db->limit, sizeof(db->limit), "SET LOCAL statement_timeout = %lu",
             (unsigned long)(host->call_timeout > INT32_MAX ? INT32_MAX : host->call_timeout));
    enum storage_status status = address_make(&db->address, host, url, error);
    if (status == STORAGE_OK)
        status = db_attach(db, &session, error);
    db_detach(session);
    if (status == STORAGE_OK)
        *out = db;
    else
        db_close(db);
    return status;
}

static const char *library(void)
{
    static _Thread_local char name[64];
    int version = PQlibVersion();
    snprintf(name, sizeof(name), "libpq %d.%d", version / 10000, version % 10000);
    return name;
}

static const char *const schemes[] = {"postgresql", "postgres", "pgsql", NULL};

extern const struct storage_driver storage_driver_pgsql;

const struct storage_driver storage_driver_pgsql = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "pgsql",
    .schemes = schemes,
    .writers = 4,
    .batch = 256,
    .library = library,
    .open = db_open,
    .close = db_close,
    .attach = db_attach,
    .detach = db_detach,
    .observe = pgsql_observe,
    .change = pgsql_change,
    .search = pgsql_search,
    .revision = pgsql_revision,
    .purge = pgsql_purge,
    .tally = pgsql_tally,
};
