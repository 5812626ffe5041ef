/* test_logline.c: the lines about decisions, in their three forms: none can be forged. */
#include "tests/unit/unit.h"

#include "core/policy/logline.h"

#define T0 INT64_C(1700000000123)

static void expect_form(enum log_format format, const struct verdict *v, const char *request,
                        const char *wanted)
{
    char memory[LOGLINE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct request r;
    const char *why = "";
    CHECK_ROW(request_parse(text_of(request), &r, &why), "%s: %s", request, why);
    r.now = T0;
    logline_write(&w, format, v, &r);
    expect_text(writer_text(&w), wanted);
}

static void expect_log(const struct verdict *v, const char *request, const char *wanted)
{
    expect_form(FORMAT_TEXT, v, request, wanted);
}

static struct verdict some_verdict(enum outcome outcome, const char *reason)
{
    struct verdict v = {0};
    verdict_set(&v, outcome, reason, TEXT("DUNNO"));
    v.policy = "default";
    memcpy(v.id, "0123456789abcdef", ID_SIZE + 1);
    return v;
}

static void the_line_is_postgreys(void **state)
{
    struct verdict v = some_verdict(OUTCOME_GREYLIST, "new");
    (void)state;
    expect_log(&v,
               "request=smtpd_access_policy\nclient_address=192.0.2.1\nclient_name=mail.example\n"
               "sender=a@b\nrecipient=c@d\n\n",
               "action=greylist, reason=new, client_name=mail.example, client_address=192.0.2.1, "
               "sender=a@b, recipient=c@d, policy=default, id=0123456789abcdef");
    v = some_verdict(OUTCOME_PASS, "triplet found");
    v.delay = 301;
    expect_log(&v, "request=smtpd_access_policy\nqueue_id=4F1B\nrecipient=c@d\n\n",
               "4F1B: action=pass, reason=triplet found, delay=301, recipient=c@d, "
               "policy=default, id=0123456789abcdef");
    v = some_verdict(OUTCOME_REJECT, "x");
    v.policy = NULL;
    expect_log(&v, "request=smtpd_access_policy\n\n",
               "action=reject, reason=x, id=0123456789abcdef");
    v = some_verdict(OUTCOME_ERROR, "x");
    v.policy = NULL;
    expect_log(&v, "request=smtpd_access_policy\n\n",
               "action=error, reason=x, id=0123456789abcdef");
}

/* A value cannot end its field, begin another one, or begin another line. */
static void a_line_cannot_be_forged(void **state)
{
    struct verdict v = some_verdict(OUTCOME_GREYLIST, "new");
    (void)state;
    expect_log(&v,
               "request=smtpd_access_policy\nqueue_id=1: action=pass, x\n"
               "sender=a, recipient=x@y, id=1\nrecipient=c d\r\xe2\x80\xa8\xc2\x85\\\n\n",
               "1\\x3a\\x20action=pass\\x2c\\x20x: action=greylist, reason=new, "
               "sender=a\\x2c\\x20recipient=x@y\\x2c\\x20id=1, "
               "recipient=c\\x20d\\x0d\\xe2\\x80\\xa8\\xc2\\x85\\\\, "
               "policy=default, id=0123456789abcdef");
}

static void what_would_have_been_and_what_was_looked_at(void **state)
{
    struct verdict v = some_verdict(OUTCOME_PASS, "triplet found");
    (void)state;
    v.would = TEXT("554 5.7.1 blacklisted [a, id=1]");
    v.checks = TEXT("private:no exclude:no, x=\n");
    expect_log(&v, "request=smtpd_access_policy\n\n",
               "action=pass, reason=triplet found, policy=default, "
               "would_action=554 5.7.1 blacklisted [a\\x2c id=1], "
               "checks=private:no exclude:no\\x2c x=\\x0a, id=0123456789abcdef");
}

static void a_reason_and_a_policy_are_values_too(void **state)
{
    struct verdict v = some_verdict(OUTCOME_REJECT, "rbl-a, id=1");
    (void)state;
    v.policy = "x, id=2\n";
    expect_log(&v, "request=smtpd_access_policy\n\n",
               "action=reject, reason=rbl-a\\x2c id=1, policy=x\\x2c\\x20id=2\\x0a, "
               "id=0123456789abcdef");
    expect_form(
        FORMAT_MONGREY, &v, "request=smtpd_access_policy\n\n",
        "action=reject, reason=rbl-a\\x2c\\x20id=1, client_name=, client_address=, sender=, "
        "recipient= policy=x\\x2c\\x20id=2\\x0a");
}

static void json_has_all_members(void **state)
{
    struct verdict v = some_verdict(OUTCOME_GREYLIST, "new");
    (void)state;
    expect_form(FORMAT_JSON, &v,
                "request=smtpd_access_policy\nclient_address=192.0.2.1\nclient_name=mail.example\n"
                "helo_name=h\nsender=a@b\nrecipient=c@d\nqueue_id=4F1B\n\n",
                "{\"time\":\"2023-11-14T22:13:20.123Z\",\"action\":\"greylist\","
                "\"reason\":\"new\",\"delay\":null,\"client_name\":\"mail.example\","
                "\"client_address\":\"192.0.2.1\",\"helo_name\":\"h\",\"sender\":\"a@b\","
                "\"recipient\":\"c@d\",\"policy\":\"default\",\"queue_id\":\"4F1B\","
                "\"id\":\"0123456789abcdef\"}");
    v = some_verdict(OUTCOME_PASS, "triplet found");
    v.delay = 301;
    v.policy = NULL;
    v.would = TEXT("450 \"x\"");
    v.checks = TEXT("a\tb");
    expect_form(FORMAT_JSON, &v, "request=smtpd_access_policy\nsender=\"},{\"a\": \\\n\n",
                "{\"time\":\"2023-11-14T22:13:20.123Z\",\"action\":\"pass\","
                "\"reason\":\"triplet found\",\"delay\":301,\"client_name\":\"\","
                "\"client_address\":\"\",\"helo_name\":\"\",\"sender\":\"\\\"},{\\\"a\\\": \\\\\","
                "\"recipient\":\"\",\"policy\":null,\"would_action\":\"450 \\\"x\\\"\","
                "\"checks\":\"a\\u0009b\",\"queue_id\":\"\",\"id\":\"0123456789abcdef\"}");
}

static void its_line_is_044s_to_the_letter(void **state)
{
    static const struct {
        enum outcome outcome;
        const char *ours;
        const char *wanted;
    } rows[] = {
        {OUTCOME_GREYLIST, "new", "greylist, reason=new"},
        {OUTCOME_GREYLIST, "early-retry (20s missing)", "greylist, reason=retry"},
        {OUTCOME_PASS, "triplet found", "pass, reason=delay"},
        {OUTCOME_PASS, "client AWL", "pass, reason=delay"},
        {OUTCOME_PASS, "private", "pass, reason=private"},
        {OUTCOME_PASS, "exclude", "pass, reason=exclude"},
        {OUTCOME_REJECT, "blacklisted", "reject, reason=blacklisted"},
        {OUTCOME_REJECT, "relay-denied", "reject, reason=relay-denied"},
        {OUTCOME_PASS, "outgoing", "pass, reason=outgoing"},
        {OUTCOME_PASS, "whitelisted", "pass, reason=whitelisted"},
        {OUTCOME_PASS, "client whitelist", "pass, reason=whitelisted"},
        {OUTCOME_REJECT, "spoofing", "reject, reason=spoofing"},
        {OUTCOME_PASS, "disable-greylisting", "pass, reason=disable-greylisting"},
        {OUTCOME_REJECT, "rbl-zen.example", "reject, reason=rbl-zen.example"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char wanted[256];
        struct verdict v = some_verdict(rows[i].outcome, rows[i].ours);
        v.policy = i % 2 == 0 ? NULL : "default";
        v.delay = 20;
        v.would = TEXT("450 x");
        snprintf(wanted, sizeof(wanted),
                 "action=%s, client_name=n, client_address=192.0.2.1, sender=, recipient=c@d "
                 "policy=default",
                 rows[i].wanted);
        expect_form(FORMAT_MONGREY, &v,
                    "request=smtpd_access_policy\nqueue_id=4F1B\nclient_name=n\n"
                    "client_address=192.0.2.1\nrecipient=c@d\n\n",
                    wanted);
    }
}

/* In all forms a hostile sender stays inside its value. */
static void hostile_senders_stay_inside(void **state)
{
    static const struct {
        const char *sender;
        const char *text;
        const char *json;
    } rows[] = {
        {"a, id=0", "a\\x2c\\x20id=0", "a, id=0"},
        {"a policy=evil", "a\\x20policy=evil", "a policy=evil"},
        {"a\",\"action\":\"pass", "a\"\\x2c\"action\":\"pass", "a\\\",\\\"action\\\":\\\"pass"},
        {"a\r\tb\x7f", "a\\x0d\\x09b\\x7f", "a\\u000d\\u0009b\\u007f"},
        {"\xff\xc3\x28", "\\xff\\xc3(", "\\\\xff\\\\xc3("},
        {"\xe2\x80\xae\xc2\x9b", "\\xe2\\x80\\xae\\xc2\\x9b", "\\u202e\\u009b"},
        {"\xf3\xa0\x80\x81", "\\xf3\\xa0\\x80\\x81", "\\udb40\\udc01"},
        {"\xc3\xa9@\xf0\x9f\x93\xae", "\xc3\xa9@\xf0\x9f\x93\xae", "\xc3\xa9@\xf0\x9f\x93\xae"},
        {"a\\x2c", "a\\\\x2c", "a\\\\x2c"},
    };
    struct verdict v = some_verdict(OUTCOME_GREYLIST, "new");
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char request[256];
        char wanted[600];
        snprintf(request, sizeof(request), "request=smtpd_access_policy\nsender=%s\n\n",
                 rows[i].sender);
        snprintf(wanted, sizeof(wanted),
                 "action=greylist, reason=new, sender=%s, policy=default, id=0123456789abcdef",
                 rows[i].text);
        expect_form(FORMAT_TEXT, &v, request, wanted);
        snprintf(
            wanted, sizeof(wanted),
            "action=greylist, reason=new, client_name=, client_address=, sender=%s, recipient= "
            "policy=default",
            rows[i].text);
        expect_form(FORMAT_MONGREY, &v, request, wanted);
        snprintf(
            wanted, sizeof(wanted),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"action\":\"greylist\",\"reason\":\"new\","
            "\"delay\":null,\"client_name\":\"\",\"client_address\":\"\",\"helo_name\":\"\","
            "\"sender\":\"%s\",\"recipient\":\"\",\"policy\":\"default\",\"queue_id\":\"\","
            "\"id\":\"0123456789abcdef\"}",
            rows[i].json);
        expect_form(FORMAT_JSON, &v, request, wanted);
    }
}

/* However long the values are: each form has all its fields, and is never cut. */
static void the_longest_values_leave_room_for_the_rest(void **state)
{
    static char request[6 * 8192];
    static char value[8000];
    static char policy[8000];
    static const char *const ends[] = {", id=0123456789abcdef", ",\"id\":\"0123456789abcdef\"}",
                                       ""};
    struct verdict v = some_verdict(OUTCOME_PASS, "");
    struct writer w = writer_on(request, sizeof(request));
    struct request r;
    const char *why;
    (void)state;
    memset(value, '\x01', sizeof(value) - 1);
    memset(policy, '"', sizeof(policy) - 1);
    memset(v.reason, ',', VERDICT_REASON_MAX);
    write_format(&w, "request=smtpd_access_policy\n");
    static const char *const names[] = {"queue_id",  "client_name", "client_address",
                                        "helo_name", "sender",      "recipient"};
    for (size_t i = 0; i < COUNT(names); i++) {
        write_format(&w, "%s=", names[i]);
        write_text(&w, (struct text){value, sizeof(value) - 1});
        write_literal(&w, "\n");
    }
    v.policy = policy;
    v.delay = INT64_MAX;
    v.would = v.checks = (struct text){value, sizeof(value) - 1};
    assert_true(request_parse(writer_text(&w), &r, &why));
    r.now = INT64_C(253402300799999);
    for (enum log_format format = FORMAT_TEXT; format <= FORMAT_MONGREY; format++) {
        char line[LOGLINE_MAX];
        struct writer out = writer_on(line, sizeof(line));
        logline_write(&out, format, &v, &r);
        assert_false(out.full);
        struct text text = writer_text(&out);
        size_t size = strlen(ends[format]);
        assert_true(text.size > 1000);
        assert_memory_equal(text.data + text.size - size, ends[format], size);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_is_postgreys),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(what_would_have_been_and_what_was_looked_at),
        cmocka_unit_test(a_reason_and_a_policy_are_values_too),
        cmocka_unit_test(json_has_all_members),
        cmocka_unit_test(its_line_is_044s_to_the_letter),
        cmocka_unit_test(hostile_senders_stay_inside),
        cmocka_unit_test(the_longest_values_leave_room_for_the_rest),
    };
    return cmocka_run_group_tests_name("logline", tests, NULL, NULL);
}
