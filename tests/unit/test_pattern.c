/* test_pattern.c: regular expressions: what is refused, what matches, what is given up, and the
 * literals by which they are found. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <time.h>

#include "core/base/pattern.h"

static struct pattern_room *room;

static int make_room(void **state)
{
    (void)state;
    room = pattern_room_make();
    return room == NULL;
}

static int free_room(void **state)
{
    (void)state;
    pattern_room_free(room);
    return 0;
}

static struct pattern *compile(const char *written)
{
    char why[PATTERN_WHY_MAX] = "";
    struct pattern *p = pattern_compile(text_of(written), why, sizeof(why));
    CHECK_ROW(p != NULL, "%s: %s", written, why);
    return p;
}

static enum pattern_answer match(const char *written, struct text text)
{
    struct pattern *p = compile(written);
    enum pattern_answer answer = pattern_match(p, text, room);
    pattern_free(p);
    return answer;
}

static void what_is_no_pattern_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *written;
        const char *why;
    } rows[] = {
        {"", "is empty"},
        {"(a", "is no regular expression: missing closing parenthesis at byte 2"},
        {"a)", "is no regular expression: unmatched closing parenthesis at byte 1"},
        {"*a", "is no regular expression: quantifier does not follow a repeatable item at byte 0"},
        {"a[b", "is no regular expression: missing terminating ] for character class at byte 3"},
        {"a\\", "is no regular expression: \\ at end of pattern at byte 2"},
        {"x\\C", "is no regular expression: using \\C is disabled by the application at byte 3"},
        {"a\xff", "is no regular expression: UTF-8 error: illegal byte (0xfe or 0xff) at byte 1"},
        {"(?:abcdefgh){1000}", "repeats too much: it is too big when compiled"},
        {"((a{500}){500}){500}",
         "is no regular expression: regular expression is too large at byte 20"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char why[PATTERN_WHY_MAX] = "";
        struct pattern *p = pattern_compile(text_of(rows[i].written), why, sizeof(why));
        CHECK_ROW(p == NULL, "%s", rows[i].written);
        CHECK_ROW(strcmp(why, rows[i].why) == 0, "%s: %s", rows[i].written, why);
    }
}

static void length_and_depth_are_bounded(void **state)
{
    char text[PATTERN_MAX + 1];
    char why[PATTERN_WHY_MAX] = "";
    (void)state;
    memset(text, 'a', sizeof(text));
    struct pattern *p = pattern_compile((struct text){text, PATTERN_MAX}, why, sizeof(why));
    assert_non_null(p);
    pattern_free(p);
    assert_null(pattern_compile((struct text){text, PATTERN_MAX + 1}, why, sizeof(why)));
    assert_string_equal(why, "is over 512 bytes");
    for (unsigned depth = 32; depth <= 33; depth++) {
        memset(text, '(', depth);
        memset(text + depth, ')', depth);
        p = pattern_compile((struct text){text, (size_t)depth * 2}, why, sizeof(why));
        assert_true((p != NULL) == (depth == 32));
        if (p != NULL)
            pattern_free(p);
    }
    /* A short room for the reason cuts it, and ends it. */
    assert_null(pattern_compile(TEXT("(a"), why, 5));
    assert_string_equal(why, "is n");
}

