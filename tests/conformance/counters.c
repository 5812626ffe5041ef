/*
 * counters.c: COUNT, PAIR and TAKE.
 */
#include "suite.h"

/* --- COUNT ------------------------------------------------------------------------------------ */

static struct storage_sighting count_with_gap(int64_t now, int64_t min_gap)
{
    struct storage_sighting sighting = suite_count(1, now, 1);

    sighting.min_gap = min_gap;
    return sighting;
}

static void count_absent_begins(void **state)
{
    struct suite *suite = *state;

    EXPECT_COUNTER(suite_see(suite, suite_count(1, T0, 4)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 4);
    EXPECT_COUNTER(suite_counter(suite, 1, T0), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 4);
}

static void count_adds(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_count(1, T0, 4));
    EXPECT_COUNTER(suite_see(suite, suite_count(1, T0, 3)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 7);
    EXPECT_COUNTER(suite_see(suite, suite_count(1, T0 + 1, 1)), .first_seen = T0,
                   .last_seen = T0 + 1, .expires = SLID(T0, KEEP), .count = 8);
}

static void count_waits_for_the_gap(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, count_with_gap(T0, HOUR));
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + HOUR - 1, HOUR)), .first_seen = T0,
                   .last_seen = T0, .expires = SLID(T0, KEEP), .count = 1);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + HOUR, HOUR)), .first_seen = T0,
                   .last_seen = T0 + HOUR, .expires = SLID(T0, KEEP), .count = 2);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + 2 * HOUR - 1, HOUR)), .first_seen = T0,
                   .last_seen = T0 + HOUR, .expires = SLID(T0, KEEP), .count = 2);
}

/* A steady stream counts once in each gap: what did not count must not put off what will. */
static void count_of_a_stream(void **state)
{
    struct suite *suite = *state;
    uint32_t count = 0;

    for (int64_t minute = 0; minute <= 600; minute += 7) {
        count = suite_see(suite, count_with_gap(T0 + minute * MINUTE, HOUR)).count;
    }
    assert_int_equal(count, 10); /* 0, 63, 126, ... 567 */
}

static void count_slides_even_if_it_does_not_count(void **state)
{
    struct suite *suite = *state;
    int64_t edge = T0 + KEEP / 64;
    const int64_t gap = 400 * DAY;

    (void)suite_see(suite, count_with_gap(T0, gap));
    EXPECT_COUNTER(suite_see(suite, count_with_gap(edge, gap)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 1);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(edge + 1, gap)), .first_seen = T0,
                   .last_seen = T0, .expires = SLID(edge + 1, KEEP), .count = 1);
    EXPECT_COUNTER(suite_counter(suite, 1, edge + 1), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(edge + 1, KEEP), .count = 1);
}

static void count_dead_begins_anew(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(T0, KEEP);

    (void)suite_see(suite, suite_count(1, T0, 4));
    EXPECT_COUNTER(suite_counter(suite, 1, dies - 1), .first_seen = T0, .last_seen = T0,
                   .expires = dies, .count = 4);
    EXPECT_NOT_FOUND(suite_counter(suite, 1, dies));
    EXPECT_COUNTER(suite_see(suite, count_with_gap(dies, 400 * DAY)), .first_seen = dies,
                   .last_seen = dies, .expires = SLID(dies, KEEP), .count = 1);
}

static void count_zero_only_looks(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 20 * DAY;

    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0));
    (void)suite_see(suite, suite_count(1, T0, 4));
    for (int i = 0; i < 2; i++) {
        EXPECT_COUNTER(suite_counter(suite, 1, now), .first_seen = T0, .last_seen = T0,
                       .expires = SLID(T0, KEEP), .count = 4);
    }
    EXPECT_NOT_FOUND(suite_counter(suite, 2, now));
}

static void count_with_clock_going_back(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, count_with_gap(T0, 0));
    (void)suite_see(suite, count_with_gap(T0 + HOUR, 0));
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + MINUTE, 1)), .first_seen = T0,
                   .last_seen = T0 + HOUR, .expires = SLID(T0, KEEP), .count = 2);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + HOUR, 1)), .first_seen = T0,
                   .last_seen = T0 + HOUR, .expires = SLID(T0, KEEP), .count = 2);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 + HOUR + 1, 1)), .first_seen = T0,
                   .last_seen = T0 + HOUR + 1, .expires = SLID(T0, KEEP), .count = 3);
}

/* No gap is always over, wherever the clock stands; and first_seen is of the first sighting. */
static void count_without_gap_counts_always(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, count_with_gap(T0, 0));
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 - MINUTE, 0)), .first_seen = T0,
                   .last_seen = T0 - MINUTE, .expires = SLID(T0, KEEP), .count = 2);
    EXPECT_COUNTER(suite_see(suite, count_with_gap(T0 - HOUR, 0)), .first_seen = T0,
                   .last_seen = T0 - HOUR, .expires = SLID(T0, KEEP), .count = 3);
    EXPECT_COUNTER(suite_counter(suite, 1, T0), .first_seen = T0, .last_seen = T0 - HOUR,
                   .expires = SLID(T0, KEEP), .count = 3);
}

