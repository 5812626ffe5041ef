/* entries.c: the white and the black list: one check after the other on each entry. */
#include <stdlib.h>

#include "core/lint/state.h"

#define FOUND_MAX 64

static const char *const list_names[LISTS] = {"black list", "white list"};

static bool is_whole(const struct lint_entry *e)
{
    return e->value.kind == VALUE_NETWORK && values_is_everyone(&e->value.network);
}

static void check_twice(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    const struct lint_entry *first = &l->lists[which].items[e->first];
    if (e->first != number)
        report_entry(l, FINDING_ENTRY_TWICE, which, e,
                     "is the same as %s, which came before; remove one",
                     report_shown(l, first->written));
}

/* Of the internet's: lists of what no packet can come from are wide by nature. */
static bool is_routed(const struct network *n)
{
    uint8_t first = n->addr.bytes[0];
    return n->addr.family == ADDR_IPV4 ? first < 224 && first != 0 && !values_is_private(n)
                                       : (first & 0xe0) == 0x20;
}

static void check_wide(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    const struct network *n = &e->value.network;
    unsigned least = n->addr.family == ADDR_IPV4 ? 8 : 16;
    if (is_whole(e))
        report_entry(l, FINDING_LIST_EVERYONE, which, e, "%s",
                     which == LIST_BLACK
                         ? "is the whole internet, all of which is rejected; remove it"
                         : "is the whole internet: nothing behind this list is ever "
                           "asked; remove it");
    else if (e->value.kind == VALUE_NETWORK && n->prefix < least && is_routed(n))
        report_entry(l, FINDING_NETWORK_WIDE, which, e,
                     "is wider than /%u, a good part of the internet; name what is meant", least);
}

static void check_pattern(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    struct pattern_fault fault;
    if (patterns_fault(l, &e->value, &fault))
        report_entry(l, fault.finding, which, e, "%s", fault.what);
    else if (reach_fault(l, &e->value, &fault))
        report_entry(l, fault.finding, which, e, "%s", fault.what);
}

/* The entry of the black list that is met wherever this one is, or LINT_NONE. */
static size_t find_black(const struct lint *l, const struct lint_entry *white)
{
    const struct lint_entry *black = l->lists[LIST_BLACK].items;
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    struct subject s = values_subject(&white->value);
    size_t same = records_find(l, LIST_BLACK, &white->value);
    if (same != LINT_NONE && black[same].live && black[same].enforce &&
        black[same].expires >= white->expires)
        return same;
    size_t count = matcher_find(l->lists[LIST_BLACK].matcher, &s, found, FOUND_MAX, &run);
    for (size_t i = 0; i < count; i++) {
        const struct lint_entry *b = &black[found[i].number];
        if (values_cover(&b->value, &white->value) && b->expires >= white->expires)
            return found[i].number;
    }
    return LINT_NONE;
}

static void check_both(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    size_t black = which == LIST_WHITE && l->settings->blacklist_enable && e->enforce
                       ? find_black(l, e)
                       : LINT_NONE;
    if (black != LINT_NONE && !is_whole(&l->lists[LIST_BLACK].items[black]))
        report_entry(l, FINDING_IN_BOTH_LISTS, which, e,
                     "never counts: the black list, which goes first, has %s; remove one of them",
                     report_shown(l, l->lists[LIST_BLACK].items[black].written));
}

static bool is_spoofing_checked(const struct lint *l)
{
    return l->settings->rules.spoofing_enable ||
           l->enabled_by[RULE_INDEX(SETTING_spoofing_enable)] > 0;
}

static void check_sender(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    bool own = e->own != LINT_NONE || (e->value.kind == VALUE_MAILBOX &&
                                       records_is_own_domain(l, values_domain(&e->value)));
    if (which != LIST_WHITE || e->value.field != FIELD_SENDER || !e->enforce)
        return;
    if (own && is_spoofing_checked(l))
        report_entry(l, FINDING_WHITELIST_OWN_SENDER, which, e,
                     "trusts one's own domain as sender, and comes before spoofing: whoever forges "
                     "it passes; remove it, or list the client's address or name");
    else
        report_entry(l, FINDING_SENDER_FORGEABLE, which, e,
                     "trusts a sender, which anybody can forge; list the client's name or address "
                     "in its place");
}

/* Mail to postmaster and abuse, whatever the domain or in one's own. */
static bool is_postmaster(const struct lint *l, const struct value *v)
{
    struct text rest = v->text;
    struct text local = v->text;
    bool own = v->kind == VALUE_USER;
    if (v->kind == VALUE_MAILBOX) {
        own = records_is_own_domain(l, values_domain(v));
        text_split(&rest, '@', &local);
    }
    return own && (text_equal(local, TEXT("postmaster")) || text_equal(local, TEXT("abuse")));
}

