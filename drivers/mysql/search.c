/* search.c: a page of records, or of entries. A page begins behind the last record of the one before
 * (keyset), so that pages stay quick however many there are, and nobody is shown twice. */
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/mysql.h"

struct search {
    const struct storage_query *query;
    const struct storage_kind *kind;
    const char *id; /* the column */
    struct storage_key after_key;
    bool entries;
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

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_ascii(struct storage_text text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] >= 0x80)
            return false;
    }
    return true;
}

/* Puts the text in ASCII's lower case. */
static void add_lowered(struct sql *sql, struct storage_text text)
{
    char part[STORAGE_INDEXED_MAX];
    sql_put(sql, "CONCAT(_binary''");
    for (size_t i = 0; i < text.size; i += sizeof(part)) {
        size_t size = text.size - i < sizeof(part) ? text.size - i : sizeof(part);
        for (size_t k = 0; k < size; k++)
            part[k] = lower(text.data[i + k]);
        sql_put(sql, ", ");
        sql_bytes(sql, part, size);
    }
    sql_put(sql, ")");
}

/* The column with ASCII's letters in lower case, byte by byte: no server has a function for that. */
static void add_folded(struct sql *sql, const char *name)
{
    for (int c = 'A'; c <= 'Z'; c++)
        sql_put(sql, "REPLACE(");
    sql_add(sql, "`%s`", name);
    for (int c = 'A'; c <= 'Z'; c++)
        sql_add(sql, ", _binary'%c', _binary'%c')", c, lower((char)c));
}

/*
 * latin1 has one character for each byte, and LOWER() maps none from outside ASCII into it. So a text of
 * ASCII is found exactly; another one is found where it is, and where other letters of latin1 look alike
 * when lowered. Those are sorted out by the slow way, which few rows come to.
 */
static void add_like(struct sql *sql, const char *name, const struct storage_condition *c)
{
    const char *found = c->relation == STORAGE_STARTS ? "= 1" : "> 0";
    sql_add(sql, " AND LOCATE(CAST(LOWER(CONVERT(");
    add_lowered(sql, c->value.text);
    sql_add(sql,
            " USING latin1)) AS BINARY), CAST(LOWER(CONVERT(`%s` USING latin1)) AS BINARY)) %s",
            name, found);
    if (is_ascii(c->value.text))
        return;
    sql_put(sql, " AND LOCATE(");
    add_lowered(sql, c->value.text);
    sql_put(sql, ", ");
    add_folded(sql, name);
    sql_add(sql, ") %s", found);
}

/* For STARTS an index helps with the first letters, written in each way there is: 'ab', 'aB', 'Ab', 'AB'. */
static void add_beginnings(struct sql *sql, const char *name, struct storage_text text)
{
    size_t size = text.size < 3 ? text.size : 3;
    char seen = 0;
    if (size == 0 || !is_ascii(text))
        return;
    for (unsigned ways = 0; ways < 1U << size; ways++) {
        char begin[3];
        bool is_new = true;
        for (size_t i = 0; i < size; i++) {
            bool up = (ways >> i & 1) != 0;
            begin[i] = up ? upper(text.data[i]) : lower(text.data[i]);
            is_new = is_new && !(up && upper(text.data[i]) == lower(text.data[i]));
        }
        if (!is_new)
            continue;
        sql_add(sql, "%s(`%s` >= ", seen++ == 0 ? " AND (" : " OR ", name);
        sql_bytes(sql, begin, size);
        sql_add(sql, " AND `%s` < ", name);
        begin[size - 1]++; /* ASCII: never beyond 0x80 */
        sql_bytes(sql, begin, size);
        sql_put(sql, ")");
    }
    sql_put(sql, ")");
}

static void add_condition(struct sql *sql, const struct storage_kind *kind,
                          const struct storage_condition *c)
{
    const char *name = kind->fields[c->field].name;
    bool null = c->value.type == STORAGE_NULL;
    if (c->relation == STORAGE_EQ && null) {
        sql_add(sql, " AND `%s` IS NULL", name);
    } else if (c->relation <= STORAGE_GT) {
        const char *relation = c->relation == STORAGE_EQ   ? "="
                               : c->relation == STORAGE_LT ? "<"
                                                           : ">";
        sql_add(sql, " AND `%s` %s ", name, relation);
        sql_value(sql, &c->value);
    } else {
        if (c->relation == STORAGE_STARTS &&
            (kind->fields[c->field].flags & (STORAGE_UNIQUE | STORAGE_INDEXED)) != 0)
            add_beginnings(sql, name, c->value.text);
        add_like(sql, name, c);
    }
}

static void add_after_id(struct sql *sql, const struct search *s)
{
    sql_add(sql, "%s %s ", s->id, s->query->descending ? "<" : ">");
    if (s->entries)
        sql_key(sql, s->after_key.bytes);
    else
        sql_bytes(sql, s->query->after_id, strlen(s->query->after_id));
}

/* Behind (after_value, after_id); NULL is lower than everything. The range of the field stands by itself,
 * so that the server begins to read there. */
