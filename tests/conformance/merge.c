/*
 * merge.c: MERGE: what another store or a journal knew, in any order and as often as one likes.
 */
#include "suite.h"

#include <string.h>

#define MET (T0 + HOUR)     /* the last_seen that is merged */
#define NOW (T0 + 10 * DAY) /* when it is merged */

static struct storage_merge make_merge(uint8_t origin, uint64_t position)
{
    struct storage_merge merge = {
        .position = position,
        .first_seen = T0,
        .last_seen = MET,
        .expires = NOW + 5 * DAY,
        .waited = 2 * MINUTE,
        .tries = 3,
        .passes = 2,
    };

    memset(merge.origin, origin, sizeof merge.origin);
    return merge;
}

/* Of the answer only the status counts; what came of it is read from the store. */
static enum storage_status merge_at(struct suite *suite, int64_t now, struct storage_merge merge)
{
    return suite_see(suite, suite_merge(1, now, &merge)).status;
}

#define EXPECT_MERGED(suite, merge) assert_int_equal(merge_at((suite), NOW, (merge)), STORAGE_OK)
#define EXPECT_KNOWN(suite, merge) \
    assert_int_equal(merge_at((suite), NOW, (merge)), STORAGE_NOT_FOUND)

static int64_t stored_tries(struct suite *suite)
{
    struct suite_entry entry;

    assert_true(suite_find_entry(suite, 1, &entry));
    return entry.number[TRIES];
}

/* The times are those of what was known; when it is merged tells only what is dead by now. */
static void merge_absent_becomes_what_was_known(void **state)
{
    struct suite *suite = *state;

    EXPECT_MERGED(suite, make_merge(1, 1));
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

static void merge_keeps_a_later_last_seen(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 1);

    merge.last_seen = NOW + HOUR;
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = NOW + HOUR, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

static void merge_takes_the_earliest_and_the_latest(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(2, 1);

    EXPECT_MERGED(suite, make_merge(1, 1));
    merge.first_seen = T0 - HOUR;
    merge.last_seen = MET - MINUTE;
    merge.expires = NOW + 9 * DAY;
    merge.waited = 3 * MINUTE;
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0 - HOUR, .last_seen = MET, .expires = NOW + 9 * DAY,
                  .waited = 3 * MINUTE, .tries = 6, .passes = 4);
    merge = make_merge(3, 1);
    merge.last_seen = MET + MINUTE;
    merge.expires = NOW + 1;
    merge.waited = 0;
    merge.tries = 1;
    merge.passes = 0;
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0 - HOUR, .last_seen = MET + MINUTE,
                  .expires = NOW + 9 * DAY, .waited = 3 * MINUTE, .tries = 7, .passes = 4);
}

static void merge_again_changes_nothing(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 5);

    EXPECT_MERGED(suite, merge);
    for (uint64_t position = 0; position <= 5; position++) {
        merge.position = position;
        merge.first_seen = T0 - DAY;
        merge.expires = NOW + 90 * DAY;
        EXPECT_KNOWN(suite, merge);
        EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                      .waited = 2 * MINUTE, .tries = 3, .passes = 2);
    }
    assert_int_equal(merge_at(suite, NOW + DAY, merge), STORAGE_NOT_FOUND);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

static void merge_later_position_is_added(void **state)
{
    struct suite *suite = *state;

    EXPECT_MERGED(suite, make_merge(1, 5));
    EXPECT_MERGED(suite, make_merge(1, 6));
    assert_int_equal(stored_tries(suite), 6);
    EXPECT_MERGED(suite, make_merge(1, UINT64_C(1) << 40));
    assert_int_equal(stored_tries(suite), 9);
    EXPECT_KNOWN(suite, make_merge(1, 7));
    assert_int_equal(stored_tries(suite), 9);
}

/* Positions are compared as numbers, up to the greatest. */
static void merge_large_positions(void **state)
{
    struct suite *suite = *state;

    EXPECT_MERGED(suite, make_merge(1, INT64_MAX - 1));
    EXPECT_MERGED(suite, make_merge(1, INT64_MAX));
    EXPECT_KNOWN(suite, make_merge(1, INT64_MAX));
    EXPECT_KNOWN(suite, make_merge(1, 9));
    assert_int_equal(stored_tries(suite), 6);
}

