/* test_cache.c: the memory cache: it never says more than it was told, and keeps to its memory. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/hash.h"
#include "include/cache.h"

#define NOW INT64_C(1700000000000)
#define LATER (NOW + 1000)

static const struct cache_driver *const driver = &cache_memory;

static int start(void **state)
{
    (void)state;
    return hash_start() ? 0 : -1;
}

static const uint8_t *key(uint32_t number)
{
    static uint8_t bytes[CACHE_KEY_SIZE];
    hash_key(&number, sizeof(number), bytes);
    return bytes;
}

static struct cache *open_cache(size_t bytes)
{
    struct cache *c = driver->open(bytes);
    assert_non_null(c);
    return c;
}

static void put_many(struct cache *c, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        driver->put(c, key(i), LATER);
}

static uint32_t held(struct cache *c, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++)
        count += driver->get(c, key(i), NOW);
    return count;
}

static void only_what_was_put_is_held(void **state)
{
    struct cache *c = open_cache(1 << 20);
    (void)state;
    assert_false(driver->get(c, key(1), NOW));
    driver->put(c, key(1), LATER);
    assert_true(driver->get(c, key(1), NOW));
    assert_false(driver->get(c, key(2), NOW));
    assert_int_equal(driver->count(c), 1);
    driver->put(c, key(1), LATER);
    assert_int_equal(driver->count(c), 1);
    driver->close(c);
    driver->close(NULL);
}

static void an_entry_ends_in_the_millisecond_that_was_said(void **state)
{
    struct cache *c = open_cache(1 << 20);
    (void)state;
    driver->put(c, key(1), LATER);
    assert_true(driver->get(c, key(1), LATER - 1));
    assert_false(driver->get(c, key(1), LATER));
    assert_false(driver->get(c, key(1), LATER + 1));
    driver->put(c, key(1), LATER + 10);
    assert_true(driver->get(c, key(1), LATER));
    driver->put(c, key(1), LATER);
    assert_false(driver->get(c, key(1), LATER));
    driver->put(c, key(2), 0);
    driver->put(c, key(3), -1);
    assert_false(driver->get(c, key(2), -2));
    assert_false(driver->get(c, key(3), -2));
    driver->close(c);
}

static void what_is_forgotten_is_gone_and_nothing_else(void **state)
{
    struct cache *c = open_cache(1 << 20);
    bool was_held[1000];
    (void)state;
    put_many(c, 0, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        was_held[i] = driver->get(c, key(i), NOW);
    size_t before = driver->count(c);
    size_t forgotten = 0;
    for (uint32_t i = 0; i < 1000; i += 2) {
        driver->forget(c, key(i));
        forgotten += was_held[i];
    }
    driver->forget(c, key(5000));
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(driver->get(c, key(i), NOW), was_held[i] && i % 2 == 1);
    assert_int_equal(driver->count(c), before - forgotten);
    driver->forget(c, key(0));
    assert_int_equal(driver->count(c), before - forgotten);
    driver->put(c, key(0), LATER);
    assert_true(driver->get(c, key(0), NOW));
    driver->close(c);
}

static void clear_voids_all_and_makes_room(void **state)
{
    struct cache *c = open_cache(1 << 16);
    (void)state;
    put_many(c, 0, 1000);
    driver->clear(c);
    assert_int_equal(held(c, 0, 1000), 0);
    driver->put(c, key(7), LATER);
    assert_true(driver->get(c, key(7), NOW));
    driver->clear(c);
    driver->clear(c);
    assert_false(driver->get(c, key(7), NOW));
    /* What is void makes room for what is not, and leaves it all there is. */
    put_many(c, 1000, 1100);
    assert_int_equal(held(c, 1000, 1100), 100);
    driver->close(c);
}

