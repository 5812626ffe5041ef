/* schema.c: makes the tables, and widens them as the field tables grow. One instance at a time: all
 * of it is one transaction under an advisory lock. A newer schema is refused, never touched, and so
 * is a table of ours that somebody else made. */
#include <stdio.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

#define NAME_MOST 63 /* bytes of PostgreSQL's names */

/*
 * A key is a `uuid`: 16 bytes without a header, compared as bytes. What was merged into an entry
 * stands in its row, and goes with it. Room is left in each page, so that a row that is tried again
 * finds place beside itself and no index is written.
 */
static const char *const tables[] = {
    "CREATE TABLE mongrey (name text COLLATE \"C\" PRIMARY KEY, value bigint NOT NULL)",
    "INSERT INTO mongrey (name, value) VALUES ('application', 1296519769), ('schema', 1),"
    " ('revision', 1)",
    "CREATE TABLE greylist_entry (key uuid PRIMARY KEY, first_seen bigint NOT NULL,"
    " last_seen bigint NOT NULL, expires bigint NOT NULL, waited bigint NOT NULL,"
    " tries bigint NOT NULL, passes bigint NOT NULL, client_address text COLLATE \"C\","
    " client_name text COLLATE \"C\", helo_name text COLLATE \"C\", sender text COLLATE \"C\","
    " recipient text COLLATE \"C\", country text COLLATE \"C\", policy text COLLATE \"C\","
    " merged bytea) WITH (fillfactor = 90)",
    "CREATE TABLE greylist_counter (key uuid PRIMARY KEY, first_seen bigint NOT NULL,"
    " last_seen bigint NOT NULL, expires bigint NOT NULL, count bigint NOT NULL, marks bytea)"
    " WITH (fillfactor = 80)",
    "CREATE INDEX ON greylist_entry (expires NULLS FIRST)",
    "CREATE INDEX ON greylist_counter (expires NULLS FIRST)",
};

_Static_assert(APPLICATION == 1296519769 && SCHEMA_VERSION == 1, "as in the tables");

