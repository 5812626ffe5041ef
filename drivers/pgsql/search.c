/* search.c: a page of records, or of entries. A page begins behind the last record of the one before
 * (keyset), so that pages stay quick however many there are, and nobody is shown twice.
 *
 * NULL sorts lowest. A page that begins among the values and one that begins among the NULLs are each
 * one stretch of the index (field NULLS FIRST, id); where a page may go over from the one into the
 * other, both are asked for, and the page is the first of what they give. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/records.h"

struct search {
    struct sql_text sql;
    struct params params;
    const struct storage_query *query;
    const struct storage_kind *kind;
    struct storage_key after_key; /* of an entry */
    bool entries;
    const char *id;
    int after_id; /* numbers of the parameters */
    int after_value;
    int conditions[STORAGE_CONDITIONS];
};

static const char *fault(const struct storage_query *q, const struct storage_kind *kind)
{
    if (kind == NULL || q->limit == 0)
        return "no such kind, or a page of nothing";
    if (q->order != STORAGE_BY_ID && q->order >= kind->fields_count)
        return "sorted by no field";
    if (q->conditions_count > STORAGE_CONDITIONS)
        return "too many conditions";
    if (q->after_id != NULL && q->order != STORAGE_BY_ID && q->after_value.type != STORAGE_NULL &&
        q->after_value.type != kind->fields[q->order].type)
        return "a page behind a value of another type than its field";
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
    return NULL;
}

/* STARTS and CONTAINS take ASCII letters alike: lower() does just that to a column of collation "C". */
static void put_lower(struct params *p, struct storage_text text)
{
    char *lower = malloc(text.size + 1);
    if (lower == NULL) {
        p->failed = true;
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    params_text(p, (struct storage_text){lower, text.size});
    free(lower);
}

static void put_parameters(struct search *s)
{
    const struct storage_query *q = s->query;
    for (size_t i = 0; i < q->conditions_count; i++) {
        const struct storage_condition *c = &q->conditions[i];
        if (c->relation == STORAGE_STARTS || c->relation == STORAGE_CONTAINS)
            put_lower(&s->params, c->value.text);
        else if (c->value.type != STORAGE_NULL)
            params_value(&s->params, c->value.type, &c->value);
        s->conditions[i] = s->params.count;
    }
    if (q->after_id == NULL)
        return;
    if (s->entries)
        params_key(&s->params, &s->after_key);
    else
        params_text(&s->params, (struct storage_text){q->after_id, strlen(q->after_id)});
    s->after_id = s->params.count;
    if (q->order == STORAGE_BY_ID || q->after_value.type == STORAGE_NULL)
        return;
    params_value(&s->params, q->after_value.type, &q->after_value);
    s->after_value = s->params.count;
}

static void add_condition(struct search *s, const struct storage_condition *c, int mark)
{
    const char *name = s->kind->fields[c->field].name;
    bool null = c->value.type == STORAGE_NULL;
    switch (c->relation) {
    case STORAGE_EQ:
        if (null)
            sql_add(&s->sql, " AND \"%s\" IS NULL", name);
        else
            sql_add(&s->sql, " AND \"%s\" = $%d", name, mark);
        break;
    case STORAGE_LT:
    case STORAGE_GT:
        if (null)
            sql_add(&s->sql, " AND false");
        else
            sql_add(&s->sql, " AND \"%s\" %s $%d", name, c->relation == STORAGE_LT ? "<" : ">",
                    mark);
        break;
    case STORAGE_STARTS:
        sql_add(&s->sql, " AND starts_with(lower(\"%s\"), $%d)", name, mark);
        break;
    case STORAGE_CONTAINS:
        sql_add(&s->sql, " AND strpos(lower(\"%s\"), $%d) > 0", name, mark);
        break;
    }
}

static void add_order(struct search *s)
{
    const struct storage_query *q = s->query;
    sql_add(&s->sql, " ORDER BY ");
    if (q->order != STORAGE_BY_ID)
        sql_add(&s->sql, "\"%s\" %s, ", s->kind->fields[q->order].name,
                q->descending ? "DESC NULLS LAST" : "ASC NULLS FIRST");
    unsigned long long most = INT64_MAX;
    unsigned long long limit = q->limit > most ? most : q->limit;
    sql_add(&s->sql, "%s %s LIMIT %llu", s->id, q->descending ? "DESC" : "ASC", limit);
}

enum stretch {
    STRETCH_ALL,
    STRETCH_BY_ID,
    STRETCH_VALUES,
    STRETCH_NULLS,
    STRETCH_ALL_VALUES,
    STRETCH_ALL_NULLS
};

static void add_stretch(struct search *s, enum stretch stretch)
{
    const struct storage_query *q = s->query;
    const char *name = q->order == STORAGE_BY_ID ? "" : s->kind->fields[q->order].name;
    const char *than = q->descending ? "<" : ">";
    sql_add(&s->sql, "SELECT %s", s->entries ? "key, 0::bigint AS version" : "id, version");
    for (size_t i = 0; i < s->kind->fields_count; i++)
        sql_add(&s->sql, ", \"%s\"", s->kind->fields[i].name);
    sql_add(&s->sql, " FROM \"%s\" WHERE true", s->kind->name);
    for (size_t i = 0; i < q->conditions_count; i++)
        add_condition(s, &q->conditions[i], s->conditions[i]);
    if (stretch == STRETCH_BY_ID)
        sql_add(&s->sql, " AND %s %s $%d", s->id, than, s->after_id);
    else if (stretch == STRETCH_VALUES)
        sql_add(&s->sql, " AND (\"%s\", %s) %s ($%d, $%d)", name, s->id, than, s->after_value,
                s->after_id);
    else if (stretch == STRETCH_NULLS)
        sql_add(&s->sql, " AND \"%s\" IS NULL AND %s %s $%d", name, s->id, than, s->after_id);
    else if (stretch != STRETCH_ALL)
        sql_add(&s->sql, " AND \"%s\" IS %s", name,
                stretch == STRETCH_ALL_NULLS ? "NULL" : "NOT NULL");
    add_order(s);
}

static void add_two(struct search *s, enum stretch one, enum stretch other)
{
    sql_add(&s->sql, "SELECT * FROM ((");
    add_stretch(s, one);
    sql_add(&s->sql, ") UNION ALL (");
    add_stretch(s, other);
    sql_add(&s->sql, ")) both_parts");
    add_order(s);
}

static void build(struct search *s)
{
    const struct storage_query *q = s->query;
    /* An entry's numbers are never NULL. */
    bool never_null =
        s->entries && q->order != STORAGE_BY_ID && s->kind->fields[q->order].type != STORAGE_TEXT;
    if (q->after_id == NULL)
        add_stretch(s, STRETCH_ALL);
    else if (q->order == STORAGE_BY_ID)
        add_stretch(s, STRETCH_BY_ID);
    else if (q->after_value.type == STORAGE_NULL && q->descending)
        add_stretch(s, STRETCH_NULLS);
    else if (q->after_value.type == STORAGE_NULL)
        add_two(s, STRETCH_NULLS, STRETCH_ALL_VALUES);
    else if (q->descending && !never_null)
        add_two(s, STRETCH_VALUES, STRETCH_ALL_NULLS);
    else
        add_stretch(s, STRETCH_VALUES);
}

static bool read_value(const PGresult *result, int row, int column, enum storage_type type,
                       struct storage_value *value)
{
    memset(value, 0, sizeof(*value));
    if (PQgetisnull(result, row, column) != 0)
        return true;
    value->type = type;
    if (type == STORAGE_REAL)
        return read_real(result, row, column, &value->real);
    if (type != STORAGE_TEXT)
        return read_integer(result, row, column, &value->integer);
    value->text.data = PQgetvalue(result, row, column);
    value->text.size = (size_t)PQgetlength(result, row, column);
    return value->text.size <= STORAGE_VALUE_MAX;
}

static bool read_id(const struct search *s, const PGresult *result, int row, char *id)
{
    static const char digits[] = "0123456789abcdef";
    struct storage_key key;
    if (!s->entries) {
        int size = PQgetlength(result, row, 0);
        if (size < 1 || size > STORAGE_ID_MAX)
            return false;
        memcpy(id, PQgetvalue(result, row, 0), (size_t)size);
        id[size] = '\0';
        return true;
    }
    if (!read_key(result, row, 0, &key))
        return false;
    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        id[i * 2] = digits[key.bytes[i] >> 4];
        id[i * 2 + 1] = digits[key.bytes[i] & 15];
    }
    id[STORAGE_KEY_SIZE * 2] = '\0';
    return true;
}

