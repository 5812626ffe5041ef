/* record_field.c: the makers of those fields that say what a record is about: values, networks,
 * domains, rules. */
#include <stdio.h>
#include <string.h>

#include "core/data/record_make.h"
#include "core/policy/settings.h"
#include "core/policy/value.h"

#define WHY_SIZE 400 /* what rule_parse and value_parse say */

static bool put_value(struct making *m, size_t field, const char *before, const struct value *value)
{
    char memory[VALUE_MAX + 1];
    struct writer w = writer_on(memory, sizeof(memory));
    write_literal(&w, before);
    value_write(&w, value);
    return record_put_text(m, field, writer_text(&w));
}

/* A domain without anything around it: what a value of a name may be beside. */
static bool plain_domain(struct making *m, struct text written, struct value *value, char *why)
{
    bool around = written.size == 0 || written.data[0] == '.' || written.data[0] == '/' ||
                  text_has(written, "@") || text_has(written, "<");
    if (!around)
        return value_parse(FIELD_CLIENT_NAME, written, m->arena, value, why, WHY_SIZE);
    snprintf(why, WHY_SIZE, "is not a domain such as example.com");
    return false;
}

bool record_make_domain(struct making *m, size_t field)
{
    char why[WHY_SIZE];
    struct text t = text_trim(m->written[field]);
    struct value value;
    if (t.size == 0)
        return record_refuse(m, field, "is missing; it is a domain such as example.com");
    if (!plain_domain(m, t, &value, why))
        return record_refuse_value(m, field, why);
    return put_value(m, field, "", &value);
}

bool record_make_mailbox(struct making *m, size_t field)
{
    char why[WHY_SIZE];
    struct text t = text_trim(m->written[field]);
    struct value value;
    if (t.size == 0)
        return record_refuse(m, field,
                             "is missing; it is an address such as user@example.com, or "
                             "@example.com for all of a domain");
    if (!text_has(t, "@") || t.data[0] == '/' || t.data[t.size - 1] == '@')
        return record_refuse_value(m, field,
                                   "is neither an address such as user@example.com, nor "
                                   "@example.com for all of a domain");
    if (!value_parse(FIELD_RECIPIENT, t, m->arena, &value, why, sizeof(why)))
        return record_refuse_value(m, field, why);
    /* As a value of a recipient the domain would stand alone. */
    bool alone =
        value.kind == VALUE_DOMAIN && value.text.data[0] != '[' && text_has(value.text, ".");
    return put_value(m, field, alone ? "@" : "", &value);
}

bool record_make_network(struct making *m, size_t field)
{
    char why[WHY_SIZE];
    struct text t = text_trim(m->written[field]);
    struct value value;
    if (t.size == 0)
        return record_refuse(m, field, "is missing; it is a network such as 192.0.2.0/24");
    if (!value_parse(FIELD_CLIENT_ADDRESS, t, m->arena, &value, why, sizeof(why)))
        return record_refuse_value(m, field, why);
    return put_value(m, field, "", &value);
}

/* --- Lists and policies ------------------------------------------------------------------------- */

static size_t field_of_name(const struct making *m)
{
    return m->kind == KIND_POLICY ? (size_t)POLICY_field_name : (size_t)ENTRY_field_name;
}

static bool refuse_field(struct making *m, size_t field)
{
    char what[200];
    struct writer w = writer_on(what, sizeof(what));
    write_literal(&w, "is none of");
    for (int i = 0; i < FIELDS; i++) {
        if (i != FIELD_POLICY_CONTEXT || m->kind == KIND_POLICY)
            write_format(&w, "%s %s", i > 0 ? "," : "", field_names[i]);
    }
    return record_refuse_value(m, field, writer_end(&w));
}

