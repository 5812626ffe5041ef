/* test_settings_rules.c: what a policy sets otherwise, what is not built yet or has no meaning any
 * more, and what profile mongrey changes. */
#include "tests/unit/settings_load.h"

#include "core/policy/settings_table.h"

#define ROOM (1 << 20)

/* --- Rules ------------------------------------------------------------------------------------ */

static bool read(struct arena *arena, const char *key, const char *written, struct rule_value *v,
                 char why[256])
{
    for (int i = SETTINGS_FIRST_RULE; i < SETTINGS; i++) {
        if (strcmp(settings_key((enum setting)i), key) == 0)
            return rule_parse((enum setting)i, text_of(written), arena, v, why, 256);
    }
    fail_msg("no rule %s", key);
    return false;
}

static void every_rule_reads_its_default_and_writes_it_again(void **state)
{
    struct arena arena = arena_make(ROOM);
    (void)state;
    for (int i = SETTINGS_FIRST_RULE; i < SETTINGS; i++) {
        enum setting which = (enum setting)i;
        struct rule_value value;
        struct rule_value again;
        char memory[2][1024];
        char why[256];
        struct writer w = writer_on(memory[0], sizeof(memory[0]));
        struct writer v = writer_on(memory[1], sizeof(memory[1]));
        CHECK_ROW(
            rule_parse(which, text_of(setting_rows[i].fallback), &arena, &value, why, sizeof(why)),
            "%s: %s", settings_key(which), why);
        assert_int_equal(value.which, which);
        rule_write(&w, &value);
        CHECK_ROW(rule_parse(which, writer_text(&w), &arena, &again, why, sizeof(why)), "%s: %s",
                  settings_key(which), why);
        rule_write(&v, &again);
        CHECK_ROW(text_equal(writer_text(&w), writer_text(&v)), "%s", settings_key(which));
    }
    arena_free(&arena);
}

static void a_rule_changes_its_own_member_and_no_other(void **state)
{
    static const struct {
        const char *key;
        const char *written;
    } rows[] = {
        {"whitelist_enable", "no"},      {"domain_vrfy", "on"},
        {"mynetwork_vrfy", "1"},         {"outgoing_bypass", "false"},
        {"spoofing_enable", "true"},     {"spoofing_subdomains", "yes"},
        {"greylist_enable", "off"},      {"greylist_default", "off"},
        {"greylist_header", "off"},      {"greylist_mode", "learn"},
        {"greylist_key", "special"},     {"greylist_remaining", "7m"},
        {"greylist_window", "3d"},       {"greylist_expire", "1d"},
        {"greylist_ipv4_prefix", "31"},  {"greylist_ipv6_prefix", "48"},
        {"reply_greylist", "451 later"}, {"recipients_exempt", "help@, x.test"},
    };
    struct arena arena = arena_make(ROOM);
    struct said said;
    struct settings *plain = load(&said, NULL, NULL, NULL);
    (void)state;
    assert_non_null(plain);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct settings changed = *plain;
        struct rule_value value;
        char why[256] = "";
        CHECK_ROW(read(&arena, rows[i].key, rows[i].written, &value, why), "%s: %s", rows[i].key,
                  why);
        rule_apply(&value, &changed.rules);
        for (int s = 0; s < SETTINGS; s++)
            CHECK_ROW(settings_same(plain, &changed, (enum setting)s) == ((int)value.which != s),
                      "%s and %s", rows[i].key, settings_key((enum setting)s));
    }
    settings_release(plain);
    arena_free(&arena);
}

static void a_bad_rule_says_why_and_is_none(void **state)
{
    static const char *const rows[][3] = {
        {"greylist_remaining", "soon", "`soon` is not a duration"},
        {"greylist_remaining", "2d", "is not between"},
        {"greylist_key", "max", "is none of vlow|low|med|high|special"},
        {"greylist_ipv4_prefix", "33", "is not between 1 and 32"},
        {"greylist_enable", "perhaps", "is neither true nor false"},
        {"reply_greylist", "OK", "is no action"},
        {"reply_greylist", "%(seconds)s", "is no action"},
        {"reply_relay", "554 %(nobody)s", "names a value that there is not"},
        {"greylist_mode", "selective", "not built yet"},
        {"spf_mode", "reject", "not built yet"},
        {"rbl_enable", "true", "not built yet"},
        {"recipients_exempt", "postmaster", "write postmaster@"},
        {"recipients_exempt", "a@b.test, /x/", "is a pattern"},
    };
    struct arena arena = arena_make(ROOM);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rule_value value;
        char why[256] = "";
        CHECK_ROW(!read(&arena, rows[i][0], rows[i][1], &value, why), "%s %s", rows[i][0],
                  rows[i][1]);
        CHECK_ROW(strstr(why, rows[i][2]) != NULL, "%s %s: %s", rows[i][0], rows[i][1], why);
    }
    arena_free(&arena);
}