/* False: a row is not what was asked for. */
static bool lend_rows(const struct search *s, const PGresult *result, storage_each *each,
                      void *context)
{
    struct storage_value values[STORAGE_FIELDS_MAX];
    char id[STORAGE_ID_MAX + 1];
    if ((size_t)PQnfields(result) != s->kind->fields_count + 2)
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        struct storage_record record = {.id = id, .values = values};
        if (!read_id(s, result, row, id) || !read_integer(result, row, 1, &record.version))
            return false;
        for (size_t i = 0; i < s->kind->fields_count; i++) {
            if (!read_value(result, row, (int)i + 2, s->kind->fields[i].type, &values[i]))
                return false;
        }
        if (!each(context, &record))
            return true;
    }
    return true;
}

static enum storage_status run_search(struct storage_session *session, struct search *s,
                                      storage_each *each, void *context,
                                      struct storage_error *error)
{
    put_parameters(s);
    build(s);
    if (s->sql.full)
        return pgsql_refuse(error, STORAGE_INVALID, "too many or too long field names");
    session_send_read(session);
    int at = session->steps;
    session_send(session, s->sql.text, &s->params);
    session_send(session, "COMMIT", NULL);
    enum storage_status status = session_trip(session, NO_COMMIT, error);
    if (status != STORAGE_OK)
        return status;
    if (!lend_rows(s, session->results[at], each, context))
        status = session_garbled(session, error);
    session_clear(session);
    return status;
}

enum storage_status pgsql_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error)
{
    struct search s = {.query = query, .kind = find_kind(session, query->kind), .id = "id"};
    const char *wrong = fault(query, s.kind);
    if (wrong == NULL) {
        s.entries = (s.kind->flags & STORAGE_ENTRIES) != 0;
        s.id = s.entries ? "key" : "id";
        if (s.entries && query->after_id != NULL && !hex_to_key(query->after_id, &s.after_key))
            wrong = "an entry's id is 32 hex digits";
    }
    if (wrong != NULL)
        return pgsql_refuse(error, STORAGE_INVALID, "%s", wrong);
    enum storage_status status = session_begin(session, error);
    if (status == STORAGE_OK)
        status = run_search(session, &s, each, context, error);
    params_free(&s.params);
    return status;
}