/* Where `mongrey` is, by the search path; where it would be made, if it is not there. */
static const char find_table[] =
    "SELECT c.oid::bigint, n.nspname::text, (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE"
    " a.attrelid = c.oid AND NOT a.attisdropped AND ((a.attname = 'name' AND a.atttypid ="
    " 'text'::regtype) OR (a.attname = 'value' AND a.atttypid = 'bigint'::regtype)))"
    " FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_class c ON c.oid = to_regclass('mongrey')"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(c.relnamespace,"
    " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema()))";

/* Of the wanted columns and indexes, which lack: by number, as they were given. A table whose `id` is
 * not as we make it (collation "C" is 950) counts as lacking it: making it then says whose it is. */
static const char find_gaps[] =
    "SELECT w.number, a.attnum IS NULL FROM unnest($1::text[], $2::text[], $3::bigint[])"
    " WITH ORDINALITY w(tab, col, idx, number) LEFT JOIN pg_catalog.pg_class c ON c.relname = w.tab"
    " AND c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid ="
    " to_regclass('mongrey')) LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
    " AND a.attname = w.col AND NOT a.attisdropped AND (w.idx >= 0 OR a.atttypid = 'uuid'::regtype "
    "OR"
    " (a.atttypid = 'text'::regtype AND a.attcollation = 950)) WHERE a.attnum IS NULL OR (w.idx > "
    "0 AND NOT"
    " EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND"
    " i.indkey[0] = a.attnum AND i.indpred IS NULL AND (w.idx = 1 OR (i.indisunique AND"
    " i.indnatts = 1)))) ORDER BY w.number";

enum wanted_index { COLUMN_ID = -1, INDEX_NONE, INDEX_PLAIN, INDEX_UNIQUE };

/* What the store says of itself. */
struct found {
    bool there;
    bool complete;
    char place[NAME_MOST + 1]; /* PostgreSQL's "schema" */
};

static enum wanted_index wanted(const struct storage_field *field, bool read_only)
{
    if (field == NULL)
        return COLUMN_ID;
    return read_only                               ? INDEX_NONE
           : (field->flags & STORAGE_UNIQUE) != 0  ? INDEX_UNIQUE
           : (field->flags & STORAGE_INDEXED) != 0 ? INDEX_PLAIN
                                                   : INDEX_NONE;
}

static void element_name(struct params *p, const char *name)
{
    element_bytes(p, name, strlen(name));
}

/* All columns as three arrays; a kind without fields still has an id. */
static void list_columns(struct params *p, const struct storage_host *host)
{
    size_t count = host->kinds_count;
    for (size_t k = 0; k < host->kinds_count; k++)
        count += host->kinds[k].fields_count;
    for (int part = 0; part < 3; part++) {
        params_array(p, part < 2 ? ELEMENT_TEXT : ELEMENT_INTEGER, count);
        for (size_t k = 0; k < host->kinds_count; k++) {
            const struct storage_kind *kind = &host->kinds[k];
            const char *id = (kind->flags & STORAGE_ENTRIES) != 0 ? "key" : "id";
            for (size_t i = 0; i <= kind->fields_count; i++) {
                const struct storage_field *field = i > 0 ? &kind->fields[i - 1] : NULL;
                if (part == 2)
                    element_integer(p, wanted(field, host->read_only));
                else
                    element_name(p, part == 0 ? kind->name : field != NULL ? field->name : id);
            }
        }
        params_array_end(p);
    }
}

static enum storage_status check_marks(struct storage_session *session, struct storage_error *error)
{
    int64_t application = 0;
    int64_t version = 0;
    session_clear(session);
    session_send(session,
                 "SELECT (SELECT value FROM mongrey WHERE name = 'application'),"
                 " (SELECT value FROM mongrey WHERE name = 'schema')",
                 NULL);
    enum storage_status status = session_trip(session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return status;
    if (!read_integer(session->results[0], 0, 0, &application) ||
        !read_integer(session->results[0], 0, 1, &version) || application != APPLICATION ||
        version < 1)
        return pgsql_refuse(error, STORAGE_SCHEMA,
                            "the database's table \"mongrey\" is another program's; choose another "
                            "database");
    if (version > SCHEMA_VERSION)
        return pgsql_refuse(error, STORAGE_SCHEMA,
                            "the store has schema %lld, this driver knows %d: a newer mongrey made "
                            "it; install that version",
                            (long long)version, SCHEMA_VERSION);
    return STORAGE_OK;
}

static enum storage_status look(struct storage_session *session, struct params *p,
                                struct found *found, struct storage_error *error)
{
    int64_t oid = 0;
    int64_t columns = 0;
    memset(found, 0, sizeof(*found));
    session_clear(session);
    params_reset(p);
    list_columns(p, session->db->host);
    session_send(session, find_table, NULL);
    session_send(session, find_gaps, p);
    enum storage_status status = session_trip(session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return status;
    const PGresult *table = session->results[0];
    if (PQntuples(table) != 1 || PQnfields(table) != 3 || !read_integer(table, 0, 2, &columns))
        return session_garbled(session, error);
    if (PQgetisnull(table, 0, 1) == 0)
        snprintf(found->place, sizeof(found->place), "%.*s", PQgetlength(table, 0, 1),
                 PQgetvalue(table, 0, 1));
    found->there = read_integer(table, 0, 0, &oid);
    found->complete = PQntuples(session->results[1]) == 0;
    if (!found->there)
        return STORAGE_OK;
    if (columns != 2)
        return pgsql_refuse(error, STORAGE_SCHEMA,
                            "the database's table \"mongrey\" is another program's; choose another "
                            "database");
    return check_marks(session, error);
}

static const char *column_type(enum storage_type type)
{
    return type == STORAGE_TEXT   ? "text COLLATE \"C\""
           : type == STORAGE_REAL ? "double precision"
                                  : "bigint";
}

/* Adds what a gap says. A field that lacks its column comes once: its index is made too. */
static void fill_gap(struct storage_session *session, const struct storage_kind *kind, size_t at,
                     bool no_column)
{
    char sql[512];
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    if (at == 0) {
        snprintf(sql, sizeof(sql),
                 "CREATE TABLE \"%s\" (id text COLLATE \"C\" PRIMARY KEY, version bigint NOT NULL)",
                 kind->name);
        if (!entries)
            session_send(session, sql, NULL);
        return;
    }
    const struct storage_field *field = &kind->fields[at - 1];
    if (no_column && !entries) {
        snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", kind->name,
                 field->name, column_type(field->type));
        session_send(session, sql, NULL);
    }
    enum wanted_index index = wanted(field, false);
    if (index == INDEX_NONE || (no_column && entries))
        return;
    bool unique = index == INDEX_UNIQUE;
    snprintf(sql, sizeof(sql), "CREATE %sINDEX ON \"%s\" (\"%s\" NULLS FIRST%s)",
             unique ? "UNIQUE " : "", kind->name, field->name,
             unique    ? ""
             : entries ? ", key"
                       : ", id");
    session_send(session, sql, NULL);
}

static enum storage_status fill_gaps(struct storage_session *session, const PGresult *gaps,
                                     struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    for (int row = 0; row < PQntuples(gaps); row++) {
        int64_t number = 0;
        if (!read_integer(gaps, row, 0, &number) || number < 1 || PQnfields(gaps) != 2 ||
            PQgetlength(gaps, row, 1) != 1)
            return session_garbled(session, error);
        size_t at = (size_t)number - 1;
        size_t k = 0;
        while (k < host->kinds_count && at > host->kinds[k].fields_count)
            at -= host->kinds[k++].fields_count + 1;
        if (k >= host->kinds_count)
            return session_garbled(session, error);
        fill_gap(session, &host->kinds[k], at, PQgetvalue(gaps, row, 1)[0] != 0);
    }
    return STORAGE_OK;
}

/* Names go into the SQL; they come from the core's own tables. */
static bool names_fit(const struct storage_host *host)
{
    for (size_t k = 0; k < host->kinds_count; k++) {
        if (strlen(host->kinds[k].name) > NAME_MOST || strchr(host->kinds[k].name, '"') != NULL)
            return false;
        for (size_t i = 0; i < host->kinds[k].fields_count; i++) {
            const char *name = host->kinds[k].fields[i].name;
            if (strlen(name) > NAME_MOST || strchr(name, '"') != NULL)
                return false;
        }
    }
    return true;
}

/* Says what stands in the way, in words that help. */
static enum storage_status explain(struct storage_session *session, const struct found *found,
                                   enum storage_status status, struct storage_error *error)
{
    char text[120];
    const char *code = NULL;
    for (int i = 0; i < session->steps && code == NULL; i++)
        code = PQresultErrorField(session->results[i], PG_DIAG_SQLSTATE);
    snprintf(text, sizeof(text), "%.110s", error->text);
    if (code != NULL && strcmp(code, "42P07") == 0)
        return pgsql_refuse(error, STORAGE_SCHEMA,
                            "the database holds a table of another program (if it is 0.4.4's own: "
                            "this version can not take it over yet); choose another database: %s",
                            text);
    if (status == STORAGE_DENIED && code != NULL && strcmp(code, "42501") == 0)
        return pgsql_refuse(error, STORAGE_DENIED,
                            "%s: its tables are made at the first start, for which the user needs "
                            "GRANT CREATE ON SCHEMA %.40s",
                            text, found->place);
    if (status == STORAGE_BUSY)
        return pgsql_refuse(error, status,
                            "%s: making the tables and indexes took longer than a call may; on a "
                            "large store make them by hand, as documented",
                            text);
    /* Nobody asks whether the tables were made: who comes next looks. */
    return status == STORAGE_UNCERTAIN ? STORAGE_UNAVAILABLE : status;
}

static enum storage_status upgrade(struct storage_session *session, struct params *p,
                                   struct storage_error *error)
{
    struct found found = {.there = false};
    session_clear(session);
    session_send_write(session);
    session_send(session, "SELECT pg_advisory_xact_lock(1296519769, 0)", NULL);
    enum storage_status status = session_trip(session, NO_COMMIT, error);
    if (status == STORAGE_OK)
        status = look(session, p, &found, error); /* another instance may have been faster */
    if (status != STORAGE_OK)
        return explain(session, &found, status, error);
    if (found.place[0] == '\0')
        return pgsql_refuse(error, STORAGE_INVALID,
                            "PostgreSQL: the search_path of this user names no schema to make "
                            "tables in");
    params_reset(p);
    params_text(p, (struct storage_text){found.place, strlen(found.place)});
    session_clear(session);
    session_send(session, "SELECT set_config('search_path', quote_ident($1), true)", p);
    for (size_t i = 0; !found.there && i < sizeof(tables) / sizeof(tables[0]); i++)
        session_send(session, tables[i], NULL);
    params_reset(p);
    list_columns(p, session->db->host);
    session_send(session, find_gaps, p);
    status = session_trip(session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return explain(session, &found, status, error);
    PGresult *gaps = session->results[session->steps - 1];
    session->results[--session->steps] = NULL;
    session_clear(session);
    status = fill_gaps(session, gaps, error);
    PQclear(gaps);
    if (status == STORAGE_OK)
        status = session_commit(session, error);
    return status == STORAGE_OK ? STORAGE_OK : explain(session, &found, status, error);
}

static enum storage_status make_ready(struct storage_session *session, struct params *p,
                                      struct storage_error *error)
{
    struct found found;
    enum storage_status status = look(session, p, &found, error);
    if (status != STORAGE_OK || (found.there && found.complete))
        return status;
    if (session->db->host->read_only)
        return pgsql_refuse(error, STORAGE_UNAVAILABLE,
                            "the store is not set up yet: start the server once");
    return upgrade(session, p, error);
}

enum storage_status schema_upgrade(struct storage_session *session, struct storage_error *error)
{
    struct params p = {.count = 0};
    if (!names_fit(session->db->host))
        return pgsql_refuse(error, STORAGE_INVALID, "a name that PostgreSQL cannot take");
    enum storage_status status = session_begin(session, error);
    if (status == STORAGE_OK)
        status = make_ready(session, &p, error);
    /* It may have been refused in the midst of a transaction. */
    if (status != STORAGE_OK)
        session_rollback(session);
    params_free(&p);
    return status;
}
