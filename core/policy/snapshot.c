/* snapshot.c: see snapshot.h. */
#include "core/policy/snapshot.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t)4 << 30)
#define FOUND_MAX 128 /* entries that one request can meet */
#define OURS_MAX 32   /* one's own domains that a domain can lie below */

struct snapshot *snapshot_make(void)
{
    struct snapshot *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->holders = 1;
    s->arena = arena_make(ARENA_MAX);
    s->domains = matcher_make();
    s->networks = matcher_make();
    s->policies_matcher = matcher_make();
    for (int i = 0; i < LISTS; i++)
        s->lists[i].matcher = matcher_make();
    s->room = pattern_room_make();
    bool fine =
        s->room != NULL && s->domains != NULL && s->networks != NULL && s->policies_matcher != NULL;
    for (int i = 0; i < LISTS; i++)
        fine = fine && s->lists[i].matcher != NULL;
    if (fine)
        return s;
    snapshot_release(s);
    return NULL;
}

struct snapshot *snapshot_hold(struct snapshot *s)
{
    s->holders++;
    return s;
}

bool snapshot_let_go(struct snapshot *s)
{
    return --s->holders == 0;
}

void snapshot_release(struct snapshot *s)
{
    if (s != NULL && snapshot_let_go(s))
        snapshot_free(s);
}

void snapshot_free(struct snapshot *s)
{
    for (int i = 0; i < LISTS; i++) {
        matcher_free(s->lists[i].matcher);
        free(s->lists[i].entries);
        free(s->lists[i].hits);
    }
    matcher_free(s->policies_matcher);
    matcher_free(s->domains);
    matcher_free(s->networks);
    pattern_room_free(s->room);
    free(s->policies);
    arena_free(&s->arena);
    free(s);
}

/* Room for one more item. */
static bool grow(void **items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t wanted = *room == 0 ? 64 : *room * 2;
    void *more = reallocarray(*items, wanted, size);
    if (more == NULL)
        return false;
    *items = more;
    *room = wanted;
    return true;
}

static bool copy_text(struct snapshot *s, struct text *t)
{
    const char *copy = arena_copy(&s->arena, *t);
    t->data = copy;
    return copy != NULL;
}

bool snapshot_add_entry(struct snapshot *s, enum snapshot_list which,
                        const struct list_entry *entry, const struct value *value)
{
    struct list *l = &s->lists[which];
    if (!grow((void **)&l->entries, l->count, &l->room, sizeof(*l->entries)))
        return false;
    struct list_entry copy = *entry;
    if (!copy_text(s, &copy.id) || !copy_text(s, &copy.value) ||
        !matcher_add(l->matcher, value, (uint32_t)l->count))
        return false;
    l->entries[l->count++] = copy;
    return true;
}

bool snapshot_add_policy(struct snapshot *s, const struct policy *policy)
{
    struct policy copy = *policy;
    if (!grow((void **)&s->policies, s->policies_count, &s->policies_room, sizeof(copy)))
        return false;
    copy.name = arena_copy(&s->arena, text_of(policy->name));
    if (copy.name == NULL || !copy_text(s, &copy.value.text))
        return false;
    s->policies[s->policies_count++] = copy;
    s->states |= copy.states;
    return true;
}

bool snapshot_add_domain(struct snapshot *s, struct text domain)
{
    struct value v = {.field = FIELD_SENDER, .kind = VALUE_DOMAIN, .text = domain};
    if (!matcher_add(s->domains, &v, (uint32_t)s->domains_count))
        return false;
    v.kind = VALUE_BELOW;
    return matcher_add(s->domains, &v, (uint32_t)s->domains_count++);
}

bool snapshot_add_network(struct snapshot *s, const struct network *network)
{
    struct value v = {.field = FIELD_CLIENT_ADDRESS, .kind = VALUE_NETWORK, .network = *network};
    return matcher_add(s->networks, &v, (uint32_t)s->networks_count++);
}

int snapshot_policy_order(const struct policy *p, const struct policy *q)
{
    unsigned rank_p = value_rank(&p->value);
    unsigned rank_q = value_rank(&q->value);
    if (p->priority != q->priority)
        return p->priority < q->priority ? -1 : 1;
    if (rank_p != rank_q)
        return rank_p < rank_q ? -1 : 1;
    return strcmp(p->name, q->name);
}

static int compare_policies(const void *a, const void *b)
{
    return snapshot_policy_order(a, b);
}

bool snapshot_policy_has_say(const struct policy *p, bool *wanted)
{
    bool said = false;
    *wanted = true;
    for (size_t i = 0; i < p->rules_count; i++) {
        const struct rule_value *r = &p->rules[i];
        bool truth = r->which == SETTING_greylist_default || r->which == SETTING_greylist_enable;
        if (!truth && r->which != SETTING_greylist_mode)
            continue;
        said = true;
        *wanted = *wanted && (truth ? r->as.truth : r->as.number != MODE_OFF);
    }
    return said;
}

bool snapshot_seal(struct snapshot *s)
{
    bool fine = true;
    if (s->policies_count > 0)
        qsort(s->policies, s->policies_count, sizeof(*s->policies), compare_policies);
    for (size_t i = 0; fine && i < s->policies_count; i++)
        fine = matcher_add(s->policies_matcher, &s->policies[i].value, (uint32_t)i);
    for (int i = 0; i < LISTS; i++) {
        struct list *l = &s->lists[i];
        l->hits = calloc(l->count + 1, sizeof(*l->hits));
        fine = fine && l->hits != NULL && matcher_seal(l->matcher);
    }
    return fine && matcher_seal(s->policies_matcher) && matcher_seal(s->domains) &&
           matcher_seal(s->networks);
}

