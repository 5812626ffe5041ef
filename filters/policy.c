/* policy.c: which policies apply, and with them which rules hold for all checks behind this one.
 * Never decides. */
#include "filters/table.h"

/* Lays the policies' rules over the settings', the last first, so that the first wins. */
static void apply(const struct policy *const *policies, size_t count, bool all, struct rules *rules)
{
    for (size_t i = count; i > 0; i--) {
        const struct policy *p = policies[i - 1];
        for (size_t r = 0; (p->enforce || all) && r < p->rules_count; r++)
            rule_apply(&p->rules[r], rules);
    }
}

/* The first that has a say decides, as with every rule. */
static bool opts_in(const struct policy *const *policies, size_t count, bool all)
{
    bool wanted;
    for (size_t i = 0; i < count; i++) {
        if ((policies[i]->enforce || all) && snapshot_policy_has_say(policies[i], &wanted))
            return wanted;
    }
    return false;
}

static size_t find(const struct inquiry *q, const struct policy *found[SNAPSHOT_POLICIES_MAX])
{
    bool by_field = q->settings->profile == PROFILE_MONGREY;
    return snapshot_policies(q->snapshot, &q->request, by_field, found);
}

static enum check_answer ask(struct inquiry *q)
{
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    if (q->trial) /* it has its rules already */
        return CHECK_NEXT;
    size_t count = find(q, found);
    q->verdict.policy = "default";
    for (size_t i = 0; i < count; i++) {
        if (found[i]->enforce && q->policy == NULL)
            q->policy = found[i];
        if (!found[i]->enforce && q->shadow == NULL)
            q->shadow = found[i];
    }
    q->opted_in = opts_in(found, count, false);
    if (q->policy == NULL)
        return CHECK_NEXT;
    q->verdict.policy = q->policy->name;
    q->own = q->settings->rules;
    apply(found, count, false, &q->own);
    q->rules = &q->own;
    return CHECK_NEXT;
}

void policy_rules_with_shadow(struct inquiry *q)
{
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    size_t count = find(q, found);
    q->own = q->settings->rules;
    apply(found, count, true, &q->own);
    q->opted_in = opts_in(found, count, true);
    q->rules = &q->own;
}

static void tell(const struct inquiry *q, struct writer *w)
{
    const struct policy *found[SNAPSHOT_POLICIES_MAX];
    size_t count = find(q, found);
    if (count == 0)
        write_format(w, "none of %zu policies: the settings", q->snapshot->policies_count);
    for (size_t i = 0; i < count; i++) {
        const struct policy *p = found[i];
        write_format(w, "%s%s (%s", i > 0 ? ", then " : "", p->name, field_names[p->value.field]);
        write_literal(w, " is ");
        value_write(w, &p->value);
        write_format(w, ", priority %lld%s)", (long long)p->priority,
                     p->enforce ? "" : ", not enforced");
    }
}

const struct check check_policy = {.name = "policy", .ask = ask, .tell = tell};
