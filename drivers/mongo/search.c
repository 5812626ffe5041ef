/* search.c: a page of records, or of entries. A page begins behind the last record of the one before
 * (keyset), so that pages stay quick however many there are, and nobody is shown twice. */
#include <string.h>

#include "drivers/mongo/mongo.h"

#define PATTERN_MAX 32000 /* bytes of a regular expression; servers take few more */
#define LONG_TEXT 250     /* bytes: each letter takes four in the plain form */
#define PAGE_MAX 100000   /* documents that one reply may be asked to hold */

struct search {
    const struct storage_query *query;
    const struct storage_kind *kind;
    bson_t filter;
    bson_t all; /* the conditions: elements of its $and */
    uint32_t conditions;
    storage_each *each;
    void *context;
};

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
        if (text_only && c->value.text.size * 6 > PATTERN_MAX)
            return "a text to search for that is too long";
    }
    return NULL;
}

/* LT and GT find nothing by NULL. */
static bool finds_nothing(const struct storage_query *q)
{
    for (size_t i = 0; i < q->conditions_count; i++) {
        const struct storage_condition *c = &q->conditions[i];
        if (c->value.type == STORAGE_NULL && c->relation != STORAGE_EQ)
            return true;
    }
    return false;
}

/* --- The question ----------------------------------------------------------------------------- */

struct pattern {
    char text[PATTERN_MAX + 64];
    size_t size;
};

