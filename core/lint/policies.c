/* policies.c: which policy can ever count, and which says nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/lint/state.h"

#define FOUND_MAX 128
#define SAME_MAX 32 /* of policies with one value so many are held against the others */

struct order {
    struct lint *l;
    struct lint_policy **by_order; /* as requests meet them */
    struct lint_policy **by_value; /* equal values side by side, in their order */
    size_t *place;                 /* in by_order, of each of by_value */
    struct matcher *matcher;       /* numbers: places in by_order */
};

static int compare_order(const void *a, const void *b)
{
    const struct lint_policy *const *x = a;
    const struct lint_policy *const *y = b;
    int order = snapshot_policy_order(&(*x)->p, &(*y)->p);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static int compare_value(const void *a, const void *b)
{
    const struct lint_policy *const *x = a;
    const struct lint_policy *const *y = b;
    int order = values_compare(&(*x)->p.value, &(*y)->p.value);
    return order != 0 ? order : compare_order(a, b);
}

/* --- Each by itself ---------------------------------------------------------------------------- */

/* The states from which on a field is known. */
static bool is_known_at(enum field field, enum protocol_state state)
{
    switch (field) {
    case FIELD_RECIPIENT:
        return state == STATE_RCPT || state == STATE_DATA || state == STATE_END_OF_MESSAGE ||
               state == STATE_VRFY;
    case FIELD_SENDER:
        return is_known_at(FIELD_RECIPIENT, state) || state == STATE_MAIL;
    case FIELD_HELO_NAME:
        return state != STATE_CONNECT;
    default:
        return true;
    }
}

static void check_states(struct lint *l, const struct lint_policy *p)
{
    for (unsigned s = 0; s < PROTOCOL_STATES; s++) {
        if ((p->p.states & (1u << s)) != 0 && is_known_at(p->p.value.field, (enum protocol_state)s))
            return;
    }
    report_policy(l, FINDING_POLICY_TOO_EARLY, p, SETTINGS,
                  "never matches: %s is not known yet at its states; add RCPT to them",
                  field_names[p->p.value.field]);
}

static void check_value(struct lint *l, const struct lint_policy *p)
{
    struct pattern_fault fault;
    if (patterns_fault(l, &p->p.value, &fault) || reach_fault(l, &p->p.value, &fault))
        report_policy(l, fault.finding, p, SETTINGS, "%s %s %s", field_names[p->p.value.field],
                      report_value(l, &p->p.value), fault.what);
}

/* A rule that is as the settings have it does something where another policy sets it too. */
static bool is_idle(const struct lint *l, const struct rule_value *rule)
{
    struct settings other = {.rules = l->settings->rules};
    bool opts = rule->which == SETTING_greylist_default || rule->which == SETTING_greylist_enable ||
                rule->which == SETTING_greylist_mode;
    rule_apply(rule, &other.rules);
    return settings_same(l->settings, &other, rule->which) &&
           l->setting_by[RULE_INDEX(rule->which)] == 1 &&
           !(opts && !l->settings->rules.greylist_default);
}

static void check_rules(struct lint *l, const struct lint_policy *p)
{
    size_t idle = 0;
    for (size_t i = 0; i < p->p.rules_count; i++)
        idle += is_idle(l, &p->p.rules[i]);
    if (p->p.rules_count == 0)
        report_policy(l, FINDING_POLICY_EMPTY, p, SETTINGS,
                      "sets nothing; give it a rule, or remove it");
    else if (idle == p->p.rules_count)
        report_policy(l, FINDING_POLICY_NO_EFFECT, p, SETTINGS,
                      "sets only what the settings have; change it, or remove it");
}

/* --- One beside the others --------------------------------------------------------------------- */

/* Whether `early`, which goes before it, is in force wherever and whenever `late` is. */
static bool is_always_there(const struct lint_policy *early, const struct lint_policy *late)
{
    return early->live && early->p.enforce && early->p.expires >= late->p.expires &&
           (late->p.states & ~early->p.states) == 0;
}

/* Takes off *left what the policy sets. */
static void cover(const struct lint_policy *early, const struct lint_policy *late, uint64_t *left,
                  const struct lint_policy **first)
{
    if (early == late || !is_always_there(early, late) || (*left & early->sets) == 0)
        return;
    *left &= ~early->sets;
    *first = *first == NULL ? early : *first;
}

/* Those that match wherever the one at a place of by_value does, and go before it. */
static void cover_all(const struct order *o, size_t at, uint64_t *left,
                      const struct lint_policy **first)
{
    const struct lint_policy *late = o->by_value[at];
    struct match found[FOUND_MAX];
    struct match_run run = {.room = NULL};
    for (size_t i = at; i > 0 && at - i < SAME_MAX &&
                        values_compare(&o->by_value[i - 1]->p.value, &late->p.value) == 0;
         i--)
        cover(o->by_value[i - 1], late, left, first);
    if (late->p.value.kind == VALUE_PATTERN)
        return;
    struct subject s = values_subject(&late->p.value);
    size_t count = matcher_find(o->matcher, &s, found, FOUND_MAX, &run);
    for (size_t i = 0; i < count; i++) {
        const struct lint_policy *early = o->by_order[found[i].number];
        if (found[i].number < o->place[at] && values_cover(&early->p.value, &late->p.value))
            cover(early, late, left, first);
    }
}

static void find_unreachable(const struct order *o, size_t at)
{
    struct lint_policy *p = o->by_value[at];
    const struct lint_policy *first = NULL;
    uint64_t left = p->sets;
    if (!p->live || left == 0)
        return;
    cover_all(o, at, &left, &first);
    p->unreachable = left == 0;
    bool alone = p->unreachable && (p->sets & ~first->sets) == 0;
    if (p->unreachable)
        report_policy(o->l, FINDING_POLICY_UNREACHABLE, p, SETTINGS,
                      "none of its rules ever counts: %s%s before it and set%s them wherever it "
                      "matches; give it a lower number as priority, or remove it",
                      report_shown(o->l, text_of(first->p.name)),
                      alone ? " goes" : " and others go", alone ? "s" : "");
}

/* At different states they never meet. */
static void find_tie(const struct order *o, size_t at)
{
    const struct lint_policy *p = o->by_value[at];
    const struct lint_policy *before = at > 0 ? o->by_value[at - 1] : NULL;
    if (before != NULL && before->live && p->live && !p->unreachable &&
        before->p.priority == p->p.priority && (before->p.states & p->p.states) != 0 &&
        values_compare(&before->p.value, &p->p.value) == 0)
        report_policy(o->l, FINDING_POLICY_TIE, p, SETTINGS,
                      "has the value and the priority of %s, so that only their names decide which "
                      "goes first; give them different priorities",
                      report_shown(o->l, text_of(before->p.name)));
}

/* Of equal values so many as the look-back sees: no request's way is longer than it has to be. */
static bool fill(struct order *o, size_t count)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        struct lint_policy *p = o->by_value[i];
        struct lint_policy **place = bsearch(&p, o->by_order, count, sizeof(p), compare_order);
        o->place[i] = (size_t)(place - o->by_order);
        bool equal = i > 0 && values_compare(&o->by_value[i - 1]->p.value, &p->p.value) == 0;
        same = equal ? same + 1 : 0;
        if (p->live && p->p.enforce && same < SAME_MAX && p->p.value.kind != VALUE_PATTERN &&
            !matcher_add(o->matcher, &p->p.value, (uint32_t)o->place[i]))
            return false;
    }
    return matcher_seal(o->matcher);
}

