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

static const char *value_fault(const struct storage_field *field, const struct storage_value *value)
{
    size_t most = (field->flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0 ? STORAGE_INDEXED_MAX
                                                                           : STORAGE_VALUE_MAX;
    if (value->type != STORAGE_NULL && value->type != field->type)
        return "a value of another type than its field";
    if (value->type == STORAGE_TEXT && value->text.size > most)
        return "a text that is too long for its field";
    return NULL;
}

static const char *change_fault(const struct storage_kind *kind, const struct storage_change *c)
{
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    if (c->id == NULL || c->id[0] == '\0' || strlen(c->id) > STORAGE_ID_MAX)
        return "an id that is empty or too long";
    if (c->expected < STORAGE_ANY_VERSION)
        return "a version below none";
    if (entries && (c->values != NULL || c->expected != STORAGE_ANY_VERSION))
        return "entries can be erased only";
    for (size_t i = 0; c->values != NULL && i < kind->fields_count; i++) {
        const char *wrong = value_fault(&kind->fields[i], &c->values[i]);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

static void update_text(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "UPDATE %s SET version = version + 1", kind->name);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", %s = ?%zu", kind->fields[i].name, i + 3);
    sql_add(sql, " WHERE id = ?1 AND (?2 < 0 OR version = ?2) RETURNING version");
}

static void insert_text(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "INSERT INTO %s (id, version", kind->name);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", %s", kind->fields[i].name);
    sql_add(sql, ") VALUES (?1, 1");
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", ?%zu", i + 3);
    sql_add(sql, ") ON CONFLICT (id) DO NOTHING RETURNING version");
}

static void erase_text(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "DELETE FROM %s WHERE id = ?1 AND (?2 < 0 OR version = ?2) RETURNING 0",
            kind->name);
}

/* The statements of a call, each made when it is first needed. */
enum writing { WRITE_UPDATE, WRITE_INSERT, WRITE_ERASE, WRITINGS };

struct writings {
    const struct storage_kind *kind;
    sqlite3_stmt *statements[WRITINGS];
};

static enum storage_status writing_ready(struct storage_session *session, struct writings *w,
                                         enum writing which, struct storage_error *error)
{
    static void (*const texts[WRITINGS])(struct sql_text *, const struct storage_kind *) = {
        [WRITE_UPDATE] = update_text,
        [WRITE_INSERT] = insert_text,
        [WRITE_ERASE] = erase_text,
    };
    struct sql_text sql = {.size = 0};
    if (w->statements[which] != NULL)
        return STORAGE_OK;
    texts[which](&sql, w->kind);
    return sql_prepare(session, &sql, &w->statements[which], error);
}

/* *found: a record was written or erased, and c->version says its version. */
static enum storage_status writing_run(struct storage_session *session, struct writings *w,
                                       enum writing which, struct storage_change *c, bool *found,
                                       struct storage_error *error)
{
    enum storage_status status = writing_ready(session, w, which, error);
    if (status != STORAGE_OK)
        return status;
    sqlite3_stmt *statement = w->statements[which];
    int code = sqlite3_bind_text(statement, 1, c->id, -1, SQLITE_STATIC);
    if (which != WRITE_INSERT)
        sqlite3_bind_int64(statement, 2, c->expected);
    for (size_t i = 0; code == SQLITE_OK && c->values != NULL && i < w->kind->fields_count; i++)
        code = bind_value(statement, (int)i + 3, &c->values[i]);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    *found = code == SQLITE_ROW;
    if (*found) {
        c->version = sqlite3_column_int64(statement, 0);
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE)
        status = sqlite_status(session->sqlite, code, error);
    sqlite3_reset(statement);
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

static enum storage_status change_record(struct storage_session *session, struct writings *w,
                                         struct storage_change *c, struct storage_error *error)
{
    bool found = false;
    enum storage_status status = STORAGE_OK;
    if (c->values == NULL)
        status = writing_run(session, w, WRITE_ERASE, c, &found, error);
    else if (c->expected != 0)
        status = writing_run(session, w, WRITE_UPDATE, c, &found, error);
    if (status != STORAGE_OK || found)
        return status;
    if (c->values == NULL || c->expected > 0)
        return why_unchanged(session, w->kind, c->id, error);
    status = writing_run(session, w, WRITE_INSERT, c, &found, error);
    if (status == STORAGE_OK && !found)
        return sqlite_refuse(error, STORAGE_CONFLICT, "%s %s is there already", w->kind->name,
                             c->id);
    return status;
}

static enum storage_status erase_entry(struct storage_session *session, struct storage_change *c,
                                       struct storage_error *error)
{
    struct storage_key key;
    if (!hex_to_key(c->id, &key))
        return sqlite_refuse(error, STORAGE_INVALID, "an entry's id is 32 hex digits");
    sqlite3_bind_blob(session->statements[SQL_ENTRY_ERASE], 1, key.bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    sqlite3_bind_blob(session->statements[SQL_MERGE_ERASE], 1, key.bytes, STORAGE_KEY_SIZE,
                      SQLITE_STATIC);
    int code = session_run(session, SQL_ENTRY_ERASE);
    if (code == SQLITE_OK && sqlite3_changes(session->sqlite) == 0)
        return sqlite_refuse(error, STORAGE_NOT_FOUND, "there is no entry %s", c->id);
    if (code == SQLITE_OK)
        code = session_run(session, SQL_MERGE_ERASE);
    c->version = 0;
    return code == SQLITE_OK ? STORAGE_OK : sqlite_status(session->sqlite, code, error);
}

static enum storage_status change_all(struct storage_session *session,
                                      const struct storage_kind *kind,
                                      struct storage_change *changes, size_t count,
                                      struct storage_error *error)
{
    struct writings w = {.kind = kind};
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; status == STORAGE_OK && i < count; i++)
        status = entries ? erase_entry(session, &changes[i], error)
                         : change_record(session, &w, &changes[i], error);
    for (int i = 0; i < WRITINGS; i++)
        sqlite3_finalize(w.statements[i]);
    if (status != STORAGE_OK || (kind->flags & STORAGE_QUIET) != 0)
        return status;
    int code = session_run(session, SQL_REVISION_MOVE);
    return code == SQLITE_OK ? STORAGE_OK : sqlite_status(session->sqlite, code, error);
}

enum storage_status sqlite_change(struct storage_session *session, size_t kind_index,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error)
{
    const struct storage_kind *kind = find_kind(session, kind_index);
    enum storage_status status = STORAGE_OK;
    if (kind == NULL || count == 0 || count > STORAGE_BATCH_MAX)
        return sqlite_refuse(error, STORAGE_INVALID, "no such kind, or none or too many changes");
    for (size_t i = 0; i < count; i++) {
        const char *wrong = change_fault(kind, &changes[i]);
        if (wrong != NULL)
            return sqlite_refuse(error, STORAGE_INVALID, "%s", wrong);
    }
    session_enter(session);
    int code = session_run(session, SQL_BEGIN_WRITE);
    if (code != SQLITE_OK)
        status = sqlite_status(session->sqlite, code, error);
    else
        status = change_all(session, kind, changes, count, error);
    return session_leave(session, session_end(session, status, error));
}