/* Where a value is empty `554 ` is left, a number, which Postfix takes for OK. */
static void a_reply_holds_with_any_values_in_it(void **state)
{
    static const struct {
        const char *written;
        bool fine;
    } rows[] = {
        {"554 5.7.1 no", true},
        {"554 no %(country)s", true},
        {"554 %(country)s", false},
        {"554 %(sender)s%(recipient)s", false},
        {"4%(seconds)s0 wait", false},
        {"450 %(seconds)s", true},
        {"450 %(id)s", true},
        {"450 %(url)s", false},
        {"%(sender)s", false},
        {"554%(sender)s x", false},
        {"DUNNO %(sender)s", true},
        {"DUNNO%(sender)s", false},
        {"DEFER_IF_PERMIT %(seconds)s", true},
        {"PREPEND X-A: %(sender)s", true},
        {"PREPEND %(sender)s: x", false},
        {"PREPEND X-%(sender)s: x", true},
        {"PREPEND X A: x", false},
        {"OK", false},
        {"ok %(sender)s", false},
        {"RELAY", false},
        {"250 fine", false},
        {"", false},
    };
    struct arena arena = arena_make(ROOM);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rule_value value;
        char why[256] = "";
        CHECK_ROW(read(&arena, "reply_greylist", rows[i].written, &value, why) == rows[i].fine,
                  "%s: %s", rows[i].written, why);
    }
    arena_free(&arena);
}

static void exempt_recipients_are_kept_as_they_are_compared(void **state)
{
    struct said said;
    struct settings *s = load(&said,
                              "policy_settings:\n  recipients_exempt: [Help@B\xc3\xbc"
                              "cher.TEST, Abuse@, '@X.test', .Y.Test]\n",
                              NULL, NULL);
    static const char *const wanted[] = {"help@xn--bcher-kva.test", "abuse@", "x.test", ".y.test"};
    (void)state;
    assert_non_null(s);
    assert_int_equal(s->rules.recipients_exempt.count, COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++)
        expect_text(s->rules.recipients_exempt.items[i], wanted[i]);
    settings_release(s);
    assert_null(load(&said, "policy_settings:\n  recipients_exempt: [postmaster]\n", NULL, NULL));
    assert_string_equal(said.error.text,
                        "m.yml:2: recipients_exempt: `postmaster` has neither @ nor dot; write "
                        "postmaster@ for a user of any domain, @DOMAIN for a domain");
}

/* --- What is not built, and what has no meaning ------------------------------------------------ */

/* A value that the setting takes by its type, and that is not its default. */
static const char *other_value(const struct setting_row *row, char memory[64])
{
    bool truth = false;
    struct text word;
    struct text rest;
    switch (row->type) {
    case TYPE_BOOL:
        assert_true(text_bool(text_of(row->fallback), &truth));
        return truth ? "false" : "true";
    case TYPE_NUMBER:
        snprintf(memory, 64, "%lld", (long long)row->most);
        return memory;
    case TYPE_DURATION:
        snprintf(memory, 64, "%lldms", (long long)row->least);
        return memory;
    case TYPE_WORD:
        rest = text_of(row->words);
        while (text_split(&rest, '|', &word) && text_equal(word, text_of(row->fallback)))
            ;
        snprintf(memory, 64, "%.*s", (int)word.size, word.data);
        return memory;
    case TYPE_NETWORKS:
        return "192.0.2.0/24";
    case TYPE_ENDPOINTS:
        return "127.0.0.1:9998";
    default:
        return "x.test";
    }
}

static void what_is_not_built_is_refused_and_its_default_is_not(void **state)
{
    (void)state;
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting_row *row = &setting_rows[i];
        char memory[64];
        char option[256];
        char expected[256];
        struct said said;
        if ((row->flags & LATER) == 0)
            continue;
        const char *options[] = {option, NULL};
        const char *other = other_value(row, memory);
        const char *fallback = row->fallback;
        snprintf(option, sizeof(option), "%s=%.64s", row->key, other);
        CHECK_ROW(load(&said, NULL, NULL, options) == NULL, "%s", option);
        snprintf(expected, sizeof(expected), "%s: what this is for is not built yet", row->key);
        CHECK_ROW(strstr(said.error.text, expected) != NULL, "%s -> %s", option, said.error.text);
        snprintf(option, sizeof(option), "%s=%.64s", row->key, fallback);
        struct settings *s = load(&said, NULL, NULL, options);
        CHECK_ROW(s != NULL, "%s -> %s", option, said.error.text);
        settings_release(s);
    }
}

static void a_value_that_is_not_built_is_refused(void **state)
{
    static const char *const rows[] = {
        "db_trouble: local",
        "profile: postgrey",
        "profile: policyd-weight",
        "policy_settings: {greylist_mode: selective}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct said said;
        CHECK_ROW(load(&said, rows[i], NULL, NULL) == NULL, "%zu", i);
        CHECK_ROW(strstr(said.error.text, "this value is for what is not built yet") != NULL,
                  "%zu -> %s", i, said.error.text);
    }
}

