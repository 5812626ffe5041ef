/* schema.c: makes the tables, and widens them as the field tables grow. One instance at a time: all
 * of it is one write transaction. A newer schema is refused, never touched. */
#include <stdio.h>
#include <string.h>

#include "drivers/sqlite/sqlite.h"

/*
 * Entries have a rowid, so that rows are appended in the order of time and just the narrow index of
 * keys is written all over. docs/decisions/0004 has the figures.
 */
static const char tables[] =
    "CREATE TABLE mongrey (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO mongrey (name, value) VALUES ('revision', 1);"
    "CREATE TABLE greylist_entry (key BLOB NOT NULL PRIMARY KEY, first_seen INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL, expires INTEGER NOT NULL, waited INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, passes INTEGER NOT NULL, client_address TEXT, client_name TEXT,"
    " helo_name TEXT, sender TEXT, recipient TEXT, country TEXT, policy TEXT);"
    "CREATE INDEX greylist_entry_expires ON greylist_entry (expires);"
    "CREATE TABLE greylist_merge (key BLOB NOT NULL, origin BLOB NOT NULL,"
    " position INTEGER NOT NULL, PRIMARY KEY (key, origin)) WITHOUT ROWID;"
    "CREATE TABLE greylist_counter (key BLOB NOT NULL PRIMARY KEY, first_seen INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL, expires INTEGER NOT NULL, count INTEGER NOT NULL, marks BLOB)"
    " WITHOUT ROWID;"
    "CREATE INDEX greylist_counter_expires ON greylist_counter (expires);";

