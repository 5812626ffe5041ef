/* settings_value.c: the types of settings: reading a value, and writing it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/endpoint.h"
#include "core/base/url.h"
#include "core/policy/settings_table.h"
#include "core/policy/template.h"
#include "core/policy/value.h"

#define TEXT_SETTING_MAX 4096

static bool refuse(char *why, size_t size, const char *what, struct text value)
{
    struct writer w = writer_on(why, size);
    write_literal(&w, "`");
    write_escaped(&w, value, "", 80);
    write_literal(&w, "` ");
    write_literal(&w, what);
    writer_end(&w);
    return false;
}

static void *member(struct settings *s, enum setting which)
{
    return (char *)s + setting_rows[which].offset;
}

static const void *member_const(const struct settings *s, enum setting which)
{
    return (const char *)s + setting_rows[which].offset;
}

/* What a NUMBER, DURATION or SIZE may be, in the reader's own unit. */
static bool set_amount(const struct setting_row *row, struct text value, int64_t *out, char *why,
                       size_t size)
{
    bool read = row->type == TYPE_DURATION ? text_duration(value, out)
                : row->type == TYPE_SIZE   ? text_size(value, out)
                                           : text_number(value, out);
    if (!read) {
        return refuse(why, size,
                      row->type == TYPE_DURATION ? "is not a duration such as 20, 90s, 5m or 35d"
                      : row->type == TYPE_SIZE   ? "is not a size such as 65536 or 64MiB"
                                                 : "is not a whole number",
                      value);
    }
    if (*out >= row->least && *out <= row->most)
        return true;
    char range[96];
    int64_t unit = row->type == TYPE_DURATION ? 1000 : 1;
    snprintf(range, sizeof(range), "is not between %g and %lld%s",
             (double)row->least / (double)unit, (long long)(row->most / unit),
             row->type == TYPE_DURATION ? " seconds" : "");
    return refuse(why, size, range, value);
}

static bool set_word(const struct setting_row *row, struct text value, int64_t *out, char *why,
                     size_t size)
{
    struct text rest = text_of(row->words);
    struct text word;
    for (int64_t i = 0; text_split(&rest, '|', &word); i++) {
        if (text_equal_fold(value, word)) {
            *out = i;
            return true;
        }
    }
    char what[160];
    snprintf(what, sizeof(what), "is none of %s", row->words);
    return refuse(why, size, what, value);
}

/* Whether Postfix may be told this. OK, RELAY and bare numbers would let mail past every later
 * restriction, an empty action and an unknown word would be a fault in Postfix's eyes. */
static const char *action_fault(struct text value)
{
    static const char *const alone[] = {
        "DUNNO", "DEFER", "DEFER_IF_PERMIT", "DEFER_IF_REJECT", "REJECT", "WARN",
        "INFO",  "HOLD",  "DISCARD"};
    struct text rest = value;
    struct text word;
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < ' ' || c > '~')
            return "must be one line of printable ASCII";
    }
    if (value.size > 400)
        return "is longer than 400 bytes";
    if (value.size == 0)
        return "is empty";
    text_split(&rest, ' ', &word);
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (text_equal_fold(word, text_of(alone[i])))
            return NULL;
    }
    bool code = word.size == 3 && (word.data[0] == '4' || word.data[0] == '5') &&
                word.data[1] >= '0' && word.data[1] <= '9' && word.data[2] >= '0' &&
                word.data[2] <= '9';
    if (code && text_trim(rest).size > 0)
        return NULL;
    return "is no action such as DUNNO, DEFER_IF_PERMIT or `451 4.3.5 text`";
}

static void put_one(void *context, enum template_value which, struct writer *w)
{
    (void)context;
    (void)which;
    write_literal(w, "1");
}

/* What a request may lack is empty, and what is always there is longer than one digit. */
static void put_least(void *context, enum template_value which, struct writer *w)
{
    static const bool lacking[TEMPLATE_VALUES] = {
        [TEMPLATE_VALUE] = true,   [TEMPLATE_CLIENT_NAME] = true,
        [TEMPLATE_SENDER] = true,  [TEMPLATE_RECIPIENT] = true,
        [TEMPLATE_COUNTRY] = true, [TEMPLATE_RECIPIENT_DOMAIN] = true,
        [TEMPLATE_URL] = true,
    };
    (void)context;
    write_literal(w, lacking[which] ? "" : "12");
}

static const char *sample_fault(struct text value,
                                void (*put)(void *, enum template_value, struct writer *))
{
    char memory[512];
    struct writer w = writer_on(memory, sizeof(memory));
    template_write(&w, value, put, NULL);
    struct text sample = writer_text(&w);
    if (sample.size > 8 && memcmp(sample.data, "PREPEND ", 8) == 0) {
        const char *colon = memchr(sample.data + 8, ':', sample.size - 8);
        return colon != NULL && colon > sample.data + 8 &&
                       memchr(sample.data + 8, ' ', (size_t)(colon - sample.data) - 8) == NULL
                   ? NULL
                   : "has no header such as `PREPEND X-Greylist: text`";
    }
    return action_fault(sample);
}

