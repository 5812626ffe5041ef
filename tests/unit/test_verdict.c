/* test_verdict.c: what Postfix is told and what the log is told; neither can be forged. */
#include "tests/unit/unit.h"

#include "core/policy/verdict.h"

static void expect_reply(const struct verdict *v, const char *wanted)
{
    char memory[512];
    struct writer w = writer_on(memory, sizeof(memory));
    verdict_write_reply(&w, v);
    expect_text(writer_text(&w), wanted);
}

static void a_reply_is_one_line_and_an_empty_one(void **state)
{
    struct verdict v = {0};
    (void)state;
    verdict_set(&v, OUTCOME_PASS, "why", TEXT("DUNNO"));
    expect_reply(&v, "action=DUNNO\n\n");
    assert_int_equal(v.delay, -1);
    assert_int_equal(v.outcome, OUTCOME_PASS);
    assert_string_equal(v.reason, "why");
}

static void what_could_break_the_line_becomes_a_question_mark(void **state)
{
    struct verdict v = {0};
    (void)state;
    verdict_set(&v, OUTCOME_REJECT, "x", TEXT("554 a\nb\r\tc\x1b\x7f\xc3\xa9\\~"));
    expect_reply(&v, "action=554 a?b??c????\\~\n\n");
}

static void an_action_of_400_bytes_and_one_more(void **state)
{
    char text[VERDICT_TEXT_MAX + 1];
    char reply[512];
    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t size = VERDICT_TEXT_MAX - 1; size <= VERDICT_TEXT_MAX + 1; size++) {
        struct verdict v = {0};
        struct writer w = writer_on(reply, sizeof(reply));
        verdict_set(&v, OUTCOME_PASS, "x", (struct text){text, size});
        size_t wanted = size > VERDICT_TEXT_MAX ? VERDICT_TEXT_MAX : size;
        assert_int_equal(v.action_size, wanted);
        assert_int_equal(v.action[wanted], '\0');
        verdict_write_reply(&w, &v);
        assert_int_equal(writer_text(&w).size, 7 + wanted + 2);
    }
}

static void a_reason_that_is_too_long_is_cut(void **state)
{
    char text[100];
    struct verdict v = {0};
    (void)state;
    memset(text, 'r', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    verdict_set(&v, OUTCOME_PASS, text, TEXT("DUNNO"));
    assert_int_equal(strlen(v.reason), VERDICT_REASON_MAX);
}

static void expect_log(const struct verdict *v, const char *request, const char *wanted)
{
    char memory[VERDICT_LINE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct request r;
    const char *why = "";
    CHECK_ROW(request_parse(text_of(request), &r, &why), "%s: %s", request, why);
    verdict_write_log(&w, v, &r);
    expect_text(writer_text(&w), wanted);
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

/* However long the values are: the id still stands at the end, and the line is never cut. */
static void the_longest_values_leave_room_for_the_rest(void **state)
{
    static char request[5 * 8192];
    static char value[8000];
    struct verdict v = some_verdict(OUTCOME_PASS, "0123456789012345678901234567890123456789"
                                                  "012345678901234567890123");
    struct writer w = writer_on(request, sizeof(request));
    char line[VERDICT_LINE_MAX];
    struct writer out = writer_on(line, sizeof(line));
    struct request r;
    const char *why;
    (void)state;
    memset(value, '\x01', sizeof(value) - 1);
    write_format(&w, "request=smtpd_access_policy\n");
    static const char *const names[] = {"queue_id", "client_name", "client_address", "sender",
                                        "recipient"};
    for (size_t i = 0; i < COUNT(names); i++) {
        write_format(&w, "%s=", names[i]);
        write_text(&w, (struct text){value, sizeof(value) - 1});
        write_literal(&w, "\n");
    }
    v.delay = INT64_MAX;
    assert_true(request_parse(writer_text(&w), &r, &why));
    verdict_write_log(&out, &v, &r);
    assert_false(out.full);
    const char *text = writer_end(&out);
    assert_non_null(strstr(text, ", policy=default, id=0123456789abcdef"));
    assert_int_equal(strlen(strstr(text, ", id=")), 5 + ID_SIZE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_one_line_and_an_empty_one),
        cmocka_unit_test(what_could_break_the_line_becomes_a_question_mark),
        cmocka_unit_test(an_action_of_400_bytes_and_one_more),
        cmocka_unit_test(a_reason_that_is_too_long_is_cut),
        cmocka_unit_test(the_line_is_postgreys),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(the_longest_values_leave_room_for_the_rest),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
