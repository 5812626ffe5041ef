/* test_pipeline.c: a request's way through the checks, and what it ends in, without a store: the
 * test says what the store would have answered. */
#include "tests/unit/way.h"

#include <time.h>

#include "core/base/version.h"

#define URL "http://mongrey.readthedocs.org/en/latest/errors.html"

static int start(void **state)
{
    if (way_start(state) != 0 || setenv("TZ", "UTC", 1) != 0)
        return -1;
    tzset();
    return snapshot_seal(((struct way *)*state)->snapshot) ? 0 : -1;
}

static void expect_verdict(const struct way *way, enum outcome outcome, const char *reason,
                           const char *action)
{
    assert_string_equal(way->q.verdict.action, action);
    assert_string_equal(way->q.verdict.reason, reason);
    assert_int_equal(way->q.verdict.outcome, outcome);
}

#define ASK "client_address=192.0.2.1\nsender=a@b\nrecipient=c@d\n"

static void what_needs_no_check_passes_at_once(void **state)
{
    static const struct {
        const char *lines;
        const char *reason;
        const char *action;
    } rows[] = {
        {"protocol_state=DATA\n" ASK, "state", "DUNNO"},
        {"protocol_state=CONNECT\nclient_address=10.0.0.1\n", "state", "DUNNO"},
        {"sender=a@b\nrecipient=c@d\n", "no-address", "DUNNO"},
        {"client_address=unknown\nrecipient=c@d\n", "no-address", "DUNNO"},
        {"client_address=192.0.2.1\nsender=a@b\n", "no-recipient", "DUNNO"},
        {"client_address=10.1.2.3\nrecipient=c@d\n", "private", "DUNNO private address [10.1.2.3]"},
        {"client_address=::ffff:10.1.2.3\nrecipient=c@d\n", "private",
         "DUNNO private address [10.1.2.3]"},
        {"client_address=fe80::1\n", "private", "DUNNO private address [fe80::1]"},
        {"client_address=::1\nrecipient=c@d\n", "private", "DUNNO private address [::1]"},
    };
    struct way *way = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_ROW(way_run(way, rows[i].lines, T0), "%s", rows[i].lines);
        expect_verdict(way, OUTCOME_PASS, rows[i].reason, rows[i].action);
        assert_int_equal(way->q.verdict.delay, -1);
    }
}

static void documentation_addresses_are_asked_for(void **state)
{
    static const char *const rows[] = {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char lines[128];
        snprintf(lines, sizeof(lines), "client_address=%s\nrecipient=c@d\n", rows[i]);
        assert_false(way_run(*state, lines, T0));
    }
}

static void excluded_networks_pass(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {ip_excludes: [192.0.2.0/25, '2001:db8::/32'], "
                 "private_bypass: false}\n");
    assert_true(way_run(way, "client_address=192.0.2.127\nrecipient=c@d\n", T0));
    expect_verdict(way, OUTCOME_PASS, "exclude", "DUNNO exclude filtering [192.0.2.127]");
    assert_true(way_run(way, "client_address=2001:DB8:ffff::1\nrecipient=c@d\n", T0));
    expect_verdict(way, OUTCOME_PASS, "exclude", "DUNNO exclude filtering [2001:db8:ffff::1]");
    assert_false(way_run(way, "client_address=192.0.2.128\nrecipient=c@d\n", T0));
    assert_false(way_run(way, "client_address=10.0.0.1\nrecipient=c@d\n", T0));
}

static void private_comes_before_exclude(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {ip_excludes: [10.0.0.0/8]}\n");
    assert_true(way_run(way, "client_address=10.0.0.1\nrecipient=c@d\n", T0));
    assert_string_equal(way->q.verdict.reason, "private");
}

static void greylisting_can_be_turned_off(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {greylist_enable: false}\n");
    assert_true(way_run(way, ASK, T0));
    expect_verdict(way, OUTCOME_PASS, "disable-greylisting", "DUNNO");
}

static void a_stranger_is_looked_up_with_the_settings_in_force(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {greylist_remaining: 5m, greylist_window: 3d, greylist_expire: "
                 "40d}\n");
    assert_false(way_run(way, ASK, T0));
    const struct storage_sighting *s = &way->q.sighting;
    assert_int_equal(s->op, STORAGE_GREY);
    assert_int_equal(s->count, 1);
    assert_int_equal(s->now, T0);
    assert_int_equal(s->delay, 300000);
    assert_int_equal(s->window, 3 * 86400000);
    assert_int_equal(s->keep, INT64_C(40) * 86400000);
    assert_false(s->look);
}

static void answered(struct way *way, const char *lines, int64_t now, struct storage_row row)
{
    assert_false(way_run(way, lines, now));
    way->q.status = STORAGE_OK;
    way->q.row = row;
    assert_true(pipeline_resume(&way->q));
}