static void what_matches(void **state)
{
    static const struct {
        const char *written;
        const char *text;
        bool yes;
    } rows[] = {
        {"example", "mail.EXAMPLE.com", true},
        {"EXAMPLE", "mail.example.com", true},
        {"^example", "mail.example.com", false},
        {"example$", "mail.example.com", false},
        {"\\.example\\.com$", "mail.example.com", true},
        {"\\.example\\.com$", "mail.example.com.org", false},
        {"^.{3}$", "\xc3\xa9\xc3\xa9\xc3\xa9", true},
        {"\xc3\x89", "caf\xc3\xa9", true},
        {"a|b", "b", true},
        {"^$", "", true},
        {"(?<=@)spam", "a@spam", true},
        {"^(a)\\1$", "aa", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum pattern_answer answer = match(rows[i].written, text_of(rows[i].text));
        CHECK_ROW(answer == (rows[i].yes ? PATTERN_YES : PATTERN_NO), "%s on %s", rows[i].written,
                  rows[i].text);
    }
    assert_int_equal(match("a*", (struct text){NULL, 0}), PATTERN_YES);
    assert_int_equal(match("a", (struct text){NULL, 0}), PATTERN_NO);
}

static void bytes_that_are_no_utf8_are_matched_by_nothing(void **state)
{
    (void)state;
    assert_int_equal(match("^a.b$", TEXT("a\377b")), PATTERN_NO);
    assert_int_equal(match("b", TEXT("a\377b")), PATTERN_YES);
    assert_int_equal(match("\xc3\xbf", TEXT("a\377b")), PATTERN_NO);
    assert_int_equal(match("a.b", TEXT("a\0b")), PATTERN_YES);
}

static double milliseconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

/* What takes a lifetime without bounds. The time allowed is for a machine that is busy. */
static void no_pattern_stalls(void **state)
{
    static const char *const rows[] = {
        "(a+)+$",
        "^(a+)+$",
        "(a|aa)+$",
        "^(a|a)*$",
        "(a*)*$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "^(?:a?){30}a{30}$",
        "^(.*)*!!$",
        "^(a|aa|b)*$",
    };
    char text[PATTERN_TEXT_MAX];
    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t size = 40; size <= sizeof(text); size += 236) {
            text[size - 1] = '!';
            double start = milliseconds();
            enum pattern_answer answer = match(rows[i], (struct text){text, size});
            CHECK_ROW(answer == PATTERN_GAVE_UP, "%s on %zu: %d", rows[i], size, (int)answer);
            CHECK_ROW(milliseconds() - start < 500, "%s on %zu", rows[i], size);
            text[size - 1] = 'a';
        }
    }
}

/* Repeats over one character escape PCRE2's limit; in a long text there are fewer steps for the rest. */
static void a_long_text_gets_fewer_steps(void **state)
{
    char text[PATTERN_TEXT_MAX + 1];
    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = '-';
    assert_int_equal(match("[a-z]+-", (struct text){text, 256}), PATTERN_NO);
    assert_int_equal(match("[a-z]+-", (struct text){text, 257}), PATTERN_NO);
    assert_int_equal(match("(a|aa)+[!x]", (struct text){text, 257}), PATTERN_GAVE_UP);
    assert_int_equal(match("b", (struct text){text, PATTERN_TEXT_MAX}), PATTERN_NO);
    assert_int_equal(match("^[-a]+$", (struct text){text, PATTERN_TEXT_MAX}), PATTERN_YES);
    assert_int_equal(match("^[-a]+$", (struct text){text, PATTERN_TEXT_MAX + 1}), PATTERN_GAVE_UP);
}

/* Giving up is for what is out of all measure, not for what people write. */
static void honest_patterns_are_never_given_up(void **state)
{
    static const char *const rows[] = {
        "^[0-9]+[-.][0-9]+[-.][0-9]+[-.][0-9]+.*\\.(dyn|dsl|pool).*\\.example\\.(com|net)$",
        "(dyn|dip|dsl|pool|ppp|dial|cable|client|cust).*[0-9]{1,3}[-.x][0-9]{1,3}",
        ".*dsl.*pool.*\\.example\\..*",
        "\\d+[-.]\\d+[-.]\\d+[-.]\\d+",
        "^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\\.)+example\\.org$",
        "^(.+\\+)?(bounce|noreply|no-reply)([-+=].*)?@",
    };
    static const char *const texts[] = {
        "host-192-0-2-1.pool.dsl.city.dyn.customers.some-provider.example.com",
        "very-long-label-with-many-parts-0-1-2-3-4-5-6-7-8-9.another-label.example.net",
        "bounce+0123456789abcdef=list=user+tag=example.org@lists.mail.example.com",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.example.org",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t k = 0; k < COUNT(texts); k++)
            CHECK_ROW(match(rows[i], text_of(texts[k])) != PATTERN_GAVE_UP, "%s on %s", rows[i],
                      texts[k]);
    }
}

