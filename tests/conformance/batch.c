/*
 * batch.c: many sightings in one call, and calls that storage.h does not allow.
 */
#include "suite.h"

#include <stdlib.h>

static struct storage_sighting *make_batch(size_t count, int64_t now)
{
    struct storage_sighting *batch = calloc(count, sizeof *batch);

    assert_non_null(batch);
    for (size_t i = 0; i < count; i++) {
        batch[i] = suite_grey((uint32_t)i, now);
    }
    return batch;
}

static void batch_of_the_largest_size(void **state)
{
    struct suite *suite = *state;
    static struct storage_row rows[STORAGE_BATCH_MAX];
    struct storage_sighting *batch = make_batch(STORAGE_BATCH_MAX, T0);

    for (uint32_t round = 1; round <= 2; round++) {
        for (uint32_t i = 0; i < STORAGE_BATCH_MAX; i++) {
            batch[i].count = i + 1;
            batch[i].now = T0 + i + round;
        }
        suite_see_all(suite, batch, STORAGE_BATCH_MAX, rows);
        for (uint32_t i = 0; i < STORAGE_BATCH_MAX; i++) {
            EXPECT_ENTRY(rows[i], .first_seen = T0 + i + 1, .last_seen = T0 + i + round,
                         .expires = T0 + i + 1 + WINDOW, .tries = round * (i + 1));
        }
    }
    free(batch);
    EXPECT_STORED(suite, 1000, .first_seen = T0 + 1001, .last_seen = T0 + 1002,
                  .expires = T0 + 1001 + WINDOW, .tries = 2002);
}

/* Every op and every outcome in one call; the rows answer in the sightings' order. */
static void batch_of_all_ops(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = {
        .position = 1, .first_seen = T0, .last_seen = T0, .expires = T0 + 9 * DAY, .tries = 8};
    struct storage_row rows[9];
    struct storage_sighting batch[9];
    int64_t now = T0 + DELAY;

    (void)suite_see(suite, suite_grey(2, T0));
    (void)suite_see(suite, suite_learn(3, T0));
    (void)suite_see(suite, suite_count(8, T0, 5));
    batch[0] = suite_grey(1, now);
    batch[1] = suite_grey(2, now);
    batch[2] = suite_touch(3, now);
    batch[3] = suite_touch(4, now);
    batch[4] = suite_learn(5, now);
    batch[5] = suite_merge(6, now, &merge);
    batch[6] = suite_count(7, now, 3);
    batch[7] = suite_take(8, now, 5);
    batch[8] = suite_pair(9, now, 1);
    suite_see_all(suite, batch, 9, rows);
    EXPECT_ENTRY(rows[0], .first_seen = now, .last_seen = now, .expires = now + WINDOW, .tries = 1);
    EXPECT_ENTRY(rows[1], .first_seen = T0, .last_seen = now, .expires = SLID(now, KEEP),
                 .waited = DELAY, .tries = 1, .passes = 1);
    EXPECT_ENTRY(rows[2], .first_seen = T0, .last_seen = now, .expires = SLID(T0, KEEP),
                 .passes = 2);
    EXPECT_NOT_FOUND(rows[3]);
    EXPECT_ENTRY(rows[4], .first_seen = now, .last_seen = now, .expires = SLID(now, KEEP),
                 .passes = 1);
    assert_int_equal(rows[5].status, STORAGE_OK);
    EXPECT_STORED(suite, 6, .first_seen = T0, .last_seen = T0, .expires = T0 + 9 * DAY, .tries = 8);
    EXPECT_COUNTER(rows[6], .first_seen = now, .last_seen = now, .expires = SLID(now, KEEP),
                   .count = 3);
    EXPECT_COUNTER(rows[7], .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                   .count = 5);
    EXPECT_COUNTER(rows[8], .first_seen = now, .last_seen = now, .expires = now + WINDOW,
                   .count = 1);
}

/* Two key spaces: an entry and a counter may have one key, in either order. */
static void batch_with_one_key_in_both_tables(void **state)
{
    struct suite *suite = *state;
    struct storage_row rows[4];
    struct storage_sighting batch[4] = {suite_grey(1, T0), suite_count(1, T0, 2),
                                        suite_count(2, T0, 3), suite_learn(2, T0)};

    suite_see_all(suite, batch, 4, rows);
    assert_int_equal(rows[0].tries, 1);
    assert_int_equal(rows[1].count, 2);
    assert_int_equal(rows[2].count, 3);
    assert_int_equal(rows[3].passes, 1);
}