static void count_stays_at_the_greatest_number(void **state)
{
    struct suite *suite = *state;

    for (int i = 0; i < 2; i++) {
        EXPECT_COUNTER(suite_see(suite, suite_count(1, T0, UINT32_MAX)), .first_seen = T0,
                       .last_seen = T0, .expires = SLID(T0, KEEP), .count = UINT32_MAX);
    }
    assert_int_equal(suite_see(suite, suite_count(1, T0, 1)).count, UINT32_MAX);
    EXPECT_COUNTER(suite_see(suite, suite_take(1, T0, UINT32_MAX)), .first_seen = T0,
                   .last_seen = T0, .expires = SLID(T0, KEEP), .count = UINT32_MAX);
}

static void counters_and_entries_are_apart(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_learn(1, T0));
    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0));
    EXPECT_COUNTER(suite_see(suite, suite_count(1, T0 + 1, 1)), .first_seen = T0 + 1,
                   .last_seen = T0 + 1, .expires = SLID(T0 + 1, KEEP), .count = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
    assert_int_equal(suite_see(suite, suite_take(1, T0 + 2, 1)).status, STORAGE_OK);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
    (void)suite_see(suite, suite_count(2, T0, 1));
    EXPECT_NOT_STORED(suite, 2);
}

/* --- PAIR ------------------------------------------------------------------------------------- */

static struct storage_sighting pair_with(int64_t now, uint64_t mark, int64_t window)
{
    struct storage_sighting sighting = suite_pair(1, now, mark);

    sighting.window = window;
    return sighting;
}

static void pair_absent_begins(void **state)
{
    struct suite *suite = *state;

    EXPECT_COUNTER(suite_see(suite, pair_with(T0, 7, DAY)), .first_seen = T0, .last_seen = T0,
                   .expires = T0 + DAY, .count = 1);
    EXPECT_COUNTER(suite_counter(suite, 1, T0), .first_seen = T0, .last_seen = T0,
                   .expires = T0 + DAY, .count = 1);
}

static void pair_counts_different_marks(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, pair_with(T0, 7, DAY));
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + 1, 8, DAY)), .first_seen = T0,
                   .last_seen = T0 + 1, .expires = T0 + DAY, .count = 2);
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + 2, 7, DAY)), .first_seen = T0,
                   .last_seen = T0 + 1, .expires = T0 + DAY, .count = 2);
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + 3, 8, DAY)), .first_seen = T0,
                   .last_seen = T0 + 1, .expires = T0 + DAY, .count = 2);
}

/* All 64 bits of a mark tell, 0 is one like any other. */
static void pair_marks_are_64_bits(void **state)
{
    static const uint64_t marks[] = {0, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 32};
    struct suite *suite = *state;

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t count = suite_see(suite, pair_with(T0 + i, marks[i], DAY)).count;
            assert_int_equal(count, round == 0 ? i + 1 : 4);
        }
    }
}

static void pair_keeps_at_most_four(void **state)
{
    struct suite *suite = *state;

    for (uint32_t i = 0; i < STORAGE_MARKS; i++) {
        assert_int_equal(suite_see(suite, pair_with(T0 + i, 100 + i, DAY)).count, i + 1);
    }
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + HOUR, 200, DAY)), .first_seen = T0,
                   .last_seen = T0 + STORAGE_MARKS - 1, .expires = T0 + DAY,
                   .count = STORAGE_MARKS);
    EXPECT_COUNTER(suite_counter(suite, 1, T0 + HOUR), .first_seen = T0,
                   .last_seen = T0 + STORAGE_MARKS - 1, .expires = T0 + DAY,
                   .count = STORAGE_MARKS);
}

static void pair_waits_for_the_gap(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = pair_with(T0, 1, DAY);

    sighting.min_gap = MINUTE;
    (void)suite_see(suite, sighting);
    sighting.mark = 2;
    sighting.now = T0 + MINUTE - 1;
    EXPECT_COUNTER(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                   .expires = T0 + DAY, .count = 1);
    sighting.now = T0 + MINUTE;
    EXPECT_COUNTER(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + MINUTE,
                   .expires = T0 + DAY, .count = 2);
    sighting.mark = 3;
    sighting.now = T0 + 2 * MINUTE - 1;
    assert_int_equal(suite_see(suite, sighting).count, 2);
}

static void pair_with_clock_going_back(void **state)
{
    struct suite *suite = *state;

    struct storage_sighting sighting = pair_with(T0 + MINUTE, 3, DAY);

    (void)suite_see(suite, pair_with(T0, 1, DAY));
    (void)suite_see(suite, pair_with(T0 + HOUR, 2, DAY));
    sighting.min_gap = 1;
    EXPECT_COUNTER(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + HOUR,
                   .expires = T0 + DAY, .count = 2);
    sighting.min_gap = 0;
    EXPECT_COUNTER(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + MINUTE,
                   .expires = T0 + DAY, .count = 3);
}

