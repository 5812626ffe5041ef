/* records.c: takes the records in, and makes the indexes by which the checks find them. */
#include <stdlib.h>
#include <string.h>

#include "core/data/recorded.h"
#include "core/lint/state.h"

#define ARENA_MAX ((size_t)2 << 30)
#define FOUND_MAX 64 /* entries that one of one's own domains is held against */

struct lint *lint_make(const struct settings *settings, int64_t now, lint_put *put, void *context)
{
    struct lint *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->settings = settings;
    l->now = now;
    l->put = put;
    l->context = context;
    l->arena = arena_make(ARENA_MAX);
    l->own_domains = matcher_make();
    l->own_networks = matcher_make();
    l->excluded = matcher_make();
    l->room = pattern_room_make();
    bool fine =
        l->own_domains != NULL && l->own_networks != NULL && l->excluded != NULL && l->room != NULL;
    for (int i = 0; i < LISTS; i++) {
        l->lists[i].matcher = matcher_make();
        fine = fine && l->lists[i].matcher != NULL;
    }
    if (fine)
        return l;
    lint_free(l);
    return NULL;
}

void lint_free(struct lint *l)
{
    if (l == NULL)
        return;
    for (int i = 0; i < LISTS; i++) {
        free(l->lists[i].items);
        free(l->lists[i].order);
        matcher_free(l->lists[i].matcher);
    }
    free(l->policies);
    free(l->domains);
    free(l->mailboxes);
    free(l->networks);
    matcher_free(l->own_domains);
    matcher_free(l->own_networks);
    matcher_free(l->excluded);
    pattern_room_free(l->room);
    arena_free(&l->arena);
    free(l);
}

void lint_setting_odd(struct lint *l, const char *text)
{
    report_place(l, FINDING_SETTING_ODD, "settings", "%s", report_shown(l, text_of(text)));
}

void lint_from_file(struct lint *l, const char *name)
{
    l->file = name;
}

void lint_refused(struct lint *l, unsigned line, const char *what)
{
    char place[300];
    struct writer w = writer_on(place, sizeof(place));
    write_escaped(&w, text_of(l->file != NULL ? l->file : ""), "", 200);
    write_format(&w, ":%u", line);
    report_place(l, FINDING_RECORD_BAD, writer_end(&w), "%s; it does not count",
                 report_shown(l, text_of(what)));
}

void lint_taken_all(struct lint *l)
{
    l->complete = true;
}

struct lint_tally lint_tally(const struct lint *l)
{
    return l->tally;
}

/* --- Taking them in ---------------------------------------------------------------------------- */

/* Room for one more item, zeroed; NULL when out of memory. */
static void *add(void **items, size_t *count, size_t *room, size_t size)
{
    if (*count == *room) {
        size_t wanted = *room == 0 ? 64 : *room * 2;
        void *more = reallocarray(*items, wanted, size);
        if (more == NULL)
            return NULL;
        *items = more;
        *room = wanted;
    }
    char *item = (char *)*items + (*count)++ * size;
    memset(item, 0, size);
    return item;
}

static bool copy_text(struct lint *l, struct text *t)
{
    const char *copy = arena_copy(&l->arena, *t);
    t->data = copy;
    return copy != NULL;
}

static bool make_origin(struct lint *l, const struct storage_record *r, unsigned line,
                        struct lint_origin *origin)
{
    *origin = (struct lint_origin){arena_copy(&l->arena, text_of(r->id)), line};
    return origin->id != NULL;
}

/* Tells why a record does not count. False: it was memory. */
static bool refuse(struct lint *l, enum kind kind, const struct storage_record *r,
                   const struct lint_origin *origin, const struct recorded_fault *fault)
{
    struct text name = recorded_text(r, 0);
    if (fault->field == NULL)
        return false;
    if (strcmp(fault->field, "guard") == 0)
        report_record(l, FINDING_GUARD_NOT_BUILT, record_kinds[kind].name, name, origin,
                      "the proof it asks for is not built yet, so that it does not count; leave "
                      "guard out, or wait");
    else
        report_record(l, FINDING_RECORD_BAD, record_kinds[kind].name, name, origin,
                      "%s: %s; it does not count until that is right", fault->field,
                      report_shown(l, text_of(fault->why)));
    return true;
}

static bool take_entry(struct lint *l, enum kind kind, const struct storage_record *r,
                       const struct lint_origin *origin)
{
    struct lint_entries *list = &l->lists[kind == KIND_BLACKLIST ? LIST_BLACK : LIST_WHITE];
    struct recorded_fault fault;
    struct list_entry read;
    struct value value;
    if (!recorded_entry(r, &l->arena, &read, &value, &fault))
        return refuse(l, kind, r, origin, &fault);
    struct lint_entry *e = add((void **)&list->items, &list->count, &list->room, sizeof(*e));
    if (e == NULL)
        return false;
    *e = (struct lint_entry){
        .origin = *origin,
        .value = value,
        .written = read.value,
        .expires = read.expires,
        .enforce = read.enforce,
        .live = read.expires > l->now,
        .own = LINT_NONE,
    };
    return copy_text(l, &e->written);
}

