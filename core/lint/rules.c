/* rules.c: what policies may set otherwise: judged as the settings have it, and again for each policy
 * that sets it. Where a third policy could set the other half, nothing is certain, and nothing told. */
#include <string.h>

#include "core/lint/state.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)

/* Whose rules are judged. */
struct scope {
    struct lint *l;
    const struct lint_policy *policy; /* NULL: the settings */
    struct rules rules;
};

#define TELL(scope, finding, which, ...)                                             \
    do {                                                                             \
        if ((scope)->policy != NULL)                                                 \
            report_policy((scope)->l, finding, (scope)->policy, which, __VA_ARGS__); \
        else                                                                         \
            report_setting((scope)->l, finding, which, __VA_ARGS__);                 \
    } while (0)

/* Whether it was set here: a default is never told of. */
static bool is_own(const struct scope *s, enum setting which)
{
    if (s->policy != NULL)
        return (s->policy->sets & RULE_BIT(which)) != 0;
    return s->l->settings->source[which] > FROM_PROFILE;
}

/* Whether no other policy can have set it otherwise. */
static bool is_certain(const struct scope *s, enum setting which)
{
    return s->policy == NULL || is_own(s, which) || s->l->setting_by[RULE_INDEX(which)] == 0;
}

/* Of a truth value: it is off, and no policy turns it on. */
static bool is_never_on(const struct scope *s, enum setting which, bool value)
{
    bool settled = s->policy != NULL && is_own(s, which);
    return !value && (settled || s->l->enabled_by[RULE_INDEX(which)] == 0);
}

static bool is_greylisting(const struct scope *s)
{
    return s->rules.greylist_enable && s->rules.greylist_mode != MODE_OFF;
}

static void check_spoofing(const struct scope *s)
{
    const struct rules *r = &s->rules;
    if (!is_own(s, SETTING_spoofing_enable) || !r->spoofing_enable)
        return;
    if (is_never_on(s, SETTING_domain_vrfy, r->domain_vrfy))
        TELL(
            s, FINDING_SPOOFING_WITHOUT_DOMAINS, SETTING_spoofing_enable,
            "needs domain_vrfy, which is off, so that nothing is ever found to be spoofed; turn it "
            "on, and enter one's own domains");
    if (is_never_on(s, SETTING_mynetwork_vrfy, r->mynetwork_vrfy))
        TELL(
            s, FINDING_SPOOFING_WITHOUT_NETWORKS, SETTING_spoofing_enable,
            "needs mynetwork_vrfy, which is off, so that nothing is ever found to be spoofed; turn "
            "it on, and enter one's own networks");
}

static void check_outgoing(const struct scope *s)
{
    if (is_own(s, SETTING_outgoing_bypass) && s->rules.outgoing_bypass &&
        is_never_on(s, SETTING_mynetwork_vrfy, s->rules.mynetwork_vrfy))
        TELL(s, FINDING_OUTGOING_WITHOUT_NETWORKS, SETTING_outgoing_bypass,
             "needs mynetwork_vrfy, which is off, so that no client is known as one's own; turn it "
             "on, and enter one's own networks");
}

/* Relaying is denied where both are on; a policy is told of only where it made it so. */
static void check_relay(const struct scope *s)
{
    const struct lint *l = s->l;
    const struct rules *settings = &l->settings->rules;
    enum setting which =
        is_own(s, SETTING_domain_vrfy) ? SETTING_domain_vrfy : SETTING_mynetwork_vrfy;
    bool told = s->policy != NULL && settings->domain_vrfy && settings->mynetwork_vrfy;
    if (!l->complete || !s->rules.domain_vrfy || !s->rules.mynetwork_vrfy || told)
        return;
    if (l->domains_count == 0)
        TELL(
            s, FINDING_RELAY_WITHOUT_DOMAINS, which,
            "with domain_vrfy and mynetwork_vrfy on, mail that is neither from nor to one's own is "
            "denied as relaying, and there is no domain: all mail from outside is; enter one's own "
            "domains");
    else if (l->networks_count == 0)
        TELL(s, FINDING_RELAY_WITHOUT_NETWORKS, which,
             "with domain_vrfy and mynetwork_vrfy on there is no mynetwork, so that one's own "
             "clients are strangers; enter one's own networks");
}

static bool does_any_opt_in(const struct lint *l)
{
    bool wanted;
    for (size_t i = 0; i < l->policies_count; i++) {
        const struct lint_policy *p = &l->policies[i];
        if (p->live && p->p.enforce && snapshot_policy_has_say(&p->p, &wanted) && wanted)
            return true;
    }
    return false;
}

