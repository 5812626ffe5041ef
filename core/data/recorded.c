/* recorded.c: see recorded.h. */
#include "core/data/recorded.h"

#include <stdio.h>
#include <string.h>

struct text recorded_text(const struct storage_record *r, size_t field)
{
    const struct storage_value *v = &r->values[field];
    if (v->type != STORAGE_TEXT)
        return (struct text){"", 0};
    return (struct text){v->text.data, v->text.size};
}

static int64_t number_of(const struct storage_record *r, size_t field, int64_t otherwise)
{
    const struct storage_value *v = &r->values[field];
    return v->type == STORAGE_NULL ? otherwise : v->integer;
}

static bool refuse(struct recorded_fault *fault, const char *field, const char *why)
{
    fault->field = field;
    snprintf(fault->why, sizeof(fault->why), "%s", why);
    return false;
}

/* The field and value that an entry or a policy looks at. */
static bool read_value(const struct storage_record *r, size_t field_name, size_t value,
                       struct arena *arena, struct value *v, struct recorded_fault *fault)
{
    enum field field;
    if (!field_find(recorded_text(r, field_name), &field))
        return refuse(fault, "field_name", "there is no such field");
    fault->field = "value";
    return value_parse(field, recorded_text(r, value), arena, v, fault->why, sizeof(fault->why));
}

bool recorded_entry(const struct storage_record *r, struct arena *arena, struct list_entry *entry,
                    struct value *value, struct recorded_fault *fault)
{
    *entry = (struct list_entry){
        .id = text_of(r->id),
        .value = recorded_text(r, ENTRY_value),
        .expires = number_of(r, ENTRY_expires, INT64_MAX),
        .enforce = number_of(r, ENTRY_enforce, 1) != 0,
    };
    if (recorded_text(r, ENTRY_guard).size > 0)
        return refuse(fault, "guard", "the proof it asks for is not built yet");
    return read_value(r, ENTRY_field_name, ENTRY_value, arena, value, fault);
}

static bool read_states(struct text written, unsigned *states)
{
    struct text part;
    *states = written.size == 0 ? 1u << STATE_RCPT : 0;
    while (text_split(&written, ',', &part)) {
        enum protocol_state state = request_state(text_trim(part));
        if (state == STATE_OTHER)
            return false;
        *states |= 1u << state;
    }
    return true;
}

/* All the rules that a policy sets. */
static bool read_rules(const struct storage_record *r, struct arena *arena, struct policy *p,
                       struct recorded_fault *fault)
{
    struct rule_value *rules = arena_take(arena, RULES * sizeof(*rules));
    if (rules == NULL)
        return refuse(fault, NULL, "out of memory");
    for (size_t i = 0; i < RULES; i++) {
        enum setting which = (enum setting)(SETTINGS_FIRST_RULE + i);
        size_t field = POLICY_FIRST_RULE + i;
        if (r->values[field].type == STORAGE_NULL)
            continue;
        fault->field = settings_key(which);
        if (!rule_parse(which, recorded_text(r, field), arena, &rules[p->rules_count], fault->why,
                        sizeof(fault->why)))
            return false;
        p->rules_count++;
    }
    p->rules = rules;
    return true;
}

bool recorded_policy(const struct storage_record *r, struct arena *arena, struct arena *rules_arena,
                     struct policy *p, struct recorded_fault *fault)
{
    struct text name = recorded_text(r, POLICY_name);
    *p = (struct policy){
        .name = arena_copy(arena, name),
        .priority = number_of(r, POLICY_priority, 100),
        .expires = number_of(r, POLICY_expires, INT64_MAX),
        .enforce = number_of(r, POLICY_enforce, 1) != 0,
    };
    if (p->name == NULL)
        return refuse(fault, NULL, "out of memory");
    if (name.size == 0 || !text_is_printable(name))
        return refuse(fault, "name", "is no name");
    if (!read_states(recorded_text(r, POLICY_states), &p->states))
        return refuse(fault, "states", "names a state that there is not");
    return read_value(r, POLICY_field_name, POLICY_value, arena, &p->value, fault) &&
           read_rules(r, rules_arena, p, fault);
}

bool recorded_domain(const struct storage_record *r, struct arena *arena, struct text *name,
                     struct recorded_fault *fault)
{
    struct value v;
    fault->field = "name";
    struct text written = recorded_text(r, DOMAIN_name);
    if (written.size > 0 && memchr(written.data, '@', written.size) != NULL)
        return refuse(fault, "name", "is no domain");
    /* As a name: of an address, one without a dot would be none. */
    if (!value_parse(FIELD_CLIENT_NAME, written, arena, &v, fault->why, sizeof(fault->why)))
        return false;
    if (v.kind != VALUE_DOMAIN)
        return refuse(fault, "name", "is no domain");
    *name = v.text;
    return true;
}

bool recorded_network(const struct storage_record *r, struct network *network,
                      struct recorded_fault *fault)
{
    const char *why;
    return network_parse(recorded_text(r, MYNETWORK_value), network, &why) ||
           refuse(fault, "value", why);
}