static void check_black(struct lint *l, enum snapshot_list which, size_t number)
{
    const struct lint_entry *e = &l->lists[which].items[number];
    const struct network *n = &e->value.network;
    bool recipient = e->value.field == FIELD_RECIPIENT;
    if (which != LIST_BLACK || !e->enforce)
        return;
    if (recipient && is_postmaster(l, &e->value))
        report_entry(l, FINDING_BLACKLIST_POSTMASTER, which, e,
                     "rejects those who complain to where the standards send them (RFC 2142); "
                     "remove it");
    if (recipient && e->own != LINT_NONE)
        report_entry(l, FINDING_BLACKLIST_OWN_DOMAIN, which, e,
                     "rejects all mail to one's own domain %s; remove it",
                     report_value(l, &l->domains[e->own].value));
    if (e->value.kind != VALUE_NETWORK || is_whole(e) ||
        (l->settings->private_bypass && values_is_private(n)))
        return;
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    struct subject s = {.client = &n->addr};
    bool own = e->own_network;
    size_t count = matcher_find(l->own_networks, &s, found, FOUND_MAX, &run);
    for (size_t i = 0; i < count; i++)
        own = own || l->networks[found[i].number].network.prefix <= n->prefix;
    if (own)
        report_entry(l, FINDING_BLACKLIST_OWN_NETWORK, which, e,
                     "has clients of one's own networks in it, and comes before outgoing: their "
                     "mail is rejected; remove it");
}

/* --- Networks in networks ---------------------------------------------------------------------- */

struct nest {
    struct network *networks;
    size_t *numbers; /* of the entries */
    size_t *outer;
    size_t count;
};

static bool nest_make(const struct lint_entries *list, struct nest *n)
{
    n->networks = calloc(list->count + 1, sizeof(*n->networks));
    n->numbers = calloc(list->count + 1, sizeof(*n->numbers));
    n->outer = calloc(list->count + 1, sizeof(*n->outer));
    n->count = 0;
    if (n->networks == NULL || n->numbers == NULL || n->outer == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct lint_entry *e = &list->items[i];
        if (e->value.kind != VALUE_NETWORK || !e->live || !e->enforce || e->first != i ||
            is_whole(e))
            continue;
        n->networks[n->count] = e->value.network;
        n->numbers[n->count++] = i;
    }
    return values_nest(n->networks, n->count, n->outer);
}

static bool check_nest(struct lint *l, enum snapshot_list which)
{
    const struct lint_entries *list = &l->lists[which];
    struct nest n;
    bool fine = nest_make(list, &n);
    for (size_t i = 0; fine && i < n.count; i++) {
        const struct lint_entry *e = &list->items[n.numbers[i]];
        const struct lint_entry *wide =
            n.outer[i] == LINT_NONE ? NULL : &list->items[n.numbers[n.outer[i]]];
        if (wide != NULL && wide->expires >= e->expires)
            report_entry(l, FINDING_NETWORK_WITHIN, which, e,
                         "lies in %s of the same list, and adds nothing; remove one of them",
                         report_shown(l, wide->written));
    }
    free(n.networks);
    free(n.numbers);
    free(n.outer);
    return fine;
}

/* --- All --------------------------------------------------------------------------------------- */

static void check_off(struct lint *l, enum snapshot_list which)
{
    bool on = which == LIST_BLACK ? l->settings->blacklist_enable
                                  : l->settings->rules.whitelist_enable ||
                                        l->enabled_by[RULE_INDEX(SETTING_whitelist_enable)] > 0;
    enum setting setting =
        which == LIST_BLACK ? SETTING_blacklist_enable : SETTING_whitelist_enable;
    if (!on && l->lists[which].count > 0)
        report_setting(l, FINDING_LIST_OFF, setting,
                       "is off, and the %s has entries (%zu), none of which counts; turn it on, or "
                       "remove them",
                       list_names[which], l->lists[which].count);
}

static void check_list(struct lint *l, enum snapshot_list which)
{
    static void (*const all[])(struct lint *, enum snapshot_list, size_t) = {
        check_twice, check_wide, check_pattern, check_both, check_sender, check_black,
    };
    for (size_t i = 0; i < l->lists[which].count; i++) {
        const struct lint_entry *e = &l->lists[which].items[i];
        if (!e->live)
            report_entry(l, FINDING_ENTRY_EXPIRED, which, e, "has expired; remove it");
        for (size_t c = 0; e->live && c < sizeof(all) / sizeof(all[0]); c++)
            all[c](l, which, i);
    }
}

bool entries_check(struct lint *l)
{
    bool fine = true;
    for (int i = 0; i < LISTS; i++) {
        enum snapshot_list which = (enum snapshot_list)i;
        check_off(l, which);
        check_list(l, which);
        fine = check_nest(l, which) && fine;
    }
    return fine;
}
