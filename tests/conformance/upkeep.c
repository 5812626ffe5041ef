/*
 * upkeep.c: purge() and tally().
 */
#include "suite.h"

static size_t purge(struct suite *suite, int64_t now, size_t limit)
{
    size_t removed = SIZE_MAX;

    assert_int_equal(suite->driver->purge(suite->session, now, limit, &removed, &suite->error),
                     STORAGE_OK);
    return removed;
}

/* Until nothing is left to remove; all that was removed. */
static size_t purge_all(struct suite *suite, int64_t now, size_t limit)
{
    size_t sum = 0;
    size_t removed = 1;

    while (removed > 0) {
        removed = purge(suite, now, limit);
        assert_true(removed <= limit);
        sum += removed;
    }
    return sum;
}

static void purge_of_an_empty_store(void **state)
{
    assert_int_equal(purge(*state, T0, 100), 0);
}

static void purge_removes_at_exactly_now(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting counter = suite_pair(1, T0, 1);

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(2, T0 + 1));
    (void)suite_see(suite, counter);
    counter.key = suite_key(2);
    counter.now = T0 + 1;
    (void)suite_see(suite, counter);
    assert_int_equal(purge(suite, T0 + WINDOW - 1, 100), 0);
    assert_int_equal(purge(suite, T0 + WINDOW, 100), 2);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_STORED(suite, 2, .first_seen = T0 + 1, .last_seen = T0 + 1, .expires = T0 + 1 + WINDOW,
                  .tries = 1);
    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0));
    assert_int_equal(suite_counter(suite, 2, T0 + WINDOW).count, 1);
    assert_int_equal(purge(suite, T0 + WINDOW, 100), 0);
}

static void see_many(struct suite *suite, uint32_t first, uint32_t count, int64_t now)
{
    static struct storage_row rows[STORAGE_BATCH_MAX];
    static struct storage_sighting batch[STORAGE_BATCH_MAX];

    for (uint32_t i = 0; i < count; i += 2) {
        batch[i] = suite_grey(first + i, now);
        batch[i + 1] = suite_count(first + i, now, 1);
        batch[i + 1].keep = WINDOW;
    }
    suite_see_all(suite, batch, count, rows);
}

static void purge_is_bounded_and_complete(void **state)
{
    struct suite *suite = *state;
    int64_t now = SLID(T0, WINDOW);
    const struct storage_query query = {.kind = ENTRIES, .order = STORAGE_BY_ID, .limit = 1000};
    struct suite_found found;

    see_many(suite, 0, 300, T0);
    see_many(suite, 1000, 20, T0 + 1 + WINDOW);
    assert_true(purge(suite, now, 7) <= 7);
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_OK);
    assert_true(found.count >= 150 + 10 - 7);
    (void)purge_all(suite, now, 7);
    for (uint32_t i = 0; i < 300; i += 2) {
        EXPECT_NOT_FOUND(suite_counter(suite, i, T0));
    }
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_OK);
    assert_int_equal(found.count, 10);
    for (uint32_t i = 0; i < 20; i += 2) {
        assert_int_equal(suite_counter(suite, 1000 + i, now).count, 1);
    }
}

static void purge_counts_what_it_removed(void **state)
{
    struct suite *suite = *state;

    see_many(suite, 0, 500, T0);
    assert_int_equal(purge_all(suite, T0 + DAY, 50), 0);
    assert_int_equal(purge_all(suite, SLID(T0, WINDOW), 50), 500);
    see_many(suite, 0, 10, T0);
    assert_int_equal(purge(suite, SLID(T0, WINDOW), 1000), 10);
}

/* What purging removed is gone with all that hung on it, and may come again. */
static void purge_then_seen_again(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = {
        .position = 9, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 3};

    (void)suite_see(suite, suite_merge(1, T0, &merge));
    assert_int_equal(purge(suite, T0 + DAY, 10), 1);
    merge.expires = T0 + 5 * DAY;
    assert_int_equal(suite_see(suite, suite_merge(1, T0 + DAY, &merge)).status, STORAGE_OK);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + 5 * DAY, .tries = 3);
}

static void purge_leaves_records(void **state)
{
    struct suite *suite = *state;
    const struct storage_query query = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 10};
    const struct storage_value values[ARTICLE_FIELDS] = {[MOMENT] = value_time(1)};

    assert_int_equal(suite_put(suite, ARTICLES, "a", 0, values), STORAGE_OK);
    (void)suite_see(suite, suite_grey(1, T0));
    assert_int_equal(purge_all(suite, T0 + STORAGE_DURATION_MAX, 10), 1);
    EXPECT_FOUND(suite, &query, "a");
}

/* --- tally ------------------------------------------------------------------------------------ */

static void expect_tally(struct suite *suite, int64_t since, int64_t abandoned_before,
                         struct storage_tally expected)
{
    struct storage_tally tally = {-1, -1, -1, -1, -1, -1};