/* Growing moves keys: none may be lost, and none may be found twice after it was forgotten. */
static void growth_loses_nothing(void **state)
{
    struct cache *c = open_cache(16 << 20);
    (void)state;
    for (uint32_t n = 1; n <= 20000; n += 1000) {
        put_many(c, n - 1, n + 999);
        assert_true(driver->count(c) <= n + 999);
        uint32_t missing = n + 999 - held(c, 0, n + 999);
        /* Far from the limit nothing has to make room; where buckets overflow it must be rare. */
        CHECK_ROW(missing <= (n + 999) / 20, "%u of %u", missing, n + 999);
    }
    for (uint32_t i = 0; i < 20000; i++)
        driver->forget(c, key(i));
    assert_int_equal(held(c, 0, 20000), 0);
    assert_int_equal(driver->count(c), 0);
    driver->close(c);
}

static void a_full_cache_stays_full_and_grows_no_more(void **state)
{
    struct cache *c = open_cache(1 << 16);
    (void)state;
    put_many(c, 0, 100000);
    size_t full = driver->count(c);
    CHECK_ROW(full >= 1024 && full <= (1 << 16) / 24, "%zu keys", full);
    assert_int_equal(held(c, 0, 100000), full);
    put_many(c, 100000, 101000);
    assert_true(driver->count(c) <= (1 << 16) / 24);
    assert_true(driver->get(c, key(100999), NOW));
    driver->close(c);
}

/* Keys that are used again and again stay, strangers that come once make room for each other. */
static void the_least_recently_used_goes_first(void **state)
{
    struct cache *c = open_cache(1 << 16);
    (void)state;
    put_many(c, 30000, 60000); /* all the room there is */
    put_many(c, 0, 400);
    for (uint32_t i = 1000; i < 30000; i++) {
        driver->put(c, key(i), LATER);
        if (i % 50 == 0)
            (void)held(c, 0, 400);
    }
    uint32_t kept = held(c, 0, 400);
    uint32_t unused = held(c, 1000, 20000);
    CHECK_ROW(kept >= 380, "%u of 400 are left", kept);
    CHECK_ROW(unused <= 20, "%u strangers are left", unused);
    driver->close(c);
}

static void the_smallest_cache_works(void **state)
{
    struct cache *c = open_cache(0);
    (void)state;
    put_many(c, 0, 5000);
    assert_true(driver->get(c, key(4999), NOW));
    assert_true(driver->count(c) >= 16 && driver->count(c) <= 128);
    driver->close(c);
}

static long private_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    if (f == NULL)
        return -1;
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "Private_Dirty: %ld", &kib) != 1)
        continue;
    (void)fclose(f);
    return kib;
}

static void a_key_takes_at_most_160_bytes(void **state)
{
    const uint32_t keys = 100000;
    struct cache *c = open_cache(64 << 20);
    (void)state;
    put_many(c, 0, 1);
    long before = private_kib();
    if (UNIT_SANITIZED || before < 0) {
        driver->close(c);
        skip();
    }
    put_many(c, 0, keys);
    long used = private_kib() - before;
    uint32_t found = held(c, 0, keys);
    CHECK_ROW(found >= keys / 2, "%u", found);
    CHECK_ROW(used * 1024 <= 160L * found, "%ld KiB for %u keys", used, found);
    driver->close(c);
}

/* A cache that may grow large takes nothing while it is empty. */
static void an_empty_cache_takes_nothing(void **state)
{
    long before = private_kib();
    (void)state;
    struct cache *c = open_cache((size_t)1 << 30);
    long after = private_kib();
    if (!UNIT_SANITIZED && before >= 0)
        CHECK_ROW(after - before <= 64, "%ld KiB", after - before);
    driver->close(c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_put_is_held),
        cmocka_unit_test(an_entry_ends_in_the_millisecond_that_was_said),
        cmocka_unit_test(what_is_forgotten_is_gone_and_nothing_else),
        cmocka_unit_test(clear_voids_all_and_makes_room),
        cmocka_unit_test(growth_loses_nothing),
        cmocka_unit_test(a_full_cache_stays_full_and_grows_no_more),
        cmocka_unit_test(the_least_recently_used_goes_first),
        cmocka_unit_test(the_smallest_cache_works),
        cmocka_unit_test(a_key_takes_at_most_160_bytes),
        cmocka_unit_test(an_empty_cache_takes_nothing),
    };
    return cmocka_run_group_tests_name("cache", tests, start, NULL);
}
