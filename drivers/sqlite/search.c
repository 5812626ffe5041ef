/* search.c: a page of records, or of entries. A page begins behind the last record of the one
 * before (keyset), so that pages stay quick however many there are, and nobody is shown twice. */
#include <string.h>

#include "drivers/sqlite/records.h"

#define PARAMETERS_MAX (STORAGE_CONDITIONS + 4)

/* The values to bind, in the order of their marks (?1, ?2, ...). */
struct search {
    struct sql_text sql;
    const struct storage_query *query;
    const struct storage_kind *kind;
    struct storage_value values[PARAMETERS_MAX];
    int values_count;
    storage_each *each;
    void *context;
    size_t left;                  /* of the limit */
    struct storage_key after_key; /* of an entry */
    bool entries;
};

static int parameter(struct search *s, const struct storage_value *value)
{
    s->values[s->values_count++] = *value;
    return s->values_count;
}

static const char *fault(const struct storage_query *q, const struct storage_kind *kind)
{
    if (kind == NULL || q->limit == 0)
        return "no such kind, or a page of nothing";
    if (q->order != STORAGE_BY_ID && q->order >= kind->fields_count)
        return "sorted by no field";
    if (q->conditions_count > STORAGE_CONDITIONS)
        return "too many conditions";
    for (size_t i = 0; i < q->conditions_count; i++) {
        const struct storage_condition *c = &q->conditions[i];
        bool text_only = c->relation == STORAGE_STARTS || c->relation == STORAGE_CONTAINS;
        if (c->field >= kind->fields_count || c->relation > STORAGE_CONTAINS)
            return "a condition on no field, or of an unknown kind";
        enum storage_type type = kind->fields[c->field].type;
        if (text_only ? c->value.type != STORAGE_TEXT || type != STORAGE_TEXT
                      : c->value.type != STORAGE_NULL && c->value.type != type)
            return "a condition of another type than its field";
    }
    if (q->after_id != NULL && q->order != STORAGE_BY_ID && q->after_value.type != STORAGE_NULL &&
        q->after_value.type != kind->fields[q->order].type)
        return "a page behind a value of another type than its field";
    return NULL;
}

/* An index serves one end: where the order walks one, a range of another field must not tempt SQLite,
 * which knows nothing of how values are spread, to take that one and sort ("+name" is no index's). What
 * is equal to a value may, since that is mostly little. */
static const char *hidden(const struct search *s, const struct storage_condition *c)
{
    size_t order = s->query->order;
    bool walks = order == STORAGE_BY_ID ||
                 (s->kind->fields[order].flags & (STORAGE_INDEXED | STORAGE_UNIQUE)) != 0;
    return walks && c->field != order ? "+" : "";
}

static void add_condition(struct search *s, const struct storage_condition *c)
{
    const char *name = s->kind->fields[c->field].name;
    int mark = parameter(s, &c->value);
    switch (c->relation) {
    case STORAGE_EQ:
        sql_add(&s->sql, " AND %s IS ?%d", name, mark);
        break;
    case STORAGE_LT:
        sql_add(&s->sql, " AND %s%s < ?%d", hidden(s, c), name, mark);
        break;
    case STORAGE_GT:
        sql_add(&s->sql, " AND %s%s > ?%d", hidden(s, c), name, mark);
        break;
    case STORAGE_STARTS:
        sql_add(&s->sql, " AND text_starts(%s, ?%d)", name, mark);
        break;
    case STORAGE_CONTAINS:
        sql_add(&s->sql, " AND text_contains(%s, ?%d)", name, mark);
        break;
    }
}

/* What comes behind (after_value, after_id) lies in up to two stretches of the order, since NULL, which
 * is lower than everything, compares with nothing: each is a statement that an index can walk. The id's
 * mark is always ?1. */
enum stretch {
    WHOLE,        /* the first page */
    BEHIND_ID,    /* sorted by id */
    BEHIND_VALUE, /* a value, and behind */
    BEHIND_NULL,  /* NULL, and behind by the id */
    ALL_VALUES,
    ALL_NULLS
};

static size_t plan_stretches(const struct search *s, enum stretch stretches[2])
{
    const struct storage_query *q = s->query;
    if (q->after_id == NULL || q->order == STORAGE_BY_ID) {
        stretches[0] = q->after_id == NULL ? WHOLE : BEHIND_ID;
        return 1;
    }
    bool null = q->after_value.type == STORAGE_NULL;
    stretches[0] = null ? BEHIND_NULL : BEHIND_VALUE;
    stretches[1] = null ? ALL_VALUES : ALL_NULLS;
    if (null)
        return q->descending ? 1 : 2;
    bool has_null = !s->entries || s->kind->fields[q->order].type == STORAGE_TEXT;
    return q->descending && has_null ? 2 : 1;
}

static void add_stretch(struct search *s, enum stretch stretch)
{
    const struct storage_query *q = s->query;
    const char *id = s->entries ? "key" : "id";
    const char *than = q->descending ? "<" : ">";
    const char *name = q->order == STORAGE_BY_ID ? id : s->kind->fields[q->order].name;
    switch (stretch) {
    case WHOLE:
        break;
    case BEHIND_ID:
        sql_add(&s->sql, " AND %s %s ?1", id, than);
        break;
    case BEHIND_VALUE:
        sql_add(&s->sql, " AND (%s, %s) %s (?%d, ?1)", name, id, than,
                parameter(s, &q->after_value));
        break;
    case BEHIND_NULL:
        sql_add(&s->sql, " AND %s IS NULL AND %s %s ?1", name, id, than);
        break;
    case ALL_VALUES:
        sql_add(&s->sql, " AND %s IS NOT NULL", name);
        break;
    case ALL_NULLS:
        sql_add(&s->sql, " AND %s IS NULL", name);
        break;
    }
}

