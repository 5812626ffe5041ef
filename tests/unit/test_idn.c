/* test_idn.c: addresses outside ASCII: what is one, what stays two. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/idn.h"

static char memory[IDN_ROOM(8192)];

static struct text domain_of(struct text t, bool *converted)
{
    struct writer w = writer_on(memory, sizeof(memory));
    *converted = idn_domain(t, &w);
    assert_false(w.full);
    return writer_text(&w);
}

static struct text local_of(struct text t, bool *fine)
{
    struct writer w = writer_on(memory, sizeof(memory));
    *fine = idn_local(t, &w);
    assert_false(w.full);
    return writer_text(&w);
}

static void domains_in_their_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"example.com", "example.com"},
        {"EXAMPLE.Com", "example.com"},
        {"example.com.", "example.com"},
        {"example.com..", "example.com.."},
        {".", "."},
        {"..", ".."},
        {"[192.0.2.1]", "[192.0.2.1]"},
        {"no domain\\x", "no domain\\x"},
        {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
        {"b\303\274cher.example", "xn--bcher-kva.example"},
        {"B\303\234CHER.Example.", "xn--bcher-kva.example"},
        {"bu\314\210cher.example", "xn--bcher-kva.example"},
        {"BU\314\210CHER.example", "xn--bcher-kva.example"},
        {"xn--bcher-kva.b\303\274cher", "xn--bcher-kva.xn--bcher-kva"},
        /* IDNA 2008 keeps what 2003 made ss and sigma of. */
        {"fa\xc3\x9f.de", "xn--fa-hia.de"},
        {"\xcf\x83\xcf\x82.gr", "xn--3xab.gr"},
        {"\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool converted;
        struct text out = domain_of(text_of(rows[i][0]), &converted);
        CHECK_ROW(converted, "%s", rows[i][0]);
        expect_text(out, rows[i][1]);
    }
}

static void domains_that_cannot_be_converted_are_escaped(void **state)
{
    static const char *const rows[][2] = {
        {"a\xff.Com", "a\\Xff.com"},
        {"\xc3.de", "\\Xc3.de"},
        /* Soft hyphen, full-width letter, circled digit, ideographic stop: mapped by others. */
        {"exam\xc2\xadple.com", "exam\\Xc2\\Xadple.com"},
        {"\xef\xbd\x81.com", "\\Xef\\Xbd\\X81.com"},
        {"\xe2\x91\xa0.com", "\\Xe2\\X91\\Xa0.com"},
        {"\303\274\343\200\202de", "\\Xc3\\Xbc\\Xe3\\X80\\X82de"},
        /* U+0130 would be an i. */
        {"\xc4\xb0.com", "\\Xc4\\Xb0.com"},
        {"\xc3\xbc _.de", "\\Xc3\\Xbc _.de"},
        {"xn--\xc3\xbc.de", "xn--\\Xc3\\Xbc.de"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool converted;
        struct text out = domain_of(text_of(rows[i][0]), &converted);
        CHECK_ROW(!converted, "%s", rows[i][0]);
        expect_text(out, rows[i][1]);
    }
}

static void a_nul_does_not_end_a_domain(void **state)
{
    bool converted;
    (void)state;
    struct text out = domain_of((struct text){"\xc3\xbc.de\0.com", 10}, &converted);
    assert_false(converted);
    assert_int_equal(out.size, 16);
    assert_memory_equal(out.data, "\\Xc3\\Xbc.de\0.com", 16);
    out = domain_of((struct text){"de\0.com", 7}, &converted);
    assert_true(converted);
    assert_int_equal(out.size, 7);
}

static void long_domains_are_escaped_or_kept(void **state)
{
    char text[8192];
    bool converted;
    (void)state;
    memset(text, 'A', sizeof(text));
    struct text out = domain_of((struct text){text, sizeof(text)}, &converted);
    assert_true(converted);
    assert_int_equal(out.size, sizeof(text));
    assert_int_equal(out.data[8191], 'a');
    static const size_t sizes[] = {64, 300, 1024, 1025, 8192};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memcpy(text, "\xc3\xbc", 2);
        out = domain_of((struct text){text, sizes[i]}, &converted);
        assert_false(converted);
        assert_int_equal(out.size, sizes[i] + 6);
        memset(text, 'A', 2);
    }
}

static void locals_in_their_one_form(void **state)
{
    static const struct {
        const char *in;
        const char *out;
        bool fine;
    } rows[] = {
        {"", "", true},
        {"User+Tag", "user+tag", true},
        {"a.", "a.", true},
        {"Ren\xc3\xa9", "ren\xc3\xa9", true},
        {"Rene\xcc\x81", "ren\xc3\xa9", true},
        {"REN\xc3\x89", "ren\xc3\x89", true},
        /* The Kelvin sign is a K by normalisation, and then a letter of ASCII. */
        {"\xe2\x84\xaa", "k", true},
        {"\xc5\xbf", "\xc5\xbf", true},
        /* Only small t and a diaeresis are one character. */
        {"T\xcc\x88", "\xe1\xba\x97", true},
        {"t\xcc\x88", "\xe1\xba\x97", true},
        {"\xef\xac\x81", "\xef\xac\x81", true}, /* the ligature fi stays */
        {"A\377B", "a\\Xffb", false},
        {"a\\Xff", "a\\xff", true},
        {"\xed\xa0\x80", "\\Xed\\Xa0\\X80", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool fine;
        struct text out = local_of(text_of(rows[i].in), &fine);
        expect_text(out, rows[i].out);
        CHECK_ROW(fine == rows[i].fine, "%s", rows[i].in);
    }
}

/* U+0390 three times its size when normalised is the worst there is (UAX 15). */
static void the_room_is_enough(void **state)
{
    static const char *const worst[] = {"\xcd\x84", "\xf0\x9d\x85\xa0", "\xe0\xa5\x98", "\xff",
                                        "a",        "A\xcc\x8a"};
    static char in[8192];
    (void)state;
    for (size_t i = 0; i < COUNT(worst); i++) {
        for (size_t size = 1000; size <= sizeof(in); size += 24) {
            size_t piece = strlen(worst[i]);
            size_t used = 0;
            for (; used + piece <= size; used += piece)
                memcpy(in + used, worst[i], piece);
            char *out = malloc(IDN_ROOM(used));
            assert_non_null(out);
            struct writer w = writer_on(out, IDN_ROOM(used));
            (void)idn_local((struct text){in, used}, &w);
            assert_false(w.full);
            w = writer_on(out, IDN_ROOM(used));
            (void)idn_domain((struct text){in, used}, &w);
            assert_false(w.full);
            free(out);
        }
    }
}

static void a_writer_that_is_too_small_says_so(void **state)
{
    static const char *const rows[] = {"abcdef", "b\303\274cher", "ab\xff"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct writer w = writer_on(memory, 5);
        (void)idn_domain(text_of(rows[i]), &w);
        CHECK_ROW(w.full, "%s", rows[i]);
        w = writer_on(memory, 5);
        (void)idn_local(text_of(rows[i]), &w);
        CHECK_ROW(w.full, "%s", rows[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_in_their_one_form),
        cmocka_unit_test(domains_that_cannot_be_converted_are_escaped),
        cmocka_unit_test(a_nul_does_not_end_a_domain),
        cmocka_unit_test(long_domains_are_escaped_or_kept),
        cmocka_unit_test(locals_in_their_one_form),
        cmocka_unit_test(the_room_is_enough),
        cmocka_unit_test(a_writer_that_is_too_small_says_so),
    };
    return cmocka_run_group_tests_name("idn", tests, NULL, NULL);
}
