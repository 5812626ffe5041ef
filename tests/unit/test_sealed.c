/* test_sealed.c: what is believed of a far cache: only what this store's hosts have written, of this key. */
#include "tests/unit/unit.h"

#include "core/server/sealed.h"

static uint8_t secret[HASH_SECRET_SIZE];
static uint8_t key[CACHE_KEY_SIZE];
static const struct sealed entry = {.revision = 7, .expires = INT64_C(1700000000000)};

static int start(void **state)
{
    (void)state;
    if (!hash_start())
        return -1;
    hash_random(secret, sizeof(secret));
    hash_random(key, sizeof(key));
    return 0;
}

static void what_was_written_is_read(void **state)
{
    static const struct sealed rows[] = {
        {1, 1}, {7, INT64_C(1700000000000)}, {INT64_MAX, INT64_MAX}};
    uint8_t bytes[SEALED_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sealed found = {0, 0};
        sealed_write(secret, key, &rows[i], bytes);
        CHECK_ROW(sealed_read(secret, key, bytes, sizeof(bytes), &found), "%zu", i);
        assert_int_equal(found.revision, rows[i].revision);
        assert_int_equal(found.expires, rows[i].expires);
    }
}

static void each_bit_counts(void **state)
{
    uint8_t bytes[SEALED_SIZE];
    struct sealed found;
    (void)state;
    sealed_write(secret, key, &entry, bytes);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_ROW(!sealed_read(secret, key, bytes, sizeof(bytes), &found), "bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(sealed_read(secret, key, bytes, sizeof(bytes), &found));
}

static void another_length_is_none(void **state)
{
    uint8_t bytes[CACHE_VALUE_MAX] = {0};
    struct sealed found;
    (void)state;
    sealed_write(secret, key, &entry, bytes);
    for (size_t size = 0; size <= sizeof(bytes); size++)
        assert_true(sealed_read(secret, key, bytes, size, &found) == (size == SEALED_SIZE));
}

static void it_is_of_one_key_and_one_store(void **state)
{
    uint8_t bytes[SEALED_SIZE];
    uint8_t other_key[CACHE_KEY_SIZE];
    uint8_t other_secret[HASH_SECRET_SIZE];
    struct sealed found;
    (void)state;
    hash_random(other_key, sizeof(other_key));
    hash_random(other_secret, sizeof(other_secret));
    sealed_write(secret, key, &entry, bytes);
    assert_false(sealed_read(secret, other_key, bytes, sizeof(bytes), &found));
    assert_false(sealed_read(other_secret, key, bytes, sizeof(bytes), &found));
}

/* Ours by its seal, but written by nobody: no revision, no end. */
static void what_can_not_be_is_refused(void **state)
{
    static const struct sealed rows[] = {{0, 5}, {5, 0}, {5, -1}, {5, INT64_MIN}};
    uint8_t bytes[SEALED_SIZE];
    struct sealed found;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        sealed_write(secret, key, &rows[i], bytes);
        CHECK_ROW(!sealed_read(secret, key, bytes, sizeof(bytes), &found), "%zu", i);
    }
}

static void names_are_the_stores_own_and_have_a_bound(void **state)
{
    char longest[65];
    char a[CACHE_PREFIX_MAX + 1];
    char b[CACHE_PREFIX_MAX + 1];
    uint8_t other[HASH_SECRET_SIZE];
    (void)state;
    memset(longest, 'p', 64);
    longest[64] = '\0';
    hash_random(other, sizeof(other));
    sealed_prefix(secret, text_of(longest), a);
    sealed_prefix(other, text_of(longest), b);
    assert_int_equal(strlen(a), 64 + 18);
    assert_int_equal(strlen(b), 64 + 18);
    assert_memory_equal(a, longest, 64);
    assert_string_not_equal(a, b);
    sealed_prefix(secret, text_of(longest), b);
    assert_string_equal(a, b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(each_bit_counts),
        cmocka_unit_test(another_length_is_none),
        cmocka_unit_test(it_is_of_one_key_and_one_store),
        cmocka_unit_test(what_can_not_be_is_refused),
        cmocka_unit_test(names_are_the_stores_own_and_have_a_bound),
    };
    return cmocka_run_group_tests_name("sealed", tests, start, NULL);
}
