/* test_health.c: what /healthz says, and when it says that something is wrong. */
#include "tests/unit/unit.h"

#include "core/server/http.h"

static struct http_facts good(void)
{
    struct http_facts f;
    memset(&f, 0, sizeof(f));
    f.metrics.store_up = 1;
    f.metrics.lists_loaded = 1;
    f.metrics.reload_fine = 1;
    f.metrics.lists_revision = 42;
    return f;
}

static void expect_health(const struct http_facts *f, int64_t age, bool fine, const char *part)
{
    char memory[512];
    struct writer w = writer_on(memory, sizeof(memory));
    assert_true(http_health(&w, f, age) == fine);
    assert_false(w.full);
    const char *text = writer_end(&w);
    assert_non_null(strstr(text, fine ? "{\"status\":\"ok\"," : "{\"status\":\"failing\","));
    CHECK_ROW(strstr(text, part) != NULL, "%s: %s", part, text);
    assert_non_null(strstr(text, ",\"revision\":42,\"version\":\""));
}

static void all_is_well(void **state)
{
    struct http_facts f = good();
    (void)state;
    expect_health(
        &f, 0, true,
        ",\"store\":\"ok\",\"redis\":\"not used\",\"lists\":\"loaded\",\"settings\":\"ok\","
        "\"loop\":\"ok\",");
    expect_health(&f, HTTP_STALE, true, ",\"loop\":\"ok\",");
    f.metrics.far_set = 1;
    f.metrics.far_up = 1;
    expect_health(&f, 0, true, ",\"redis\":\"ok\",");
}

static void a_redis_that_is_away_is_told_and_is_no_failure(void **state)
{
    struct http_facts f = good();
    (void)state;
    f.metrics.far_set = 1;
    expect_health(&f, 0, true, ",\"redis\":\"away\",");
}

static void each_thing_that_is_wrong_is_named(void **state)
{
    struct http_facts f = good();
    (void)state;
    expect_health(&f, HTTP_STALE + 1, false, ",\"loop\":\"stands still\",");
    f.stopping = true;
    expect_health(&f, 0, false, ",\"loop\":\"stopping\",");
    f = good();
    f.metrics.store_up = 0;
    expect_health(&f, 0, false, ",\"store\":\"away\",");
    f = good();
    f.metrics.lists_loaded = 0;
    expect_health(&f, 0, false, ",\"lists\":\"not loaded yet\",");
    f = good();
    f.metrics.reload_fine = 0;
    expect_health(&f, 0, false, ",\"settings\":\"the last reload failed");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(a_redis_that_is_away_is_told_and_is_no_failure),
        cmocka_unit_test(each_thing_that_is_wrong_is_named),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
