/* test_url.c: addresses of stores: what is read of them, what each fault is called, and that no
 * secret is shown. */
#include "tests/unit/unit.h"

#include "core/base/url.h"

static void each_part_is_read_and_decoded(void **state)
{
    static const struct {
        const char *text;
        const char *scheme, *user, *password, *hosts, *path;
    } rows[] = {
        {"sqlite:///relative.db", "sqlite", "", "", "", "relative.db"},
        {"sqlite:////var/lib/m.db", "sqlite", "", "", "", "/var/lib/m.db"},
        {"sqlite:///:memory:", "sqlite", "", "", "", ":memory:"},
        {"sqlite://", "sqlite", "", "", "", ""},
        {"SQLite:///x", "sqlite", "", "", "", "x"},
        {"postgresql://u:pw@h:5432,h2/db", "postgresql", "u", "pw", "h:5432,h2", "db"},
        {"postgresql://u@/db", "postgresql", "u", "", "", "db"},
        {"mysql://u:@h/db", "mysql", "u", "", "h", "db"},
        {"mysql://:pw@h", "mysql", "", "pw", "h", ""},
        {"mysql://u:a:b@h/db", "mysql", "u", "a:b", "h", "db"},
        {"mysql://u:a@b@h/db", "mysql", "u", "a@b", "h", "db"},
        {"mysql://u%40x:p%2fw%3A@h/d%20b", "mysql", "u@x", "p/w:", "h", "d b"},
        {"mongodb+srv://u:pw@cluster.example/db", "mongodb+srv", "u", "pw", "cluster.example",
         "db"},
        {"postgresql://[2001:db8::1]:5432,[::1]/db", "postgresql", "", "",
         "[2001:db8::1]:5432,[::1]", "db"},
        {"postgresql://%2Frun%2Fpostgresql/db", "postgresql", "", "", "%2Frun%2Fpostgresql", "db"},
        {"redis://:pw@h:6379/1", "redis", "", "pw", "h:6379", "1"},
        {"x://h/a/b/c?", "x", "", "", "h", "a/b/c"},
        {"x://h?a=b", "x", "", "", "h", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = arena_make(64 * 1024);
        struct url u;
        const char *why = "";
        CHECK_ROW(url_parse(&arena, text_of(rows[i].text), &u, &why), "%s: %s", rows[i].text, why);
        assert_string_equal(u.text, rows[i].text);
        assert_string_equal(u.scheme, rows[i].scheme);
        assert_string_equal(u.user, rows[i].user);
        assert_string_equal(u.password, rows[i].password);
        assert_string_equal(u.hosts, rows[i].hosts);
        assert_string_equal(u.path, rows[i].path);
        arena_free(&arena);
    }
}

static void parameters_keep_their_order_and_are_decoded(void **state)
{
    static const char *const wanted[][2] = {{"a", "1"}, {"b", "x=y"},   {"c", ""},
                                            {"d", ""},  {"e f", "g&h"}, {"a", "2"}};
    struct arena arena = arena_make(64 * 1024);
    struct url u;
    const char *why;
    (void)state;
    assert_true(url_parse(&arena, TEXT("x://h/p?a=1&&b=x=y&c=&d&e%20f=g%26h&a=2"), &u, &why));
    assert_int_equal(u.parameters_count, COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_string_equal(u.parameters[i].name, wanted[i][0]);
        assert_string_equal(u.parameters[i].value, wanted[i][1]);
    }
    arena_free(&arena);
}

static void each_fault_has_its_clause(void **state)
{
    static const char empty[] = "is empty, too long, or has control characters";
    static const char scheme[] = "has no scheme such as sqlite:// in front";
    static const char percent[] = "has a % that no two hex digits follow, or %00";
    static const char brackets[] = "has unbalanced brackets in its host";
    static const char fragment[] =
        "has a fragment (#): write %23 where it belongs to a name or password";
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", empty},
        {"sqlite:///a b", empty},
        {"sqlite:///a\nb", empty},
        {"sqlite:///a\x7f", empty},
        {"\tsqlite:///a", empty},
        {"mongrey.db", scheme},
        {"sqlite:/a", scheme},
        {"sqlite:", scheme},
        {"://x", scheme},
        {"1sqlite:///a", scheme},
        {"sq_lite:///a", scheme},
        {"sq\xc3\xa9:///a", scheme},
        {"abcdefghijklmnopqrstuvwxyzabcdefg://x", scheme},
        {"x:///%", percent},
        {"x:///%4", percent},
        {"x:///%zz", percent},
        {"x:///%4g", percent},
        {"x:///%00", percent},
        {"x://u%0:p@h", percent},
        {"x://u:p%@h", percent},
        {"x:///?a=%x1", percent},
        {"x:///?%00=1", percent},
        {"x://[::1", brackets},
        {"x://::1]", brackets},
        {"x://[[::1]]", brackets},
        {"x://]h[", brackets},
        {"x:///a#b", fragment},
        {"x://u:p#w@h/db", fragment},
        {"x:///?a=b#c", fragment},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = arena_make(64 * 1024);
        struct url u;
        const char *why = "";
        CHECK_ROW(!url_parse(&arena, text_of(rows[i].text), &u, &why), "%s", rows[i].text);
        CHECK_ROW(strcmp(why, rows[i].why) == 0, "%s: %s", rows[i].text, why);
        arena_free(&arena);
    }
}