static void what_has_no_meaning_is_taken_with_one_warning(void **state)
{
    (void)state;
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting_row *row = &setting_rows[i];
        char variable[128];
        char file[256];
        struct said said;
        if ((row->flags & RETIRED) == 0)
            continue;
        const char *variables[] = {variable, NULL};
        snprintf(variable, sizeof(variable), "%s=anything", row->environment);
        /* The variable that names the file is not the setting that had no meaning in it. */
        if (i != SETTING_settings_path) {
            struct settings *s = load(&said, NULL, variables, NULL);
            CHECK_ROW(s != NULL, "%s: %s", variable, said.error.text);
            CHECK_ROW(said.warnings_count == 1 && strstr(said.warnings[0], row->key) != NULL &&
                          strstr(said.warnings[0], row->help) != NULL,
                      "%s: %s", variable, said.warnings[0]);
            settings_release(s);
        }
        if (row->group[0] == '\0')
            snprintf(file, sizeof(file), "%s: anything\n", row->key);
        else
            snprintf(file, sizeof(file), "%s:\n  %s: anything\n", row->group, row->key);
        struct settings *s = load(&said, file, NULL, NULL);
        CHECK_ROW(s != NULL, "%s: %s", file, said.error.text);
        CHECK_ROW(said.warnings_count == 1 && strstr(said.warnings[0], row->key) != NULL, "%s: %s",
                  file, said.warnings[0]);
        settings_release(s);
    }
}

/* --- Profiles --------------------------------------------------------------------------------- */

static void profile_mongrey_is_044(void **state)
{
    struct said said;
    struct settings *s = load(&said, "profile: mongrey\n", NULL, NULL);
    (void)state;
    assert_non_null(s);
    assert_int_equal(s->profile, PROFILE_MONGREY);
    assert_false(s->sasl_bypass);
    assert_int_equal(s->log_format, FORMAT_MONGREY);
    assert_int_equal(s->rules.recipients_exempt.count, 0);
    assert_int_equal(s->rules.greylist_window, 86400000);
    assert_int_equal(s->rules.greylist_remaining, 20000);
    assert_int_equal(s->rules.greylist_expire, INT64_C(3024000000));
    assert_int_equal(s->rules.greylist_ipv4_prefix, 32);
    assert_int_equal(s->rules.greylist_ipv6_prefix, 128);
    assert_false(s->rules.greylist_header);
    assert_int_equal(s->source[SETTING_greylist_header], FROM_PROFILE);
    assert_int_equal(s->source[SETTING_greylist_remaining], FROM_DEFAULT);
    expect_text(s->rules.reply_greylist,
                "450 4.2.0 Greylisted for %(remaining)s seconds. policy[%(policy)s] - "
                "%(url)s#greylisted");
    expect_text(s->reply_blacklist, "554 5.7.1 blacklisted [%(value)s] - %(url)s#554");
    settings_release(s);
}

static void what_is_set_goes_before_the_profile(void **state)
{
    static const char *const variables[] = {"MONGREY_PROFILE=mongrey",
                                            "MONGREY_GREYLIST_HEADER=true", NULL};
    static const char *const options[] = {"greylist_ipv4_prefix=24", NULL};
    struct said said;
    struct settings *s = load(&said, "policy_settings: {sasl_bypass: true}\n", variables, options);
    (void)state;
    assert_non_null(s);
    assert_true(s->sasl_bypass);
    assert_true(s->rules.greylist_header);
    assert_int_equal(s->rules.greylist_ipv4_prefix, 24);
    assert_int_equal(s->rules.greylist_ipv6_prefix, 128);
    settings_release(s);
    static const char *const none[] = {"profile=none", NULL};
    s = load(&said, NULL, variables, none);
    assert_non_null(s);
    assert_true(s->sasl_bypass);
    assert_int_equal(s->rules.greylist_ipv4_prefix, 24);
    settings_release(s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_reads_its_default_and_writes_it_again),
        cmocka_unit_test(a_rule_changes_its_own_member_and_no_other),
        cmocka_unit_test(a_bad_rule_says_why_and_is_none),
        cmocka_unit_test(a_reply_holds_with_any_values_in_it),
        cmocka_unit_test(exempt_recipients_are_kept_as_they_are_compared),
        cmocka_unit_test(what_is_not_built_is_refused_and_its_default_is_not),
        cmocka_unit_test(a_value_that_is_not_built_is_refused),
        cmocka_unit_test(what_has_no_meaning_is_taken_with_one_warning),
        cmocka_unit_test(profile_mongrey_is_044),
        cmocka_unit_test(what_is_set_goes_before_the_profile),
    };
    return cmocka_run_group_tests_name("settings rules", tests, NULL, NULL);
}
