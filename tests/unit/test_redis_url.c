/* test_redis_url.c: where a Redis is, and what is no such place. */
#include "tests/unit/unit.h"

#include "core/base/redis_url.h"

static void places_are_read(void **state)
{
    static const struct {
        const char *url;
        const char *host;
        const char *path;
        const char *user;
        const char *password;
        unsigned port;
        unsigned database;
        unsigned timeout;
    } rows[] = {
        {"redis://h", "h", "", "", "", 6379, 0, 100},
        {"redis://h/", "h", "", "", "", 6379, 0, 100},
        {"REDIS://h:7000/12", "h", "", "", "", 7000, 12, 100},
        {"redis://:pw@h", "h", "", "", "pw", 6379, 0, 100},
        {"redis://u:p%40%3aw%25@[2001:db8::1]:65535/0", "2001:db8::1", "", "u", "p@:w%", 65535, 0,
         100},
        {"redis://[::1]", "::1", "", "", "", 6379, 0, 100},
        {"redis://127.0.0.1:1?timeout=10ms", "127.0.0.1", "", "", "", 1, 0, 10},
        {"redis://h/65535?timeout=5s", "h", "", "", "", 6379, 65535, 5000},
        {"redis://h:", "h", "", "", "", 6379, 0, 100},
        {"unix:///run/redis/r.sock", "", "/run/redis/r.sock", "", "", 0, 0, 100},
        {"unix://u:pw@/s?db=3&timeout=250ms", "", "/s", "u", "pw", 0, 3, 250},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = arena_make(64 * 1024);
        struct redis_url r;
        const char *why = "";
        CHECK_ROW(redis_url_is(text_of(rows[i].url)), "%s", rows[i].url);
        CHECK_ROW(redis_url_parse(&arena, text_of(rows[i].url), &r, &why), "%s: %s", rows[i].url,
                  why);
        assert_string_equal(r.host, rows[i].host);
        assert_string_equal(r.path, rows[i].path);
        assert_string_equal(r.user, rows[i].user);
        assert_string_equal(r.password, rows[i].password);
        CHECK_ROW(r.port == rows[i].port && r.database == rows[i].database &&
                      r.timeout == rows[i].timeout,
                  "%s", rows[i].url);
        arena_free(&arena);
    }
}

static void what_is_wrong_is_said_without_the_secret(void **state)
{
    static const struct {
        const char *url;
        const char *why;
    } rows[] = {
        {"redis://", "has no host"},
        {"redis:///0", "has no host"},
        {"redis://:6379", "has no host"},
        {"redis://[]:1", "has no host"},
        {"redis:///run/redis.sock", "has a database that is no number"},
        {"redis://:geheim@a,b", "names more than one host"},
        {"redis://:geheim@h:0", "has a port that is no number from 1"},
        {"redis://:geheim@h:65536", "has a port that is no number"},
        {"redis://:geheim@h/x", "has a database"},
        {"redis://:geheim@h/-1", "has a database"},
        {"redis://:geheim@h/65536", "has a database"},
        {"redis://geheim@h", "has a user without a password"},
        {"rediss://:geheim@h", "is rediss://, but TLS"},
        {"redis://h?timeout=9ms", "has a timeout"},
        {"redis://h?timeout=6s", "has a timeout"},
        {"redis://h?timeout=geheim", "has a timeout"},
        {"redis://h?db=1", "has a parameter that is not timeout"},
        {"unix://:geheim@h/s", "has a host"},
        {"unix://", "has no path"},
        {"unix:///", "has no path"},
        {"unix:///s?db=x", "has a database"},
        {"unix:///s?password=geheim", "has a parameter that is neither"},
        {"redis:h", "has no scheme"},
        {"redis://h%00", NULL},
        {"http://h", "is neither redis:// nor unix://"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = arena_make(64 * 1024);
        struct redis_url r;
        const char *why = "";
        bool read = redis_url_parse(&arena, text_of(rows[i].url), &r, &why);
        if (rows[i].why != NULL) {
            CHECK_ROW(!read && strstr(why, rows[i].why) == why, "%s: %s", rows[i].url, why);
            assert_null(strstr(why, "geheim"));
        }
        arena_free(&arena);
    }
}

static void a_path_of_a_socket_has_a_longest_length(void **state)
{
    char url[256] = "unix:///";
    struct redis_url r;
    const char *why;
    (void)state;
    memset(url + 8, 's', 107);
    struct arena arena = arena_make(64 * 1024);
    assert_false(redis_url_parse(&arena, text_of(url), &r, &why));
    url[8 + 106] = '\0';
    assert_true(redis_url_parse(&arena, text_of(url), &r, &why));
    assert_int_equal(strlen(r.path), 107);
    arena_free(&arena);
}

static void other_words_are_not_for_redis(void **state)
{
    static const char *const rows[] = {"", "memory", "none", "redis", "redisx://h", "unix", "disk"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(!redis_url_is(text_of(rows[i])), "%s", rows[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_read),
        cmocka_unit_test(what_is_wrong_is_said_without_the_secret),
        cmocka_unit_test(a_path_of_a_socket_has_a_longest_length),
        cmocka_unit_test(other_words_are_not_for_redis),
    };
    return cmocka_run_group_tests_name("redis_url", tests, NULL, NULL);
}
