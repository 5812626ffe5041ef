/* test_pipeline_rules.c: requests among lists and policies: what is watched only, what the store
 * would have said under other rules, and checks whose lists are not there yet. */
#include "tests/unit/way.h"

static struct value value_of(struct way *way, enum field field, const char *written)
{
    struct value v;
    char why[VALUE_WHY_MAX];
    if (!value_parse(field, text_of(written), &way->arena, &v, why, sizeof(why)))
        fail_msg("%s %s", written, why);
    return v;
}

static void list(struct way *way, enum snapshot_list which, const char *sender, bool enforce)
{
    struct value v = value_of(way, FIELD_SENDER, sender);
    struct list_entry e = {TEXT("id"), text_of(sender), INT64_MAX, enforce};
    assert_true(snapshot_add_entry(way->snapshot, which, &e, &v));
}

/* A policy for a recipient; rules: "key=value key=value". */
static void policy(struct way *way, const char *name, const char *recipient, bool enforce,
                   unsigned states, const char *rules)
{
    struct rule_value *parsed = arena_take(&way->arena, RULES * sizeof(*parsed));
    struct policy p = {.name = name,
                       .value = value_of(way, FIELD_RECIPIENT, recipient),
                       .expires = INT64_MAX,
                       .enforce = enforce,
                       .states = states,
                       .rules = parsed};
    struct text rest = text_of(rules);
    struct text part;
    while (text_split(&rest, ' ', &part)) {
        struct text key;
        char why[256];
        assert_true(text_split(&part, '=', &key));
        for (int i = SETTINGS_FIRST_RULE; i < SETTINGS; i++) {
            if (!text_equal(key, text_of(settings_key((enum setting)i))))
                continue;
            if (!rule_parse((enum setting)i, part, &way->arena, &parsed[p.rules_count++], why,
                            sizeof(why)))
                fail_msg("%s", why);
        }
    }
    assert_true(snapshot_add_policy(way->snapshot, &p));
}

#define AT_RCPT (1u << STATE_RCPT)

static void answer(struct way *way, const char *lines, struct storage_row row)
{
    assert_false(way_run(way, lines, T0));
    way->q.status = STORAGE_OK;
    way->q.row = row;
    assert_true(pipeline_resume(&way->q));
}

