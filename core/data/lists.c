/* lists.c: see lists.h. */
#include "core/data/lists.h"

#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/store/records.h"

#define PAGE 1000
#define AGAIN_MAX 3 /* times that the revision may move while it is read */
#define COMPLAINTS_MAX 10

/* One kind on its way into a snapshot. */
struct loading {
    struct snapshot *snapshot;
    enum kind kind;
    struct arena scratch; /* of the page */
    char last[STORAGE_ID_MAX + 1];
    size_t count; /* of the page */
    size_t bad;
    bool fits;
};

static struct text value_of(const struct storage_record *r, size_t field)
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

static void complain(struct loading *l, const struct storage_record *r, const char *field,
                     const char *why)
{
    if (l->bad++ < COMPLAINTS_MAX)
        log_warning("%s %s does not count: %s: %s", record_kinds[l->kind].name, r->id, field, why);
}

/* The field and value that an entry or a policy looks at. */
static bool read_value(struct loading *l, const struct storage_record *r, size_t field_name,
                       size_t value, struct value *v)
{
    char why[VALUE_WHY_MAX];
    enum field field;
    if (!field_find(value_of(r, field_name), &field)) {
        complain(l, r, "field_name", "there is no such field");
        return false;
    }
    if (value_parse(field, value_of(r, value), &l->scratch, v, why, sizeof(why)))
        return true;
    complain(l, r, "value", why);
    return false;
}