static void pair_window_does_not_slide(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, pair_with(T0, 1, DAY));
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + DAY - 1, 2, DAY)), .first_seen = T0,
                   .last_seen = T0 + DAY - 1, .expires = T0 + DAY, .count = 2);
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + DAY, 3, DAY)), .first_seen = T0 + DAY,
                   .last_seen = T0 + DAY, .expires = T0 + 2 * DAY, .count = 1);
    /* The marks of the dead are forgotten with it. */
    assert_int_equal(suite_see(suite, pair_with(T0 + DAY + 1, 1, DAY)).count, 2);
}

static void pair_without_window_slides(void **state)
{
    struct suite *suite = *state;
    int64_t edge = T0 + KEEP / 64;

    EXPECT_COUNTER(suite_see(suite, pair_with(T0, 1, 0)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 1);
    EXPECT_COUNTER(suite_see(suite, pair_with(edge, 2, 0)), .first_seen = T0, .last_seen = edge,
                   .expires = SLID(T0, KEEP), .count = 2);
    EXPECT_COUNTER(suite_see(suite, pair_with(edge + 1, 3, 0)), .first_seen = T0,
                   .last_seen = edge + 1, .expires = SLID(edge + 1, KEEP), .count = 3);
}

/* --- TAKE ------------------------------------------------------------------------------------- */

static void take_below_leaves_it(void **state)
{
    struct suite *suite = *state;

    EXPECT_NOT_FOUND(suite_see(suite, suite_take(1, T0, 1)));
    (void)suite_see(suite, suite_count(1, T0, 4));
    EXPECT_NOT_FOUND(suite_see(suite, suite_take(1, T0, 5)));
    EXPECT_COUNTER(suite_counter(suite, 1, T0), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 4);
}

static void take_removes_it_once(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_count(1, T0, 5));
    EXPECT_COUNTER(suite_see(suite, suite_take(1, T0 + HOUR, 5)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 5);
    EXPECT_NOT_FOUND(suite_see(suite, suite_take(1, T0 + HOUR, 5)));
    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0 + HOUR));
    EXPECT_COUNTER(suite_see(suite, suite_count(1, T0 + HOUR, 1)), .first_seen = T0 + HOUR,
                   .last_seen = T0 + HOUR, .expires = SLID(T0 + HOUR, KEEP), .count = 1);
}

static void take_above_answers_as_it_was(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_count(1, T0, 500));
    EXPECT_COUNTER(suite_see(suite, suite_take(1, T0 + HOUR, 5)), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 500);
}

static void take_pairs_and_their_marks(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, pair_with(T0, 1, DAY));
    EXPECT_NOT_FOUND(suite_see(suite, suite_take(1, T0, 2)));
    (void)suite_see(suite, pair_with(T0 + 1, 2, DAY));
    EXPECT_COUNTER(suite_see(suite, suite_take(1, T0 + 2, 2)), .first_seen = T0,
                   .last_seen = T0 + 1, .expires = T0 + DAY, .count = 2);
    EXPECT_COUNTER(suite_see(suite, pair_with(T0 + 3, 1, DAY)), .first_seen = T0 + 3,
                   .last_seen = T0 + 3, .expires = T0 + 3 + DAY, .count = 1);
}

static void take_dead_is_not_found(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(T0, KEEP);

    (void)suite_see(suite, suite_count(1, T0, 5));
    EXPECT_NOT_FOUND(suite_see(suite, suite_take(1, dies, 5)));
    assert_int_equal(suite_see(suite, suite_take(1, dies - 1, 5)).status, STORAGE_OK);
}

const struct suite_case counter_cases[] = {
    {"count_absent_begins", count_absent_begins},
    {"count_adds", count_adds},
    {"count_waits_for_the_gap", count_waits_for_the_gap},
    {"count_of_a_stream", count_of_a_stream},
    {"count_slides_even_if_it_does_not_count", count_slides_even_if_it_does_not_count},
    {"count_dead_begins_anew", count_dead_begins_anew},
    {"count_zero_only_looks", count_zero_only_looks},
    {"count_with_clock_going_back", count_with_clock_going_back},
    {"count_without_gap_counts_always", count_without_gap_counts_always},
    {"count_stays_at_the_greatest_number", count_stays_at_the_greatest_number},
    {"counters_and_entries_are_apart", counters_and_entries_are_apart},
    {"pair_absent_begins", pair_absent_begins},
    {"pair_counts_different_marks", pair_counts_different_marks},
    {"pair_marks_are_64_bits", pair_marks_are_64_bits},
    {"pair_keeps_at_most_four", pair_keeps_at_most_four},
    {"pair_waits_for_the_gap", pair_waits_for_the_gap},
    {"pair_with_clock_going_back", pair_with_clock_going_back},
    {"pair_window_does_not_slide", pair_window_does_not_slide},
    {"pair_without_window_slides", pair_without_window_slides},
    {"take_below_leaves_it", take_below_leaves_it},
    {"take_removes_it_once", take_removes_it_once},
    {"take_above_answers_as_it_was", take_above_answers_as_it_was},
    {"take_pairs_and_their_marks", take_pairs_and_their_marks},
    {"take_dead_is_not_found", take_dead_is_not_found},
    {NULL, NULL},
};
