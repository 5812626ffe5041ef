/* records.c: writing and removing records, by the field tables. Names in the SQL come from those tables
 * only. The records that are there are locked first; what becomes of them is worked out here. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

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
    if (value->type == STORAGE_REAL && value->real - value->real != 0)
        return "a number that is none";
    return NULL;
}

static const char *change_fault(const struct storage_kind *kind, const struct storage_change *c)
{
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    struct storage_key key;
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

/* --- Records ---------------------------------------------------------------------------------- */

/* A record as it is at this point of the call. */
struct present {
    char id[STORAGE_ID_MAX + 1];
    int64_t version; /* 0: it is not there */
};

struct changing {
    const struct storage_kind *kind;
    struct present *list; /* sorted by id, each once */
    size_t count;
    /* Rows of one multi-row INSERT, or ids of one DELETE, that are not sent yet. */
    enum { NOTHING, INSERTS, ERASES } waiting;
};

static int present_order(const void *a, const void *b)
{
    return strcmp(((const struct present *)a)->id, ((const struct present *)b)->id);
}

static void add_id(struct sql *sql, const char *id)
{
    sql_bytes(sql, id, strlen(id));
}

static struct present *find_present(const struct changing *g, const char *id, size_t size)
{
    struct present wanted;
    if (size > STORAGE_ID_MAX)
        return NULL;
    memcpy(wanted.id, id, size);
    wanted.id[size] = '\0';
    return bsearch(&wanted, g->list, g->count, sizeof(*g->list), present_order);
}

/* Locks what is there of the ids, and reads the versions. */
static enum storage_status lock_records(struct storage_session *session, struct changing *g,
                                        const struct storage_change *changes, size_t count,
                                        struct storage_error *error)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW columns;
    struct sql *sql = &session->sql;
    for (size_t i = 0; i < count; i++)
        memcpy(g->list[i].id, changes[i].id, strlen(changes[i].id) + 1);
    qsort(g->list, count, sizeof(*g->list), present_order);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || present_order(&g->list[i], &g->list[g->count - 1]) != 0)
            g->list[g->count++] = g->list[i];
    }
    sql_begin(sql, "");
    sql_add(sql, "SELECT id, version FROM `%s` FORCE INDEX (PRIMARY) WHERE id IN ", g->kind->name);
    for (size_t i = 0; i < g->count; i++) {
        sql_put(sql, i == 0 ? "(" : ",");
        add_id(sql, g->list[i].id);
    }
    sql_put(sql, ") FOR UPDATE");
    enum storage_status status = session_ask(session, 2, &result, error);
    while (status == STORAGE_OK && (columns = mysql_fetch_row(result)) != NULL) {
        struct present *p = NULL;
        if (columns[0] != NULL)
            p = find_present(g, columns[0], mysql_fetch_lengths(result)[0]);
        if (p == NULL || !read_integer(columns[1], &p->version) || p->version < 1)
            status = mysql_refuse(error, STORAGE_SCHEMA,
                                  "a record has an id or version that this "
                                  "driver never wrote");
    }
    mysql_free_result(result);
    return status;
}

/* Where an id is there that was not when the records were locked, another session was quicker: the call
 * is done anew. Else it is a value of a unique field that is taken. */
static enum storage_status flush(struct storage_session *session, struct changing *g,
                                 struct storage_error *error)
{
    if (g->waiting == NOTHING)
        return STORAGE_OK;
    if (g->waiting == ERASES)
        sql_put(&session->sql, ")");
    g->waiting = NOTHING;
    static const char id_key[] = "PRIMARY' (1062)";
    enum storage_status status = session_run(session, error);
    /* The value that is taken stands in the message too: just its end says which key it is. */
    size_t size = strlen(error->text);
    bool id = status == STORAGE_EXISTS && size >= sizeof(id_key) &&
              strcmp(error->text + size - (sizeof(id_key) - 1), id_key) == 0;
    return id ? STORAGE_BUSY : status;
}

static enum storage_status insert(struct storage_session *session, struct changing *g,
                                  const struct storage_change *c, struct storage_error *error)
{
    struct sql *sql = &session->sql;
    enum storage_status status = STORAGE_OK;
    if (g->waiting == ERASES)
        status = flush(session, g, error);
    if (status != STORAGE_OK)
        return status;
    if (g->waiting == NOTHING) {
        sql_begin(sql, "");
        sql_add(sql, "INSERT INTO `%s` (id, version", g->kind->name);
        for (size_t i = 0; i < g->kind->fields_count; i++)
            sql_add(sql, ", `%s`", g->kind->fields[i].name);
        sql_put(sql, ") VALUES (");
    } else {
        sql_put(sql, ",(");
    }
    add_id(sql, c->id);
    sql_put(sql, ",1");
    for (size_t i = 0; i < g->kind->fields_count; i++) {
        sql_put(sql, ",");
        sql_value(sql, &c->values[i]);
    }
    sql_put(sql, ")");
    g->waiting = INSERTS;
    return session_is_full(session) ? flush(session, g, error) : STORAGE_OK;
}

static enum storage_status erase(struct storage_session *session, struct changing *g,
                                 const struct storage_change *c, struct storage_error *error)
{
    struct sql *sql = &session->sql;
    enum storage_status status = STORAGE_OK;
    if (g->waiting == INSERTS)
        status = flush(session, g, error);
    if (status != STORAGE_OK)
        return status;
    if (g->waiting == NOTHING) {
        sql_begin(sql, "");
        sql_add(sql, "DELETE FROM `%s` WHERE id IN (", g->kind->name);
    } else {
        sql_put(sql, ",");
    }
    add_id(sql, c->id);
    g->waiting = ERASES;
    return STORAGE_OK;
}

