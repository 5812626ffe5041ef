/* test_json.c: a text as a JSON string: valid whatever its bytes, whole where it is cut. */
#include "tests/unit/unit.h"

#include "core/base/json.h"

static void expect_json(struct text t, size_t limit, const char *wanted)
{
    char memory[256];
    struct writer w = writer_on(memory, sizeof(memory));
    write_json(&w, t, limit);
    assert_false(w.full);
    expect_text(writer_text(&w), wanted);
}

static void each_sort_of_byte_has_its_form(void **state)
{
    const struct {
        struct text t;
        const char *wanted;
    } rows[] = {
        {{NULL, 0}, "\"\""},
        {TEXT("a b/'<>"), "\"a b/'<>\""},
        {TEXT("\"\\"), "\"\\\"\\\\\""},
        {TEXT("\0\n\x1f\x7f"), "\"\\u0000\\u000a\\u001f\\u007f\""},
        {TEXT("\xc2\x80\xe2\x80\xa8\xef\xbb\xbf"), "\"\\u0080\\u2028\\ufeff\""},
        {TEXT("\xf3\xa0\x80\xa0"), "\"\\udb40\\udc20\""},
        {TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xae"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xae\""},
        {TEXT("\x80\xc3\xed\xa0\x80"), "\"\\\\x80\\\\xc3\\\\xed\\\\xa0\\\\x80\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_json(rows[i].t, 200, rows[i].wanted);
}

static void the_limit_cuts_between_characters(void **state)
{
    (void)state;
    expect_json(TEXT("abc"), 2, "\"ab\"");
    expect_json(TEXT("a\xc3\xa9"), 2, "\"a\"");
    expect_json(TEXT("a\nb"), 6, "\"a\"");
    expect_json(TEXT("a\nb"), 7, "\"a\\u000a\"");
    expect_json(TEXT("\xf3\xa0\x80\xa0"), 11, "\"\"");
    expect_json(TEXT("abc"), 0, "\"\"");
}

static void a_writer_that_is_full_says_so(void **state)
{
    char memory[6];
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    write_json(&w, TEXT("abcdefgh"), 100);
    assert_true(w.full);
    assert_int_equal(w.at - w.start, sizeof(memory));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sort_of_byte_has_its_form),
        cmocka_unit_test(the_limit_cuts_between_characters),
        cmocka_unit_test(a_writer_that_is_full_says_so),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
