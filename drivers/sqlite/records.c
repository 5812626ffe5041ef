/* records.c: writing and removing records, by the field tables. Names in the SQL come from those
 * tables only; values are always bound. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/sqlite/records.h"

void sql_add(struct sql_text *sql, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    size_t room = sizeof(sql->text) - sql->size;
    int length = vsnprintf(sql->text + sql->size, room, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= room)
        sql->full = true;
    else
        sql->size += (size_t)length;
}

enum storage_status sql_prepare(struct storage_session *session, const struct sql_text *sql,
                                sqlite3_stmt **statement, struct storage_error *error)
{
    *statement = NULL;
    if (sql->full)
        return sqlite_refuse(error, STORAGE_INVALID, "too many or too long field names");
    int code = sqlite3_prepare_v2(session->sqlite, sql->text, -1, statement, NULL);
    return code == SQLITE_OK ? STORAGE_OK : sqlite_status(session->sqlite, code, error);
}

int bind_value(sqlite3_stmt *statement, int index, const struct storage_value *value)
{
    switch (value->type) {
    case STORAGE_INTEGER:
    case STORAGE_TIME:
        return sqlite3_bind_int64(statement, index, value->integer);
    case STORAGE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case STORAGE_TEXT:
        return sqlite3_bind_text(statement, index, value->text.size > 0 ? value->text.data : "",
                                 (int)value->text.size, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(statement, index);
    }
}

bool hex_to_key(const char *hex, struct storage_key *key)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(hex) != 2 * STORAGE_KEY_SIZE)
        return false;
    for (size_t i = 0; i < 2 * STORAGE_KEY_SIZE; i++) {
        const char *digit = strchr(digits, hex[i]);
        if (digit == NULL)
            return false;
        unsigned value = (unsigned)(digit - digits);
        key->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : key->bytes[i / 2] | value);
    }
    return true;
}

const struct storage_kind *find_kind(const struct storage_session *session, size_t kind)
{
    const struct storage_host *host = session->db->host;
    return kind < host->kinds_count ? &host->kinds[kind] : NULL;
}

static const char *put_fault(const struct storage_kind *kind, const char *id, int64_t expected,
                             const struct storage_value *values)
{
    if (kind == NULL || (kind->flags & STORAGE_ENTRIES) != 0)
        return "this kind cannot be written";
    if (id == NULL || id[0] == '\0' || strlen(id) > STORAGE_ID_MAX)
        return "an id that is empty or too long";
    if (expected < STORAGE_ANY_VERSION)
        return "a version below none";
    for (size_t i = 0; i < kind->fields_count; i++) {
        if (values[i].type != STORAGE_NULL && values[i].type != kind->fields[i].type)
            return "a value of another type than its field";
        if (values[i].type == STORAGE_TEXT && values[i].text.size > 65536)
            return "a text of more than 64 KiB";
    }
    return NULL;
}

static void update_text(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "UPDATE %s SET version = version + 1", kind->name);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", %s = ?%zu", kind->fields[i].name, i + 3);
    sql_add(sql, " WHERE id = ?1 AND (?2 < 0 OR version = ?2)");
}

static void insert_text(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "INSERT INTO %s (id, version", kind->name);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", %s", kind->fields[i].name);
    sql_add(sql, ") VALUES (?1, 1");
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", ?%zu", i + 3);
    sql_add(sql, ")");
}

static enum storage_status run_put(struct storage_session *session, const struct storage_kind *kind,
                                   const struct sql_text *sql, const char *id, int64_t expected,
                                   const struct storage_value *values, int *changes,
                                   struct storage_error *error)
{
    sqlite3_stmt *statement;
    enum storage_status status = sql_prepare(session, sql, &statement, error);
    if (status != STORAGE_OK)
        return status;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    if (sqlite3_bind_parameter_count(statement) >= 2)
        sqlite3_bind_int64(statement, 2, expected);
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < kind->fields_count; i++)
        code = bind_value(statement, (int)i + 3, &values[i]);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *changes = code == SQLITE_DONE ? sqlite3_changes(session->sqlite) : 0;
    if (code != SQLITE_DONE)
        status = sqlite_status(session->sqlite, code, error);
    sqlite3_finalize(statement);
    return status;
}

/* Why an UPDATE or DELETE found no row: the record is gone, or has another version. */
static enum storage_status why_unchanged(struct storage_session *session,
                                         const struct storage_kind *kind, const char *id,
                                         struct storage_error *error)
{
    struct sql_text sql = {.size = 0};
    sqlite3_stmt *statement;
    sql_add(&sql, "SELECT 1 FROM %s WHERE id = ?1", kind->name);
    enum storage_status status = sql_prepare(session, &sql, &statement, error);
    if (status != STORAGE_OK)
        return status;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (code == SQLITE_ROW)
        return sqlite_refuse(error, STORAGE_CONFLICT, "%s %s has another version", kind->name, id);
    if (code == SQLITE_DONE)
        return sqlite_refuse(error, STORAGE_NOT_FOUND, "there is no %s %s", kind->name, id);
    return sqlite_status(session->sqlite, code, error);
}