bool record_make_field(struct making *m, size_t field)
{
    struct text t = text_trim(m->written[field]);
    enum field found = FIELD_CLIENT_ADDRESS;
    if (m->written[field].data != NULL && !field_find(t, &found))
        return refuse_field(m, field);
    if (found == FIELD_POLICY_CONTEXT && m->kind != KIND_POLICY)
        return refuse_field(m, field);
    return record_put_text(m, field, text_of(field_names[found]));
}

bool record_make_value(struct making *m, size_t field)
{
    char why[WHY_SIZE];
    struct text t = text_trim(m->written[field]);
    const struct storage_text *name = &m->values[field_of_name(m)].text;
    enum field which = FIELD_CLIENT_ADDRESS;
    struct value value;
    if (t.size == 0)
        return record_refuse(m, field, "is missing");
    if (!field_find((struct text){name->data, name->size}, &which) ||
        !value_parse(which, t, m->arena, &value, why, sizeof(why)))
        return record_refuse_value(m, field, why);
    return put_value(m, field, "", &value);
}

bool record_make_slug(struct making *m, size_t field)
{
    char memory[VALUE_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    if (m->written[field].data != NULL)
        return record_refuse(m, field, "is made of field_name and value; leave it out");
    const struct storage_text *name = &m->values[ENTRY_field_name].text;
    const struct storage_text *value = &m->values[ENTRY_value].text;
    write_bytes(&w, name->data, name->size);
    write_literal(&w, ":");
    write_bytes(&w, value->data, value->size);
    return record_put_text(m, field, writer_text(&w));
}

bool record_make_guard(struct making *m, size_t field)
{
    struct text t = text_trim(m->written[field]);
    if (t.size == 0)
        return true;
    return record_refuse_value(m, field,
                               text_equal_fold(t, TEXT("spf"))
                                   ? "is not built yet: it comes with a later version"
                                   : "is no guard; leave it out");
}

bool record_make_priority(struct making *m, size_t field)
{
    int64_t priority = RECORD_PRIORITY;
    if (m->written[field].data != NULL && !text_number(text_trim(m->written[field]), &priority))
        return record_refuse_value(m, field, "is not a whole number");
    if (priority < -RECORD_PRIORITY_MOST || priority > RECORD_PRIORITY_MOST)
        return record_refuse_value(m, field, "is not between -1000000 and 1000000");
    return record_put_integer(m, field, priority);
}

/* In the order in which a session comes through them, each once. */
bool record_make_states(struct making *m, size_t field)
{
    static const char *const names[] = {"CONNECT", "EHLO",           "HELO", "MAIL", "RCPT",
                                        "DATA",    "END-OF-MESSAGE", "VRFY", "ETRN"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    bool asked[COUNT] = {false};
    bool any = false;
    char memory[128];
    struct writer w = writer_on(memory, sizeof(memory));
    struct text rest = m->written[field];
    struct text part;
    while (text_split(&rest, ',', &part)) {
        part = text_trim(part);
        size_t i = 0;
        while (i < COUNT && !text_equal_fold(part, text_of(names[i])))
            i++;
        if (i < COUNT)
            asked[i] = any = true;
        else if (part.size > 0)
            return record_refuse_value(m, field,
                                       "has a state that is none of CONNECT, EHLO, HELO, MAIL, "
                                       "RCPT, DATA, END-OF-MESSAGE, VRFY, ETRN");
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (asked[i])
            write_format(&w, "%s%s", w.at > w.start ? "," : "", names[i]);
    }
    return !any || record_put_text(m, field, writer_text(&w));
}

static enum setting setting_of(size_t field)
{
    return (enum setting)(SETTINGS_FIRST_RULE + (field - POLICY_FIRST_RULE));
}

bool record_make_rule(struct making *m, size_t field)
{
    char memory[8192];
    struct writer w = writer_on(memory, sizeof(memory));
    char why[WHY_SIZE];
    struct rule_value rule;
    if (m->written[field].data == NULL)
        return true;
    if (!rule_parse(setting_of(field), m->written[field], m->arena, &rule, why, sizeof(why)))
        return record_refuse(m, field, "%s", why);
    rule_write(&w, &rule);
    if (w.full)
        return record_refuse(m, field, "is longer than %zu bytes", sizeof(memory));
    return record_put_text(m, field, writer_text(&w));
}

/* The rule's value in ms, or -1 where the policy does not set it. */
static int64_t rule_duration(struct making *m, size_t field)
{
    const struct storage_value *v = &m->values[field];
    char why[WHY_SIZE];
    struct rule_value rule;
    if (v->type != STORAGE_TEXT ||
        !rule_parse(setting_of(field), (struct text){v->text.data, v->text.size}, m->arena, &rule,
                    why, sizeof(why)))
        return -1;
    return rule.as.number;
}

bool record_check_rules(struct making *m)
{
    int64_t window = rule_duration(m, POLICY_greylist_window);
    int64_t remaining = rule_duration(m, POLICY_greylist_remaining);
    if (window < 0 || remaining < 0 || window > remaining)
        return true;
    return record_refuse(m, POLICY_greylist_window,
                         "ends before greylist_remaining does, so that nobody could ever pass; "
                         "make it longer");
}

/* --- Pools and users ---------------------------------------------------------------------------- */

/* Each part of a comma-separated list, made canonical by `one`; empty parts are dropped. */
static bool make_list(struct making *m, size_t field,
                      bool (*one)(struct making *m, struct text part, struct writer *w, char *why))
{
    struct text rest = m->written[field];
    struct text part;
    char why[WHY_SIZE];
    if (rest.size == 0)
        return true;
    /* An A-label may be longer than what was written; five times is more than any. */
    size_t room = rest.size < RECORD_LIST_MAX ? rest.size * 5 + 64 : RECORD_LIST_MAX;
    char *memory = rest.size <= RECORD_LIST_MAX ? arena_take(m->arena, room) : NULL;
    struct writer w = writer_on(memory, memory == NULL ? 0 : room);
    if (memory == NULL)
        return record_refuse(m, field, "is longer than %d bytes", RECORD_LIST_MAX);
    while (text_split(&rest, ',', &part)) {
        part = text_trim(part);
        if (part.size == 0)
            continue;
        if (w.at > w.start)
            write_literal(&w, ",");
        if (!one(m, part, &w, why)) {
            char shown[128];
            struct writer s = writer_on(shown, sizeof(shown));
            write_escaped(&s, part, "", 100);
            return record_refuse(m, field, "`%s` %s", writer_end(&s), why);
        }
    }
    if (w.full || writer_text(&w).size > RECORD_LIST_MAX)
        return record_refuse(m, field, "is longer than %d bytes", RECORD_LIST_MAX);
    m->values[field] =
        (struct storage_value){.type = STORAGE_TEXT, .text = {w.start, writer_text(&w).size}};
    return true;
}

static bool one_network(struct making *m, struct text part, struct writer *w, char *why)
{
    struct value value;
    if (!value_parse(FIELD_CLIENT_ADDRESS, part, m->arena, &value, why, WHY_SIZE))
        return false;
    value_write(w, &value);
    return true;
}

static bool one_domain(struct making *m, struct text part, struct writer *w, char *why)
{
    struct value value;
    if (!plain_domain(m, part, &value, why))
        return false;
    value_write(w, &value);
    return true;
}

bool record_make_networks(struct making *m, size_t field)
{
    return make_list(m, field, one_network);
}

bool record_make_domains(struct making *m, size_t field)
{
    return make_list(m, field, one_domain);
}

bool record_make_role(struct making *m, size_t field)
{
    static const char *const roles[] = {"admin", "operator", "owner", "reader"};
    struct text t = text_trim(m->written[field]);
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (text_equal_fold(t, text_of(roles[i])))
            return record_put_text(m, field, text_of(roles[i]));
    }
    if (t.size == 0)
        return record_refuse(m, field, "is missing; it is admin, operator, owner or reader");
    return record_refuse_value(m, field, "is none of admin, operator, owner, reader");
}