static bool check_order(struct lint *l)
{
    size_t count = l->policies_count;
    struct order o = {
        .l = l,
        .by_order = calloc(count + 1, sizeof(*o.by_order)),
        .by_value = calloc(count + 1, sizeof(*o.by_value)),
        .place = calloc(count + 1, sizeof(*o.place)),
        .matcher = matcher_make(),
    };
    bool fine = o.by_order != NULL && o.by_value != NULL && o.place != NULL && o.matcher != NULL;
    for (size_t i = 0; fine && i < count; i++)
        o.by_order[i] = o.by_value[i] = &l->policies[i];
    if (fine && count > 0) {
        qsort(o.by_order, count, sizeof(struct lint_policy *), compare_order);
        qsort(o.by_value, count, sizeof(struct lint_policy *), compare_value);
    }
    fine = fine && fill(&o, count);
    for (size_t i = 0; fine && i < count; i++) {
        find_unreachable(&o, i);
        find_tie(&o, i);
    }
    free(o.by_order);
    free(o.by_value);
    free(o.place);
    matcher_free(o.matcher);
    return fine;
}

bool policies_check(struct lint *l)
{
    for (size_t i = 0; i < l->policies_count; i++) {
        const struct lint_policy *p = &l->policies[i];
        if (!p->live) {
            report_policy(l, FINDING_POLICY_EXPIRED, p, SETTINGS, "has expired; remove it");
            continue;
        }
        check_states(l, p);
        check_value(l, p);
        check_rules(l, p);
    }
    return check_order(l);
}