/* A template is an action with any values in it, PREPEND with a header among them. Also with empty
 * ones: `554 %(country)s` would then be a number, which Postfix takes for OK. */
static const char *reply_fault(struct text value)
{
    const char *fault = template_fault(value);
    if (fault == NULL && value.size > 400)
        fault = "is longer than 400 bytes";
    if (fault == NULL)
        fault = sample_fault(value, put_one);
    return fault != NULL ? fault : sample_fault(value, put_least);
}

static const char *text_fault(struct text value)
{
    if (value.size > TEXT_SETTING_MAX)
        return "is longer than 4096 bytes";
    return text_is_printable(value) ? NULL : "has characters that cannot be printed";
}

static bool set_text(struct settings *s, const struct setting_row *row, struct text value,
                     struct text *out, char *why, size_t size)
{
    const char *fault = row->type == TYPE_ACTION     ? action_fault(value)
                        : row->type == TYPE_TEMPLATE ? reply_fault(value)
                                                     : text_fault(value);
    if (fault != NULL && row->type == TYPE_URL) {
        snprintf(why, size, "the URL %s", fault); /* never quoted: it may hold a password */
        return false;
    }
    if (fault != NULL)
        return refuse(why, size, fault, value);
    if (row->type == TYPE_URL && value.size > 0 && memchr(value.data, ':', value.size) != NULL) {
        struct arena scratch = arena_make(64 * 1024);
        struct url url;
        bool fine = url_parse(&scratch, value, &url, &fault);
        arena_free(&scratch);
        if (!fine) {
            snprintf(why, size, "the URL %s", fault); /* never quoted: it may hold a password */
            return false;
        }
    }
    const char *copy = arena_copy(&s->arena, value);
    snprintf(why, size, "out of memory");
    *out = (struct text){copy, value.size};
    return copy != NULL;
}

