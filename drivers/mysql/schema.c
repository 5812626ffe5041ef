/*
 * schema.c: makes the tables, and widens them as the field tables grow. A newer schema is refused, never
 * touched.
 *
 * Data definition commits by itself here and cannot be taken back. So each step is one that may be found
 * done, by an instance that was cut off or by one that is at it now: what is there is looked up, what lacks
 * is made, and if another was quicker one looks again. The version is written last. A lock keeps the
 * instances of one server apart; a cluster's nodes have no lock in common, and none is needed.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

#define LOOKS 10

/*
 * Entries have a number of their own, by which InnoDB keeps the rows in the order of time: just the narrow
 * index of keys is written all over. docs/decisions/0011 has the figures. Texts are VARBINARY: compared
 * byte by byte by every server, with no padding.
 */
#define OPTIONS " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC"

static const struct {
    const char *name;
    const char *definition;
} tables[] = {
    {"mongrey", "CREATE TABLE IF NOT EXISTS mongrey (name VARBINARY(64) NOT NULL PRIMARY KEY,"
                " value BIGINT NOT NULL)" OPTIONS},
    {"greylist_entry",
     "CREATE TABLE IF NOT EXISTS greylist_entry (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"
     " PRIMARY KEY, key_ BINARY(16) NOT NULL, first_seen BIGINT NOT NULL,"
     " last_seen BIGINT NOT NULL, expires BIGINT NOT NULL, waited BIGINT NOT NULL,"
     " tries INT UNSIGNED NOT NULL, passes INT UNSIGNED NOT NULL, client_address VARBINARY(255),"
     " client_name VARBINARY(255), helo_name VARBINARY(255), sender VARBINARY(255),"
     " recipient VARBINARY(255), country VARBINARY(255), policy VARBINARY(255),"
     " UNIQUE INDEX by_key (key_), INDEX by_expires (expires))" OPTIONS},
    {"greylist_merge",
     "CREATE TABLE IF NOT EXISTS greylist_merge (key_ BINARY(16) NOT NULL,"
     " origin BINARY(16) NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (key_, origin))" OPTIONS},
    {"greylist_counter",
     "CREATE TABLE IF NOT EXISTS greylist_counter (key_ BINARY(16) NOT NULL PRIMARY KEY,"
     " first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, expires BIGINT NOT NULL,"
     " count INT UNSIGNED NOT NULL, marks VARBINARY(32), INDEX by_expires (expires))" OPTIONS},
};
#define TABLES (sizeof(tables) / sizeof(*tables))

/* What the database has of ours: "\nT table\n", "\nC table.column\n", with B for a column of type BLOB,
 * "\nD table.column type\n" and "\nI table.index\n". */
struct inventory {
    struct sql names;
};

static bool has(const struct inventory *there, char what, const char *table, const char *part)
{
    char wanted[256];
    size_t size = strlen(table) + strlen(part) + 6;
    if (size > sizeof(wanted) || there->names.failed)
        return false;
    wanted[0] = '\n';
    wanted[1] = what;
    wanted[2] = ' ';
    memcpy(wanted + 3, table, strlen(table));
    char *at = wanted + 3 + strlen(table);
    if (part[0] != '\0')
        *at++ = '.';
    memcpy(at, part, strlen(part));
    at += strlen(part);
    *at++ = '\n';
    return memmem(there->names.data, there->names.size, wanted, (size_t)(at - wanted)) != NULL;
}

static const char *index_name(const char *field, char name[80])
{
    struct sql text = {.data = NULL};
    sql_begin(&text, "");
    sql_add(&text, "by_%.60s", field);
    size_t size = text.size < 79 ? text.size : 79;
    if (text.data != NULL)
        memcpy(name, text.data, size);
    name[text.data != NULL ? size : 0] = '\0';
    sql_free(&text);
    return name;
}

static void add_names(struct sql *sql, const struct storage_host *host)
{
    for (size_t i = 0; i < TABLES; i++)
        sql_add(sql, "%s'%s'", i == 0 ? "(" : ",", tables[i].name);
    for (size_t i = 0; i < host->kinds_count; i++)
        sql_add(sql, ",'%s'", host->kinds[i].name);
    sql_put(sql, ")");
}

static enum storage_status take_stock_of(struct storage_session *session, const char *select,
                                         struct inventory *there, struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    sql_begin(&session->sql, select);
    add_names(&session->sql, session->db->host);
    enum storage_status status = session_ask(session, 1, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        sql_put(&there->names, columns[0] != NULL ? columns[0] : "");
        sql_put(&there->names, "\n");
    }
    mysql_free_result(result);
    return status;
}