/* Entries are sorted among entries and counters among counters: how they are mixed is free. */
static void batch_of_entries_and_counters_in_any_mixture(void **state)
{
    static const uint8_t orders[][6] = {
        {0, 1, 2, 3, 4, 5}, {3, 4, 5, 0, 1, 2}, {3, 0, 4, 1, 5, 2}, {0, 3, 4, 5, 1, 2}};
    struct suite *suite = *state;
    const struct storage_sighting sightings[6] = {suite_grey(1, T0),     suite_learn(5, T0),
                                                  suite_grey(9, T0),     suite_count(2, T0, 1),
                                                  suite_count(5, T0, 1), suite_count(7, T0, 1)};

    for (uint32_t round = 0; round < 4; round++) {
        struct storage_sighting batch[6];
        struct storage_row rows[6];
        for (size_t i = 0; i < 6; i++) {
            batch[i] = sightings[orders[round][i]];
        }
        suite_see_all(suite, batch, 6, rows);
        for (size_t i = 0; i < 6; i++) {
            uint32_t seen = batch[i].op == STORAGE_GREY    ? rows[i].tries
                            : batch[i].op == STORAGE_LEARN ? rows[i].passes
                                                           : rows[i].count;
            assert_int_equal(seen, round + 1);
        }
    }
}

/* Keys sort as unsigned bytes. */
static void batch_of_keys_with_high_bytes(void **state)
{
    struct suite *suite = *state;
    struct storage_row rows[4];
    const struct storage_sighting batch[4] = {suite_grey(0, T0), suite_grey(INT32_MAX, T0),
                                              suite_learn(UINT32_C(0x80000000), T0),
                                              suite_learn(UINT32_MAX, T0)};

    for (uint32_t round = 1; round <= 2; round++) {
        suite_see_all(suite, batch, 4, rows);
        assert_int_equal(rows[0].tries, round);
        assert_int_equal(rows[1].tries, round);
        assert_int_equal(rows[2].passes, round);
        assert_int_equal(rows[3].passes, round);
    }
}

/* Thirty keys pass at once and move one counter: all count, or by the gap one does. */
static void on_pass_repeated(struct suite *suite, uint32_t counter, int64_t min_gap,
                             uint32_t expected)
{
    struct storage_row rows[30];
    struct storage_sighting *batch = make_batch(30, T0);
    struct storage_sighting on_pass = suite_count(counter, T0 + DELAY, 1);

    on_pass.min_gap = min_gap;
    for (uint32_t i = 0; i < 30; i++) {
        batch[i].key = suite_key(counter * 1000 + i);
        batch[i].on_pass = &on_pass;
        batch[i].on_pass_count = 1;
    }
    suite_see_all(suite, batch, 30, rows);
    for (uint32_t i = 0; i < 30; i++) {
        batch[i].now = T0 + DELAY;
    }
    suite_see_all(suite, batch, 30, rows);
    free(batch);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(rows[i].passes, 1);
    }
    assert_int_equal(suite_counter(suite, counter, T0 + DELAY).count, expected);
}

static void batch_moves_one_counter_often(void **state)
{
    on_pass_repeated(*state, 1, 0, 30);
    on_pass_repeated(*state, 2, HOUR, 1);
}

/* Different marks add up as well, equal ones are one; of too many there are four. */
static void batch_adds_marks_to_one_counter(void **state)
{
    static const struct {
        uint64_t marks[6];
        uint32_t expected;
    } pairs[] = {{{1, 2, 3, 1, 2, 3}, 3}, {{7, 7, 7, 7, 7, 7}, 1}, {{1, 2, 3, 4, 5, 6}, 4}};
    struct suite *suite = *state;
    struct storage_sighting *batch = make_batch(6, T0);
    struct storage_sighting on_pass[6];
    struct storage_row rows[6];

    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < 6; j++) {
            on_pass[j] = suite_pair(i, T0 + DELAY, pairs[i].marks[j]);
            batch[j] = suite_grey(i * 10 + j, T0);
            batch[j].on_pass = &on_pass[j];
            batch[j].on_pass_count = 1;
        }
        suite_see_all(suite, batch, 6, rows);
        for (uint32_t j = 0; j < 6; j++) {
            batch[j].now = T0 + DELAY;
        }
        suite_see_all(suite, batch, 6, rows);
        assert_int_equal(suite_counter(suite, i, T0 + DELAY).count, pairs[i].expected);
    }
    free(batch);
}