static void expect_would(const struct way *way, enum outcome outcome, const char *way_start)
{
    if (strncmp(way->q.would, way_start, strlen(way_start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", way->q.would, way_start);
    assert_int_equal(way->q.would_outcome, outcome);
}

#define BOB "client_address=192.0.2.1\nsender=ann@x.test\nrecipient=bob@t.test\n"
#define NEW ((struct storage_row){.first_seen = T0, .tries = 1})
#define AGE(ms, p) ((struct storage_row){.first_seen = T0 - (ms), .tries = 2, .passes = (p)})

static void any_reply_may_name_any_value(void **state)
{
    struct way *way = *state;
    way_set(way, "errors_url: U\n"
                 "policy_settings:\n"
                 "  reply_blacklist: 554 %(seconds)s %(remaining)s %(delay)s %(policy)s %(value)s "
                 "%(client_address)s %(client_name)s %(sender)s %(recipient)s %(recipient_domain)s "
                 "%(country)s %(id)s %(url)s %(host)s\n");
    list(way, LIST_BLACK, "ann@x.test", true);
    assert_true(snapshot_seal(way->snapshot));
    assert_true(way_run(way, BOB "client_name=mx.x.test\ncountry=fr\n", T0));
    assert_string_equal(way->q.verdict.action,
                        "554 0 0.0 0 default ann@x.test 192.0.2.1 mx.x.test ann@x.test "
                        "bob@t.test t.test FR 0123456789abc U mx.example");
    assert_int_equal(way->q.verdict.delay, -1);
    assert_int_equal(way->q.would[0], '\0');
}

static void nothing_is_watched_where_all_is_enforced(void **state)
{
    struct way *way = *state;
    policy(way, "p", "bob@t.test", true, AT_RCPT, "greylist_remaining=60s");
    assert_true(snapshot_seal(way->snapshot));
    answer(way, BOB, NEW);
    assert_int_equal(way->q.would[0], '\0');
    assert_string_equal(way->q.verdict.policy, "p");
    assert_int_equal(way->q.sighting.delay, 60000);
}

static void a_watched_delay_is_held_against_the_row_of_the_same_key(void **state)
{
    static const struct {
        struct storage_row row;
        enum outcome outcome;
        const char *would;
    } rows[] = {
        {{.first_seen = T0, .tries = 1}, OUTCOME_GREYLIST, "450 4.2.0 Greylisted for 60 seconds"},
        {{.first_seen = T0 - 5000, .tries = 2},
         OUTCOME_GREYLIST,
         "450 4.2.0 Greylisted for 55 seconds. policy[watched]"},
        {{.first_seen = T0 - 20000, .tries = 2, .passes = 1},
         OUTCOME_GREYLIST,
         "450 4.2.0 Greylisted for 40 seconds"},
        {{.first_seen = T0 - 60000, .tries = 2, .passes = 1},
         OUTCOME_PASS,
         "DUNNO policy[watched]"},
        {{.passes = 2}, OUTCOME_PASS, "DUNNO policy[watched]"},
    };
    struct way *way = *state;
    policy(way, "watched", "bob@t.test", false, AT_RCPT, "greylist_remaining=60s");
    assert_true(snapshot_seal(way->snapshot));
    for (size_t i = 0; i < COUNT(rows); i++) {
        answer(way, BOB, rows[i].row);
        expect_would(way, rows[i].outcome, rows[i].would);
        assert_string_equal(way->q.verdict.policy, "default");
    }
}

static void a_watched_shorter_delay_would_have_let_pass(void **state)
{
    struct way *way = *state;
    policy(way, "watched", "bob@t.test", false, AT_RCPT, "greylist_remaining=5s");
    assert_true(snapshot_seal(way->snapshot));
    answer(way, BOB, AGE(4999, 0));
    expect_would(way, OUTCOME_GREYLIST, "450 4.2.0 Greylisted for 1 seconds");
    answer(way, BOB, AGE(5000, 0));
    expect_would(way, OUTCOME_PASS, "DUNNO policy[watched]");
    assert_int_equal(way->q.verdict.outcome, OUTCOME_GREYLIST);
}

/* Of another key the store has said nothing. */
static void a_watched_key_would_have_been_new(void **state)
{
    struct way *way = *state;
    policy(way, "watched", "bob@t.test", false, AT_RCPT, "greylist_key=high");
    assert_true(snapshot_seal(way->snapshot));
    answer(way, BOB, AGE(90000, 7));
    expect_would(way, OUTCOME_GREYLIST, "450 4.2.0 Greylisted for 20 seconds");
    assert_string_equal(way->q.verdict.action, "DUNNO policy[default]");
}

static void other_watched_rules(void **state)
{
    static const struct {
        const char *rules;
        enum outcome outcome;
        const char *would;
    } rows[] = {
        {"greylist_mode=learn", OUTCOME_PASS, "DUNNO policy[watched]"},
        {"greylist_mode=off", OUTCOME_PASS, "DUNNO"},
        {"greylist_enable=false", OUTCOME_PASS, "DUNNO"},
        {"greylist_default=off", OUTCOME_PASS, "DUNNO"},
        {"recipients_exempt=bob@", OUTCOME_PASS, "DUNNO exempt recipient [bob@t.test]"},
        {"domain_vrfy=on mynetwork_vrfy=on", OUTCOME_REJECT, "554 5.7.1 relay denied"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(way_start(state), 0);
        struct way *way = *state;
        policy(way, "watched", "bob@t.test", false, AT_RCPT, rows[i].rules);
        assert_true(snapshot_seal(way->snapshot));
        way->snapshot->loaded = true;
        answer(way, BOB, NEW);
        expect_would(way, rows[i].outcome, rows[i].would);
        assert_int_equal(way->q.verdict.outcome, OUTCOME_GREYLIST);
        assert_int_equal(way_stop(state), 0);
    }
    assert_int_equal(way_start(state), 0);
}

static void a_watched_policy_opts_in_only_in_the_trial(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {greylist_default: off}\n");
    policy(way, "watched", "bob@t.test", false, AT_RCPT, "greylist_default=on");
    assert_true(snapshot_seal(way->snapshot));
    assert_true(way_run(way, BOB, T0));
    assert_string_equal(way->q.verdict.reason, "not-opted-in");
    expect_would(way, OUTCOME_GREYLIST, "450 4.2.0 Greylisted for 20 seconds. policy[watched]");
}

static void at_other_states_a_watched_policy_is_tried_from_the_first_check_on(void **state)
{
    struct way *way = *state;
    policy(way, "watched", "t.test", false, 1u << STATE_DATA, "greylist_remaining=60s");
    list(way, LIST_BLACK, "bad@x.test", true);
    list(way, LIST_WHITE, "friend@x.test", true);
    assert_true(snapshot_seal(way->snapshot));
    assert_true(way_run(way, "protocol_state=DATA\n" BOB, T0));
    assert_string_equal(way->q.verdict.reason, "state");
    assert_string_equal(way->q.verdict.action, "DUNNO");
    expect_would(way, OUTCOME_GREYLIST, "450 4.2.0 Greylisted for 60 seconds. policy[watched]");
    assert_string_equal(pipeline_decider(&way->q), "state");
    assert_true(way_run(way,
                        "protocol_state=DATA\nclient_address=192.0.2.1\nsender=bad@x.test\n"
                        "recipient=bob@t.test\n",
                        T0));
    expect_would(way, OUTCOME_REJECT, "554 5.7.1 blacklisted [bad@x.test]");
    assert_true(way_run(way,
                        "protocol_state=DATA\nclient_address=192.0.2.1\nsender=friend@x.test\n"
                        "recipient=bob@t.test\n",
                        T0));
    expect_would(way, OUTCOME_PASS, "DUNNO whitelisted [friend@x.test]");
    assert_false(way->snapshot->lists[LIST_BLACK].met); /* a trial is no hit */
    assert_false(way->snapshot->lists[LIST_WHITE].met);
    assert_true(
        way_run(way, "protocol_state=DATA\nclient_address=unknown\nrecipient=bob@t.test\n", T0));
    assert_int_equal(way->q.would[0], '\0');
}

static void the_first_that_is_watched_is_told(void **state)
{
    struct way *way = *state;
    list(way, LIST_BLACK, "ann@x.test", false);
    list(way, LIST_WHITE, "x.test", false);
    policy(way, "watched", "bob@t.test", false, AT_RCPT, "greylist_enable=false");
    assert_true(snapshot_seal(way->snapshot));
    answer(way, BOB, NEW);
    expect_would(way, OUTCOME_REJECT, "blacklisted [ann@x.test]");
    assert_int_equal(way->q.verdict.outcome, OUTCOME_GREYLIST);
    assert_false(way->snapshot->lists[LIST_BLACK].met);
}

/* Without the lists everybody would look like a stranger. */
static void before_the_lists_are_loaded_nobody_is_rejected_for_want_of_them(void **state)
{
    struct way *way = *state;
    way_set(way,
            "policy_settings: {domain_vrfy: true, mynetwork_vrfy: true, spoofing_enable: true}\n");
    assert_true(snapshot_add_domain(way->snapshot, TEXT("x.test")));
    assert_true(snapshot_seal(way->snapshot));
    assert_false(way_run(way, BOB, T0)); /* a spoofed sender */
    assert_false(
        way_run(way, "client_address=192.0.2.1\nsender=a@y.test\nrecipient=b@t.test\n", T0));
    way->snapshot->loaded = true;
    assert_true(way_run(way, BOB, T0));
    assert_string_equal(way->q.verdict.reason, "spoofing");
    assert_true(
        way_run(way, "client_address=192.0.2.1\nsender=a@y.test\nrecipient=b@t.test\n", T0));
    assert_string_equal(way->q.verdict.reason, "relay-denied");
}

static void the_row_decides_for_the_policy_that_asked(void **state)
{
    struct way *way = *state;
    policy(way, "mailbox", "bob@t.test", true, AT_RCPT, "greylist_window=3d greylist_key=high");
    policy(way, "domain", "t.test", true, AT_RCPT, "greylist_window=4d greylist_expire=5d");
    assert_true(snapshot_seal(way->snapshot));
    answer(way, BOB, NEW);
    assert_int_equal(way->q.sighting.window, INT64_C(3) * 86400000);
    assert_int_equal(way->q.sighting.keep, INT64_C(5) * 86400000);
    assert_int_equal(way->q.rules->greylist_key, KEY_HIGH);
    assert_string_equal(way->q.verdict.policy, "mailbox");
    assert_int_equal(way->settings->rules.greylist_key, KEY_MED);
}

struct told {
    char lines[4096];
    struct writer w;
};

static void keep_line(void *context, const char *check, struct text found)
{
    struct told *told = context;
    write_format(&told->w, "%s: %.*s\n", check, (int)found.size, found.data);
}

static void what_was_looked_at_is_told(void **state)
{
    struct way *way = *state;
    struct told told;
    list(way, LIST_WHITE, "ann@x.test", true);
    list(way, LIST_WHITE, "ann@", false);
    policy(way, "mine", "bob@t.test", true, AT_RCPT, "greylist_window=3d");
    assert_true(snapshot_seal(way->snapshot));
    assert_true(way_run(way, BOB, T0));
    told.w = writer_on(told.lines, sizeof(told.lines));
    pipeline_tell(&way->q, keep_line, &told);
    writer_end(&told.w);
    assert_string_equal(pipeline_decider(&way->q), "whitelist");
    assert_non_null(strstr(told.lines, "policy: mine (recipient is bob@t.test, priority 0)\n"));
    assert_non_null(strstr(told.lines, "whitelist: sender is ann@x.test\n"));
    assert_non_null(strstr(told.lines, "blacklist: none of 0 entries\n"));
    assert_non_null(strstr(told.lines, "greylist: not asked\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, way_start, way_stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(any_reply_may_name_any_value),
        TEST(nothing_is_watched_where_all_is_enforced),
        TEST(a_watched_delay_is_held_against_the_row_of_the_same_key),
        TEST(a_watched_shorter_delay_would_have_let_pass),
        TEST(a_watched_key_would_have_been_new),
        cmocka_unit_test_setup_teardown(other_watched_rules, NULL, way_stop),
        TEST(a_watched_policy_opts_in_only_in_the_trial),
        TEST(at_other_states_a_watched_policy_is_tried_from_the_first_check_on),
        TEST(the_first_that_is_watched_is_told),
        TEST(before_the_lists_are_loaded_nobody_is_rejected_for_want_of_them),
        TEST(the_row_decides_for_the_policy_that_asked),
        TEST(what_was_looked_at_is_told),
    };
    return cmocka_run_group_tests_name("pipeline rules", tests, NULL, NULL);
}
