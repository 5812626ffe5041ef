/* test_text.c: pieces of text, the bounded writer, escaping, and the numbers people write. */
#include "tests/unit/unit.h"

static void equal_with_and_without_case(void **state)
{
    (void)state;
    assert_true(text_equal(TEXT("abc"), TEXT("abc")));
    assert_false(text_equal(TEXT("abc"), TEXT("abC")));
    assert_false(text_equal(TEXT("abc"), TEXT("ab")));
    assert_true(text_equal((struct text){NULL, 0}, TEXT("")));
    assert_true(text_equal_fold(TEXT("AbC-1"), TEXT("aBc-1")));
    assert_false(text_equal_fold(TEXT("abc"), TEXT("abd")));
    assert_false(text_equal_fold(TEXT("abc"), TEXT("abcd")));
    /* Only letters have a case: these pairs are 0x20 apart. */
    assert_false(text_equal_fold(TEXT("@"), TEXT("`")));
    assert_false(text_equal_fold(TEXT("["), TEXT("{")));
    assert_false(text_equal_fold(TEXT("\xc3\x84"), TEXT("\xc3\xa4")));
    assert_true(text_equal((struct text){NULL, 0}, text_of(NULL)));
}

static void lower_touches_only_ascii_letters(void **state)
{
    (void)state;
    for (int c = -128; c < 128; c++) {
        char wanted = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (char)c;
        assert_int_equal(text_lower((char)c), wanted);
    }
}

static void trimmed_at_both_ends(void **state)
{
    (void)state;
    expect_text(text_trim(TEXT(" \t\r\n a b \n\t ")), "a b");
    expect_text(text_trim(TEXT("  \t ")), "");
    expect_text(text_trim(TEXT("")), "");
    expect_text(text_trim(TEXT("\v\fx\v")), "\v\fx\v");
    expect_text(text_trim((struct text){NULL, 0}), "");
}