static enum storage_status move_revision(struct storage_session *session,
                                         const struct storage_kind *kind,
                                         struct storage_error *error)
{
    if ((kind->flags & STORAGE_QUIET) != 0)
        return STORAGE_OK;
    int code = session_run(session, SQL_REVISION_MOVE);
    return code == SQLITE_OK ? STORAGE_OK : sqlite_status(session->sqlite, code, error);
}

static enum storage_status put_in_transaction(struct storage_session *session,
                                              const struct storage_kind *kind, const char *id,
                                              int64_t expected, const struct storage_value *values,
                                              struct storage_error *error)
{
    struct sql_text update = {.size = 0};
    struct sql_text insert = {.size = 0};
    enum storage_status status = STORAGE_OK;
    int changes = 0;
    update_text(&update, kind);
    insert_text(&insert, kind);
    if (expected != 0)
        status = run_put(session, kind, &update, id, expected, values, &changes, error);
    if (status == STORAGE_OK && changes == 0 && expected > 0)
        status = why_unchanged(session, kind, id, error);
    else if (status == STORAGE_OK && changes == 0)
        status = run_put(session, kind, &insert, id, expected, values, &changes, error);
    return status == STORAGE_OK ? move_revision(session, kind, error) : status;
}

enum storage_status sqlite_put(struct storage_session *session, size_t kind_index, const char *id,
                               int64_t expected, const struct storage_value *values,
                               struct storage_error *error)
{
    const struct storage_kind *kind = find_kind(session, kind_index);
    const char *wrong = put_fault(kind, id, expected, values);
    enum storage_status status = STORAGE_OK;
    if (wrong != NULL)
        return sqlite_refuse(error, STORAGE_INVALID, "%s", wrong);
    session_enter(session);
    int code = session_run(session, SQL_BEGIN_WRITE);
    if (code != SQLITE_OK)
        status = sqlite_status(session->sqlite, code, error);
    else
        status = put_in_transaction(session, kind, id, expected, values, error);
    return session_leave(session, session_end(session, status, error));
}

static enum storage_status erase_record(struct storage_session *session,
                                        const struct storage_kind *kind, const char *id,
                                        int64_t expected, struct storage_error *error)
{
    struct sql_text sql = {.size = 0};
    sqlite3_stmt *statement;
    sql_add(&sql, "DELETE FROM %s WHERE id = ?1 AND (?2 < 0 OR version = ?2)", kind->name);
    enum storage_status status = sql_prepare(session, &sql, &statement, error);
    if (status != STORAGE_OK)
        return status;
    sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, expected);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE)
        return sqlite_status(session->sqlite, code, error);
    if (sqlite3_changes(session->sqlite) == 0)
        return why_unchanged(session, kind, id, error);
    return STORAGE_OK;
}

static enum storage_status erase_entry(struct storage_session *session, const char *id,
                                       struct storage_error *error)
{
    struct storage_key key;
    if (!hex_to_key(id, &key))
        return sqlite_refuse(error, STORAGE_INVALID, "an entry's id is 32 hex digits");
    sqlite3_bind_blob(session->statements[SQL_ENTRY_ERASE], 1, key.bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    sqlite3_bind_blob(session->statements[SQL_MERGE_ERASE], 1, key.bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    int code = session_run(session, SQL_ENTRY_ERASE);
    if (code == SQLITE_OK && sqlite3_changes(session->sqlite) == 0)
        return sqlite_refuse(error, STORAGE_NOT_FOUND, "there is no such entry");
    if (code == SQLITE_OK)
        code = session_run(session, SQL_MERGE_ERASE);
    return code == SQLITE_OK ? STORAGE_OK : sqlite_status(session->sqlite, code, error);
}

enum storage_status sqlite_erase(struct storage_session *session, size_t kind_index, const char *id,
                                 int64_t expected, struct storage_error *error)
{
    const struct storage_kind *kind = find_kind(session, kind_index);
    enum storage_status status = STORAGE_OK;
    if (kind == NULL || id == NULL)
        return sqlite_refuse(error, STORAGE_INVALID, "there is no such kind, or no id");
    session_enter(session);
    int code = session_run(session, SQL_BEGIN_WRITE);
    if (code != SQLITE_OK)
        status = sqlite_status(session->sqlite, code, error);
    else if ((kind->flags & STORAGE_ENTRIES) != 0)
        status = erase_entry(session, id, error);
    else
        status = erase_record(session, kind, id, expected, error);
    if (status == STORAGE_OK)
        status = move_revision(session, kind, error);
    return session_leave(session, session_end(session, status, error));
}