static void check_opt_in(const struct scope *s)
{
    if (s->policy == NULL && s->l->complete && is_greylisting(s) && !s->rules.greylist_default &&
        !does_any_opt_in(s->l))
        TELL(s, FINDING_OPT_IN_NOBODY, SETTING_greylist_default,
             "is off, and no policy opts in, so that nobody is greylisted; give a policy for those "
             "recipients greylist_default: on");
}

static void check_mode(const struct scope *s)
{
    if (is_own(s, SETTING_greylist_enable) && s->rules.greylist_enable &&
        s->rules.greylist_mode == MODE_OFF && is_certain(s, SETTING_greylist_mode))
        TELL(s, FINDING_GREYLIST_MODE_OFF, SETTING_greylist_enable,
             "is on, and greylist_mode off, so that nobody is greylisted; set greylist_mode: all, "
             "or "
             "greylist_enable: false");
}

/* A policy that names the client has said who it trusts: what the key leaves out, it brings. */
static void check_key(const struct scope *s)
{
    enum field field = s->policy != NULL ? s->policy->p.value.field : FIELDS;
    if (field == FIELD_CLIENT_ADDRESS || field == FIELD_CLIENT_NAME)
        return;
    if (!is_own(s, SETTING_greylist_key) || !is_greylisting(s))
        return;
    if (s->rules.greylist_key == KEY_SPECIAL)
        TELL(s, FINDING_GREYLIST_KEY_SPECIAL, SETTING_greylist_key,
             "special has no client in it: a second client passes by the first one's try; take med "
             "or high");
    if (s->rules.greylist_key == KEY_VLOW)
        TELL(
            s, FINDING_GREYLIST_KEY_VLOW, SETTING_greylist_key,
            "vlow is the client alone: its second mail to anybody passes without a retry; take low "
            "or med");
}

static void check_wait(const struct scope *s)
{
    int64_t wait = s->rules.greylist_remaining;
    if (!is_own(s, SETTING_greylist_remaining) || !is_greylisting(s) ||
        s->rules.greylist_mode == MODE_LEARN)
        return;
    if (wait == 0)
        TELL(s, FINDING_GREYLIST_NO_WAIT, SETTING_greylist_remaining,
             "is 0: who tries again at once passes; take 20s or more, or greylist_mode: off");
    else if (wait > HOUR)
        TELL(s, FINDING_GREYLIST_WAIT_LONG, SETTING_greylist_remaining,
             "is over an hour: one-time codes come too late, and some senders give up; take 5m");
}

static void check_window(const struct scope *s)
{
    const struct rules *r = &s->rules;
    bool own = is_own(s, SETTING_greylist_window);
    enum setting which = own ? SETTING_greylist_window : SETTING_greylist_remaining;
    if (!is_greylisting(s) || !is_own(s, which))
        return;
    if (r->greylist_window <= r->greylist_remaining) {
        if (is_certain(s, SETTING_greylist_window) && is_certain(s, SETTING_greylist_remaining))
            TELL(s, FINDING_GREYLIST_WINDOW_IN_WAIT, which,
                 "greylist_window is not longer than greylist_remaining, within which nobody "
                 "passes: "
                 "it is counted from the end of the wait; make it longer");
    } else if (own && r->greylist_window < 4 * HOUR) {
        TELL(s, FINDING_GREYLIST_WINDOW_SHORT, SETTING_greylist_window,
             "is under 4 hours, and usual servers pause for longer between tries: they stay "
             "strangers; take 2d");
    }
}

static void check_expire(const struct scope *s)
{
    enum setting which =
        is_own(s, SETTING_greylist_expire) ? SETTING_greylist_expire : SETTING_greylist_window;
    if (is_own(s, which) && is_greylisting(s) &&
        s->rules.greylist_expire < s->rules.greylist_window &&
        is_certain(s, SETTING_greylist_expire) && is_certain(s, SETTING_greylist_window))
        TELL(s, FINDING_GREYLIST_EXPIRE_SHORT, which,
             "greylist_expire is shorter than greylist_window: who has passed is forgotten sooner "
             "than who has not; take 35d");
}

static void check_prefixes(const struct scope *s)
{
    if (is_own(s, SETTING_greylist_ipv4_prefix) && s->rules.greylist_ipv4_prefix < 16)
        TELL(s, FINDING_IPV4_PREFIX_WIDE, SETTING_greylist_ipv4_prefix,
             "counts over 65,536 addresses as one client, strangers with each other; take 24");
    if (is_own(s, SETTING_greylist_ipv6_prefix) && s->rules.greylist_ipv6_prefix < 32)
        TELL(s, FINDING_IPV6_PREFIX_WIDE, SETTING_greylist_ipv6_prefix,
             "counts several providers as one client; take 64");
}