static void merge_remembers_every_origin(void **state)
{
    struct suite *suite = *state;

    for (uint8_t origin = 1; origin <= 8; origin++) {
        EXPECT_MERGED(suite, make_merge(origin, 100u + origin));
    }
    for (uint8_t origin = 1; origin <= 8; origin++) {
        EXPECT_KNOWN(suite, make_merge(origin, 100u + origin));
        EXPECT_KNOWN(suite, make_merge(origin, 1));
    }
    assert_int_equal(stored_tries(suite), 24);
    EXPECT_MERGED(suite, make_merge(4, 105));
    assert_int_equal(stored_tries(suite), 27);
}

static void merge_origins_are_of_the_row(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = make_merge(1, 5);

    EXPECT_MERGED(suite, merge);
    assert_int_equal(suite_see(suite, suite_merge(2, NOW, &merge)).status, STORAGE_OK);
    EXPECT_STORED(suite, 2, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

/* The same four merges, each twice, in any order: one result. */
static void merge_is_the_same_in_every_order(void **state)
{
    static const uint8_t orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    struct suite *suite = *state;

    for (uint32_t order = 0; order < 4; order++) {
        for (size_t i = 0; i < 8; i++) {
            uint8_t which = orders[order][i % 4];
            struct storage_merge merge = make_merge((uint8_t)(which + 1), 1);
            merge.first_seen = T0 + which * MINUTE;
            merge.expires = NOW + (which + 1) * DAY;
            merge.waited = (4 - which) * SECOND;
            merge.tries = 1u << which;
            merge.passes = which % 2u;
            (void)suite_see(suite, suite_merge(order, NOW, &merge));
        }
        EXPECT_STORED(suite, order, .first_seen = T0, .last_seen = MET, .expires = NOW + 4 * DAY,
                      .waited = 4 * SECOND, .tries = 15, .passes = 2);
    }
}

static void merge_into_what_was_seen_here(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 1);

    (void)suite_see(suite, suite_grey(1, NOW - HOUR));
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = NOW - HOUR, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 4, .passes = 2);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, NOW + 1)), .first_seen = T0, .last_seen = NOW + 1,
                 .expires = SLID(NOW + 1, KEEP), .waited = 2 * MINUTE, .tries = 4, .passes = 3);
    /* What was seen in between does not make the row forget what was merged. */
    EXPECT_KNOWN(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = NOW + 1, .expires = SLID(NOW + 1, KEEP),
                  .waited = 2 * MINUTE, .tries = 4, .passes = 3);
}

static void merge_of_pending_goes_on_waiting(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 1);

    merge.first_seen = NOW - DELAY + 1;
    merge.last_seen = NOW - DELAY + 1;
    merge.passes = 0;
    merge.waited = 0;
    EXPECT_MERGED(suite, merge);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, NOW)), .first_seen = NOW - DELAY + 1,
                 .last_seen = NOW, .expires = NOW + 5 * DAY, .tries = 4);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, NOW + 1)), .first_seen = NOW - DELAY + 1,
                 .last_seen = NOW + 1, .expires = SLID(NOW + 1, KEEP), .waited = DELAY, .tries = 4,
                 .passes = 1);
}

static void merge_into_dead_begins_anew(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 1);
    struct storage_sighting sighting = suite_grey(1, T0 - DAY);

    sighting.count = 50;
    (void)suite_see(suite, sighting);
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

/* A dead row counts as absent, and with it what was merged into it. */
static void merge_again_after_death(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 5);
    int64_t later = NOW + 5 * DAY;

    EXPECT_MERGED(suite, merge);
    merge.expires = later + DAY;
    assert_int_equal(merge_at(suite, later, merge), STORAGE_OK);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = later + DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
    assert_int_equal(merge_at(suite, later, merge), STORAGE_NOT_FOUND);
    assert_int_equal(stored_tries(suite), 3);
}

/* A touch of the dead changes nothing, so it cannot make the row forget what was merged into it. */
static void merge_again_after_touching_the_dead(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = make_merge(1, 5);

    EXPECT_MERGED(suite, merge);
    EXPECT_NOT_FOUND(suite_see(suite, suite_touch(1, merge.expires)));
    assert_int_equal(merge_at(suite, merge.expires - 1, merge), STORAGE_NOT_FOUND);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = merge.expires,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

static void merge_again_after_erasing(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 5);
    char id[STORAGE_KEY_SIZE * 2 + 1];

    EXPECT_MERGED(suite, merge);
    suite_key_id(1, id);
    assert_int_equal(suite_erase(suite, ENTRIES, id, STORAGE_ANY_VERSION), STORAGE_OK);
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = 3, .passes = 2);
}