/* A recipient, in the form in which recipients are compared. */
static bool set_recipient(struct settings *s, struct text written, struct text *slot, char *why,
                          size_t size)
{
    char memory[VALUE_MAX];
    char fault[VALUE_WHY_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct value value;
    if (!value_parse(FIELD_RECIPIENT, written, &s->arena, &value, fault, sizeof(fault)))
        return refuse(why, size, fault, written);
    if (value.kind == VALUE_PATTERN)
        return refuse(why, size, "is a pattern, which is not taken here", written);
    value_write(&w, &value);
    const char *copy = arena_copy(&s->arena, writer_text(&w));
    snprintf(why, size, "out of memory");
    *slot = (struct text){copy, (size_t)(w.at - w.start)};
    return copy != NULL;
}

/* Reads one item of a list type into `slot`. */
static bool set_item(struct settings *s, const struct setting_row *row, struct text value,
                     void *slot, char *why, size_t size)
{
    const char *fault = NULL;
    struct endpoint endpoint;
    if (row->type == TYPE_NETWORKS)
        return network_parse(value, slot, &fault) || refuse(why, size, fault, value);
    if (row == &setting_rows[SETTING_recipients_exempt])
        return set_recipient(s, value, slot, why, size);
    if (row->type == TYPE_ENDPOINTS && !endpoint_parse(value, &endpoint, &fault))
        return refuse(why, size, fault, value);
    return set_text(s, row, value, slot, why, size);
}

static size_t item_size(const struct setting_row *row)
{
    return row->type == TYPE_NETWORKS ? sizeof(struct network) : sizeof(struct text);
}

static bool list_store(struct settings *s, enum setting which, char *items, size_t count, char *why,
                       size_t size)
{
    if (which == SETTING_host && count == 0) {
        snprintf(why, size, "needs at least one address");
        return false;
    }
    struct settings_list list = {(struct text *)(void *)items, count};
    struct settings_networks networks = {(struct network *)(void *)items, count};
    if (setting_rows[which].type == TYPE_NETWORKS)
        memcpy(member(s, which), &networks, sizeof(networks));
    else
        memcpy(member(s, which), &list, sizeof(list));
    return true;
}

static bool set_comma_list(struct settings *s, enum setting which, struct text value, char *why,
                           size_t size)
{
    const struct setting_row *row = &setting_rows[which];
    size_t most = 1;
    for (size_t i = 0; i < value.size; i++)
        most += value.data[i] == ',';
    char *items = arena_take(&s->arena, most * item_size(row));
    size_t count = 0;
    struct text rest = value;
    struct text part;
    snprintf(why, size, "out of memory");
    while (items != NULL && text_split(&rest, ',', &part)) {
        part = text_trim(part);
        if (part.size == 0)
            continue;
        if (!set_item(s, row, part, items + count * item_size(row), why, size))
            return false;
        count++;
    }
    return items != NULL && list_store(s, which, items, count, why, size);
}

bool setting_set_list(struct settings *s, enum setting which, const struct yaml_node *list,
                      unsigned *line, char *why, size_t size)
{
    const struct setting_row *row = &setting_rows[which];
    size_t count = 0;
    *line = list->line;
    for (const struct yaml_node *n = list->child; n != NULL; n = n->next)
        count++;
    char *items = arena_take(&s->arena, (count + 1) * item_size(row));
    count = 0;
    snprintf(why, size, "out of memory");
    for (const struct yaml_node *n = list->child; items != NULL && n != NULL; n = n->next) {
        if (n->type != YAML_SCALAR) {
            snprintf(why, size, "must be a plain value");
            *line = n->line;
            return false;
        }
        if (!set_item(s, row, text_trim(n->scalar), items + count * item_size(row), why, size)) {
            *line = n->line;
            return false;
        }
        count++;
    }
    return items != NULL && list_store(s, which, items, count, why, size);
}

bool setting_set(struct settings *s, enum setting which, struct text value, char *why, size_t size)
{
    const struct setting_row *row = &setting_rows[which];
    value = text_trim(value);
    switch (row->type) {
    case TYPE_BOOL:
        return text_bool(value, member(s, which)) ||
               refuse(why, size, "is neither true nor false", value);
    case TYPE_NUMBER:
    case TYPE_DURATION:
    case TYPE_SIZE:
        return set_amount(row, value, member(s, which), why, size);
    case TYPE_WORD:
        return set_word(row, value, member(s, which), why, size);
    case TYPE_TEXT:
    case TYPE_ACTION:
    case TYPE_TEMPLATE:
    case TYPE_URL:
        return set_text(s, row, value, member(s, which), why, size);
    default:
        return set_comma_list(s, which, value, why, size);
    }
}

static void write_duration(struct writer *w, int64_t ms)
{
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    for (size_t i = 0; i < 5; i++) {
        if (ms % units[i].factor == 0 && (ms >= units[i].factor || i == 4)) {
            write_number(w, ms / units[i].factor);
            write_literal(w, units[i].name);
            return;
        }
    }
}

/* In single quotes, as YAML has them: a quote inside is doubled. */
static void write_quoted(struct writer *w, struct text t)
{
    write_literal(w, "'");
    for (size_t i = 0; i < t.size; i++)
        write_bytes(w, t.data[i] == '\'' ? "''" : t.data + i, t.data[i] == '\'' ? 2 : 1);
    write_literal(w, "'");
}

static void write_word(struct writer *w, const struct setting_row *row, int64_t number)
{
    struct text rest = text_of(row->words);
    struct text word = {"", 0};
    for (int64_t i = 0; i <= number && text_split(&rest, '|', &word); i++)
        ;
    write_text(w, word);
}

size_t setting_items(const struct settings *s, enum setting which)
{
    const struct settings_list *texts = member_const(s, which);
    const struct settings_networks *networks = member_const(s, which);
    if (setting_rows[which].type < TYPE_ENDPOINTS)
        return 0;
    return setting_rows[which].type == TYPE_NETWORKS ? networks->count : texts->count;
}

void setting_write_item(struct writer *w, const struct settings *s, enum setting which, size_t item)
{
    const struct settings_list *texts = member_const(s, which);
    const struct settings_networks *networks = member_const(s, which);
    char piece[NETWORK_TEXT_MAX];
    struct writer p = writer_on(piece, sizeof(piece));
    if (setting_rows[which].type != TYPE_NETWORKS) {
        write_quoted(w, texts->items[item]);
        return;
    }
    network_write(&p, &networks->items[item]);
    write_quoted(w, writer_text(&p));
}

static void write_list(struct writer *w, const struct settings *s, enum setting which)
{
    write_literal(w, "[");
    for (size_t i = 0; i < setting_items(s, which); i++) {
        write_literal(w, i > 0 ? ", " : "");
        setting_write_item(w, s, which, i);
    }
    write_literal(w, "]");
}

void setting_write(struct writer *w, const struct settings *s, enum setting which)
{
    const struct setting_row *row = &setting_rows[which];
    char masked[URL_MAX + 64];
    struct writer m = writer_on(masked, sizeof(masked));
    const int64_t *number = member_const(s, which);
    const struct text *t = member_const(s, which);
    switch (row->type) {
    case TYPE_BOOL:
        write_literal(w, *(const bool *)member_const(s, which) ? "true" : "false");
        return;
    case TYPE_DURATION:
        write_duration(w, *number);
        return;
    case TYPE_NUMBER:
    case TYPE_SIZE:
        write_number(w, *number);
        return;
    case TYPE_WORD:
        write_word(w, row, *number);
        return;
    case TYPE_URL:
        if (t->size == 0 || memchr(t->data, ':', t->size) == NULL)
            write_quoted(w, *t);
        else {
            url_write_masked(&m, *t);
            write_quoted(w, writer_text(&m));
        }
        return;
    case TYPE_TEXT:
    case TYPE_ACTION:
    case TYPE_TEMPLATE:
        write_quoted(w, *t);
        return;
    default:
        write_list(w, s, which);
    }
}