static void split_gives_every_part_even_the_empty_ones(void **state)
{
    static const struct {
        const char *text;
        const char *parts[5];
    } rows[] = {
        {"a,b,c", {"a", "b", "c", NULL}}, {"a,", {"a", "", NULL}}, {",a", {"", "a", NULL}},
        {",,", {"", "", "", NULL}},       {"a", {"a", NULL}},      {"", {"", NULL}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text rest = text_of(rows[i].text);
        struct text part;
        size_t k = 0;
        for (; text_split(&rest, ',', &part); k++) {
            assert_non_null(rows[i].parts[k]);
            expect_text(part, rows[i].parts[k]);
        }
        assert_null(rows[i].parts[k]);
    }
    struct text none = {NULL, 0};
    struct text part;
    assert_false(text_split(&none, ',', &part));
}

static void a_writer_never_passes_its_end(void **state)
{
    char memory[8] = "xxxxxxx";
    struct writer w = writer_on(memory, 4);
    (void)state;
    write_literal(&w, "abc");
    assert_false(w.full);
    write_literal(&w, "d");
    assert_false(w.full);
    write_literal(&w, "");
    assert_false(w.full);
    write_literal(&w, "e");
    assert_true(w.full);
    assert_memory_equal(memory, "abcdxxx", 8);
    assert_string_equal(writer_end(&w), "abc");
    assert_memory_equal(memory, "abc\0xxx", 8);
}

static void a_writer_cuts_what_is_too_long(void **state)
{
    char memory[8] = "xxxxxxx";
    struct writer w = writer_on(memory, 4);
    (void)state;
    write_literal(&w, "abcdef");
    assert_true(w.full);
    assert_memory_equal(memory, "abcdxxx", 8);
    w = writer_on(memory, 4);
    write_format(&w, "%d-%s", 12, "3456");
    assert_true(w.full);
    assert_memory_equal(memory, "12-3xxx", 8);
    w = writer_on(memory, 1);
    assert_string_equal(writer_end(&w), "");
    assert_false(w.full);
}

static void a_format_over_its_buffer_says_so(void **state)
{
    char piece[700];
    char memory[1024];
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    memset(piece, 'a', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    write_format(&w, "%s", piece);
    assert_true(w.full);
    assert_int_equal(writer_text(&w).size, 511);
}

static void numbers_are_written(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } rows[] = {
        {0, "0"},
        {7, "7"},
        {-7, "-7"},
        {10, "10"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[32];
        struct writer w = writer_on(memory, sizeof(memory));
        write_number(&w, rows[i].number);
        expect_text(writer_text(&w), rows[i].text);
    }
}

static void numbers_are_read(void **state)
{
    static const struct {
        const char *text;
        bool fine;
        int64_t number;
    } rows[] = {
        {"0", true, 0},
        {"42", true, 42},
        {"-42", true, -42},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775807", true, -INT64_MAX},
        {"9223372036854775808", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t number = 0;
        CHECK_ROW(text_number(text_of(rows[i].text), &number) == rows[i].fine, "%s", rows[i].text);
        CHECK_ROW(!rows[i].fine || number == rows[i].number, "%s", rows[i].text);
    }
}

struct amount {
    const char *text;
    int64_t wanted; /* -1: refused */
};

static void expect_amounts(const struct amount *rows, size_t count,
                           bool (*read)(struct text t, int64_t *out))
{
    for (size_t i = 0; i < count; i++) {
        int64_t found = -1;
        bool fine = read(text_of(rows[i].text), &found);
        CHECK_ROW(fine == (rows[i].wanted >= 0), "%s", rows[i].text);
        CHECK_ROW(!fine || found == rows[i].wanted, "%s: %lld", rows[i].text, (long long)found);
    }
}

static void durations_are_read(void **state)
{
    static const struct amount rows[] = {
        {"20", 20000},
        {"20s", 20000},
        {"20 s", 20000},
        {"  20s  ", 20000},
        {"20S", 20000},
        {"200ms", 200},
        {"0", 0},
        {"0.5", 500},
        {"5m", 300000},
        {"5min", 300000},
        {"3h", 10800000},
        {"1.5h", 5400000},
        {"35d", INT64_C(3024000000)},
        {"2w", 1209600000},
        {"0.001s", 1},
        {"0.125d", 10800000},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775s", INT64_C(9223372036854775000)},
        {"9223372036854776s", -1},
        {"9223372036854775808ms", -1},
        {"9223372036854775807w", -1},
        {"106751991167d", INT64_C(9223372036828800000)},
        {"106751991168d", -1},
        {"", -1},
        {" ", -1},
        {"s", -1},
        {".5", -1},
        {"1.2.3", -1},
        {"0.0001", -1},
        {"0.5ms", -1},
        {"1.0005", -1},
        {"-1", -1},
        {"+1", -1},
        {"5 minutes", -1},
        {"5y", -1},
        {"5m3s", -1},
        {"1e3", -1},
        {"5 m m", -1},
    };
    (void)state;
    expect_amounts(rows, COUNT(rows), text_duration);
}

static void sizes_are_read(void **state)
{
    static const struct amount rows[] = {
        {"4096", 4096},
        {"4096B", 4096},
        {"64k", 65536},
        {"64 KiB", 65536},
        {"64kb", 65536},
        {"1M", 1048576},
        {"1MB", 1048576},
        {"1 MiB", 1048576},
        {"1G", 1073741824},
        {"1.5GB", 1610612736},
        {"0.5k", 512},
        {"8589934591G", INT64_C(9223372035781033984)},
        {"8589934592G", -1},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"0.5", -1},
        {"0.3k", -1},
        {"1T", -1},
        {"-1", -1},
        {"MiB", -1},
        {"", -1},
        {"1 M iB", -1},
    };
    (void)state;
    expect_amounts(rows, COUNT(rows), text_size);
}

static void truth_is_read(void **state)
{
    static const char *const yes[] = {"1", "yes", "true", "on", "YES", "True", "oN"};
    static const char *const no[] = {"0", "no", "false", "off", "OFF", "No"};
    static const char *const neither[] = {"", "2", "y", "n", "truee", " true", "enabled", "-1"};
    bool value;
    (void)state;
    for (size_t i = 0; i < COUNT(yes); i++)
        CHECK_ROW(text_bool(text_of(yes[i]), &value) && value, "%s", yes[i]);
    for (size_t i = 0; i < COUNT(no); i++)
        CHECK_ROW(text_bool(text_of(no[i]), &value) && !value, "%s", no[i]);
    for (size_t i = 0; i < COUNT(neither); i++)
        CHECK_ROW(!text_bool(text_of(neither[i]), &value), "%s", neither[i]);
}

static void distance_counts_edits(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        unsigned distance;
    } rows[] = {
        {"", "", 0},      {"abc", "abc", 0},        {"abc", "", 3},
        {"", "abc", 3},   {"kitten", "sitting", 3}, {"abc", "abd", 1},
        {"abc", "bc", 1}, {"ab", "ba", 2},          {"flaw", "lawn", 2},
    };
    char longest[65];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(text_distance(text_of(rows[i].a), text_of(rows[i].b)) == rows[i].distance,
                  "%s, %s", rows[i].a, rows[i].b);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(text_distance((struct text){longest, 63}, (struct text){longest, 62}), 1);
    assert_int_equal(text_distance((struct text){longest, 64}, (struct text){longest, 64}), 64);
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t code;
    } rows[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0, 0},
        {"\xbf", 0, 0},
        {"\xc0\x80", 0, 0},
        {"\xc1\xbf", 0, 0},
        {"\xe0\x9f\xbf", 0, 0},
        {"\xf0\x8f\xbf\xbf", 0, 0},
        {"\xed\xa0\x80", 0, 0},
        {"\xed\xbf\xbf", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\xf5\x80\x80\x80", 0, 0},
        {"\xf8\x88\x80\x80\x80", 0, 0},
        {"\xff", 0, 0},
        {"\xc2", 0, 0},
        {"\xc2\x41", 0, 0},
        {"\xe2\x82", 0, 0},
        {"\xe2\x82\x41", 0, 0},
        {"\xf0\x9f\x98", 0, 0},
        {"", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t code = 0;
        size_t length = text_utf8(rows[i].bytes, strlen(rows[i].bytes), &code);
        CHECK_ROW(length == rows[i].length, "%zu: %zu", i, length);
        CHECK_ROW(length == 0 || code == rows[i].code, "%zu: %x", i, code);
    }
}

static void what_could_deceive_is_escaped(void **state)
{
    static const struct {
        const char *text;
        const char *wanted;
    } rows[] = {
        {"plain a@b.example", "plain a@b.example"},
        {"", ""},
        {"a\\b", "a\\\\b"},
        {"a\\x0a", "a\\\\x0a"},
        {"a\nb", "a\\x0ab"},
        {"\r\t\x1b[0m\x7f", "\\x0d\\x09\\x1b[0m\\x7f"},
        {"\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\xc3\xa9t\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x85", "\\xc2\\x85"},                   /* C1: next line */
        {"\xc2\x9b", "\\xc2\\x9b"},                   /* C1: control sequence introducer */
        {"\xc2\xa0", "\xc2\xa0"},                     /* the first behind C1 */
        {"\xc2\xad", "\\xc2\\xad"},                   /* soft hyphen */
        {"\xd8\x9c", "\\xd8\\x9c"},                   /* Arabic letter mark */
        {"\xe2\x80\x8b", "\\xe2\\x80\\x8b"},          /* zero width space */
        {"\xe2\x80\x8f", "\\xe2\\x80\\x8f"},          /* right-to-left mark */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* line separator */
        {"\xe2\x80\xa9", "\\xe2\\x80\\xa9"},          /* paragraph separator */
        {"\xe2\x80\xaa", "\\xe2\\x80\\xaa"},          /* left-to-right embedding */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* right-to-left override */
        {"\xe2\x80\xaf", "\xe2\x80\xaf"},             /* narrow no-break space */
        {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},          /* left-to-right isolate */
        {"\xe2\x81\xa9", "\\xe2\\x81\\xa9"},          /* pop directional isolate */
        {"\xef\xbb\xbf", "\\xef\\xbb\\xbf"},          /* byte order mark */
        {"\xef\xbf\xbb", "\\xef\\xbf\\xbb"},          /* interlinear annotation */
        {"\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81"}, /* tag letter */
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong slash */
        {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"},          /* overlong newline */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xed\xb2\x80", "\\xed\\xb2\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"caf\xe9", "caf\\xe9"},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xe2\x82(", "\\xe2\\x82("},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[256];
        struct writer w = writer_on(memory, sizeof(memory));
        write_escaped(&w, text_of(rows[i].text), "", sizeof(memory));
        expect_text(writer_text(&w), rows[i].wanted);
        assert_false(w.full);
    }
}

static void every_byte_alone_is_printable_afterwards(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char memory[8];
        char byte = (char)c;
        struct writer w = writer_on(memory, sizeof(memory));
        write_escaped(&w, (struct text){&byte, 1}, "", sizeof(memory));
        struct text out = writer_text(&w);
        bool plain = c >= 0x20 && c < 0x7f && c != '\\';
        assert_int_equal(out.size, plain ? 1 : c == '\\' ? 2 : 4);
        for (size_t i = 0; i < out.size; i++)
            CHECK_ROW(out.data[i] >= 0x20 && out.data[i] < 0x7f, "byte %d", c);
    }
}

