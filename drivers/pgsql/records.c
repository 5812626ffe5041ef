/* records.c: writing and removing records, by the field tables: a statement for each change, all of
 * them in one trip. Names in the SQL come from those tables only; values are always parameters. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/pgsql/records.h"

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

bool hex_to_key(const char *hex, struct storage_key *key)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(hex) != (size_t)2 * STORAGE_KEY_SIZE)
        return false;
    for (size_t i = 0; i < (size_t)2 * STORAGE_KEY_SIZE; i++) {
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
    struct storage_key key;
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    if (c->id == NULL || c->id[0] == '\0' || strlen(c->id) > STORAGE_ID_MAX)
        return "an id that is empty or too long";
    if (c->expected < STORAGE_ANY_VERSION)
        return "a version below none";
    if (entries && (c->values != NULL || c->expected != STORAGE_ANY_VERSION))
        return "entries can be erased only";
    if (entries && !hex_to_key(c->id, &key))
        return "an entry's id is 32 hex digits";
    for (size_t i = 0; c->values != NULL && i < kind->fields_count; i++) {
        const char *wrong = value_fault(&kind->fields[i], &c->values[i]);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

enum writing { WRITE_INSERT, WRITE_UPDATE, WRITE_PUT, WRITE_ERASE, WRITINGS };

static enum writing writing_of(const struct storage_change *c)
{
    if (c->values == NULL)
        return WRITE_ERASE;
    return c->expected == 0 ? WRITE_INSERT : c->expected > 0 ? WRITE_UPDATE : WRITE_PUT;
}

/* $1 is the id, $2 the expected version, the values come behind. An insert takes no notice of $2. */
static void add_insert(struct sql_text *sql, const struct storage_kind *kind)
{
    sql_add(sql, "INSERT INTO \"%s\" AS t (id, version", kind->name);
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", \"%s\"", kind->fields[i].name);
    sql_add(sql, ") SELECT $1, 1");
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", $%zu", i + 3);
    sql_add(sql, " WHERE $2::bigint IS NOT NULL ON CONFLICT (id) DO ");
}

static void add_set(struct sql_text *sql, const struct storage_kind *kind)
{
    for (size_t i = 0; i < kind->fields_count; i++)
        sql_add(sql, ", \"%s\" = $%zu", kind->fields[i].name, i + 3);
}

static void build(struct sql_text *sql, const struct storage_kind *kind, enum writing which)
{
    sql->size = 0;
    sql->full = false;
    switch (which) {
    case WRITE_INSERT:
        add_insert(sql, kind);
        sql_add(sql, "NOTHING RETURNING version");
        break;
    case WRITE_PUT:
        add_insert(sql, kind);
        sql_add(sql, "UPDATE SET version = t.version + 1");
        add_set(sql, kind);
        sql_add(sql, " RETURNING version");
        break;
    case WRITE_UPDATE:
        sql_add(sql, "UPDATE \"%s\" SET version = version + 1", kind->name);
        add_set(sql, kind);
        sql_add(sql, " WHERE id = $1 AND version = $2 RETURNING version");
        break;
    default:
        if ((kind->flags & STORAGE_ENTRIES) != 0)
            sql_add(sql,
                    "DELETE FROM \"%s\" WHERE key = $1::text::uuid AND $2::bigint < 0"
                    " RETURNING 0::bigint",
                    kind->name);
        else
            sql_add(sql,
                    "DELETE FROM \"%s\" WHERE id = $1 AND ($2 < 0 OR version = $2)"
                    " RETURNING 0::bigint",
                    kind->name);
    }
}

/* Entries are locked in the order of their keys, as observe() does it. */
static void send_entry_locks(struct storage_session *session, const struct storage_kind *kind,
                             const struct storage_change *changes, size_t count, struct params *p)
{
    struct sql_text sql = {.size = 0};
    sql_add(&sql, "SELECT 1 FROM \"%s\" WHERE key = ANY($1) ORDER BY key FOR UPDATE", kind->name);
    params_reset(p);
    params_array(p, ELEMENT_KEY, count);
    for (size_t i = 0; i < count; i++) {
        struct storage_key key = {{0}};
        hex_to_key(changes[i].id, &key);
        element_bytes(p, key.bytes, STORAGE_KEY_SIZE);
    }
    params_array_end(p);
    session_send(session, sql.text, p);
}

static void send_change(struct storage_session *session, const struct storage_kind *kind,
                        const struct storage_change *c, const struct sql_text *sql,
                        struct params *p)
{
    params_reset(p);
    params_text(p, (struct storage_text){c->id, strlen(c->id)});
    params_integer(p, c->expected);
    for (size_t i = 0; c->values != NULL && i < kind->fields_count; i++)
        params_value(p, kind->fields[i].type, &c->values[i]);
    if (sql->full)
        session->unsent = true;
    session_send(session, sql->text, p);
}