/* What had expired by now makes no row, and changes none that lives. */
static void merge_of_the_dead_changes_nothing(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 5);

    merge.expires = NOW;
    EXPECT_KNOWN(suite, merge);
    EXPECT_NOT_STORED(suite, 1);
    (void)suite_see(suite, suite_grey(1, NOW - HOUR));
    EXPECT_KNOWN(suite, merge);
    merge.expires = NOW - DAY;
    EXPECT_KNOWN(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = NOW - HOUR, .last_seen = NOW - HOUR,
                  .expires = NOW - HOUR + WINDOW, .tries = 1);
    /* Nor is its position remembered. */
    merge.expires = NOW + 1;
    EXPECT_MERGED(suite, merge);
    assert_int_equal(stored_tries(suite), 4);
}

static void merge_stays_at_the_greatest_number(void **state)
{
    struct suite *suite = *state;
    struct storage_merge merge = make_merge(1, 5);

    merge.tries = UINT32_MAX;
    merge.passes = UINT32_MAX - 1;
    EXPECT_MERGED(suite, merge);
    merge.position = 6;
    EXPECT_MERGED(suite, merge);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = MET, .expires = NOW + 5 * DAY,
                  .waited = 2 * MINUTE, .tries = UINT32_MAX, .passes = UINT32_MAX);
}

static void merge_with_reading(struct suite *suite, struct storage_merge merge, uint32_t key,
                               const char *sender, const char *expected)
{
    const struct storage_reading reading = {.sender = suite_text(sender)};
    struct storage_sighting sighting = suite_merge(key, NOW, &merge);
    struct suite_entry entry;

    sighting.reading = &reading;
    assert_int_equal(suite_see(suite, sighting).status, STORAGE_OK);
    assert_true(suite_find_entry(suite, key, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], expected);
}

/* A row that it makes keeps the reading; one that is there keeps its own, though it passes now. */
static void merge_keeps_reading_where_it_makes(void **state)
{
    struct suite *suite = *state;
    struct suite_entry entry;

    merge_with_reading(suite, make_merge(1, 1), 1, "made", "made");
    merge_with_reading(suite, make_merge(1, 2), 1, "later", "made");
    (void)suite_see(suite, suite_grey(2, NOW - HOUR));
    merge_with_reading(suite, make_merge(1, 1), 2, "passed elsewhere", "");
    EXPECT_MERGED(suite, make_merge(2, 1));
    assert_true(suite_find_entry(suite, 1, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], "made");
    (void)suite_see(suite, suite_grey(3, NOW - WINDOW));
    merge_with_reading(suite, make_merge(1, 1), 3, "made anew", "made anew");
}

const struct suite_case merge_cases[] = {
    {"merge_absent_becomes_what_was_known", merge_absent_becomes_what_was_known},
    {"merge_keeps_a_later_last_seen", merge_keeps_a_later_last_seen},
    {"merge_takes_the_earliest_and_the_latest", merge_takes_the_earliest_and_the_latest},
    {"merge_again_changes_nothing", merge_again_changes_nothing},
    {"merge_later_position_is_added", merge_later_position_is_added},
    {"merge_large_positions", merge_large_positions},
    {"merge_remembers_every_origin", merge_remembers_every_origin},
    {"merge_origins_are_of_the_row", merge_origins_are_of_the_row},
    {"merge_is_the_same_in_every_order", merge_is_the_same_in_every_order},
    {"merge_into_what_was_seen_here", merge_into_what_was_seen_here},
    {"merge_of_pending_goes_on_waiting", merge_of_pending_goes_on_waiting},
    {"merge_into_dead_begins_anew", merge_into_dead_begins_anew},
    {"merge_again_after_death", merge_again_after_death},
    {"merge_again_after_touching_the_dead", merge_again_after_touching_the_dead},
    {"merge_again_after_erasing", merge_again_after_erasing},
    {"merge_of_the_dead_changes_nothing", merge_of_the_dead_changes_nothing},
    {"merge_stays_at_the_greatest_number", merge_stays_at_the_greatest_number},
    {"merge_keeps_reading_where_it_makes", merge_keeps_reading_where_it_makes},
    {NULL, NULL},
};