static void what_the_caller_names_is_escaped_too(void **state)
{
    char memory[64];
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    write_escaped(&w, TEXT("a, b=c"), " ,", sizeof(memory));
    expect_text(writer_text(&w), "a\\x2c\\x20b=c");
}

/* Neither the limit nor the memory's end may leave a part of a character or of an escape. */
static void nothing_is_cut_in_the_middle_of_a_character(void **state)
{
    static const struct text t = {"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\\n\xff", 13};
    static const size_t ends[] = {0, 1, 3, 6, 10, 12, 16, 20};
    (void)state;
    for (size_t limit = 0; limit <= 24; limit++) {
        size_t wanted = 0;
        for (size_t i = 0; i < COUNT(ends); i++)
            wanted = ends[i] <= limit ? ends[i] : wanted;
        char wide[64];
        struct writer by_limit = writer_on(wide, sizeof(wide));
        write_escaped(&by_limit, t, "", limit);
        assert_int_equal(writer_text(&by_limit).size, wanted);
        assert_false(by_limit.full);
        char narrow[64];
        struct writer by_room = writer_on(narrow, limit);
        write_escaped(&by_room, t, "", 64);
        assert_int_equal(writer_text(&by_room).size, wanted);
        assert_int_equal(by_room.full, limit < 20);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_with_and_without_case),
        cmocka_unit_test(lower_touches_only_ascii_letters),
        cmocka_unit_test(trimmed_at_both_ends),
        cmocka_unit_test(split_gives_every_part_even_the_empty_ones),
        cmocka_unit_test(a_writer_never_passes_its_end),
        cmocka_unit_test(a_writer_cuts_what_is_too_long),
        cmocka_unit_test(a_format_over_its_buffer_says_so),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(truth_is_read),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(what_could_deceive_is_escaped),
        cmocka_unit_test(every_byte_alone_is_printable_afterwards),
        cmocka_unit_test(what_the_caller_names_is_escaped_too),
        cmocka_unit_test(nothing_is_cut_in_the_middle_of_a_character),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
