/* serving.c: settings of the top level: who may ask, what is answered in trouble, where the store is. */
#include <string.h>

#include "core/base/endpoint.h"
#include "core/base/url.h"
#include "core/lint/state.h"

#define POSTFIX_WAITS 100000 /* ms: smtpd_policy_service_timeout */

static bool is_loopback(struct text item)
{
    struct endpoint e;
    struct addr addr;
    const char *why;
    if (!endpoint_parse(item, &e, &why) || e.path.size > 0)
        return true; /* a Unix socket has its own permissions */
    if (addr_parse(e.host, &addr)) {
        static const uint8_t one[16] = {[15] = 1};
        return addr.family == ADDR_IPV4 ? addr.bytes[0] == 127
                                        : memcmp(addr.bytes, one, sizeof(one)) == 0;
    }
    return text_equal_fold(e.host, TEXT("localhost")) ||
           text_equal_fold(e.host, TEXT("ip6-localhost"));
}

/* The first of a list that others can reach; empty: none. */
static struct text find_open(const struct settings_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!is_loopback(list->items[i]))
            return list->items[i];
    }
    return (struct text){"", 0};
}

static void check_who_may_ask(struct lint *l)
{
    const struct settings *s = l->settings;
    struct text open = find_open(&s->host);
    bool everyone = s->allow_hosts.count == 0;
    if (open.size == 0)
        return;
    if (!s->security_by_host) {
        report_setting(l, FINDING_OPEN_TO_EVERYONE, SETTING_security_by_host,
                       "is off while %s is listened on, so that everyone who reaches it may ask; "
                       "turn it on and name the mail servers in allow_hosts",
                       report_shown(l, open));
        return;
    }
    for (size_t i = 0; i < s->allow_hosts.count; i++)
        everyone = everyone || values_is_everyone(&s->allow_hosts.items[i]);
    if (everyone)
        report_setting(l, FINDING_OPEN_TO_EVERYONE, SETTING_allow_hosts,
                       "has everyone in it while %s is listened on; name the mail servers",
                       report_shown(l, open));
}

static void check_metrics(struct lint *l)
{
    struct text open = find_open(&l->settings->metrics_listen);
    if (open.size > 0)
        report_setting(
            l, FINDING_METRICS_OPEN, SETTING_metrics_listen,
            "%s is open to everyone who reaches it, and tells about your mail; listen on "
            "127.0.0.1, or let a firewall choose",
            report_shown(l, open));
}

static void check_error_action(struct lint *l)
{
    struct text a = l->settings->error_action;
    struct text rest = a;
    struct text word = {"", 0};
    text_split(&rest, ' ', &word);
    if (word.size == 0)
        return;
    if (word.data[0] == '5' || text_equal_fold(word, TEXT("REJECT")) ||
        text_equal_fold(word, TEXT("DISCARD")))
        report_setting(l, FINDING_ERROR_ACTION_REJECTS, SETTING_error_action,
                       "a fault of this program or its store would lose mail; use DUNNO, or "
                       "DEFER_IF_PERMIT");
    else if (word.data[0] == '4' || text_equal_fold(word, TEXT("DEFER")) ||
             text_equal_fold(word, TEXT("DEFER_IF_PERMIT")))
        report_setting(l, FINDING_ERROR_ACTION_DEFERS, SETTING_error_action,
                       "a fault of this program or its store would delay all mail until it is "
                       "mended; DUNNO lets it pass");
}

static void check_times(struct lint *l)
{
    const struct settings *s = l->settings;
    if (s->connection_timeout > POSTFIX_WAITS)
        report_setting(
            l, FINDING_CONNECTION_TIMEOUT_LONG, SETTING_connection_timeout,
            "is longer than the 100 s that Postfix waits; what is not there by then never "
            "comes: take 10s");
    if (s->test_clock)
        report_setting(l, FINDING_TEST_CLOCK_ON, SETTING_test_clock,
                       "whoever asks says what time it is, and so passes at once; turn it off but "
                       "for tests");
    if (!s->purge_enable)
        report_setting(l, FINDING_PURGE_OFF, SETTING_purge_enable,
                       "what has expired stays in the store, which only grows; turn it on, unless "
                       "another host of this store purges");
}

static void check_log(struct lint *l)
{
    const struct settings *s = l->settings;
    if (s->log_format == FORMAT_MONGREY && s->verbose == 2)
        report_setting(l, FINDING_LOG_FORMAT_VERBOSE, SETTING_verbose,
                       "2 lists the checks in lines about decisions, but log_format mongrey keeps "
                       "them as 0.4.4 had them, without; take log_format text, or verbose 1");
}

static bool begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static void check_store(struct lint *l)
{
    struct arena scratch = arena_make(64 * 1024);
    struct url url;
    const char *why;
    bool sqlite =
        url_parse(&scratch, l->settings->db_url, &url, &why) && strcmp(url.scheme, "sqlite") == 0;
    if (sqlite && strcmp(url.path, ":memory:") == 0)
        report_setting(l, FINDING_STORE_IN_MEMORY, SETTING_db_url,
                       "a restart forgets everybody, who then wait again; name a file, as in "
                       "sqlite:////var/lib/mongrey/mongrey.db");
    else if (sqlite && (begins(url.path, "/tmp/") || begins(url.path, "/var/tmp/") ||
                        begins(url.path, "/dev/shm/")))
        report_setting(l, FINDING_STORE_IN_TMP, SETTING_db_url,
                       "the system cleans up there; put it in a folder of its own, such as "
                       "/var/lib/mongrey");
    arena_free(&scratch);
}

static void check_excludes(struct lint *l)
{
    const struct settings_networks *list = &l->settings->ip_excludes;
    size_t *outer = arena_take(&l->arena, (list->count + 1) * sizeof(*outer));
    if (outer == NULL || !values_nest(list->items, list->count, outer))
        return;
    for (size_t i = 0; i < list->count; i++) {
        const struct network *n = &list->items[i];
        const struct network *o = outer[i] != LINT_NONE ? &list->items[outer[i]] : NULL;
        if (o != NULL && o->prefix == n->prefix)
            report_setting(l, FINDING_EXCLUDES_TWICE, SETTING_ip_excludes,
                           "%s is there twice; remove one", report_network(l, n));
        else if (values_is_everyone(n))
            report_setting(l, FINDING_EXCLUDES_EVERYONE, SETTING_ip_excludes,
                           "%s lets everybody pass before any check; name one's own networks",
                           report_network(l, n));
        else if (o != NULL && !values_is_everyone(o))
            report_setting(l, FINDING_EXCLUDES_OVERLAP, SETTING_ip_excludes,
                           "%s lies in %s; remove one of them", report_network(l, n),
                           report_network(l, o));
    }
}

void serving_check(struct lint *l)
{
    static void (*const all[])(struct lint *) = {
        check_who_may_ask, check_metrics, check_error_action, check_times,
        check_log,         check_store,   check_excludes,
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        all[i](l);
}