static int read_number(sqlite3 *sqlite, const char *query, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(sqlite, query, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        *number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static int run(sqlite3 *sqlite, const char *text)
{
    return sqlite3_exec(sqlite, text, NULL, NULL, NULL);
}

static int make_tables(sqlite3 *sqlite)
{
    char pragmas[128];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, SCHEMA_VERSION);
    int code = run(sqlite, tables);
    return code == SQLITE_OK ? run(sqlite, pragmas) : code;
}

static bool has_column(sqlite3 *sqlite, const char *table, const char *column)
{
    return sqlite3_table_column_metadata(sqlite, NULL, table, column, NULL, NULL, NULL, NULL,
                                         NULL) == SQLITE_OK;
}

static const char *column_type(enum storage_type type)
{
    return type == STORAGE_TEXT ? "TEXT" : type == STORAGE_REAL ? "REAL" : "INTEGER";
}

static bool wants_index(const struct storage_field *field)
{
    return (field->flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0;
}

/* An index of entries holds the field alone: few have the same time, and sorting those few costs less
 * than 17 more bytes in each row. docs/decisions/0014 has the figures. */
static int add_index(sqlite3 *sqlite, const struct storage_kind *kind,
                     const struct storage_field *field)
{
    char text[512];
    bool unique = (field->flags & STORAGE_UNIQUE) != 0;
    bool alone = unique || (kind->flags & STORAGE_ENTRIES) != 0;
    snprintf(text, sizeof(text), "CREATE %sINDEX IF NOT EXISTS %s_%s ON %s (%s%s)",
             unique ? "UNIQUE " : "", kind->name, field->name, kind->name, field->name,
             alone ? "" : ", id");
    return run(sqlite, text);
}

static bool has_index(sqlite3 *sqlite, const char *kind, const char *field)
{
    char name[256];
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(sqlite, "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?1",
                           -1, &statement, NULL);
    snprintf(name, sizeof(name), "%s_%s", kind, field);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW;
}

static int add_indexes(sqlite3 *sqlite, const struct storage_kind *kind)
{
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < kind->fields_count; i++) {
        if (wants_index(&kind->fields[i]))
            code = add_index(sqlite, kind, &kind->fields[i]);
    }
    return code;
}

/* A record's table; what it lacks is added, nothing is taken away. */
static int widen(sqlite3 *sqlite, const struct storage_kind *kind)
{
    char text[512];
    snprintf(
        text, sizeof(text),
        "CREATE TABLE IF NOT EXISTS %s (id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL)"
        " WITHOUT ROWID",
        kind->name);
    int code = run(sqlite, text);
    for (size_t i = 0; code == SQLITE_OK && i < kind->fields_count; i++) {
        const struct storage_field *field = &kind->fields[i];
        if (!has_column(sqlite, kind->name, field->name)) {
            snprintf(text, sizeof(text), "ALTER TABLE %s ADD COLUMN %s %s", kind->name, field->name,
                     column_type(field->type));
            code = run(sqlite, text);
        }
    }
    return code;
}

static bool is_wide(sqlite3 *sqlite, const struct storage_host *host)
{
    for (size_t k = 0; k < host->kinds_count; k++) {
        const struct storage_kind *kind = &host->kinds[k];
        for (size_t i = 0; i < kind->fields_count; i++) {
            const struct storage_field *field = &kind->fields[i];
            if (!has_column(sqlite, kind->name, field->name))
                return false;
            /* Who only reads can do without. */
            if (!host->read_only && wants_index(field) &&
                !has_index(sqlite, kind->name, field->name))
                return false;
        }
    }
    return true;
}

static int widen_all(sqlite3 *sqlite, const struct storage_host *host)
{
    int code = SQLITE_OK;
    for (size_t k = 0; code == SQLITE_OK && k < host->kinds_count; k++) {
        if ((host->kinds[k].flags & STORAGE_ENTRIES) == 0)
            code = widen(sqlite, &host->kinds[k]);
        if (code == SQLITE_OK)
            code = add_indexes(sqlite, &host->kinds[k]);
    }
    return code;
}

/* What the file says of itself. OK: it is mongrey's of this version, or (version 0) empty. */
static enum storage_status look(sqlite3 *sqlite, int64_t *version, struct storage_error *error)
{
    int64_t application = 0;
    int64_t objects = 0;
    int code = read_number(sqlite, "PRAGMA application_id", &application);
    if (code == SQLITE_OK)
        code = read_number(sqlite, "PRAGMA user_version", version);
    if (code == SQLITE_OK)
        code = read_number(sqlite, "SELECT count(*) FROM sqlite_master", &objects);
    if (code != SQLITE_OK)
        return sqlite_status(sqlite, code, error);
    if (application != APPLICATION_ID && (objects > 0 || application != 0))
        return sqlite_refuse(error, STORAGE_SCHEMA,
                             "the file holds another program's database; choose another file (if "
                             "it is 0.4.4's own: this version can not take it over yet)");
    if (*version > SCHEMA_VERSION)
        return sqlite_refuse(
            error, STORAGE_SCHEMA,
            "the store has schema %lld, this driver knows %d: a newer mongrey made "
            "it; install that version",
            (long long)*version, SCHEMA_VERSION);
    return STORAGE_OK;
}

/* In one view of the file: between two reads another instance could be making it. */
static enum storage_status look_once(sqlite3 *sqlite, const struct storage_host *host,
                                     bool *current, struct storage_error *error)
{
    int64_t version = 0;
    int code = run(sqlite, "BEGIN");
    if (code != SQLITE_OK)
        return sqlite_status(sqlite, code, error);
    enum storage_status status = look(sqlite, &version, error);
    *current = status == STORAGE_OK && version == SCHEMA_VERSION && is_wide(sqlite, host);
    run(sqlite, "COMMIT");
    return status;
}

static enum storage_status upgrade(sqlite3 *sqlite, const struct storage_host *host,
                                   struct storage_error *error)
{
    int64_t version = 0;
    /* Another instance may have been faster. */
    enum storage_status status = look(sqlite, &version, error);
    if (status == STORAGE_OK && version == 0)
        status = sqlite_status(sqlite, make_tables(sqlite), error);
    else if (status == STORAGE_OK)
        host->log(host->log_context, STORAGE_INFO,
                  "bringing the store up to date; with millions of entries it takes a while");
    if (status == STORAGE_OK)
        status = sqlite_status(sqlite, widen_all(sqlite, host), error);
    return status;
}

static enum storage_status upgrade_once(sqlite3 *sqlite, const struct storage_host *host,
                                        struct storage_error *error)
{
    int code = run(sqlite, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK)
        return sqlite_status(sqlite, code, error);
    enum storage_status status = upgrade(sqlite, host, error);
    if (status == STORAGE_OK) {
        code = run(sqlite, "COMMIT");
        if (code == SQLITE_OK)
            return STORAGE_OK;
        status = sqlite_status(sqlite, code, error);
    }
    run(sqlite, "ROLLBACK");
    return status;
}

enum storage_status schema_upgrade(sqlite3 *sqlite, const struct storage_host *host,
                                   struct storage_error *error)
{
    bool current = false;
    enum storage_status status = look_once(sqlite, host, &current, error);
    if (status != STORAGE_OK || current)
        return status;
    if (host->read_only)
        return sqlite_refuse(error, STORAGE_UNAVAILABLE,
                             "the store is not set up yet: start the server once");
    /* To index millions of rows in memory would take hundreds of megabytes of it. */
    run(sqlite, "PRAGMA temp_store = FILE");
    status = upgrade_once(sqlite, host, error);
    run(sqlite, "PRAGMA temp_store = MEMORY");
    /* There may be no folder for temporary files. */
    if (status == STORAGE_UNAVAILABLE)
        status = upgrade_once(sqlite, host, error);
    return status;
}