static void add_after(struct sql *sql, const struct search *s)
{
    const struct storage_query *q = s->query;
    if (q->order == STORAGE_BY_ID) {
        sql_put(sql, " AND ");
        add_after_id(sql, s);
        return;
    }
    const char *name = s->kind->fields[q->order].name;
    if (q->after_value.type == STORAGE_NULL) {
        sql_add(sql, " AND ((`%s` IS NULL AND ", name);
        add_after_id(sql, s);
        sql_add(sql, q->descending ? "))" : ") OR `%s` IS NOT NULL)", name);
        return;
    }
    const char *than = q->descending ? "<" : ">";
    sql_add(sql, " AND (`%s` %s= ", name, than);
    sql_value(sql, &q->after_value);
    if (q->descending)
        sql_add(sql, " OR `%s` IS NULL", name);
    sql_add(sql, ") AND (`%s` %s ", name, than);
    sql_value(sql, &q->after_value);
    sql_add(sql, " OR (`%s` = ", name);
    sql_value(sql, &q->after_value);
    sql_put(sql, " AND ");
    add_after_id(sql, s);
    sql_put(sql, ")");
    if (q->descending)
        sql_add(sql, " OR `%s` IS NULL", name);
    sql_put(sql, ")");
}

static void build(struct storage_session *session, const struct search *s)
{
    struct sql *sql = &session->sql;
    const struct storage_query *q = s->query;
    const char *direction = q->descending ? "DESC" : "ASC";
    session_select(session);
    sql_add(sql, " %s", s->entries ? "LOWER(HEX(key_)), 0" : "id, version");
    for (size_t i = 0; i < s->kind->fields_count; i++)
        sql_add(sql, ", `%s`", s->kind->fields[i].name);
    sql_add(sql, " FROM `%s` WHERE 1", s->entries ? "greylist_entry" : s->kind->name);
    for (size_t i = 0; i < q->conditions_count; i++)
        add_condition(sql, s->kind, &q->conditions[i]);
    if (q->after_id != NULL)
        add_after(sql, s);
    sql_put(sql, " ORDER BY ");
    if (q->order != STORAGE_BY_ID)
        sql_add(sql, "`%s` %s, ", s->kind->fields[q->order].name, direction);
    sql_add(sql, "%s %s LIMIT %zu", s->id, direction, q->limit);
}

static bool read_value(const char *column, unsigned long size, enum storage_type type,
                       struct storage_value *value)
{
    char *end;
    memset(value, 0, sizeof(*value));
    if (column == NULL)
        return true;
    value->type = type;
    if (type == STORAGE_TEXT) {
        value->text = (struct storage_text){column, size};
        return size <= STORAGE_VALUE_MAX;
    }
    if (type != STORAGE_REAL)
        return read_integer(column, &value->integer);
    value->real = strtod(column, &end);
    return end != column && *end == '\0';
}

static enum storage_status lend_rows(const struct search *s, MYSQL_RES *result, storage_each *each,
                                     void *context, struct storage_error *error)
{
    struct storage_value values[STORAGE_FIELDS_MAX];
    MYSQL_ROW columns;
    while ((columns = mysql_fetch_row(result)) != NULL) {
        const unsigned long *sizes = mysql_fetch_lengths(result);
        struct storage_record record = {.values = values};
        bool fine = columns[0] != NULL && sizes[0] > 0 && sizes[0] <= STORAGE_ID_MAX &&
                    read_integer(columns[1], &record.version);
        for (size_t i = 0; fine && i < s->kind->fields_count; i++)
            fine = read_value(columns[i + 2], sizes[i + 2], s->kind->fields[i].type, &values[i]);
        if (!fine)
            return mysql_refuse(error, STORAGE_SCHEMA, "a %s holds what this driver never wrote",
                                s->kind->name);
        record.id = columns[0];
        if (!each(context, &record))
            break;
    }
    return STORAGE_OK;
}

enum storage_status mysql_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error)
{
    struct search s = {.query = query, .kind = find_kind(session, query->kind)};
    MYSQL_RES *result = NULL;
    const char *wrong = fault(query, s.kind);
    if (wrong == NULL) {
        s.entries = (s.kind->flags & STORAGE_ENTRIES) != 0;
        s.id = s.entries ? "key_" : "id";
        if (s.entries && query->after_id != NULL && !hex_to_key(query->after_id, &s.after_key))
            wrong = "an entry's id is 32 hex digits";
    }
    if (wrong != NULL)
        return mysql_refuse(error, STORAGE_INVALID, "%s", wrong);
    session_enter(session);
    build(session, &s);
    enum storage_status status =
        session_ask(session, (unsigned)s.kind->fields_count + 2, &result, error);
    /* All of the page is here: what waits for the server's locks need not wait for the caller. */
    status = session_end(session, status, false, error);
    if (status == STORAGE_OK)
        status = lend_rows(&s, result, each, context, error);
    mysql_free_result(result);
    return status;
}