static void seconds_are_whole_and_rounded_up(void **state)
{
    static const struct {
        int64_t age;
        uint32_t tries;
        int seconds;
        const char *reason;
    } rows[] = {
        {0, 1, 20, "new"},
        {0, 2, 20, "early-retry (20s missing)"},
        {1, 2, 20, "early-retry (20s missing)"},
        {999, 2, 20, "early-retry (20s missing)"},
        {1000, 2, 19, "early-retry (19s missing)"},
        {18999, 3, 2, "early-retry (2s missing)"},
        {19000, 3, 1, "early-retry (1s missing)"},
        {19999, 3, 1, "early-retry (1s missing)"},
        {20000, 3, 1, "early-retry (1s missing)"},
        {90000, 3, 1, "early-retry (1s missing)"},
    };
    struct way *way = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char action[256];
        answered(way, ASK, T0,
                 (struct storage_row){.first_seen = T0 - rows[i].age, .tries = rows[i].tries});
        snprintf(action, sizeof(action),
                 "450 4.2.0 Greylisted for %d seconds. policy[default] - " URL "#greylisted",
                 rows[i].seconds);
        expect_verdict(way, OUTCOME_GREYLIST, rows[i].reason, action);
    }
}

static void the_first_pass_gets_a_header_once_a_message(void **state)
{
    static const struct storage_row first = {.passes = 1, .tries = 1, .waited = 301999};
    struct way *way = *state;
    answered(way, ASK "instance=1\n", T0, first);
    expect_verdict(way, OUTCOME_PASS, "triplet found",
                   "PREPEND X-Greylist: delayed 301 seconds by mongrey-" MONGREY_VERSION
                   " at mx.example; Tue, 14 Nov 2023 22:13:20 +0000");
    assert_int_equal(way->q.verdict.delay, 301);
    answered(way, ASK "instance=1\n", T0, first);
    expect_verdict(way, OUTCOME_PASS, "triplet found", "DUNNO policy[default]");
    assert_int_equal(way->q.verdict.delay, 301);
    answered(way, ASK "instance=2\n", T0, first);
    assert_memory_equal(way->q.verdict.action, "PREPEND ", 8);
}

static void later_passes_get_none(void **state)
{
    struct way *way = *state;
    answered(way, ASK "instance=1\n", T0,
             (struct storage_row){.passes = 2, .tries = 1, .waited = 301999});
    expect_verdict(way, OUTCOME_PASS, "triplet found", "DUNNO policy[default]");
    assert_int_equal(way->q.verdict.delay, -1);
}

static void the_header_can_be_turned_off(void **state)
{
    struct way *way = *state;
    way_set(way, "policy_settings: {greylist_header: off}\n");
    answered(way, ASK, T0, (struct storage_row){.passes = 1, .tries = 1, .waited = 20000});
    expect_verdict(way, OUTCOME_PASS, "triplet found", "DUNNO policy[default]");
    assert_int_equal(way->q.verdict.delay, 20);
}

static void a_store_in_trouble_is_answered_as_the_settings_say(void **state)
{
    static const enum storage_status rows[] = {STORAGE_BUSY,      STORAGE_UNAVAILABLE,
                                               STORAGE_UNCERTAIN, STORAGE_INVALID,
                                               STORAGE_SCHEMA,    STORAGE_DENIED};
    struct way *way = *state;
    for (int defer = 0; defer < 2; defer++) {
        way_set(way, defer ? "db_trouble: defer\n" : "db_trouble: pass\n");
        for (size_t i = 0; i < COUNT(rows); i++) {
            assert_false(way_run(way, ASK, T0));
            way->q.status = rows[i];
            way->q.row = (struct storage_row){.passes = 7}; /* says nothing */
            assert_true(pipeline_resume(&way->q));
            expect_verdict(way, defer ? OUTCOME_GREYLIST : OUTCOME_PASS, "store-trouble",
                           defer ? "450 4.3.0 Temporary trouble, please try again later" : "DUNNO");
        }
    }
}

static void a_hostile_page_address_stays_one_line(void **state)
{
    struct way *way = *state;
    way_set(way, "errors_url: \"http://x/\xc3\xa9 y\"\n");
    answered(way, ASK, T0, (struct storage_row){.first_seen = T0, .tries = 1});
    expect_verdict(way, OUTCOME_GREYLIST, "new",
                   "450 4.2.0 Greylisted for 20 seconds. policy[default] - http://x/?? "
                   "y#greylisted");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_needs_no_check_passes_at_once, start, way_stop),
        cmocka_unit_test_setup_teardown(documentation_addresses_are_asked_for, start, way_stop),
        cmocka_unit_test_setup_teardown(excluded_networks_pass, start, way_stop),
        cmocka_unit_test_setup_teardown(private_comes_before_exclude, start, way_stop),
        cmocka_unit_test_setup_teardown(greylisting_can_be_turned_off, start, way_stop),
        cmocka_unit_test_setup_teardown(a_stranger_is_looked_up_with_the_settings_in_force, start,
                                        way_stop),
        cmocka_unit_test_setup_teardown(seconds_are_whole_and_rounded_up, start, way_stop),
        cmocka_unit_test_setup_teardown(the_first_pass_gets_a_header_once_a_message, start,
                                        way_stop),
        cmocka_unit_test_setup_teardown(later_passes_get_none, start, way_stop),
        cmocka_unit_test_setup_teardown(the_header_can_be_turned_off, start, way_stop),
        cmocka_unit_test_setup_teardown(a_store_in_trouble_is_answered_as_the_settings_say, start,
                                        way_stop),
        cmocka_unit_test_setup_teardown(a_hostile_page_address_stays_one_line, start, way_stop),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
