/* record.c: see record.h. Each field of each kind has its maker in a table. */
#include "core/data/record.h"

#include <stdio.h>
#include <string.h>

#include "core/base/date.h"
#include "core/data/record_make.h"

bool record_refuse(struct making *m, size_t field, const char *format, ...)
{
    char *text = m->fault->text;
    size_t size = sizeof(m->fault->text);
    m->fault->field = field;
    int length = snprintf(text, size, "%s: ", record_field_name(m->kind, field));
    va_list list;
    va_start(list, format);
    vsnprintf(text + length, size - (size_t)length, format, list);
    va_end(list);
    return false;
}

bool record_refuse_value(struct making *m, size_t field, const char *what)
{
    char shown[128];
    struct writer w = writer_on(shown, sizeof(shown));
    write_escaped(&w, m->written[field], "", 100);
    return record_refuse(m, field, "`%s` %s", writer_end(&w), what);
}

bool record_put_text(struct making *m, size_t field, struct text t)
{
    const char *copy = arena_copy(m->arena, t);
    if (copy == NULL)
        return record_refuse(m, field, "out of memory");
    m->values[field] = (struct storage_value){.type = STORAGE_TEXT, .text = {copy, t.size}};
    return true;
}

bool record_put_integer(struct making *m, size_t field, int64_t number)
{
    m->values[field] = (struct storage_value){.type = STORAGE_INTEGER, .integer = number};
    return true;
}

static bool put_time(struct making *m, size_t field, int64_t time)
{
    m->values[field] = (struct storage_value){.type = STORAGE_TIME, .integer = time};
    return true;
}

static bool is_given(const struct making *m, size_t field)
{
    return m->written[field].data != NULL;
}

/* --- Fields that several kinds have ------------------------------------------------------------- */

/* One line, not empty, that shows what it is. */
bool record_make_name(struct making *m, size_t field)
{
    struct text t = text_trim(m->written[field]);
    if (t.size == 0)
        return record_refuse(m, field, "is missing");
    if (t.size > RECORD_NAME_MAX)
        return record_refuse_value(m, field, "is longer than 255 bytes");
    if (!text_is_printable(t))
        return record_refuse_value(m, field, "has characters that cannot be printed");
    return record_put_text(m, field, t);
}

/* Any text, several lines of it too. */
bool record_make_comments(struct making *m, size_t field)
{
    struct text t = m->written[field];
    size_t characters = 0;
    if (!is_given(m, field))
        return true;
    for (size_t i = 0; i < t.size; characters++) {
        uint32_t code = 0;
        size_t length = text_utf8(t.data + i, t.size - i, &code);
        if (length == 0 || code == 0)
            return record_refuse_value(m, field, "is not UTF-8 text");
        i += length;
    }
    if (characters > RECORD_COMMENTS_MAX)
        return record_refuse(m, field, "has %zu characters; at most %d are kept", characters,
                             RECORD_COMMENTS_MAX);
    return record_put_text(m, field, t);
}

static bool make_line(struct making *m, size_t field, size_t most)
{
    struct text t = m->written[field];
    if (!is_given(m, field))
        return true;
    if (t.size > most)
        return record_refuse(m, field, "is longer than %zu bytes", most);
    if (!text_is_printable(t))
        return record_refuse_value(m, field, "has characters that cannot be printed");
    return record_put_text(m, field, t);
}

bool record_make_source(struct making *m, size_t field)
{
    return make_line(m, field, RECORD_SOURCE_MAX);
}

bool record_make_short(struct making *m, size_t field)
{
    return make_line(m, field, RECORD_NAME_MAX);
}

static bool make_time(struct making *m, size_t field)
{
    int64_t time;
    if (!date_parse(text_trim(m->written[field]), &time))
        return record_refuse_value(m, field, "is not a time such as 2026-01-31T12:00:00Z");
    return put_time(m, field, time);
}

bool record_make_created(struct making *m, size_t field)
{
    return is_given(m, field) ? make_time(m, field)
                              : put_time(m, field, m->now < 0 ? 0 : m->now - m->now % 1000);
}

bool record_make_expires(struct making *m, size_t field)
{
    return !is_given(m, field) || make_time(m, field);
}

bool record_make_true(struct making *m, size_t field)
{
    bool truth = true;
    if (is_given(m, field) && !text_bool(text_trim(m->written[field]), &truth))
        return record_refuse_value(m, field, "is neither true nor false");
    return record_put_integer(m, field, truth ? 1 : 0);
}

/* --- The kinds ---------------------------------------------------------------------------------- */

static const struct record_row domain_rows[] = {
    [DOMAIN_name] = {record_make_domain, 0},
    [DOMAIN_comments] = {record_make_comments, 0},
    [DOMAIN_source] = {record_make_source, 0},
    [DOMAIN_created] = {record_make_created, RECORD_BARE},
};

static const struct record_row mailbox_rows[] = {
    [MAILBOX_name] = {record_make_mailbox, 0},
    [MAILBOX_comments] = {record_make_comments, 0},
    [MAILBOX_source] = {record_make_source, 0},
    [MAILBOX_created] = {record_make_created, RECORD_BARE},
};

static const struct record_row mynetwork_rows[] = {
    [MYNETWORK_value] = {record_make_network, 0},
    [MYNETWORK_comments] = {record_make_comments, 0},
    [MYNETWORK_source] = {record_make_source, 0},
    [MYNETWORK_created] = {record_make_created, RECORD_BARE},
};