static void batch_with_alternates(void **state)
{
    struct suite *suite = *state;
    static struct storage_row rows[200];
    struct storage_sighting *batch = make_batch(200, T0);

    suite_see_all(suite, batch, 200, rows);
    for (uint32_t i = 0; i < 200; i++) {
        batch[i].key = suite_key(1000 + i);
        batch[i].now = T0 + DELAY;
        batch[i].alternates_count = (uint8_t)(i % (STORAGE_ALTERNATES + 1));
        for (uint32_t j = 0; j < batch[i].alternates_count; j++) {
            batch[i].alternate[j] = suite_key(j + 1 == batch[i].alternates_count ? i : 5000 + j);
        }
    }
    suite_see_all(suite, batch, 200, rows);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(rows[i].origin, batch[i].alternates_count);
        assert_int_equal(rows[i].passes, batch[i].alternates_count > 0 ? 1 : 0);
    }
    free(batch);
}

/* --- What is not allowed ---------------------------------------------------------------------- */

static void expect_single_invalid(struct suite *suite, struct storage_sighting sighting)
{
    suite_expect_invalid(suite, &sighting, 1);
}

static void expect_no_entries(struct suite *suite)
{
    const struct storage_query query = {.kind = ENTRIES, .order = STORAGE_BY_ID, .limit = 10};

    EXPECT_FOUND(suite, &query, "");
}

static void invalid_batch_sizes(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting *batch = make_batch(STORAGE_BATCH_MAX + 1, T0);

    suite_expect_invalid(suite, batch, 0);
    suite_expect_invalid(suite, batch, STORAGE_BATCH_MAX + 1);
    free(batch);
    expect_no_entries(suite);
}

static void invalid_unsorted_keys(void **state)
{
    struct suite *suite = *state;
    const struct storage_sighting entries[] = {suite_grey(1, T0), suite_grey(3, T0),
                                               suite_grey(2, T0)};
    const struct storage_sighting counters[] = {suite_count(3, T0, 1), suite_pair(2, T0, 1)};

    suite_expect_invalid(suite, entries, 3);
    suite_expect_invalid(suite, counters, 2);
    expect_no_entries(suite);
    EXPECT_NOT_FOUND(suite_counter(suite, 2, T0));
}

static void invalid_repeated_keys(void **state)
{
    struct suite *suite = *state;
    const struct storage_sighting entries[] = {suite_grey(1, T0), suite_grey(2, T0),
                                               suite_learn(2, T0)};
    const struct storage_sighting counters[] = {suite_count(2, T0, 1), suite_pair(2, T0, 1)};
    const struct storage_sighting apart[] = {suite_grey(2, T0), suite_count(2, T0, 1),
                                             suite_touch(2, T0)};

    suite_expect_invalid(suite, entries, 3);
    suite_expect_invalid(suite, counters, 2);
    suite_expect_invalid(suite, apart, 3);
    expect_no_entries(suite);
    EXPECT_NOT_FOUND(suite_counter(suite, 2, T0));
}

static void invalid_ops(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.op = (enum storage_op)0;
    expect_single_invalid(suite, sighting);
    sighting.op = (enum storage_op)(STORAGE_TAKE + 1);
    expect_single_invalid(suite, sighting);
    expect_single_invalid(suite, suite_merge(1, T0, NULL));
    expect_no_entries(suite);
}

static void invalid_durations(void **state)
{
    static const int64_t wrong[] = {-1, STORAGE_DURATION_MAX + 1, INT64_MIN, INT64_MAX};
    struct suite *suite = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct storage_sighting sightings[5];
        for (size_t j = 0; j < 5; j++) {
            sightings[j] = suite_grey(1, T0);
        }
        sightings[0].delay = wrong[i];
        sightings[1].window = wrong[i];
        sightings[2].keep = wrong[i];
        sightings[3] = suite_count(1, T0, 1);
        sightings[3].min_gap = wrong[i];
        sightings[4].exemptions_count = 1;
        sightings[4].exemption[0] = (struct storage_exemption){suite_key(9), 1, wrong[i]};
        for (size_t j = 0; j < 5; j++) {
            expect_single_invalid(suite, sightings[j]);
        }
    }
    expect_no_entries(suite);
}