static bool take_policy(struct lint *l, const struct storage_record *r,
                        const struct lint_origin *origin)
{
    struct recorded_fault fault;
    struct policy read;
    if (!recorded_policy(r, &l->arena, &l->arena, &read, &fault))
        return refuse(l, KIND_POLICY, r, origin, &fault);
    struct lint_policy *p =
        add((void **)&l->policies, &l->policies_count, &l->policies_room, sizeof(*p));
    if (p == NULL)
        return false;
    p->p = read;
    p->origin = *origin;
    p->live = read.expires > l->now;
    for (size_t i = 0; i < read.rules_count; i++) {
        const struct rule_value *rule = &read.rules[i];
        p->sets |= RULE_BIT(rule->which);
        l->setting_by[RULE_INDEX(rule->which)] += p->live;
        l->enabled_by[RULE_INDEX(rule->which)] +=
            p->live && rule_is_bool(rule->which) && rule->as.truth;
    }
    return true;
}

static bool take_domain(struct lint *l, const struct storage_record *r,
                        const struct lint_origin *origin)
{
    struct recorded_fault fault;
    struct text name;
    if (!recorded_domain(r, &l->arena, &name, &fault))
        return refuse(l, KIND_DOMAIN, r, origin, &fault);
    struct lint_name *n =
        add((void **)&l->domains, &l->domains_count, &l->domains_room, sizeof(*n));
    if (n == NULL)
        return false;
    n->origin = *origin;
    n->value = (struct value){.field = FIELD_SENDER, .kind = VALUE_DOMAIN, .text = name};
    return true;
}

static bool take_mailbox(struct lint *l, const struct storage_record *r,
                         const struct lint_origin *origin)
{
    struct recorded_fault fault = {"name", "is no address, nor @domain"};
    struct value v;
    if (!value_parse(FIELD_RECIPIENT, recorded_text(r, MAILBOX_name), &l->arena, &v, fault.why,
                     sizeof(fault.why)) ||
        (v.kind != VALUE_MAILBOX && v.kind != VALUE_DOMAIN))
        return refuse(l, KIND_MAILBOX, r, origin, &fault);
    struct lint_name *n =
        add((void **)&l->mailboxes, &l->mailboxes_count, &l->mailboxes_room, sizeof(*n));
    if (n == NULL)
        return false;
    *n = (struct lint_name){*origin, v, recorded_text(r, MAILBOX_name)};
    return copy_text(l, &n->written);
}

static bool take_network(struct lint *l, const struct storage_record *r,
                         const struct lint_origin *origin)
{
    struct recorded_fault fault;
    struct network network;
    if (!recorded_network(r, &network, &fault))
        return refuse(l, KIND_MYNETWORK, r, origin, &fault);
    struct lint_own_network *n =
        add((void **)&l->networks, &l->networks_count, &l->networks_room, sizeof(*n));
    if (n != NULL)
        *n = (struct lint_own_network){*origin, network};
    return n != NULL;
}

bool lint_take(struct lint *l, enum kind kind, const struct storage_record *r, unsigned line)
{
    struct lint_origin origin;
    l->tally.records++;
    if (!make_origin(l, r, line, &origin))
        return false;
    switch (kind) {
    case KIND_WHITELIST:
    case KIND_BLACKLIST:
        return take_entry(l, kind, r, &origin);
    case KIND_POLICY:
        return take_policy(l, r, &origin);
    case KIND_DOMAIN:
        return take_domain(l, r, &origin);
    case KIND_MAILBOX:
        return take_mailbox(l, r, &origin);
    case KIND_MYNETWORK:
        return take_network(l, r, &origin);
    default:
        return true;
    }
}

/* --- The indexes ------------------------------------------------------------------------------- */

static int compare_order(const void *a, const void *b, void *context)
{
    const struct lint_entry *items = context;
    size_t x = *(const size_t *)a;
    size_t y = *(const size_t *)b;
    int order = values_compare(&items[x].value, &items[y].value);
    return order != 0 ? order : (x > y) - (x < y);
}

/* Into the matcher only what decides, and each value once: none is found through a row of doubles. */
static bool index_list(struct lint_entries *list)
{
    list->order = calloc(list->count + 1, sizeof(*list->order));
    if (list->order == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++)
        list->order[i] = i;
    if (list->count > 0)
        qsort_r(list->order, list->count, sizeof(*list->order), compare_order, list->items);
    for (size_t i = 0; i < list->count; i++) {
        struct lint_entry *e = &list->items[list->order[i]];
        const struct lint_entry *before = i > 0 ? &list->items[list->order[i - 1]] : e;
        bool same = i > 0 && values_compare(&before->value, &e->value) == 0;
        e->first = same ? before->first : list->order[i];
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct lint_entry *e = &list->items[i];
        if (e->first == i && e->live && e->enforce && e->value.kind != VALUE_PATTERN &&
            !matcher_add(list->matcher, &e->value, (uint32_t)i))
            return false;
    }
    return matcher_seal(list->matcher);
}