static void what_matches_everything(void **state)
{
    static const struct {
        const char *written;
        bool all;
    } rows[] = {
        {".*", true},   {".", true},    {"^", true},    {"$", true},      {"a*", true},
        {"^.+$", true}, {"x|", true},   {"(?:)", true}, {"[^\\n]", true}, {"(?!)|.", true},
        {"a", false},   {"@", false},   {".@.", false}, {"[a-z]", false}, {"\\.", false},
        {"..", false},  {"[^@]", true}, {"\\w", false}, {"[^0]", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pattern *p = compile(rows[i].written);
        bool all = pattern_matches_all(p, room);
        pattern_free(p);
        CHECK_ROW(all == rows[i].all, "%s", rows[i].written);
    }
}

static void literals_that_must_be_there(void **state)
{
    static const struct {
        const char *written;
        const char *literals; /* each ended by a blank */
    } rows[] = {
        {"abc", "abc "},
        {"ABC", "abc "},
        {"ab", ""},
        {"abcd?", "abc "},
        {"abcd*e", "abc "},
        {"abc+d", "abc "},
        {"abcd{0,2}efg", "abc efg "},
        {"abcd{2}efg", "abc efg "},
        {"abcd+?efg", "abcd efg "},
        {"abcd?+efg", "abc efg "},
        {"^mail\\.example\\.com$", "mail.example.com "},
        {"abc.def", "abc def "},
        {"abc[xyz]def", "abc def "},
        {"abc[]x]def", "abc def "},
        {"abc[^]x]def", "abc def "},
        {"abc[[:alpha:]]def", "abc def "},
        {"abc[[:alpha:]x]+def", "abc def "},
        {"abc[[:]def", "abc def "},
        {"abc[\\]]def", "abc def "},
        {"abc\\d+def", "abc def "},
        {"abc\\.\\-\\/def", "abc.-/def "},
        {"abc(def)ghi", "abc ghi "},
        {"abc(d|e)ghi", "abc ghi "},
        {"abc(?:x(y|z)*)?ghi", "abc ghi "},
        {"abc(\\)x|y)ghi", "abc ghi "},
        {"abc([)]|y)ghi", "abc ghi "},
        {"abc(?=def)ghi", "abc ghi "},
        {"abc(?!def)ghi", "abc ghi "},
        {"abc(?<!def)ghi", "abc ghi "},
        {"abc\303\251def", "abc def "},
        {"abc\xc3\xa9*def", "abc def "},
        {"abc def", "abc def "},
        {"abc|def", ""},
        {"(abc)", ""},
        {"(abc|def)", ""},
        {"(?i)abc", ""},
        {"(?x)a b c d", ""},
        {"abc(?x)d e f", ""},
        {"abc(?#def)ghi", ""},
        {"abc(?<n>x)ghi", ""},
        {"(*UTF)abc", ""},
        {"(*ACCEPT)abc", ""},
        {"\\Qa.b\\Ecde", ""},
        {"abc\\x41def", ""},
        {"abc\\101def", ""},
        {"abc\\cAdef", ""},
        {"abc\\p{L}def", ""},
        {"(abc)\\1def", ""},
        {"(abc)\\g1def", ""},
        {"(a)(\\1\\))abc", ""},
        {"(?(?=a)abc|def)ghi", ""},
        {"abc{x}def", ""},
        {"abc{,2}def", ""},
        {"abc]def}ghi", "abc def ghi "},
        {"abc[[.x.]]def", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char literals[PATTERN_LITERALS_ROOM];
        size_t size = pattern_literals(text_of(rows[i].written), literals);
        for (size_t k = 0; k < size; k++)
            literals[k] = literals[k] == '\0' ? ' ' : literals[k];
        CHECK_ROW(size == strlen(rows[i].literals) &&
                      (size == 0 || memcmp(literals, rows[i].literals, size) == 0),
                  "%s: %.*s", rows[i].written, (int)size, literals);
    }
}

/* A literal that is not in a text which the pattern matches would lose a match. */
static void a_literal_is_in_all_that_matches(void **state)
{
    static const char pieces[][8] = {"a", "b",   "c",   "ab",  "k",    "s",    ".",   "\\.",
                                     "?", "*",   "+",   "{0}", "{1,}", "[ab]", "(",   ")",
                                     "|", "(?:", "(?!", "^",   "$",    "\\d",  "\\w", "\xc3\xa9",
                                     "]", "[^a", "[[:", ":]",  "\\b",  "{",    "}",   "-"};
    static const char letters[][4] = {"a",        "b",        "c", ".", "k", "s", "\xe2\x84\xaa",
                                      "\xc5\xbf", "\xc3\xa9", "-", "]", "1"};
    uint32_t seed = 1;
    unsigned compared = 0;
    (void)state;
    for (unsigned round = 0; round < (UNIT_SANITIZED ? 20000 : 200000); round++) {
        char written[96];
        char why[PATTERN_WHY_MAX];
        char literals[PATTERN_LITERALS_ROOM];
        struct writer w = writer_on(written, sizeof(written));
        for (unsigned i = 0; i < 9; i++) {
            seed = seed * 1664525 + 1013904223;
            write_literal(&w, pieces[(seed >> 16) % (i % 2 != 0 ? COUNT(pieces) : 6)]);
        }
        struct text pattern = writer_text(&w);
        struct pattern *p = pattern_compile(pattern, why, sizeof(why));
        size_t size = p == NULL ? 0 : pattern_literals(pattern, literals);
        for (unsigned tries = 0; size > 0 && tries < 60; tries++) {
            char text[64];
            char folded[64];
            struct writer t = writer_on(text, sizeof(text));
            /* The literals themselves, with a little between them, match most of the time. */
            for (size_t at = 0; at < size; at += strlen(literals + at) + 1) {
                for (const char *c = literals + at; *c != '\0'; c++) {
                    seed = seed * 1664525 + 1013904223;
                    const char *as = *c == 'k' && seed >> 30 == 0   ? "\xe2\x84\xaa"
                                     : *c == 's' && seed >> 30 == 0 ? "\xc5\xbf"
                                                                    : NULL;
                    if (as != NULL)
                        write_literal(&t, as);
                    else if (seed >> 29 != 1)
                        write_bytes(&t, c, 1);
                }
                seed = seed * 1664525 + 1013904223;
                write_literal(&t, letters[(seed >> 16) % COUNT(letters)]);
            }
            if (pattern_match(p, writer_text(&t), room) != PATTERN_YES)
                continue;
            struct text f = {folded, pattern_fold(writer_text(&t), folded)};
            compared++;
            for (size_t at = 0; at < size; at += strlen(literals + at) + 1)
                CHECK_ROW(memmem(f.data, f.size, literals + at, strlen(literals + at)) != NULL,
                          "%.*s: %s not in %.*s", (int)pattern.size, pattern.data, literals + at,
                          (int)f.size, f.data);
        }
        if (p != NULL)
            pattern_free(p);
    }
    assert_true(compared > 1000);
}

static void folding_makes_one_of_what_unicode_holds_for_one(void **state)
{
    char folded[32];
    (void)state;
    struct text f = {folded, pattern_fold(TEXT("AbZ\xe2\x84\xaa\xc5\xbf\xc3\x89\xe2\x84"), folded)};
    expect_text(f, "abzks\xc3\x89\xe2\x84");
    assert_int_equal(match("mask", TEXT("MA\xc5\xbf\xe2\x84\xaa")), PATTERN_YES);
}

static void *match_often(void *context)
{
    const struct pattern *p = context;
    struct pattern_room *own = pattern_room_make();
    uintptr_t wrong = own == NULL;
    for (int i = 0; own != NULL && i < 2000; i++) {
        wrong += pattern_match(p, TEXT("mail.example.com"), own) != PATTERN_YES;
        wrong += pattern_match(p, TEXT("mail.example.org"), own) != PATTERN_NO;
    }
    pattern_room_free(own);
    return (void *)wrong;
}

static void threads_share_a_pattern(void **state)
{
    pthread_t threads[4];
    struct pattern *p = compile("^([a-z]+\\.)+com$");
    (void)state;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, p), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    pattern_free(p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_pattern_is_refused_with_its_place),
        cmocka_unit_test(length_and_depth_are_bounded),
        cmocka_unit_test(what_matches),
        cmocka_unit_test(bytes_that_are_no_utf8_are_matched_by_nothing),
        cmocka_unit_test(no_pattern_stalls),
        cmocka_unit_test(a_long_text_gets_fewer_steps),
        cmocka_unit_test(honest_patterns_are_never_given_up),
        cmocka_unit_test(what_matches_everything),
        cmocka_unit_test(literals_that_must_be_there),
        cmocka_unit_test(a_literal_is_in_all_that_matches),
        cmocka_unit_test(folding_makes_one_of_what_unicode_holds_for_one),
        cmocka_unit_test(threads_share_a_pattern),
    };
    return cmocka_run_group_tests_name("pattern", tests, make_room, free_room);
}