/* The revision goes first: its lock puts those who change records in a row, and keeps them out of each
 * other's way. Returns the step of the first change. */
static int send_changes(struct storage_session *session, const struct storage_kind *kind,
                        const struct storage_change *changes, size_t count, struct params *p)
{
    struct sql_text sql[WRITINGS];
    bool built[WRITINGS] = {false};
    session_send_write(session);
    if ((kind->flags & STORAGE_QUIET) == 0)
        session_send(session, "UPDATE mongrey SET value = value + 1 WHERE name = 'revision'", NULL);
    if ((kind->flags & STORAGE_ENTRIES) != 0)
        send_entry_locks(session, kind, changes, count, p);
    int first = session->steps;
    for (size_t i = 0; i < count; i++) {
        enum writing which = writing_of(&changes[i]);
        if (!built[which])
            build(&sql[which], kind, which);
        built[which] = true;
        send_change(session, kind, &changes[i], &sql[which], p);
    }
    return first;
}

/* Why a change found no row. */
static enum storage_status why_unchanged(struct storage_session *session,
                                         const struct storage_kind *kind,
                                         const struct storage_change *c, struct params *p,
                                         struct storage_error *error)
{
    struct sql_text sql = {.size = 0};
    bool there = false;
    if (c->values != NULL && c->expected == 0)
        return pgsql_refuse(error, STORAGE_CONFLICT, "%s %s is there already", kind->name, c->id);
    if ((kind->flags & STORAGE_ENTRIES) == 0) {
        session_clear(session);
        params_reset(p);
        params_text(p, (struct storage_text){c->id, strlen(c->id)});
        sql_add(&sql, "SELECT 1 FROM \"%s\" WHERE id = $1", kind->name);
        session_send(session, sql.text, p);
        enum storage_status status = session_trip(session, NO_COMMIT, error);
        if (status != STORAGE_OK)
            return status;
        there = PQntuples(session->results[0]) > 0;
    }
    if (there)
        return pgsql_refuse(error, STORAGE_CONFLICT, "%s %s has another version", kind->name,
                            c->id);
    return pgsql_refuse(error, STORAGE_NOT_FOUND, "there is no %s %s", kind->name, c->id);
}

/* What became of the changes, up to the first that does not go; that one's number, or count. */
static size_t read_changes(struct storage_session *session, int first,
                           struct storage_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const PGresult *result = session->results[first + (int)i];
        if (PQresultStatus(result) != PGRES_TUPLES_OK ||
            !read_integer(result, 0, 0, &changes[i].version))
            return i;
    }
    return count;
}

/* A refused statement ends the transaction, but one before it may have found no row: whether that is
 * there or not is asked of the store as it is now. */
static enum storage_status change_all(struct storage_session *session,
                                      const struct storage_kind *kind,
                                      struct storage_change *changes, size_t count,
                                      struct params *p, struct storage_error *error)
{
    int first = send_changes(session, kind, changes, count, p);
    enum storage_status status = session_trip(session, NO_COMMIT, error);
    if (session->dead || session->steps != first + (int)count)
        return status;
    size_t good = read_changes(session, first, changes, count);
    if (good < count && PQresultStatus(session->results[first + (int)good]) == PGRES_TUPLES_OK) {
        if (PQntuples(session->results[first + (int)good]) != 0)
            return session_garbled(session, error);
        return why_unchanged(session, kind, &changes[good], p, error);
    }
    if (status != STORAGE_OK)
        return status;
    session_clear(session);
    status = session_commit(session, error);
    if (status == STORAGE_OK)
        atomic_store(&session->db->wrote, true);
    return status;
}

enum storage_status pgsql_change(struct storage_session *session, size_t kind_index,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error)
{
    const struct storage_kind *kind = find_kind(session, kind_index);
    struct params p = {.count = 0};
    if (kind == NULL || count == 0 || count > STORAGE_BATCH_MAX)
        return pgsql_refuse(error, STORAGE_INVALID, "no such kind, or none or too many changes");
    for (size_t i = 0; i < count; i++) {
        const char *wrong = change_fault(kind, &changes[i]);
        if (wrong != NULL)
            return pgsql_refuse(error, STORAGE_INVALID, "%s", wrong);
    }
    if (session->db->host->read_only)
        return pgsql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    enum storage_status status = session_begin(session, error);
    if (status == STORAGE_OK) {
        status = change_all(session, kind, changes, count, &p, error);
        if (status != STORAGE_OK && !session->dead &&
            PQtransactionStatus(session->conn) != PQTRANS_IDLE)
            session_rollback(session);
    }
    params_free(&p);
    return status;
}
