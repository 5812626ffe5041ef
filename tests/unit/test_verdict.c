/* test_verdict.c: what Postfix is told cannot be forged. */
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_one_line_and_an_empty_one),
        cmocka_unit_test(what_could_break_the_line_becomes_a_question_mark),
        cmocka_unit_test(an_action_of_400_bytes_and_one_more),
        cmocka_unit_test(a_reason_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