static void build(struct search *s, enum stretch stretch)
{
    const struct storage_query *q = s->query;
    const char *id = s->entries ? "key" : "id";
    const char *direction = q->descending ? "DESC" : "ASC";
    struct storage_value first = {.type = STORAGE_NULL};
    s->sql.size = 0;
    s->values_count = 0;
    parameter(s, &first); /* ?1, bound by hand */
    sql_add(&s->sql, "SELECT %s", s->entries ? "lower(hex(key)), 0" : "id, version");
    for (size_t i = 0; i < s->kind->fields_count; i++)
        sql_add(&s->sql, ", %s", s->kind->fields[i].name);
    sql_add(&s->sql, " FROM %s WHERE 1", s->kind->name);
    for (size_t i = 0; i < q->conditions_count; i++)
        add_condition(s, &q->conditions[i]);
    add_stretch(s, stretch);
    sql_add(&s->sql, " ORDER BY ");
    if (q->order != STORAGE_BY_ID)
        sql_add(&s->sql, "%s %s, ", s->kind->fields[q->order].name, direction);
    struct storage_value limit = {.type = STORAGE_INTEGER};
    limit.integer = s->left > INT64_MAX ? INT64_MAX : (int64_t)s->left;
    sql_add(&s->sql, "%s %s LIMIT ?%d", id, direction, parameter(s, &limit));
}

static int bind_all(struct search *s, sqlite3_stmt *statement)
{
    int code = SQLITE_OK;
    int used = sqlite3_bind_parameter_count(statement);
    if (s->query->after_id != NULL && s->entries)
        code = sqlite3_bind_blob(statement, 1, s->after_key.bytes, STORAGE_KEY_SIZE, SQLITE_STATIC);
    else if (s->query->after_id != NULL)
        code = sqlite3_bind_text(statement, 1, s->query->after_id, -1, SQLITE_STATIC);
    for (int i = 1; code == SQLITE_OK && i < s->values_count && i < used; i++)
        code = bind_value(statement, i + 1, &s->values[i]);
    return code;
}

static void read_value(sqlite3_stmt *statement, int column, enum storage_type type,
                       struct storage_value *value)
{
    memset(value, 0, sizeof(*value));
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return;
    value->type = type;
    if (type == STORAGE_TEXT) {
        value->text.data = (const char *)sqlite3_column_text(statement, column);
        value->text.size = (size_t)sqlite3_column_bytes(statement, column);
    } else if (type == STORAGE_REAL) {
        value->real = sqlite3_column_double(statement, column);
    } else {
        value->integer = sqlite3_column_int64(statement, column);
    }
}

static int lend_rows(struct search *s, sqlite3_stmt *statement)
{
    struct storage_value values[STORAGE_FIELDS_MAX];
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (size_t i = 0; i < s->kind->fields_count; i++)
            read_value(statement, (int)i + 2, s->kind->fields[i].type, &values[i]);
        struct storage_record record = {
            .id = (const char *)sqlite3_column_text(statement, 0),
            .version = sqlite3_column_int64(statement, 1),
            .values = values,
        };
        s->left--;
        if (!s->each(s->context, &record)) {
            s->left = 0;
            return SQLITE_DONE;
        }
    }
    return code;
}

static enum storage_status run_stretch(struct storage_session *session, struct search *s,
                                       enum stretch stretch, struct storage_error *error)
{
    sqlite3_stmt *statement;
    build(s, stretch);
    enum storage_status status = sql_prepare(session, &s->sql, &statement, error);
    if (status != STORAGE_OK)
        return status;
    int code = bind_all(s, statement);
    if (code == SQLITE_OK)
        code = lend_rows(s, statement);
    if (code != SQLITE_DONE)
        status = sqlite_status(session->sqlite, code, error);
    sqlite3_finalize(statement);
    return status;
}

static enum storage_status run_search(struct storage_session *session, struct search *s,
                                      struct storage_error *error)
{
    enum stretch stretches[2];
    size_t count = plan_stretches(s, stretches);
    if (count == 1)
        return run_stretch(session, s, stretches[0], error);
    int code = session_run(session, SQL_BEGIN_READ); /* both from one moment's view */
    if (code != SQLITE_OK)
        return sqlite_status(session->sqlite, code, error);
    enum storage_status status = run_stretch(session, s, stretches[0], error);
    if (status == STORAGE_OK && s->left > 0)
        status = run_stretch(session, s, stretches[1], error);
    return session_end(session, status, error);
}

enum storage_status sqlite_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error)
{
    struct search s = {
        .query = query,
        .kind = find_kind(session, query->kind),
        .each = each,
        .context = context,
        .left = query->limit,
    };
    const char *wrong = fault(query, s.kind);
    if (wrong == NULL) {
        s.entries = (s.kind->flags & STORAGE_ENTRIES) != 0;
        if (s.entries && query->after_id != NULL && !hex_to_key(query->after_id, &s.after_key))
            wrong = "an entry's id is 32 hex digits";
    }
    if (wrong != NULL)
        return sqlite_refuse(error, STORAGE_INVALID, "%s", wrong);
    session_enter(session);
    session_hurry(session, session->db->host->call_timeout);
    enum storage_status status = run_search(session, &s, error);
    session_relax(session);
    return session_leave(session, status);
}
