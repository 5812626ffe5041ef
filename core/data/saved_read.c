/* saved_read.c: reads a file of lists. See saved.h. */
#include <stdio.h>
#include <string.h>

#include "core/base/date.h"
#include "core/base/hash.h"
#include "core/data/saved.h"

struct reading {
    char *at;
    char *end;
    unsigned line;
    unsigned known; /* bits of the kinds that came already */
    bool in_kind;
    enum kind kind;
    size_t columns;
    size_t field[STORAGE_FIELDS_MAX]; /* that a column is */
    saved_each *each;
    void *context;
    const char *why;
};

static bool refuse(struct reading *r, const char *why)
{
    r->why = why;
    return false;
}

/* Takes the next line, without its end. False: there is none, or it has no end. */
static bool next_line(struct reading *r, char **line, size_t *size)
{
    char *end = r->at < r->end ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;
    if (end == NULL)
        return false;
    *line = r->at;
    *size = (size_t)(end - r->at);
    r->at = end + 1;
    r->line++;
    return true;
}

/* One piece of a line; `last`: the line ends behind it. */
struct piece {
    char *data;
    size_t size;
    bool last;
};

static struct piece next_piece(char **at, const char *end)
{
    char *tab = *at < end ? memchr(*at, '\t', (size_t)(end - *at)) : NULL;
    struct piece p = {*at, (size_t)((tab != NULL ? tab : end) - *at), tab == NULL};
    *at = tab != NULL ? tab + 1 : *at + p.size;
    return p;
}

static struct text text_in(const struct piece *p)
{
    return (struct text){p->data, p->size};
}

/* In place. False: what stands there is no escape, or too long. Bytes that are no UTF-8 are let through, as
 * from a store: who takes the record looks at them anyway, and one comment must not cost all lists. */
static bool unescape(struct piece *p, size_t most)
{
    size_t to = 0;
    for (size_t i = 0; i < p->size; i++) {
        char c = p->data[i];
        if (c == '\\') {
            char next = ++i < p->size ? p->data[i] : '\0';
            if (next != '\\' && next != 't' && next != 'n' && next != '0')
                return false;
            c = next == 't' ? '\t' : next == 'n' ? '\n' : next == '0' ? '\0' : '\\';
        }
        p->data[to++] = c;
    }
    p->size = to;
    return to <= most;
}

/* --- Lines -------------------------------------------------------------------------------------- */

static bool find_kind(struct text name, enum kind *kind)
{
    static const enum kind kinds[] = {KIND_DOMAIN, KIND_MYNETWORK, KIND_POLICY, KIND_WHITELIST,
                                      KIND_BLACKLIST};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        *kind = kinds[i];
        if (text_equal(name, text_of(record_kinds[*kind].name)))
            return true;
    }
    return false;
}

static bool find_field(struct reading *r, struct text name, size_t *field)
{
    const struct storage_kind *k = &record_kinds[r->kind];
    for (*field = 0; *field < k->fields_count; (*field)++) {
        if (text_equal(name, text_of(k->fields[*field].name)))
            break;
    }
    for (size_t i = 0; i < r->columns; i++) {
        if (r->field[i] == *field)
            return false;
    }
    return *field < k->fields_count;
}

/* A kind and its columns. What an older version did not have is not set; of what a later one has, nobody
 * here knows what it means. */
static bool read_kind(struct reading *r, char *at, const char *end)
{
    struct piece p = next_piece(&at, end);
    if (!find_kind(text_in(&p), &r->kind) || (r->known & 1u << r->kind) != 0)
        return refuse(r, "a kind that is not known here, or twice");
    r->known |= 1u << r->kind;
    r->in_kind = true;
    r->columns = 0;
    while (!p.last) {
        size_t field;
        p = next_piece(&at, end);
        if (r->columns == STORAGE_FIELDS_MAX || !find_field(r, text_in(&p), &field))
            return refuse(r, "a field that is not known here, or twice");
        r->field[r->columns++] = field;
    }
    return true;
}

static bool read_number(struct text t, int64_t *number)
{
    *number = INT64_MIN; /* the one that text_number does not know */
    return text_equal(t, TEXT("-9223372036854775808")) || text_number(t, number);
}

static bool read_value(struct reading *r, struct piece *p, enum storage_type type,
                       struct storage_value *v)
{
    *v = (struct storage_value){.type = STORAGE_NULL};
    if (p->size == 0)
        return true;
    bool is_text = p->data[0] == '=';
    if ((!is_text && p->data[0] != '#') || is_text != (type == STORAGE_TEXT) ||
        type == STORAGE_REAL)
        return refuse(r, "a value of another type");
    p->data++;
    p->size--;
    v->type = type;
    if (!is_text)
        return read_number(text_in(p), &v->integer) || refuse(r, "a number that is none");
    if (!unescape(p, STORAGE_VALUE_MAX))
        return refuse(r, "a text that is none");
    v->text = (struct storage_text){p->data, p->size};
    return true;
}