size_t snapshot_bytes(const struct snapshot *s)
{
    size_t bytes = sizeof(*s) + s->arena.used + s->policies_room * sizeof(*s->policies) +
                   matcher_bytes(s->policies_matcher) + matcher_bytes(s->domains) +
                   matcher_bytes(s->networks);
    for (int i = 0; i < LISTS; i++) {
        const struct list *l = &s->lists[i];
        bytes += matcher_bytes(l->matcher) + l->room * sizeof(*l->entries) +
                 (l->count + 1) * sizeof(*l->hits);
    }
    return bytes;
}

/* What a prepared request looks like to the lists. */
static struct subject subject_of(const struct request *r)
{
    return (struct subject){
        .client = &r->client,
        .client_name = r->client_name,
        .helo_name = r->helo_name,
        .country = r->country,
        .policy_context = r->attribute[ATTRIBUTE_policy_context],
        .sender = r->sender.whole,
        .sender_local = r->sender.local,
        .sender_domain = r->sender.domain,
        .sender_null = r->sender_is_null,
        .recipient = r->recipient.whole,
        .recipient_local = r->recipient.local,
        .recipient_domain = r->recipient.domain,
    };
}

/* Of patterns that were broken off, where the last one stands. */
static void note_gave_up(struct snapshot *s, const struct match_run *run, const char *kind,
                         struct text id)
{
    struct writer w = writer_on(s->gave_up_at, sizeof(s->gave_up_at));
    s->gave_up += run->gave_up;
    write_format(&w, "%s ", kind);
    write_text(&w, id);
    writer_end(&w);
}

struct list_met snapshot_find(struct snapshot *s, enum snapshot_list which, const struct request *r)
{
    const struct list *l = &s->lists[which];
    struct match_run run = {.room = s->room};
    struct list_met met = {.entry = NULL};
    struct match found[FOUND_MAX];
    if (l->count == 0)
        return met;
    struct subject subject = subject_of(r);
    size_t count = matcher_find(l->matcher, &subject, found, FOUND_MAX, &run);
    s->too_long += run.too_long;
    if (run.gave_up > 0)
        note_gave_up(s, &run, which == LIST_BLACK ? "blacklist" : "whitelist",
                     l->entries[run.gave_up_numbers[0]].id);
    for (size_t i = 0; i < count; i++) {
        const struct list_entry *e = &l->entries[found[i].number];
        if (e->expires <= r->now)
            continue;
        if (!e->enforce) {
            met.would = met.would == NULL ? e : met.would;
            continue;
        }
        met.entry = e;
        met.field = found[i].field;
        met.number = found[i].number;
        break;
    }
    return met;
}

void snapshot_hit(struct snapshot *s, enum snapshot_list which, size_t number, int64_t now)
{
    struct list_hit *hit = &s->lists[which].hits[number];
    hit->count += hit->count < UINT32_MAX;
    hit->last = now > hit->last ? now : hit->last;
    s->lists[which].met = true;
}

static int compare_found(const void *a, const void *b)
{
    const struct match *x = a;
    const struct match *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* What has the same priority stays in the matcher's own order, by field: 0.4.4's. */
static void sort_by_priority(const struct snapshot *s, struct match *found, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct match m = found[i];
        size_t at = i;
        for (;
             at > 0 && s->policies[found[at - 1].number].priority > s->policies[m.number].priority;
             at--)
            found[at] = found[at - 1];
        found[at] = m;
    }
}

size_t snapshot_policies(struct snapshot *s, const struct request *r, bool by_field,
                         const struct policy *policies[SNAPSHOT_POLICIES_MAX])
{
    struct match found[FOUND_MAX];
    struct match_run run = {.room = s->room};
    size_t kept = 0;
    if (s->policies_count == 0)
        return 0;
    struct subject subject = subject_of(r);
    size_t count = matcher_find(s->policies_matcher, &subject, found, FOUND_MAX, &run);
    s->too_long += run.too_long;
    if (run.gave_up > 0)
        note_gave_up(s, &run, "policy", text_of(s->policies[run.gave_up_numbers[0]].name));
    if (by_field)
        sort_by_priority(s, found, count);
    else if (count > 1)
        qsort(found, count, sizeof(found[0]), compare_found);
    for (size_t i = 0; i < count && kept < SNAPSHOT_POLICIES_MAX; i++) {
        const struct policy *p = &s->policies[found[i].number];
        if (p->expires > r->now && (p->states & (1u << r->state)) != 0)
            policies[kept++] = p;
    }
    return kept;
}

unsigned snapshot_ours(struct snapshot *s, const struct request *r)
{
    struct match found[OURS_MAX];
    struct match_run run = {.room = NULL};
    unsigned ours = 0;
    struct subject client = {.client = &r->client};
    struct subject sender = {.sender_domain = r->sender.domain};
    struct subject recipient = {.sender_domain = r->recipient.domain};
    if (s->networks_count > 0 && matcher_find(s->networks, &client, found, OURS_MAX, &run) > 0)
        ours |= OURS_CLIENT;
    if (s->domains_count == 0)
        return ours;
    size_t count = matcher_find(s->domains, &sender, found, OURS_MAX, &run);
    for (size_t i = 0; i < count; i++)
        ours |= found[i].kind == VALUE_DOMAIN ? OURS_SENDER : OURS_SENDER_BELOW;
    count = matcher_find(s->domains, &recipient, found, OURS_MAX, &run);
    for (size_t i = 0; i < count; i++)
        ours |= found[i].kind == VALUE_DOMAIN ? OURS_RECIPIENT : 0u;
    return ours;
}