static enum storage_status take_stock(struct storage_session *session, struct inventory *there,
                                      struct storage_error *error)
{
    static const char *const selects[] = {
        "SELECT CONCAT('T ', TABLE_NAME) FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ",
        "SELECT CONCAT(IF(DATA_TYPE LIKE '%blob', 'B ', 'C '), TABLE_NAME, '.', COLUMN_NAME)"
        " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ",
        "SELECT CONCAT('D ', TABLE_NAME, '.', COLUMN_NAME, ' ', DATA_TYPE)"
        " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ",
        "SELECT DISTINCT CONCAT('I ', TABLE_NAME, '.', INDEX_NAME)"
        " FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ",
    };
    enum storage_status status = STORAGE_OK;
    sql_begin(&there->names, "\n");
    for (size_t i = 0; status == STORAGE_OK && i < sizeof(selects) / sizeof(*selects); i++)
        status = take_stock_of(session, selects[i], there, error);
    if (status == STORAGE_OK && there->names.failed)
        status = mysql_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    return status;
}

/* --- What lacks ------------------------------------------------------------------------------- */

#define SORTED (STORAGE_UNIQUE | STORAGE_INDEXED)

static const char *column_type(const struct storage_field *field)
{
    if (field->type == STORAGE_TEXT)
        return (field->flags & SORTED) != 0 ? "VARBINARY(700)" : "MEDIUMBLOB";
    return field->type == STORAGE_REAL ? "DOUBLE" : "BIGINT";
}

/* One more part of an ALTER TABLE or CREATE TABLE. */
static void next_part(struct sql *sql, size_t *parts)
{
    if ((*parts)++ > 0)
        sql_put(sql, ", ");
}

static void add_index(struct sql *sql, const struct storage_field *field, const char *id, bool blob)
{
    char name[80];
    bool unique = (field->flags & STORAGE_UNIQUE) != 0;
    sql_add(sql, "%s `%s` (`%s`%s", unique ? "UNIQUE INDEX" : "INDEX",
            index_name(field->name, name), field->name, blob ? "(700)" : "");
    if (!unique && strcmp(field->name, id) != 0)
        sql_add(sql, ", %s", id);
    sql_put(sql, ")");
}

/* What a field's column and index lack. A text that is sorted by no longer has no bound of 700 bytes. */
static void widen_field(struct sql *sql, const struct storage_kind *kind,
                        const struct storage_field *field, const struct inventory *there,
                        size_t *parts)
{
    char name[80];
    bool sorted = (field->flags & SORTED) != 0;
    bool blob = has(there, 'B', kind->name, field->name);
    bool indexed = has(there, 'I', kind->name, index_name(field->name, name));
    if (!blob && !has(there, 'C', kind->name, field->name)) {
        next_part(sql, parts);
        sql_add(sql, "ADD COLUMN `%s` %s", field->name, column_type(field));
    } else if (field->type == STORAGE_TEXT && !sorted && !blob) {
        if (indexed) {
            next_part(sql, parts);
            sql_add(sql, "DROP INDEX `%s`", name);
        }
        next_part(sql, parts);
        sql_add(sql, "MODIFY COLUMN `%s` MEDIUMBLOB", field->name);
    }
    if (sorted && !indexed) {
        next_part(sql, parts);
        sql_put(sql, "ADD ");
        add_index(sql, field, "id", blob);
    }
}

static void make_kind(struct sql *sql, const struct storage_kind *kind)
{
    sql_begin(sql, "");
    sql_add(sql,
            "CREATE TABLE IF NOT EXISTS `%s` (id VARBINARY(%d) NOT NULL PRIMARY KEY,"
            " version BIGINT NOT NULL",
            kind->name, STORAGE_ID_MAX);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", `%s` %s", kind->fields[i].name, column_type(&kind->fields[i]));
    for (size_t i = 0; i < kind->fields_count; i++) {
        if ((kind->fields[i].flags & SORTED) != 0) {
            sql_put(sql, ", ");
            add_index(sql, &kind->fields[i], "id", false);
        }
    }
    sql_put(sql, ")" OPTIONS);
}