    assert_int_equal(
        suite->driver->tally(suite->session, since, abandoned_before, &tally, &suite->error),
        STORAGE_OK);
    assert_int_equal(tally.entries, expected.entries);
    assert_int_equal(tally.accepted, expected.accepted);
    assert_int_equal(tally.rejected, expected.rejected);
    assert_int_equal(tally.abandoned, expected.abandoned);
    assert_int_equal(tally.passed, expected.passed);
    assert_int_equal(tally.waited, expected.waited);
}

static void tally_of_an_empty_store(void **state)
{
    expect_tally(*state, 0, T0, (struct storage_tally){0});
}

static void tally_sums(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting many = suite_grey(5, T0 + 4);

    (void)suite_see(suite, suite_grey(1, T0)); /* passes after 5 and 6 minutes: 1 and 2 */
    (void)suite_see(suite, suite_grey(1, T0 + DELAY));
    (void)suite_see(suite, suite_grey(1, T0 + DAY));
    (void)suite_see(suite, suite_grey(2, T0 + 1));
    (void)suite_see(suite, suite_grey(2, T0 + 2));
    (void)suite_see(suite, suite_grey(2, T0 + 1 + DELAY + MINUTE));
    (void)suite_see(suite, suite_learn(3, T0 + 2)); /* passed, but did not wait */
    (void)suite_see(suite, suite_grey(4, T0 + 3));  /* has not passed */
    many.count = 10;
    (void)suite_see(suite, many);
    (void)suite_see(suite, suite_count(6, T0, 99)); /* no entry */
    expect_tally(suite, T0, T0 + 4, (struct storage_tally){5, 4, 14, 1, 2, 2 * DELAY + MINUTE});
    expect_tally(suite, T0, T0 + 3, (struct storage_tally){5, 4, 14, 0, 2, 2 * DELAY + MINUTE});
    expect_tally(suite, T0, T0 + 5, (struct storage_tally){5, 4, 14, 2, 2, 2 * DELAY + MINUTE});
    expect_tally(suite, T0 + 1, T0 + 5, (struct storage_tally){4, 2, 13, 2, 1, DELAY + MINUTE});
    expect_tally(suite, T0 + 4, T0 + 5, (struct storage_tally){1, 0, 10, 1, 0, 0});
    expect_tally(suite, T0 + 5, T0 + 5, (struct storage_tally){0});
}

/* Dead rows count until they are purged, and tally() asks no clock. */
static void tally_counts_the_dead(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.window = 0;
    (void)suite_see(suite, sighting);
    (void)suite_see(suite, suite_grey(2, T0 + DAY));
    expect_tally(suite, T0, T0 + DAY, (struct storage_tally){2, 0, 2, 1, 0, 0});
    assert_int_equal(purge(suite, T0 + DAY, 10), 1);
    expect_tally(suite, T0, T0 + DAY, (struct storage_tally){1, 0, 1, 0, 0, 0});
}

/* Another store may have waited for a sender that has not passed; and a delay of 0 is passed
 * without waiting. "Passed" are those that have done both. */
static void tally_of_waited_and_passed(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(2, T0);
    struct storage_merge merge = {.position = 1,
                                  .first_seen = T0,
                                  .last_seen = T0,
                                  .expires = T0 + DAY,
                                  .waited = HOUR,
                                  .tries = 1};

    (void)suite_see(suite, suite_merge(1, T0, &merge));
    sighting.delay = 0;
    (void)suite_see(suite, sighting);
    (void)suite_see(suite, sighting);
    expect_tally(suite, T0, T0, (struct storage_tally){2, 1, 2, 0, 0, 0});
    merge.position = 2;
    merge.passes = 3;
    (void)suite_see(suite, suite_merge(1, T0, &merge));
    expect_tally(suite, T0, T0, (struct storage_tally){2, 4, 3, 0, 1, HOUR});
}

/* The sums are of 64 bits. */
static void tally_of_large_numbers(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = {.position = 1,
                                  .first_seen = T0,
                                  .last_seen = T0,
                                  .expires = T0 + DAY,
                                  .waited = STORAGE_DURATION_MAX,
                                  .tries = 2000000000,
                                  .passes = 2000000000};

    for (uint32_t key = 1; key <= 5; key++) {
        (void)suite_see(suite, suite_merge(key, T0, &merge));
    }
    expect_tally(suite, T0, T0,
                 (struct storage_tally){5, INT64_C(10000000000), INT64_C(10000000000), 0, 5,
                                        5 * STORAGE_DURATION_MAX});
}

const struct suite_case upkeep_cases[] = {
    {"purge_of_an_empty_store", purge_of_an_empty_store},
    {"purge_removes_at_exactly_now", purge_removes_at_exactly_now},
    {"purge_is_bounded_and_complete", purge_is_bounded_and_complete},
    {"purge_counts_what_it_removed", purge_counts_what_it_removed},
    {"purge_then_seen_again", purge_then_seen_again},
    {"purge_leaves_records", purge_leaves_records},
    {"tally_of_an_empty_store", tally_of_an_empty_store},
    {"tally_sums", tally_sums},
    {"tally_counts_the_dead", tally_counts_the_dead},
    {"tally_of_waited_and_passed", tally_of_waited_and_passed},
    {"tally_of_large_numbers", tally_of_large_numbers},
    {NULL, NULL},
};
