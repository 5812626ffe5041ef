/* settings_together.c: what single values cannot show, what is not built yet, and other programs'
 * defaults. */
#include <string.h>

#include "core/base/redis_url.h"
#include "core/policy/settings_table.h"

#define PREFIX_MAX 64 /* bytes; each key in Redis has them */

/* 0.4.4 to the letter, where this program's own defaults differ. */
static const struct {
    enum setting which;
    const char *fallback;
} mongrey_defaults[] = {
    {SETTING_sasl_bypass, "false"},
    {SETTING_log_format, "mongrey"},
    {SETTING_recipients_exempt, ""},
    {SETTING_greylist_window, "1d"},
    {SETTING_greylist_ipv4_prefix, "32"},
    {SETTING_greylist_ipv6_prefix, "128"},
    {SETTING_greylist_header, "false"},
    {SETTING_reply_greylist,
     "450 4.2.0 Greylisted for %(remaining)s seconds. policy[%(policy)s] - %(url)s#greylisted"},
};

const char *setting_profile(enum profile profile, enum setting which)
{
    size_t count = sizeof(mongrey_defaults) / sizeof(mongrey_defaults[0]);
    for (size_t i = 0; profile == PROFILE_MONGREY && i < count; i++) {
        if (mongrey_defaults[i].which == which)
            return mongrey_defaults[i].fallback;
    }
    return NULL;
}

/* Of a setting that is built, a value that is not. */
static bool is_later_value(const struct settings *s, enum setting which)
{
    switch (which) {
    case SETTING_db_trouble:
        return s->db_trouble == TROUBLE_LOCAL;
    case SETTING_greylist_mode:
        return s->rules.greylist_mode == MODE_SELECTIVE;
    case SETTING_profile:
        return s->profile > PROFILE_MONGREY;
    default:
        return false;
    }
}

static bool is_default(const struct settings *s, enum setting which)
{
    struct settings other = {.arena = arena_make(64 * 1024)};
    char why[256];
    const char *fallback = setting_rows[which].fallback;
    bool same = setting_set(&other, which, text_of(fallback), why, sizeof(why)) &&
                settings_same(s, &other, which);
    arena_free(&other.arena);
    return same;
}

const char *setting_not_built(const struct settings *s, enum setting which)
{
    bool later = (setting_rows[which].flags & LATER) != 0;
    if (is_later_value(s, which))
        return "this value is for what is not built yet: it comes with a later version";
    if (later && !is_default(s, which))
        return "what this is for is not built yet: it comes with a later version, and until then "
               "only the default is taken";
    return NULL;
}

/* Digits of an octal mode. */
static bool is_octal(int64_t mode)
{
    for (; mode > 0; mode /= 10) {
        if (mode % 10 > 7)
            return false;
    }
    return true;
}

static const char *cache_fault(struct text cache)
{
    struct arena arena = arena_make(64 * 1024);
    struct redis_url url;
    const char *why = NULL;
    if (text_equal(cache, TEXT("memory")) || text_equal(cache, TEXT("simple")) ||
        text_equal(cache, TEXT("none")))
        return NULL;
    if (!redis_url_is(cache))
        why = "must be memory, none, redis://host or unix:///path";
    else if (redis_url_parse(&arena, cache, &url, &why))
        why = NULL;
    arena_free(&arena);
    return why;
}

const char *settings_together(const struct settings *s, enum setting *which)
{
    bool is_url = s->db_url.size > 0 && memchr(s->db_url.data, ':', s->db_url.size) != NULL;
    for (int i = 0; i < SETTINGS; i++) {
        *which = (enum setting)i;
        const char *fault = setting_not_built(s, *which);
        if (fault != NULL)
            return fault;
    }
    *which = SETTING_cache_url;
    const char *fault = cache_fault(s->cache_url);
    if (fault != NULL)
        return fault;
    *which = SETTING_cache_prefix;
    if (s->cache_prefix.size > PREFIX_MAX)
        return "is longer than 64 bytes";
    *which = SETTING_db_url;
    if (!is_url)
        return "must be a URL such as sqlite:////var/lib/mongrey/mongrey.db";
    *which = SETTING_socket_mode;
    if (!is_octal(s->socket_mode))
        return "is not an octal mode such as 660";
    *which = SETTING_greylist_window;
    if (s->rules.greylist_window > s->rules.greylist_remaining)
        return NULL;
    if (s->source[SETTING_greylist_remaining] <= s->source[SETTING_greylist_window])
        return "must be longer than greylist_remaining, or no retry can ever pass";
    *which = SETTING_greylist_remaining;
    return "must be shorter than greylist_window, or no retry can ever pass";
}