static void invalid_counts(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = {
        .position = 1, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 1};
    struct storage_sighting sightings[6] = {suite_grey(1, T0),    suite_touch(1, T0),
                                            suite_learn(1, T0),   suite_merge(1, T0, &merge),
                                            suite_pair(1, T0, 1), suite_take(1, T0, 1)};

    for (size_t i = 0; i < 6; i++) {
        sightings[i].count = 0;
        expect_single_invalid(suite, sightings[i]);
    }
    expect_no_entries(suite);
    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0));
}

static void invalid_positions(void **state)
{
    static const uint64_t wrong[] = {(uint64_t)INT64_MAX + 1, UINT64_MAX};
    struct suite *suite = *state;
    struct storage_merge merge = {
        .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 1};

    for (size_t i = 0; i < 2; i++) {
        merge.position = wrong[i];
        expect_single_invalid(suite, suite_merge(1, T0, &merge));
    }
    expect_no_entries(suite);
}

static void invalid_counts_of_parts(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting on_pass[STORAGE_ON_PASS + 1];
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.alternates_count = STORAGE_ALTERNATES + 1;
    expect_single_invalid(suite, sighting);
    sighting = suite_grey(1, T0);
    sighting.exemptions_count = STORAGE_EXEMPTIONS + 1;
    expect_single_invalid(suite, sighting);
    sighting = suite_grey(1, T0);
    for (uint32_t i = 0; i <= STORAGE_ON_PASS; i++) {
        on_pass[i] = suite_count(i, T0, 1);
    }
    sighting.on_pass = on_pass;
    sighting.on_pass_count = STORAGE_ON_PASS + 1;
    expect_single_invalid(suite, sighting);
    expect_no_entries(suite);
}

static void invalid_on_pass(void **state)
{
    struct suite *suite = *state;
    const struct storage_sighting inner = suite_count(9, T0, 1);
    struct storage_sighting on_pass = suite_grey(2, T0);
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    expect_single_invalid(suite, sighting);
    on_pass = suite_take(2, T0, 1);
    expect_single_invalid(suite, sighting);
    on_pass = suite_count(2, T0, 1);
    on_pass.on_pass = &inner;
    on_pass.on_pass_count = 1;
    expect_single_invalid(suite, sighting);
    expect_no_entries(suite);
}

/* One that is wrong undoes all: the core does an INVALID batch again one by one. */
static void invalid_batch_does_nothing_at_all(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting batch[3] = {suite_grey(1, T0), suite_count(2, T0, 1),
                                        suite_grey(3, T0)};

    batch[2].window = -1;
    suite_expect_invalid(suite, batch, 3);
    expect_no_entries(suite);
    EXPECT_NOT_FOUND(suite_counter(suite, 2, T0));
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, 1);
}

const struct suite_case batch_cases[] = {
    {"batch_of_the_largest_size", batch_of_the_largest_size},
    {"batch_of_all_ops", batch_of_all_ops},
    {"batch_with_one_key_in_both_tables", batch_with_one_key_in_both_tables},
    {"batch_of_entries_and_counters_in_any_mixture", batch_of_entries_and_counters_in_any_mixture},
    {"batch_of_keys_with_high_bytes", batch_of_keys_with_high_bytes},
    {"batch_moves_one_counter_often", batch_moves_one_counter_often},
    {"batch_adds_marks_to_one_counter", batch_adds_marks_to_one_counter},
    {"batch_with_alternates", batch_with_alternates},
    {"invalid_batch_sizes", invalid_batch_sizes},
    {"invalid_unsorted_keys", invalid_unsorted_keys},
    {"invalid_repeated_keys", invalid_repeated_keys},
    {"invalid_ops", invalid_ops},
    {"invalid_durations", invalid_durations},
    {"invalid_counts", invalid_counts},
    {"invalid_positions", invalid_positions},
    {"invalid_counts_of_parts", invalid_counts_of_parts},
    {"invalid_on_pass", invalid_on_pass},
    {"invalid_batch_does_nothing_at_all", invalid_batch_does_nothing_at_all},
    {NULL, NULL},
};