static bool parses(const char *data, size_t size, const char **why)
{
    struct arena arena = arena_make(64 * 1024);
    struct url u;
    bool fine = url_parse(&arena, (struct text){data, size}, &u, why);
    arena_free(&arena);
    return fine;
}

static void the_longest_url_and_one_byte_more(void **state)
{
    char text[URL_MAX + 1];
    const char *why;
    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "sqlite:///", 10);
    assert_true(parses(text, URL_MAX, &why));
    assert_false(parses(text, URL_MAX + 1, &why));
    assert_false(parses("sqlite:///a\0b", 13, &why));
}

static void thirty_two_parameters_and_one_more(void **state)
{
    char text[512] = "x://h?";
    struct writer w = writer_on(text + 6, sizeof(text) - 6);
    const char *why;
    (void)state;
    for (int i = 0; i < URL_PARAMETERS_MAX; i++)
        write_format(&w, "&p%d=%d", i, i);
    assert_true(parses(text, strlen(writer_end(&w)) + 6, &why));
    write_literal(&w, "&one=more");
    assert_false(parses(text, strlen(writer_end(&w)) + 6, &why));
    assert_string_equal(why, "has more than 32 parameters");
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 120; limit++) {
        struct arena arena = arena_make(limit);
        struct url u;
        const char *why = NULL;
        if (!url_parse(&arena, TEXT("x://u:p@h/d?a=b"), &u, &why))
            assert_non_null(why);
        arena_free(&arena);
    }
}

static void expect_masked(const char *url, const char *wanted)
{
    char memory[URL_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    url_write_masked(&w, text_of(url));
    expect_text(writer_text(&w), wanted);
}

static void secrets_are_masked(void **state)
{
    static const char *const rows[][2] = {
        {"sqlite:////var/lib/m.db", "sqlite:////var/lib/m.db"},
        {"sqlite://", "sqlite://"},
        {"mysql://u@h/db", "mysql://u@h/db"},
        {"mysql://u:geheim@h:1/db", "mysql://u:***@h:1/db"},
        {"mysql://u:@h/db", "mysql://u:***@h/db"},
        {"redis://:geheim@h", "redis://:***@h"},
        {"mysql://u:ge@heim@h/db", "mysql://u:***@h/db"},
        {"mysql://u:ge:heim@h/db", "mysql://u:***@h/db"},
        {"mysql://u:%67eheim@h/db", "mysql://u:***@h/db"},
        {"x://h/db?password=geheim&a=b", "x://h/db?password=***&a=b"},
        {"x://h/db?a=b&SSLPassword=geheim", "x://h/db?a=b&SSLPassword=***"},
        {"x://h?authMechanismProperties=AWS_SESSION_TOKEN:geheim",
         "x://h?authMechanismProperties=***"},
        {"x://h?tlsCertificateKeyFilePassword=geheim", "x://h?tlsCertificateKeyFilePassword=***"},
        {"x://h?pwd=geheim=x", "x://h?pwd=***"},
        {"x://h?secret", "x://h?secret"},
        {"x://h?", "x://h?"},
        {"mysql://u:geheim@h/db#x", "(a URL that cannot be read)"},
        {"geheim", "(a URL that cannot be read)"},
        {"u:geheim@h/db", "(a URL that cannot be read)"},
        {"", "(a URL that cannot be read)"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_masked(rows[i][0], rows[i][1]);
}

/* A driver gets the names of parameters decoded, so the mask must look behind the encoding. */
static void an_encoded_name_hides_no_secret(void **state)
{
    char memory[URL_MAX + 64];
    struct writer w = writer_on(memory, sizeof(memory));
    (void)state;
    url_write_masked(&w, TEXT("x://h/db?p%61ssword=geheim"));
    assert_null(strstr(writer_end(&w), "geheim"));
}

/* A password with one of the characters that should have been encoded: whether the URL is refused
 * or not, what is shown of it must not hold the password. */
static void a_password_that_was_not_encoded_is_not_shown(void **state)
{
    static const char *const rows[] = {
        "mysql://u:/geheim@h/db",  "mysql://u:ge/heim@h/db",  "mysql://u:?geheim@h/db",
        "mysql://u:ge?heim@h/db",  "mysql://u:#geheim@h/db",  "mysql://u:[geheim@h/db",
        "mysql://u:%zgeheim@h/db", "mysql://u:geheim@x@h/db",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[URL_MAX + 64];
        struct writer w = writer_on(memory, sizeof(memory));
        url_write_masked(&w, text_of(rows[i]));
        CHECK_ROW(strstr(writer_end(&w), "heim") == NULL, "%s: %s", rows[i], memory);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_is_read_and_decoded),
        cmocka_unit_test(parameters_keep_their_order_and_are_decoded),
        cmocka_unit_test(each_fault_has_its_clause),
        cmocka_unit_test(the_longest_url_and_one_byte_more),
        cmocka_unit_test(thirty_two_parameters_and_one_more),
        cmocka_unit_test(too_little_memory_is_said),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(an_encoded_name_hides_no_secret),
        cmocka_unit_test(a_password_that_was_not_encoded_is_not_shown),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