static void load_entry(struct loading *l, const struct storage_record *r)
{
    struct value v;
    struct list_entry entry = {
        .id = text_of(r->id),
        .value = value_of(r, ENTRY_value),
        .expires = number_of(r, ENTRY_expires, INT64_MAX),
        .enforce = number_of(r, ENTRY_enforce, 1) != 0,
    };
    if (value_of(r, ENTRY_guard).size > 0) {
        complain(l, r, "guard", "the proof it asks for is not built yet");
        return;
    }
    if (read_value(l, r, ENTRY_field_name, ENTRY_value, &v))
        l->fits = snapshot_add_entry(
            l->snapshot, l->kind == KIND_BLACKLIST ? LIST_BLACK : LIST_WHITE, &entry, &v);
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

/* All the rules that a policy sets, into the snapshot's memory. */
static bool read_rules(struct loading *l, const struct storage_record *r, struct policy *p)
{
    struct rule_value *rules = arena_take(&l->snapshot->arena, RULES * sizeof(*rules));
    l->fits = rules != NULL;
    for (size_t i = 0; l->fits && i < RULES; i++) {
        char why[256];
        enum setting which = (enum setting)(SETTINGS_FIRST_RULE + i);
        size_t field = POLICY_FIRST_RULE + i;
        if (r->values[field].type == STORAGE_NULL)
            continue;
        if (!rule_parse(which, value_of(r, field), &l->snapshot->arena, &rules[p->rules_count], why,
                        sizeof(why))) {
            complain(l, r, settings_key(which), why);
            return false;
        }
        p->rules_count++;
    }
    p->rules = rules;
    return l->fits;
}

static void load_policy(struct loading *l, const struct storage_record *r)
{
    struct text name = value_of(r, POLICY_name);
    struct policy p = {
        .name = arena_copy(&l->scratch, name),
        .priority = number_of(r, POLICY_priority, 100),
        .expires = number_of(r, POLICY_expires, INT64_MAX),
        .enforce = number_of(r, POLICY_enforce, 1) != 0,
    };
    if (p.name == NULL || name.size == 0 || !text_is_printable(name)) {
        complain(l, r, "name", "is no name");
        return;
    }
    if (!read_states(value_of(r, POLICY_states), &p.states)) {
        complain(l, r, "states", "names a state that there is not");
        return;
    }
    if (read_value(l, r, POLICY_field_name, POLICY_value, &p.value) && read_rules(l, r, &p))
        l->fits = snapshot_add_policy(l->snapshot, &p);
}

static void load_domain(struct loading *l, const struct storage_record *r)
{
    struct value v;
    char why[VALUE_WHY_MAX];
    /* As a name: of an address, one without a dot would be none. */
    if (!value_parse(FIELD_CLIENT_NAME, value_of(r, DOMAIN_name), &l->scratch, &v, why,
                     sizeof(why)))
        complain(l, r, "name", why);
    else if (v.kind != VALUE_DOMAIN)
        complain(l, r, "name", "is no domain");
    else
        l->fits = snapshot_add_domain(l->snapshot, v.text);
}

static void load_network(struct loading *l, const struct storage_record *r)
{
    struct network network;
    const char *why;
    if (network_parse(value_of(r, MYNETWORK_value), &network, &why))
        l->fits = snapshot_add_network(l->snapshot, &network);
    else
        complain(l, r, "value", why);
}

static bool load_record(void *context, const struct storage_record *r)
{
    struct loading *l = context;
    snprintf(l->last, sizeof(l->last), "%s", r->id);
    l->count++;
    switch (l->kind) {
    case KIND_WHITELIST:
    case KIND_BLACKLIST:
        load_entry(l, r);
        break;
    case KIND_POLICY:
        load_policy(l, r);
        break;
    case KIND_DOMAIN:
        load_domain(l, r);
        break;
    case KIND_MYNETWORK:
        load_network(l, r);
        break;
    default:
        break;
    }
    return l->fits;
}

static enum storage_status load_kind(struct store_line *line, struct snapshot *s, enum kind kind,
                                     struct storage_error *error)
{
    struct loading l = {.snapshot = s, .kind = kind, .fits = true};
    enum storage_status status = STORAGE_OK;
    do {
        char from[sizeof(l.last)]; /* lent to the driver while the records move the other */
        memcpy(from, l.last, sizeof(from));
        struct storage_query query = {
            .kind = kind,
            .order = STORAGE_BY_ID,
            .after_id = from[0] != '\0' ? from : NULL,
            .limit = PAGE,
        };
        l.count = 0;
        l.scratch = arena_make((size_t)64 << 20);
        status = store_search(line, &query, load_record, &l, error);
        arena_free(&l.scratch);
    } while (status == STORAGE_OK && l.fits && l.count == PAGE);
    if (l.bad > COMPLAINTS_MAX)
        log_warning("%s: %zu more records that do not count", record_kinds[kind].name,
                    l.bad - COMPLAINTS_MAX);
    if (status == STORAGE_OK && !l.fits) {
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        return STORAGE_UNAVAILABLE;
    }
    return status;
}

static enum storage_status load_all(struct store_line *line, struct snapshot *s,
                                    struct storage_error *error)
{
    static const enum kind kinds[] = {KIND_DOMAIN, KIND_MYNETWORK, KIND_POLICY, KIND_WHITELIST,
                                      KIND_BLACKLIST};
    enum storage_status status = store_revision(line, &s->revision, error);
    for (size_t i = 0; status == STORAGE_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        status = load_kind(line, s, kinds[i], error);
    return status;
}

struct snapshot *lists_load(struct store_line *line, enum storage_status *status,
                            struct storage_error *error)
{
    struct snapshot *s = NULL;
    uint64_t revision = 0;
    for (int i = 0; i < AGAIN_MAX; i++) {
        snapshot_release(s);
        s = snapshot_make();
        *status = STORAGE_UNAVAILABLE;
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        if (s == NULL)
            return NULL;
        *status = load_all(line, s, error);
        if (*status == STORAGE_OK)
            *status = store_revision(line, &revision, error);
        /* Each page is a view of its own: what changed in between is read again. */
        if (*status != STORAGE_OK || revision == s->revision)
            break;
    }
    if (*status == STORAGE_OK && snapshot_seal(s)) {
        s->loaded = true;
        return s;
    }
    snapshot_release(s);
    return NULL;
}