static enum storage_status update(struct storage_session *session, struct changing *g,
                                  const struct storage_change *c, struct storage_error *error)
{
    struct sql *sql = &session->sql;
    enum storage_status status = flush(session, g, error);
    if (status != STORAGE_OK)
        return status;
    sql_begin(sql, "");
    sql_add(sql, "UPDATE `%s` SET version = version + 1", g->kind->name);
    for (size_t i = 0; i < g->kind->fields_count; i++) {
        sql_add(sql, ", `%s` = ", g->kind->fields[i].name);
        sql_value(sql, &c->values[i]);
    }
    sql_put(sql, " WHERE id = ");
    add_id(sql, c->id);
    return session_run(session, error);
}

/* Whether the record as it is may be changed so. */
static enum storage_status may_change(const struct changing *g, const struct present *p,
                                      const struct storage_change *c, struct storage_error *error)
{
    bool must_be_there = c->values == NULL || c->expected > 0;
    if (p->version == 0 && must_be_there)
        return mysql_refuse(error, STORAGE_NOT_FOUND, "there is no %s %s", g->kind->name, c->id);
    if (p->version > 0 && c->expected >= 0 && c->expected != p->version)
        return mysql_refuse(error, STORAGE_CONFLICT,
                            c->expected == 0 ? "%s %s is there already"
                                             : "%s %s has another version",
                            g->kind->name, c->id);
    return STORAGE_OK;
}

static enum storage_status change_record(struct storage_session *session, struct changing *g,
                                         struct storage_change *c, struct storage_error *error)
{
    struct present *p = find_present(g, c->id, strlen(c->id));
    struct storage_error why;
    enum storage_status status = may_change(g, p, c, &why);
    if (status != STORAGE_OK) {
        /* What waits comes before this change, and may be the first that does not go. */
        enum storage_status before = flush(session, g, error);
        if (before == STORAGE_OK)
            *error = why;
        return before != STORAGE_OK ? before : status;
    }
    if (c->values == NULL) {
        p->version = 0;
        status = erase(session, g, c, error);
    } else if (p->version == 0) {
        p->version = 1;
        status = insert(session, g, c, error);
    } else {
        p->version++;
        status = update(session, g, c, error);
    }
    c->version = p->version;
    return status;
}

static enum storage_status change_records(struct storage_session *session,
                                          const struct storage_kind *kind,
                                          struct storage_change *changes, size_t count,
                                          struct storage_error *error)
{
    struct changing g = {.kind = kind, .list = calloc(count, sizeof(*g.list))};
    if (g.list == NULL)
        return mysql_refuse(error, STORAGE_BUSY, "out of memory");
    enum storage_status status = lock_records(session, &g, changes, count, error);
    for (size_t i = 0; status == STORAGE_OK && i < count; i++)
        status = change_record(session, &g, &changes[i], error);
    if (status == STORAGE_OK)
        status = flush(session, &g, error);
    free(g.list);
    return status;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static enum storage_status erase_entry(struct storage_session *session, struct storage_change *c,
                                       struct storage_error *error)
{
    static const char *const begins[] = {"DELETE FROM greylist_entry WHERE key_ = ",
                                         "DELETE FROM greylist_merge WHERE key_ = "};
    struct storage_key key;
    enum storage_status status = STORAGE_OK;
    if (!hex_to_key(c->id, &key))
        return mysql_refuse(error, STORAGE_INVALID, "an entry's id is 32 hex digits");
    for (size_t i = 0; status == STORAGE_OK && i < 2; i++) {
        sql_begin(&session->sql, begins[i]);
        sql_key(&session->sql, key.bytes);
        status = session_run(session, error);
        if (status == STORAGE_OK && i == 0 && mysql_affected_rows(session->mysql) != 1)
            return mysql_refuse(error, STORAGE_NOT_FOUND, "there is no entry %s", c->id);
    }
    c->version = 0;
    return status;
}

static enum storage_status change_once(struct storage_session *session,
                                       const struct storage_kind *kind,
                                       struct storage_change *changes, size_t count,
                                       struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    if ((kind->flags & STORAGE_ENTRIES) == 0)
        status = change_records(session, kind, changes, count, error);
    else
        for (size_t i = 0; status == STORAGE_OK && i < count; i++)
            status = erase_entry(session, &changes[i], error);
    /* Last, since all that change anything wait for this row. */
    if (status == STORAGE_OK && (kind->flags & STORAGE_QUIET) == 0)
        status = session_command(
            session, "UPDATE mongrey SET value = value + 1 WHERE name = 'revision'", error);
    return session_end(session, status, true, error);
}

enum storage_status mysql_change(struct storage_session *session, size_t kind_index,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error)
{
    const struct storage_kind *kind = find_kind(session, kind_index);
    enum storage_status status;
    int tries = 0;
    if (kind == NULL || count == 0 || count > STORAGE_BATCH_MAX)
        return mysql_refuse(error, STORAGE_INVALID, "no such kind, or none or too many changes");
    for (size_t i = 0; i < count; i++) {
        const char *wrong = change_fault(kind, &changes[i]);
        if (wrong != NULL)
            return mysql_refuse(error, STORAGE_INVALID, "%s", wrong);
    }
    if (session->db->host->read_only)
        return mysql_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    session_enter(session);
    do
        status = change_once(session, kind, changes, count, error);
    while (worth_again(session, status, error, ++tries));
    return status;
}