/* Writes what a kind's table lacks as one statement; false: nothing. */
static bool lacks(struct sql *sql, const struct storage_kind *kind, const struct inventory *there)
{
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    const char *table = entries ? "greylist_entry" : kind->name;
    size_t parts = 0;
    if (!entries && !has(there, 'T', table, "")) {
        make_kind(sql, kind);
        return true;
    }
    sql_begin(sql, "");
    sql_add(sql, "ALTER TABLE `%s` ", table);
    for (size_t i = 0; i < kind->fields_count; i++) {
        char name[80];
        const struct storage_field *field = &kind->fields[i];
        if (!entries) {
            widen_field(sql, kind, field, there, &parts);
            continue;
        }
        /* by_expires is there for the purge, and may have the key behind it or not. */
        if ((field->flags & SORTED) == 0 || strcmp(field->name, "expires") == 0 ||
            has(there, 'I', table, index_name(field->name, name)))
            continue;
        next_part(sql, &parts);
        sql_put(sql, "ADD ");
        add_index(sql, field, "key_", false);
    }
    return parts > 0;
}

/* Another instance has just done it. */
static bool is_done_already(const struct storage_error *error)
{
    return error->native == 1050 || error->native == 1060 || error->native == 1061 ||
           error->native == 1091;
}

/* *complete: nothing lacked. Else something was made, by this or by another instance. */
static enum storage_status make_one(struct storage_session *session, const struct inventory *there,
                                    bool make, bool *complete, struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    *complete = false;
    sql_begin(&session->sql, "");
    for (size_t i = 0; i < TABLES + host->kinds_count; i++) {
        bool wanting;
        if (i < TABLES) {
            wanting = !has(there, 'T', tables[i].name, "");
            sql_begin(&session->sql, tables[i].definition);
        } else {
            wanting = lacks(&session->sql, &host->kinds[i - TABLES], there);
        }
        if (!wanting)
            continue;
        if (!make)
            return STORAGE_OK;
        enum storage_status status = session_run(session, error);
        if (status != STORAGE_OK && !is_done_already(error))
            return status;
        if (status != STORAGE_OK)
            return STORAGE_OK; /* look again */
    }
    *complete = true;
    return STORAGE_OK;
}

/* --- Whose it is ------------------------------------------------------------------------------ */

/* The `mongrey` table is made first: tables of our names without it are another program's. */
static const char *stranger(const struct inventory *there, const struct storage_host *host)
{
    bool ours = has(there, 'T', "mongrey", "");
    if (ours && (!has(there, 'D', "mongrey", "name varbinary") ||
                 !has(there, 'D', "mongrey", "value bigint")))
        return "mongrey";
    for (size_t i = 1; i < TABLES; i++) {
        if (has(there, 'T', tables[i].name, "") &&
            (!ours || !has(there, 'D', tables[i].name, "key_ binary")))
            return tables[i].name;
    }
    for (size_t i = 0; i < host->kinds_count; i++) {
        const char *name = host->kinds[i].name;
        if ((host->kinds[i].flags & STORAGE_ENTRIES) == 0 && has(there, 'T', name, "") &&
            (!ours || !has(there, 'D', name, "id varbinary") ||
             !has(there, 'D', name, "version bigint")))
            return name;
    }
    return NULL;
}

/* The version that the store says it has; 0: none yet. */
static enum storage_status read_version(struct storage_session *session, int64_t *version,
                                        struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    uint64_t packet = 0;
    *version = 0;
    sql_begin(&session->sql, "SELECT @@max_allowed_packet,"
                             " (SELECT value FROM mongrey WHERE name = 'schema')");
    enum storage_status status = session_ask(session, 2, &result, error);
    if (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        if (read_unsigned(columns[0], &packet) && packet >= 65536)
            session->packet = packet < SIZE_MAX / 4 ? (size_t)packet : SIZE_MAX / 4;
        if (columns[1] != NULL && !read_integer(columns[1], version))
            status = mysql_refuse(error, STORAGE_SCHEMA, "the store's version is no number");
    }
    mysql_free_result(result);
    if (status != STORAGE_OK && error->native == CODE_NO_TABLE) {
        session->dead = false;
        return STORAGE_OK;
    }
    if (status == STORAGE_SCHEMA && error->native == CODE_NO_COLUMN)
        return mysql_refuse(error, STORAGE_SCHEMA,
                            "the database has a table `mongrey` that is "
                            "another program's: choose another database");
    if (status == STORAGE_OK && *version > SCHEMA_VERSION)
        return mysql_refuse(error, STORAGE_SCHEMA,
                            "the store has schema %lld, this driver knows %d: a newer mongrey "
                            "made it; install that version",
                            (long long)*version, SCHEMA_VERSION);
    return status;
}

/* --- Making it -------------------------------------------------------------------------------- */