static int compare_names(const void *a, const void *b)
{
    const struct lint_name *const *x = a;
    const struct lint_name *const *y = b;
    return values_compare(&(*x)->value, &(*y)->value);
}

/* Each once, as itself and as what is below it. */
static bool index_domains(struct lint *l)
{
    const struct lint_name **sorted = calloc(l->domains_count + 1, sizeof(*sorted));
    bool fine = sorted != NULL;
    for (size_t i = 0; fine && i < l->domains_count; i++)
        sorted[i] = &l->domains[i];
    if (fine && l->domains_count > 0)
        qsort(sorted, l->domains_count, sizeof(*sorted), compare_names);
    for (size_t i = 0; fine && i < l->domains_count; i++) {
        struct value below = sorted[i]->value;
        uint32_t number = (uint32_t)(sorted[i] - l->domains);
        below.kind = VALUE_BELOW;
        if (i == 0 || values_compare(&sorted[i - 1]->value, &sorted[i]->value) != 0)
            fine = matcher_add(l->own_domains, &sorted[i]->value, number) &&
                   matcher_add(l->own_domains, &below, number);
    }
    free(sorted);
    return fine && matcher_seal(l->own_domains);
}

/* Entries that name one of one's own domains, or have it below them. */
static void mark_own_domains(struct lint *l, struct lint_entries *list)
{
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    for (size_t d = 0; d < l->domains_count; d++) {
        struct text name = l->domains[d].value.text;
        struct subject s = {.sender_domain = name, .recipient_domain = name};
        size_t count = matcher_find(list->matcher, &s, found, FOUND_MAX, &run);
        for (size_t i = 0; i < count; i++) {
            struct lint_entry *e = &list->items[found[i].number];
            e->own = e->own == LINT_NONE ? d : e->own;
        }
    }
}

/* Entries that have one of one's own networks in them. */
static void mark_own_networks(struct lint *l, struct lint_entries *list)
{
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    for (size_t n = 0; n < l->networks_count; n++) {
        const struct network *own = &l->networks[n].network;
        struct subject s = {.client = &own->addr};
        bool reached = !(l->settings->private_bypass && values_is_private(own));
        size_t count = reached ? matcher_find(list->matcher, &s, found, FOUND_MAX, &run) : 0;
        for (size_t i = 0; i < count; i++) {
            struct lint_entry *e = &list->items[found[i].number];
            e->own_network = e->own_network || e->value.network.prefix <= own->prefix;
        }
    }
}

/* Only those that lie in no other: none is found through a row of them. */
static bool index_networks(const struct network *items, size_t count, struct matcher *matcher)
{
    size_t *outer = calloc(count + 1, sizeof(*outer));
    bool fine = outer != NULL && values_nest(items, count, outer);
    for (size_t i = 0; fine && i < count; i++) {
        struct value v = {
            .field = FIELD_CLIENT_ADDRESS, .kind = VALUE_NETWORK, .network = items[i]};
        if (outer[i] == LINT_NONE)
            fine = matcher_add(matcher, &v, (uint32_t)i);
    }
    free(outer);
    return fine && matcher_seal(matcher);
}

static bool index_own_networks(struct lint *l)
{
    struct network *items = calloc(l->networks_count + 1, sizeof(*items));
    for (size_t i = 0; items != NULL && i < l->networks_count; i++)
        items[i] = l->networks[i].network;
    bool fine = items != NULL && index_networks(items, l->networks_count, l->own_networks);
    free(items);
    return fine;
}

bool records_index(struct lint *l)
{
    const struct settings_networks *excludes = &l->settings->ip_excludes;
    if (!index_domains(l) || !index_own_networks(l) ||
        !index_networks(excludes->items, excludes->count, l->excluded))
        return false;
    for (int i = 0; i < LISTS; i++) {
        if (!index_list(&l->lists[i]))
            return false;
        mark_own_domains(l, &l->lists[i]);
        mark_own_networks(l, &l->lists[i]);
    }
    return true;
}

bool records_is_own_domain(const struct lint *l, struct text domain)
{
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    struct subject s = {.sender_domain = domain};
    size_t count = domain.size > 0 ? matcher_find(l->own_domains, &s, found, FOUND_MAX, &run) : 0;
    for (size_t i = 0; i < count; i++) {
        if (found[i].kind == VALUE_DOMAIN)
            return true;
    }
    return false;
}

size_t records_find(const struct lint *l, enum snapshot_list which, const struct value *value)
{
    const struct lint_entries *list = &l->lists[which];
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values_compare(&list->items[list->order[middle]].value, value) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool there =
        low < list->count && values_compare(&list->items[list->order[low]].value, value) == 0;
    return there ? list->order[low] : LINT_NONE;
}

bool lint_run(struct lint *l)
{
    serving_check(l);
    if (!records_index(l))
        return false;
    rules_check(l);
    return !l->complete || (own_check(l) && entries_check(l) && policies_check(l));
}