static void put(struct pattern *p, const char *text)
{
    for (; *text != '\0' && p->size + 1 < sizeof(p->text); text++)
        p->text[p->size++] = *text;
    p->text[p->size] = '\0';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static void put_byte(struct pattern *p, char byte, bool both_cases)
{
    char text[5] = {byte, '\0'};
    if (is_letter(byte) && both_cases)
        memcpy(text, (char[]){'[', (char)(byte | 0x20), (char)(byte & ~0x20), ']', '\0'}, 5);
    else if (byte != '\0' && strchr("\\^$.[]|()?*+{}-/#", byte) != NULL)
        memcpy(text, (char[]){'\\', byte, '\0'}, 3);
    put(p, text);
}

/* Letters that have a sister beyond ASCII (the Kelvin sign, the long s), and what is beyond it. */
static bool must_be_exact(char byte)
{
    return (byte & 0x80) != 0 || strchr("kKsS", byte) != NULL;
}

/* The text as a pattern that stands for itself, ASCII letters in both cases. The option "i" would take other
 * letters alike too; in long texts it is used for those that it does no harm to, since DocumentDB takes about
 * 1300 bytes where there is an index. */
static void make_pattern(const struct storage_condition *c, struct pattern *p)
{
    const struct storage_text *text = &c->value.text;
    bool is_long = text->size > LONG_TEXT;
    bool exact = false;
    p->size = 0;
    put(p, is_long ? "(?i)" : "");
    put(p, c->relation == STORAGE_STARTS ? "^" : "");
    for (size_t i = 0; i < text->size; i++) {
        char byte = text->data[i];
        if (is_long && must_be_exact(byte) != exact)
            put(p, exact ? ")" : "(?-i:");
        exact = is_long && must_be_exact(byte);
        put_byte(p, byte, !is_long || exact);
    }
    put(p, exact ? ")" : "");
}

static void add_comparison(bson_t *element, const char *name, const char *relation,
                           const struct storage_value *value)
{
    bson_t comparison;
    bson_append_document_begin(element, name, -1, &comparison);
    bson_add_value(&comparison, relation, value);
    bson_append_document_end(element, &comparison);
}

static void begin_condition(struct search *s, bson_t *element)
{
    char room[16];
    const char *at;
    bson_append_document_begin(&s->all, array_name(s->conditions++, &at, room), -1, element);
}

static void add_condition(struct search *s, const struct storage_condition *c)
{
    const char *name = s->kind->fields[c->field].name;
    struct pattern pattern;
    bson_t element;
    begin_condition(s, &element);
    switch (c->relation) {
    case STORAGE_EQ: /* NULL: what lacks the field */
        bson_add_value(&element, name, &c->value);
        break;
    case STORAGE_LT:
        add_comparison(&element, name, "$lt", &c->value);
        break;
    case STORAGE_GT:
        add_comparison(&element, name, "$gt", &c->value);
        break;
    default:
        make_pattern(c, &pattern);
        bson_append_regex(&element, name, -1, pattern.text, "");
        break;
    }
    bson_append_document_end(&s->all, &element);
}

static void add_id_behind(const struct search *s, bson_t *element)
{
    struct storage_value id = {.type = STORAGE_TEXT};
    id.text.data = s->query->after_id;
    id.text.size = strlen(s->query->after_id);
    add_comparison(element, "_id", s->query->descending ? "$lt" : "$gt", &id);
}

/* Behind (after_value, after_id); NULL is lower than everything. */
static void add_after(struct search *s)
{
    const struct storage_query *q = s->query;
    struct storage_value null = {.type = STORAGE_NULL};
    bson_t element;
    bson_t either;
    bson_t part;
    begin_condition(s, &element);
    if (q->order == STORAGE_BY_ID) {
        add_id_behind(s, &element);
        bson_append_document_end(&s->all, &element);
        return;
    }
    const char *name = s->kind->fields[q->order].name;
    bool is_null = q->after_value.type == STORAGE_NULL;
    bson_append_array_begin(&element, "$or", -1, &either);
    bson_append_document_begin(&either, "0", -1, &part); /* the same value, another id */
    bson_add_value(&part, name, &q->after_value);
    add_id_behind(s, &part);
    bson_append_document_end(&either, &part);
    if (!is_null || !q->descending) { /* another value */
        bson_append_document_begin(&either, "1", -1, &part);
        if (is_null)
            add_comparison(&part, name, "$ne", &null);
        else
            add_comparison(&part, name, q->descending ? "$lt" : "$gt", &q->after_value);
        bson_append_document_end(&either, &part);
    }
    if (!is_null && q->descending) { /* none */
        bson_append_document_begin(&either, "2", -1, &part);
        bson_add_value(&part, name, &null);
        bson_append_document_end(&either, &part);
    }
    bson_append_array_end(&element, &either);
    bson_append_document_end(&s->all, &element);
}

static void describe(struct search *s, bson_t *options)
{
    const struct storage_query *q = s->query;
    int32_t direction = q->descending ? -1 : 1;
    bson_t sort;
    for (size_t i = 0; i < q->conditions_count; i++)
        add_condition(s, &q->conditions[i]);
    if (q->after_id != NULL)
        add_after(s);
    if (s->conditions > 0)
        bson_append_array(&s->filter, "$and", -1, &s->all);
    bson_append_document_begin(options, "sort", -1, &sort);
    if (q->order != STORAGE_BY_ID)
        bson_append_int32(&sort, s->kind->fields[q->order].name, -1, direction);
    bson_append_int32(&sort, "_id", -1, direction);
    bson_append_document_end(options, &sort);
    if (q->limit <= INT32_MAX)
        bson_append_int64(options, "limit", -1, (int64_t)q->limit);
    /* One reply where it fits (16 MiB): what is read in several is of several moments. */
    bson_append_int32(options, "batchSize", -1,
                      q->limit < PAGE_MAX ? (int32_t)q->limit + 1 : PAGE_MAX);
}

/* --- The answer ------------------------------------------------------------------------------- */

static bool lend_document(void *context, const bson_t *document)
{
    const struct search *s = context;
    struct storage_value values[STORAGE_FIELDS_MAX];
    char id[STORAGE_ID_MAX + 1];
    bson_iter_t iter;
    if (!bson_get_text(document, "_id", id, sizeof(id)))
        return true; /* not of mongrey's making */
    memset(values, 0, sizeof(values));
    for (size_t i = 0; i < s->kind->fields_count; i++) {
        const struct storage_field *field = &s->kind->fields[i];
        if (bson_iter_init_find(&iter, document, field->name))
            bson_take_value(&iter, field->type, &values[i]);
    }
    struct storage_record record = {
        .id = id,
        .version = bson_get_integer(document, "version", 0),
        .values = values,
    };
    return s->each(s->context, &record);
}

enum storage_status mongo_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error)
{
    struct search s = {
        .query = query, .kind = find_kind(session, query->kind), .each = each, .context = context};
    const char *wrong = fault(query, s.kind);
    if (wrong != NULL)
        return mongo_refuse(error, STORAGE_INVALID, "%s", wrong);
    enum storage_status status = session_enter(session, error);
    if (status != STORAGE_OK || finds_nothing(query))
        return status;
    bson_t options = BSON_INITIALIZER;
    bson_init(&s.filter);
    bson_init(&s.all);
    describe(&s, &options);
    struct finding finding = {.collection = kind_collection(s.kind),
                              .filter = &s.filter,
                              .options = &options,
                              .anywhere = true,
                              .each = lend_document,
                              .context = &s};
    status = session_find(session, &finding, error);
    bson_destroy(&s.filter);
    bson_destroy(&s.all);
    bson_destroy(&options);
    return status;
}