static enum storage_status lock(struct storage_session *session, struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    uint32_t wait = session->db->host->call_timeout / 2000;
    sql_begin(&session->sql, "");
    sql_add(&session->sql, "SELECT GET_LOCK(CONCAT('mongrey.', MD5(DATABASE())), %u)",
            wait > 0 ? (unsigned)wait : 1U);
    enum storage_status status = session_ask(session, 1, &result, error);
    if (status == STORAGE_OK) {
        MYSQL_ROW columns = mysql_fetch_row(result);
        if (columns == NULL || columns[0] == NULL || strcmp(columns[0], "1") != 0)
            status = mysql_refuse(error, STORAGE_UNAVAILABLE,
                                  "another instance is setting the store up");
    }
    mysql_free_result(result);
    return status;
}

static enum storage_status finish(struct storage_session *session, struct storage_error *error)
{
    enum storage_status status = session_command(
        session, "INSERT IGNORE INTO mongrey (name, value) VALUES ('revision', 1)", error);
    if (status == STORAGE_OK) {
        sql_begin(&session->sql, "");
        sql_add(&session->sql,
                "INSERT INTO mongrey (name, value) VALUES ('schema', %d)"
                " ON DUPLICATE KEY UPDATE value = GREATEST(value, VALUES(value))",
                SCHEMA_VERSION);
        status = session_run(session, error);
    }
    return session_end(session, status, true, error);
}

static enum storage_status make_all(struct storage_session *session, struct storage_error *error)
{
    struct inventory there = {.names = {.data = NULL}};
    enum storage_status status = STORAGE_OK;
    bool complete = false;
    for (int i = 0; status == STORAGE_OK && !complete && i < LOOKS; i++) {
        status = take_stock(session, &there, error);
        const char *name = status == STORAGE_OK ? stranger(&there, session->db->host) : NULL;
        /* A node of a cluster shows another's tables one by one: what is strange now must stay so. */
        if (name != NULL && i >= 2)
            status = mysql_refuse(error, STORAGE_SCHEMA,
                                  "the database has a table `%.60s` that is another program's: "
                                  "choose another database",
                                  name);
        else if (status == STORAGE_OK && name == NULL)
            status = make_one(session, &there, true, &complete, error);
    }
    sql_free(&there.names);
    if (status == STORAGE_OK && !complete)
        status = mysql_refuse(error, STORAGE_UNAVAILABLE, "the tables change while they are made");
    return status == STORAGE_OK ? finish(session, error) : status;
}

static enum storage_status upgrade(struct storage_session *session, struct storage_error *error)
{
    int64_t version = 0;
    if (session->db->host->read_only)
        return mysql_refuse(error, STORAGE_UNAVAILABLE,
                            "the store is not set up yet: start the server once");
    enum storage_status status = lock(session, error);
    if (status == STORAGE_OK)
        status = read_version(session, &version, error);
    if (status == STORAGE_OK)
        status = make_all(session, error);
    if (!session->dead)
        (void)session_command(session, "DO RELEASE_LOCK(CONCAT('mongrey.', MD5(DATABASE())))",
                              &session->scratch);
    return status;
}

/* A server that cannot be written to shows it now, before mail depends on it. */
static enum storage_status try_writing(struct storage_session *session, bool opening,
                                       struct storage_error *error)
{
    if (session->db->host->read_only)
        return STORAGE_OK;
    enum storage_status status =
        session_command(session, "UPDATE mongrey SET value = value WHERE name = 'schema'", error);
    status = session_end(session, status, false, error);
    if (status == STORAGE_DENIED && status_is_read_only(error->native) && !opening)
        status = STORAGE_UNAVAILABLE;
    session->settled = status == STORAGE_OK;
    return status;
}

enum storage_status schema_upgrade(struct storage_session *session, bool opening,
                                   struct storage_error *error)
{
    struct inventory there = {.names = {.data = NULL}};
    int64_t version = 0;
    bool complete = true;
    enum storage_status status = read_version(session, &version, error);
    /* Sessions go by the version alone, unless the store was taken away under them. */
    if (status == STORAGE_OK && version != 0 && opening) {
        status = take_stock(session, &there, error);
        if (status == STORAGE_OK)
            status = make_one(session, &there, false, &complete, error);
        sql_free(&there.names);
    }
    if (status == STORAGE_OK && (version < SCHEMA_VERSION || !complete))
        status = upgrade(session, error);
    return status == STORAGE_OK ? try_writing(session, opening, error) : status;
}