static bool read_record(struct reading *r, char *at, const char *end)
{
    char id[STORAGE_ID_MAX + 1];
    struct storage_value values[STORAGE_FIELDS_MAX];
    const struct storage_kind *k = &record_kinds[r->kind];
    struct piece p = next_piece(&at, end);
    if (!r->in_kind)
        return refuse(r, "a record before its kind");
    if (!unescape(&p, STORAGE_ID_MAX) || p.size == 0 || !text_is_printable(text_in(&p)))
        return refuse(r, "an id that is none");
    memcpy(id, p.data, p.size);
    id[p.size] = '\0';
    memset(values, 0, k->fields_count * sizeof(*values));
    for (size_t i = 0; i < r->columns; i++) {
        size_t field = r->field[i];
        if (p.last)
            return refuse(r, "a record with too few values");
        p = next_piece(&at, end);
        if (!read_value(r, &p, k->fields[field].type, &values[field]))
            return false;
    }
    if (!p.last)
        return refuse(r, "a record with too many values");
    const struct storage_record record = {.id = id, .version = 1, .values = values};
    return r->each(r->context, r->kind, &record) || refuse(r, "out of memory");
}

/* --- The whole file ----------------------------------------------------------------------------- */

/* Looks at the last line before any other: what was cut or changed is not read at all. */
static bool check_end(struct reading *r, const char *body, int64_t *records)
{
    uint8_t hash[HASH_KEY_SIZE];
    char wanted[SAVED_HASH_TEXT];
    char *last = r->end;
    if (last == r->at || last[-1] != '\n')
        return refuse(r, "it is cut off");
    for (last--; last > body && last[-1] != '\n';)
        last--;
    char *at = last;
    const char *end = r->end - 1;
    struct piece word = next_piece(&at, end);
    struct piece count = next_piece(&at, end);
    struct piece found = next_piece(&at, end);
    if (!text_equal(text_in(&word), TEXT("end")) || word.last || count.last || !found.last ||
        !text_number(text_in(&count), records))
        return refuse(r, "it is cut off");
    hash_key(body, (size_t)(found.data - body), hash);
    saved_write_hash(wanted, hash);
    if (!text_equal(text_in(&found), text_of(wanted)))
        return refuse(r, "it was changed or is damaged");
    r->end = last;
    return true;
}

static bool read_head(struct reading *r, const char *store, int64_t *time)
{
    char head[128];
    struct writer w = writer_on(head, sizeof(head));
    char *line;
    size_t size;
    saved_write_head(&w, store);
    size_t first = sizeof("mongrey lists 1\n") - 1;
    size_t all = (size_t)(w.at - w.start);
    if ((size_t)(r->end - r->at) < all || memcmp(r->at, head, first) != 0)
        return refuse(r, "it is no file of lists that this version knows");
    if (memcmp(r->at, head, all) != 0)
        return refuse(r, "it is of another store");
    r->at += all;
    r->line = 2;
    if (!next_line(r, &line, &size) || size < 5 || memcmp(line, "time\t", 5) != 0 ||
        !date_parse((struct text){line + 5, size - 5}, time))
        return refuse(r, "there is no time in it");
    return true;
}

static bool read_lines(struct reading *r, int64_t records)
{
    static const struct text kind = {"kind\t", 5};
    static const struct text record = {"record\t", 7};
    char *line;
    size_t size;
    while (next_line(r, &line, &size)) {
        bool fine;
        if (size > kind.size && memcmp(line, kind.data, kind.size) == 0)
            fine = read_kind(r, line + kind.size, line + size);
        else if (size > record.size && memcmp(line, record.data, record.size) == 0 && records-- > 0)
            fine = read_record(r, line + record.size, line + size);
        else
            return refuse(r, "a line that does not belong there");
        if (!fine)
            return false;
    }
    return (r->at == r->end && records == 0) || refuse(r, "records are missing");
}

bool saved_read(char *memory, size_t size, const char *store, saved_each *each, void *context,
                int64_t *time, char *why, size_t why_size)
{
    struct reading r = {
        .at = memory, .end = memory + size, .each = each, .context = context, .why = ""};
    int64_t records = 0;
    bool fine = read_head(&r, store, time);
    unsigned line = r.line;
    if (fine && check_end(&r, r.at, &records)) {
        fine = read_lines(&r, records);
        line = r.line;
    } else {
        fine = false;
    }
    if (!fine && line > 3)
        snprintf(why, why_size, "line %u: %s", line, r.why);
    else if (!fine)
        snprintf(why, why_size, "%s", r.why);
    return fine;
}
