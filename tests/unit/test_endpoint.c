/* test_endpoint.c: where to listen, as people write it. */
#include "tests/unit/unit.h"

#include "core/base/endpoint.h"

static void each_form_is_read(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        int port;
        const char *path;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", -1, ""},
        {"127.0.0.1:10023", "127.0.0.1", 10023, ""},
        {"mx.example.org:0", "mx.example.org", 0, ""},
        {"mx:65535", "mx", 65535, ""},
        {"0.0.0.0", "0.0.0.0", -1, ""},
        {"::1", "::1", -1, ""},
        {"::", "::", -1, ""},
        {"2001:db8::1", "2001:db8::1", -1, ""},
        {"[::1]", "::1", -1, ""},
        {"[::1]:10023", "::1", 10023, ""},
        {"[fe80::1%eth0]:1", "fe80::1%eth0", 1, ""},
        {"*:9999", "*", 9999, ""},
        {"unix:/run/mongrey.sock", "", -1, "/run/mongrey.sock"},
        {"unix:/a:b,c", "", -1, "/a:b,c"},
        {"unix", "unix", -1, ""},
        {"unixoid:1", "unixoid", 1, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct endpoint e;
        const char *why = "";
        CHECK_ROW(endpoint_parse(text_of(rows[i].text), &e, &why), "%s: %s", rows[i].text, why);
        expect_text(e.host, rows[i].host);
        expect_text(e.path, rows[i].path);
        CHECK_ROW(e.port == rows[i].port, "%s", rows[i].text);
    }
}

static void each_fault_has_its_clause(void **state)
{
    static const char path[] = "needs an absolute path of at most 107 bytes";
    static const char bracket[] = "has a bracket too many or too few";
    static const char host[] = "is not an address or host name";
    static const char port[] = "has no port between 0 and 65535 behind its colon";
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"unix:x", path},     {"unix:run/x", path},
        {"unix:/", path},     {"unix: /x", path},
        {"[::1", bracket},    {"[", bracket},
        {"", host},           {":9999", host},
        {"[]", host},         {"[]:1", host},
        {"a b", host},        {" a", host},
        {"a/b:1", host},      {"a]:1", host},
        {"a[1]", host},       {"u@h:1", host},
        {"h#1", host},        {"h?1", host},
        {"http://h:1", host}, {"\xc3\xa9.example", host},
        {"a\x7f", host},      {"h:", port},
        {"h:x", port},        {"h:-1", port},
        {"h:+1", port},       {"h: 1", port},
        {"h:65536", port},    {"h:99999999999999999999", port},
        {"[::1]:", port},     {"[::1]9999", port},
        {"[::1]]:1", port},   {"unix:", port},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct endpoint e;
        const char *why = "";
        CHECK_ROW(!endpoint_parse(text_of(rows[i].text), &e, &why), "%s", rows[i].text);
        CHECK_ROW(strcmp(why, rows[i].why) == 0, "%s: %s", rows[i].text, why);
    }
}

static bool parses(const char *data, size_t size)
{
    struct endpoint e;
    const char *why;
    return endpoint_parse((struct text){data, size}, &e, &why);
}

static void lengths_end_where_the_system_does(void **state)
{
    char text[512];
    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(parses(text, ENDPOINT_HOST_MAX));
    assert_false(parses(text, ENDPOINT_HOST_MAX + 1));
    memcpy(text, "unix:/", 6);
    assert_true(parses(text, 5 + ENDPOINT_PATH_MAX));
    assert_false(parses(text, 5 + ENDPOINT_PATH_MAX + 1));
}

/* A Unix socket's name ends at the first NUL: another socket than the one that was asked for. */
static void a_nul_is_refused_in_hosts_and_paths(void **state)
{
    (void)state;
    assert_false(parses("a\0b", 3));
    assert_false(parses("unix:/a\0b", 9));
    assert_false(parses("h:1\0", 4));
}

static void minus_nothing_is_no_port(void **state)
{
    (void)state;
    assert_false(parses("h:-0", 4));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(each_fault_has_its_clause),
        cmocka_unit_test(lengths_end_where_the_system_does),
        cmocka_unit_test(a_nul_is_refused_in_hosts_and_paths),
        cmocka_unit_test(minus_nothing_is_no_port),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
