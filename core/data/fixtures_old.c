/* fixtures_old.c: see fixtures_old.h. */
#include "core/data/fixtures_old.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/policy/settings.h"
#include "core/policy/value.h"

struct reading {
    struct text *written;
    struct arena *arena;
    char *why;
    size_t size;
};

static bool refuse(struct reading *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct reading *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(r->why, r->size, format, list);
    va_end(list);
    return false;
}

/* --- Fields that 0.4.4 had ---------------------------------------------------------------------- */

/* A row default of 0.4.4's policies, as it would be written. */
static const struct {
    size_t field;
    const char *fallback;
} old_rules[] = {
    {POLICY_mynetwork_vrfy, "1"},
    {POLICY_domain_vrfy, "1"},
    {POLICY_spoofing_enable, "1"},
    {POLICY_rbl_enable, "0"},
    {POLICY_rbl_hosts, ""},
    {POLICY_rwl_enable, "0"},
    {POLICY_rwl_hosts, ""},
    {POLICY_rwbl_timeout, "30"},
    {POLICY_rwbl_cache_timeout, "3600"},
    {POLICY_spf_enable, "0"},
    {POLICY_greylist_enable, "1"},
    {POLICY_greylist_key, "med"},
    {POLICY_greylist_remaining, "10"},
    {POLICY_greylist_expire, "3024000"},
};

#define OLD_RULES (sizeof(old_rules) / sizeof(old_rules[0]))

static bool is_old_field(enum kind kind, size_t field)
{
    if (kind == KIND_POOL) /* 0.4.4 had none: there is no other reading */
        return true;
    if (kind == KIND_DOMAIN || kind == KIND_MAILBOX)
        return field == DOMAIN_name;
    if (kind == KIND_MYNETWORK)
        return field == MYNETWORK_value || field == MYNETWORK_comments;
    if (kind != KIND_POLICY)
        return field == ENTRY_field_name || field == ENTRY_value || field == ENTRY_comments;
    for (size_t i = 0; i < OLD_RULES; i++) {
        if (old_rules[i].field == field)
            return true;
    }
    return field == POLICY_name || field == POLICY_field_name || field == POLICY_value ||
           field == POLICY_comments;
}

static bool check_fields(struct reading *r, enum kind kind)
{
    for (size_t i = 0; i < record_fields(kind); i++) {
        if (r->written[i].data != NULL && !is_old_field(kind, i))
            return refuse(r,
                          "%s: 0.4.4 had no such field; if the file is in today's form, write "
                          "`version: 1` at its top",
                          record_field_name(kind, i));
    }
    return true;
}

/* --- Values ------------------------------------------------------------------------------------- */

/* Anchored at the start, as all patterns of 0.4.4 were. */
static bool make_pattern(struct reading *r, struct text value, struct text *out)
{
    char memory[VALUE_MAX + 16];
    struct writer w = writer_on(memory, sizeof(memory));
    write_literal(&w, "/^(?:");
    write_text(&w, value);
    write_literal(&w, ")/");
    const char *copy = w.full ? NULL : arena_copy(r->arena, writer_text(&w));
    *out = (struct text){copy, writer_text(&w).size};
    return copy != NULL || refuse(r, "value: is too long");
}

static bool is_name_or_address(struct reading *r, enum field field, struct text value)
{
    char why[VALUE_WHY_MAX];
    struct value parsed;
    return value_parse(field, value, r->arena, &parsed, why, sizeof(why));
}

/* `*.example.com` is what a shell would take; as the regular expression that it was it matched
 * nothing, and stopped the look-up. */
static bool refuse_star(struct reading *r, struct text value)
{
    char shown[128];
    struct writer w = writer_on(shown, sizeof(shown));
    write_escaped(&w, value, "", 100);
    return refuse(
        r,
        "value: `%s` is no regular expression, and matched nothing in 0.4.4; for a domain "
        "and all below it write .example.com in a file with `version: 1`",
        writer_end(&w));
}

/* What was a regular expression, or looked like one, for 0.4.4. */
static bool read_value(struct reading *r, struct text *name, struct text *value)
{
    enum field field = FIELD_CLIENT_ADDRESS;
    struct text t = text_trim(*value);
    if (name->data != NULL && !field_find(text_trim(*name), &field))
        return true; /* record_make says it better */
    if (field == FIELD_CLIENT_ADDRESS || field == FIELD_COUNTRY || t.size == 0)
        return true;
    if (field == FIELD_POLICY_CONTEXT)
        return refuse(r, "field_name: 0.4.4 had no policy_context; if the file is in today's form, "
                         "write `version: 1` at its top");
    if (field == FIELD_SENDER && text_equal(t, TEXT("<>")))
        return refuse(r, "value: `<>` never matched in 0.4.4; to have it match now, write it in a "
                         "file with `version: 1`");
    if (field == FIELD_CLIENT_NAME && text_equal_fold(t, TEXT("unknow")))
        return refuse(r, "value: `unknow` never matched in 0.4.4");
    if (t.size > 1 && t.data[0] == '/' && t.data[t.size - 1] == '/')
        return refuse(r,
                      "value: a pattern between slashes matched nothing in 0.4.4; if the file is "
                      "in today's form, write `version: 1` at its top");
    if (t.data[0] == '*')
        return refuse_star(r, t);
    /* Where a plain value is neither name nor address, what it began with is all that it was. */
    if (!text_has(t, "\\^$*+?{}[]|()") && is_name_or_address(r, field, t))
        return true;
    return make_pattern(r, t, value);
}

/* --- Policies ----------------------------------------------------------------------------------- */

static bool is_same(struct text written, const char *fallback)
{
    bool a, b;
    int64_t n, f;
    written = text_trim(written);
    if (text_equal(written, text_of(fallback)))
        return true;
    if (text_bool(written, &a) && text_bool(text_of(fallback), &b))
        return a == b;
    return text_duration(written, &n) && text_duration(text_of(fallback), &f) && n == f;
}

/* What 0.4.4's default was, and what it is not built for yet, are left to what holds elsewhere. */
static bool read_rule(struct reading *r, size_t field, const char *fallback)
{
    char why[400];
    struct text *written = &r->written[field];
    struct rule_value rule;
    enum setting which = (enum setting)(SETTINGS_FIRST_RULE + (field - POLICY_FIRST_RULE));
    bool named = written->data != NULL;
    if (!named)
        *written = text_of(fallback);
    if (rule_parse(which, *written, r->arena, &rule, why, sizeof(why)))
        return true;
    if (named && !is_same(*written, fallback))
        return refuse(r, "%s: %s", record_field_name(KIND_POLICY, field), why);
    *written = (struct text){NULL, 0};
    return true;
}

bool fixtures_old_read(enum kind kind, struct text *written, struct arena *arena, char *why,
                       size_t size)
{
    struct reading r = {written, arena, why, size};
    if (!check_fields(&r, kind))
        return false;
    if (kind == KIND_WHITELIST || kind == KIND_BLACKLIST)
        return read_value(&r, &written[ENTRY_field_name], &written[ENTRY_value]);
    if (kind != KIND_POLICY)
        return true;
    for (size_t i = 0; i < OLD_RULES; i++) {
        if (!read_rule(&r, old_rules[i].field, old_rules[i].fallback))
            return false;
    }
    return read_value(&r, &written[POLICY_field_name], &written[POLICY_value]);
}