static void check_exempt(const struct scope *s)
{
    const struct settings_list *list = &s->rules.recipients_exempt;
    bool postmaster = false;
    for (size_t i = 0; i < list->count; i++) {
        struct text rest = list->items[i];
        struct text local = rest;
        text_split(&rest, '@', &local);
        postmaster = postmaster || text_equal(local, TEXT("postmaster"));
    }
    if (is_own(s, SETTING_recipients_exempt) && !postmaster)
        TELL(s, FINDING_EXEMPT_WITHOUT_POSTMASTER, SETTING_recipients_exempt,
             "lacks postmaster@, to whom those write who are refused (RFC 5321, 4.5.1); add it");
}

/* --- Replies ----------------------------------------------------------------------------------- */

enum verb { VERB_PASSES, VERB_DEFERS, VERB_REJECTS, VERB_TAKES };

/* Of an action that settings_load took. TAKES: the mail is taken, and kept from the recipient. */
static enum verb verb_of(struct text action)
{
    static const struct {
        const char *word;
        enum verb verb;
    } words[] = {
        {"DEFER", VERB_DEFERS},   {"DEFER_IF_PERMIT", VERB_DEFERS},
        {"REJECT", VERB_REJECTS}, {"DISCARD", VERB_TAKES},
        {"HOLD", VERB_TAKES},
    };
    struct text rest = action;
    struct text word = {"", 0};
    text_split(&rest, ' ', &word);
    if (word.size > 0 && (word.data[0] == '4' || word.data[0] == '5'))
        return word.data[0] == '4' ? VERB_DEFERS : VERB_REJECTS;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text_equal_fold(word, text_of(words[i].word)))
            return words[i].verb;
    }
    return VERB_PASSES;
}

static void check_greylist_reply(const struct scope *s)
{
    enum verb verb = verb_of(s->rules.reply_greylist);
    if (!is_own(s, SETTING_reply_greylist))
        return;
    if (verb == VERB_REJECTS || verb == VERB_TAKES)
        TELL(s, FINDING_REPLY_GREYLIST_REJECTS, SETTING_reply_greylist,
             "is final: no stranger's mail would ever come again; begin it with 450 4.2.0");
    if (verb == VERB_PASSES)
        TELL(s, FINDING_REPLY_GREYLIST_PASSES, SETTING_reply_greylist,
             "does not defer: nobody has to come back; begin it with 450 4.2.0");
}

static void check_reject(const struct scope *s, enum setting which, struct text reply)
{
    enum verb verb = verb_of(reply);
    bool own = which == SETTING_reply_blacklist
                   ? s->policy == NULL && s->l->settings->source[which] > FROM_PROFILE
                   : is_own(s, which);
    if (own && verb == VERB_PASSES)
        TELL(s, FINDING_REPLY_PASSES, which,
             "lets pass what is to be rejected; begin it with 554 5.7.1 (to try it out, set "
             "enforce: false on entries or policies)");
    if (own && verb == VERB_DEFERS)
        TELL(s, FINDING_REPLY_TEMPORARY, which,
             "is temporary: what is to be rejected comes again for days; begin it with 554 5.7.1");
}

static void check_replies(const struct scope *s)
{
    check_greylist_reply(s);
    check_reject(s, SETTING_reply_blacklist, s->l->settings->reply_blacklist);
    check_reject(s, SETTING_reply_relay, s->rules.reply_relay);
    check_reject(s, SETTING_reply_spoofing, s->rules.reply_spoofing);
    struct text header = s->rules.greylist_header_text;
    if (is_own(s, SETTING_greylist_header_text) &&
        !(header.size > 8 && memcmp(header.data, "PREPEND ", 8) == 0))
        TELL(s, FINDING_HEADER_NO_PREPEND, SETTING_greylist_header_text,
             "adds no header; begin it with PREPEND, as in `PREPEND X-Greylist: delayed "
             "%%(delay)s seconds`");
}

static void check_scope(struct lint *l, const struct lint_policy *policy)
{
    static void (*const all[])(const struct scope *) = {
        check_spoofing, check_outgoing, check_relay,  check_opt_in,   check_mode,   check_key,
        check_wait,     check_window,   check_expire, check_prefixes, check_exempt, check_replies,
    };
    struct scope s = {.l = l, .policy = policy, .rules = l->settings->rules};
    for (size_t i = 0; policy != NULL && i < policy->p.rules_count; i++)
        rule_apply(&policy->p.rules[i], &s.rules);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        all[i](&s);
}

void rules_check(struct lint *l)
{
    check_scope(l, NULL);
    for (size_t i = 0; l->complete && i < l->policies_count; i++) {
        if (l->policies[i].live)
            check_scope(l, &l->policies[i]);
    }
}
