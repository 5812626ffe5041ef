/* test_template.c: reply texts with values in them. */
#include "tests/unit/unit.h"

#include "core/policy/template.h"

static void put_name(void *context, enum template_value which, struct writer *w)
{
    (void)context;
    write_format(w, "<%s>", template_names[which]);
}

static void put_hostile(void *context, enum template_value which, struct writer *w)
{
    (void)which;
    write_literal(w, context);
}

static void values_are_put_where_they_are_named(void **state)
{
    static const struct {
        const char *pattern;
        const char *written;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"%(seconds)s", "<seconds>"},
        {"a %(sender)s b %(recipient)s c", "a <sender> b <recipient> c"},
        {"%(id)s%(id)s%(url)s", "<id><id><url>"},
        {"100%%", "100%"},
        {"%%(sender)s", "%(sender)s"},
        {"%%%(sender)s", "%<sender>"},
        {"%%%%", "%%"},
        {"%(host)ss", "<host>s"},
        {"\xc3\xa9 %(date)s \xc3\xa9", "\xc3\xa9 <date> \xc3\xa9"},
        {"()s %%", "()s %"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[256];
        struct writer w = writer_on(memory, sizeof(memory));
        CHECK_ROW(template_fault(text_of(rows[i].pattern)) == NULL, "%s", rows[i].pattern);
        template_write(&w, text_of(rows[i].pattern), put_name, NULL);
        CHECK_ROW(strcmp(writer_end(&w), rows[i].written) == 0, "%s -> %s", rows[i].pattern,
                  memory);
    }
}

static void note_asked(void *context, enum template_value which, struct writer *w)
{
    bool *asked = context;
    (void)w;
    asked[which] = true;
}

/* Whether writing it asks for that value. */
static bool is_asked_for(struct text pattern, enum template_value which)
{
    bool asked[TEMPLATE_VALUES] = {false};
    char memory[64];
    struct writer w = writer_on(memory, sizeof(memory));
    template_write(&w, pattern, note_asked, asked);
    return asked[which];
}

static void every_value_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < TEMPLATE_VALUES; i++) {
        char pattern[64];
        assert_non_null(template_names[i]);
        snprintf(pattern, sizeof(pattern), "x %%(%s)s", template_names[i]);
        assert_null(template_fault(text_of(pattern)));
        for (int k = 0; k < TEMPLATE_VALUES; k++)
            assert_int_equal(is_asked_for(text_of(pattern), (enum template_value)k), i == k);
    }
    assert_false(is_asked_for(TEXT("%%(sender)s"), TEMPLATE_SENDER));
    assert_true(is_asked_for(TEXT("%%%(sender)s"), TEMPLATE_SENDER));
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *pattern;
        const char *fault;
    } rows[] = {
        {"%", "neither %%"},
        {"100 % sure", "neither %%"},
        {"%s", "neither %%"},
        {"%(sender)", "neither %%"},
        {"%(sender)d", "neither %%"},
        {"%(sender", "neither %%"},
        {"%(sender)s and %", "neither %%"},
        {"%%%", "neither %%"},
        {"%()s", "names a value that there is not"},
        {"%(nobody)s", "names a value that there is not"},
        {"%(Sender)s", "names a value that there is not"},
        {"%(sender )s", "names a value that there is not"},
        {"%(senders)s", "names a value that there is not"},
        {"%(%(sender)s)s", "names a value that there is not"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *fault = template_fault(text_of(rows[i].pattern));
        CHECK_ROW(fault != NULL && strstr(fault, rows[i].fault) != NULL, "%s -> %s",
                  rows[i].pattern, fault != NULL ? fault : "(fine)");
    }
}

static void the_fault_lists_all_names(void **state)
{
    const char *fault = template_fault(TEXT("%(x)s"));
    (void)state;
    for (int i = 0; i < TEMPLATE_VALUES; i++)
        CHECK_ROW(strstr(fault, template_names[i]) != NULL, "%s", template_names[i]);
}

static void a_value_is_not_read_again(void **state)
{
    char memory[64];
    char hostile[] = "%(recipient)s%%%n";
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    template_write(&w, TEXT("[%(sender)s]"), put_hostile, hostile);
    assert_string_equal(writer_end(&w), "[%(recipient)s%%%n]");
}

static void what_has_no_room_is_cut(void **state)
{
    char memory[8];
    char hostile[] = "0123456789";
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    template_write(&w, TEXT("a%(sender)sb%(sender)sc"), put_hostile, hostile);
    assert_true(w.full);
    assert_string_equal(writer_end(&w), "a012345");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_put_where_they_are_named),
        cmocka_unit_test(every_value_has_a_name_of_its_own),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(the_fault_lists_all_names),
        cmocka_unit_test(a_value_is_not_read_again),
        cmocka_unit_test(what_has_no_room_is_cut),
    };
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