static const struct record_row entry_rows[] = {
    [ENTRY_slug] = {record_make_slug, 0},
    [ENTRY_field_name] = {record_make_field, 0},
    [ENTRY_value] = {record_make_value, 0},
    [ENTRY_guard] = {record_make_guard, 0},
    [ENTRY_enforce] = {record_make_true, RECORD_BARE | RECORD_TRUTH},
    [ENTRY_expires] = {record_make_expires, RECORD_BARE},
    [ENTRY_source] = {record_make_source, 0},
    [ENTRY_created] = {record_make_created, RECORD_BARE},
    [ENTRY_comments] = {record_make_comments, 0},
};

static const struct record_row policy_rows[] = {
    [POLICY_name] = {record_make_name, 0},
    [POLICY_field_name] = {record_make_field, 0},
    [POLICY_value] = {record_make_value, 0},
    [POLICY_priority] = {record_make_priority, RECORD_BARE},
    [POLICY_enforce] = {record_make_true, RECORD_BARE | RECORD_TRUTH},
    [POLICY_expires] = {record_make_expires, RECORD_BARE},
    [POLICY_states] = {record_make_states, RECORD_LIST},
    [POLICY_source] = {record_make_source, 0},
    [POLICY_created] = {record_make_created, RECORD_BARE},
    [POLICY_comments] = {record_make_comments, 0},
#define RULE_BOOL RECORD_BARE
#define RULE_NUMBER RECORD_BARE
#define RULE_DURATION 0
#define RULE_WORD 0
#define RULE_TEXT 0
#define RULE_TEMPLATE 0
#define RULE_TEXTS RECORD_LIST
#define SETTING(...)
#define RULE(type, member, ...) [POLICY_##member] = {record_make_rule, RULE_##type},
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
};

static const struct record_row pool_rows[] = {
    [POOL_name] = {record_make_name, 0},
    [POOL_networks] = {record_make_networks, RECORD_LIST},
    [POOL_domains] = {record_make_domains, RECORD_LIST},
    [POOL_source] = {record_make_source, 0},
    [POOL_created] = {record_make_created, RECORD_BARE},
    [POOL_comments] = {record_make_comments, 0},
};

static const struct record_row user_rows[] = {
    [USER_username] = {record_make_name, 0},
    [USER_email] = {record_make_short, 0},
    [USER_password] = {record_make_short, 0},
    [USER_api_key] = {record_make_short, 0},
    [USER_role] = {record_make_role, 0},
    [USER_domains] = {record_make_domains, RECORD_LIST},
    [USER_active] = {record_make_true, RECORD_BARE | RECORD_TRUTH},
    [USER_created] = {record_make_created, RECORD_BARE},
};

static const struct record_row *const kind_rows[KINDS] = {
    [KIND_DOMAIN] = domain_rows,       [KIND_MAILBOX] = mailbox_rows, [KIND_POLICY] = policy_rows,
    [KIND_MYNETWORK] = mynetwork_rows, [KIND_WHITELIST] = entry_rows, [KIND_BLACKLIST] = entry_rows,
    [KIND_POOL] = pool_rows,           [KIND_USER] = user_rows,
};

size_t record_fields(enum kind kind)
{
    return record_kinds[kind].fields_count;
}

const char *record_field_name(enum kind kind, size_t field)
{
    return record_kinds[kind].fields[field].name;
}

bool record_find_field(enum kind kind, struct text name, size_t *field)
{
    for (*field = 0; *field < record_fields(kind); (*field)++) {
        if (text_equal(name, text_of(record_field_name(kind, *field))))
            return true;
    }
    return false;
}

bool record_is_list(enum kind kind, size_t field)
{
    return (kind_rows[kind][field].flags & RECORD_LIST) != 0;
}

bool record_is_bare(enum kind kind, size_t field)
{
    return (kind_rows[kind][field].flags & RECORD_BARE) != 0;
}

bool record_make(enum kind kind, const struct text *written, int64_t now, struct arena *arena,
                 struct storage_value *values, struct record_fault *fault)
{
    struct making m = {kind, written, now, arena, values, fault};
    size_t count = record_fields(kind);
    memset(values, 0, count * sizeof(*values));
    /* A slug is made of what comes behind it. */
    for (size_t i = 1; i <= count; i++) {
        if (!kind_rows[kind][i % count].make(&m, i % count))
            return false;
    }
    return kind != KIND_POLICY || record_check_rules(&m);
}

void record_write(struct writer *w, enum kind kind, size_t field, const struct storage_value *value)
{
    if (value->type == STORAGE_TEXT)
        write_bytes(w, value->text.data, value->text.size);
    else if (value->type == STORAGE_TIME)
        date_write(w, value->integer);
    else if (value->type == STORAGE_INTEGER && (kind_rows[kind][field].flags & RECORD_TRUTH) != 0)
        write_literal(w, value->integer != 0 ? "true" : "false");
    else if (value->type == STORAGE_INTEGER)
        write_number(w, value->integer);
}

void record_write_content(struct writer *w, enum kind kind, const struct storage_value *values)
{
    const char *blank = "";
    for (size_t i = 1; i < record_fields(kind); i++) {
        if (values[i].type == STORAGE_NULL || kind_rows[kind][i].make == record_make_created)
            continue;
        write_format(w, "%s%s=", blank, record_field_name(kind, i));
        blank = " ";
        if (values[i].type == STORAGE_TEXT)
            write_escaped(w, (struct text){values[i].text.data, values[i].text.size}, " ",
                          STORAGE_VALUE_MAX);
        else
            record_write(w, kind, i, &values[i]);
    }
}
