/*
 * learn.c: TOUCH and LEARN.
 */
#include "suite.h"

static void touch_absent_makes_nothing(void **state)
{
    struct suite *suite = *state;

    EXPECT_NOT_FOUND(suite_see(suite, suite_touch(1, T0)));
    EXPECT_NOT_STORED(suite, 1);
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, 1);
}

static void touch_pending_changes_nothing(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_NOT_FOUND(suite_see(suite, suite_touch(1, T0 + DELAY)));
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void touch_dead_changes_nothing(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(T0, KEEP);

    (void)suite_see(suite, suite_learn(1, T0));
    EXPECT_NOT_FOUND(suite_see(suite, suite_touch(1, dies)));
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = dies, .passes = 1);
    EXPECT_ENTRY(suite_see(suite, suite_touch(1, dies - 1)), .first_seen = T0,
                 .last_seen = dies - 1, .expires = SLID(dies - 1, KEEP), .passes = 2);
}

static void touch_passed_counts_and_slides(void **state)
{
    struct suite *suite = *state;
    int64_t passed = T0 + DELAY;
    int64_t edge = passed + KEEP / 64;
    struct storage_sighting sighting = suite_touch(1, edge);

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, passed));
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = edge,
                 .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
    sighting.now = edge + 1;
    sighting.count = 10;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = edge + 1,
                 .expires = SLID(edge + 1, KEEP), .waited = DELAY, .tries = 1, .passes = 12);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = edge + 1,
                  .expires = SLID(edge + 1, KEEP), .waited = DELAY, .tries = 1, .passes = 12);
}

static void touch_with_clock_going_back(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_learn(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_touch(1, T0 - DAY)), .first_seen = T0 - DAY,
                 .last_seen = T0, .expires = SLID(T0, KEEP), .passes = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0 - DAY, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 2);
}

static void learn_absent_is_passed(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_learn(1, T0);

    sighting.count = 3;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = SLID(T0, KEEP), .passes = 3);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 3);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 + 1)), .first_seen = T0, .last_seen = T0 + 1,
                 .expires = SLID(T0, KEEP), .passes = 4);
}

static void learn_pending_passes_without_waiting(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, T0 + MINUTE)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = SLID(T0 + MINUTE, KEEP), .tries = 1,
                 .passes = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + MINUTE,
                  .expires = SLID(T0 + MINUTE, KEEP), .tries = 1, .passes = 1);
}

static void learn_pending_leaves_a_longer_window(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.window = 2 * KEEP;
    (void)suite_see(suite, sighting);
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, T0 + 1)), .first_seen = T0, .last_seen = T0 + 1,
                 .expires = T0 + 2 * KEEP, .tries = 1, .passes = 1);
}

static void learn_known_keeps_what_it_waited(void **state)
{
    struct suite *suite = *state;
    int64_t passed = T0 + DELAY;
    int64_t edge = passed + KEEP / 64;

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, passed));
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, edge)), .first_seen = T0, .last_seen = edge,
                 .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, edge + 1)), .first_seen = T0,
                 .last_seen = edge + 1, .expires = SLID(edge + 1, KEEP), .waited = DELAY,
                 .tries = 1, .passes = 3);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = edge + 1,
                  .expires = SLID(edge + 1, KEEP), .waited = DELAY, .tries = 1, .passes = 3);
}

static void learn_dead_begins_anew(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(T0 + DELAY, KEEP);

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, T0 + DELAY));
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, dies)), .first_seen = dies, .last_seen = dies,
                 .expires = SLID(dies, KEEP), .passes = 1);
    EXPECT_STORED(suite, 1, .first_seen = dies, .last_seen = dies, .expires = SLID(dies, KEEP),
                  .passes = 1);
}

static void learn_with_clock_going_back(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_learn(1, T0 - HOUR)), .first_seen = T0 - HOUR,
                 .last_seen = T0, .expires = SLID(T0 - HOUR, KEEP), .tries = 1, .passes = 1);
}

static void learn_and_touch_stay_at_the_greatest_number(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting learn = suite_learn(1, T0);
    struct storage_sighting touch = suite_touch(1, T0);

    learn.count = UINT32_MAX - 1;
    touch.count = UINT32_MAX;
    assert_int_equal(suite_see(suite, learn).passes, UINT32_MAX - 1);
    assert_int_equal(suite_see(suite, touch).passes, UINT32_MAX);
    assert_int_equal(suite_see(suite, touch).passes, UINT32_MAX);
    assert_int_equal(suite_see(suite, learn).passes, UINT32_MAX);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = UINT32_MAX);
}

static void learn_reading(struct suite *suite, int64_t now, const char *sender,
                          const char *expected)
{
    const struct storage_reading reading = {.sender = suite_text(sender)};
    struct storage_sighting sighting = suite_learn(1, now);
    struct suite_entry entry;

    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
    assert_true(suite_find_entry(suite, 1, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], expected);
}

static void learn_keeps_reading_where_it_passes(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    learn_reading(suite, T0 + 1, "passed", "passed");
    learn_reading(suite, T0 + 2, "known", "passed");
    learn_reading(suite, T0 + 3 * KEEP, "anew", "anew");
    (void)suite_see(suite, suite_learn(1, T0 + 3 * KEEP));
    learn_reading(suite, T0 + 3 * KEEP, "later", "anew");
}

/* A touch tells nothing new of the sender. */
static void touch_keeps_no_reading(void **state)
{
    struct suite *suite = *state;
    const struct storage_reading reading = {.sender = suite_text("touched")};
    struct storage_sighting sighting = suite_touch(1, T0 + 2);
    struct suite_entry entry;

    learn_reading(suite, T0, "learned", "learned");
    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
    assert_true(suite_find_entry(suite, 1, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], "learned");
}

const struct suite_case learn_cases[] = {
    {"touch_absent_makes_nothing", touch_absent_makes_nothing},
    {"touch_pending_changes_nothing", touch_pending_changes_nothing},
    {"touch_dead_changes_nothing", touch_dead_changes_nothing},
    {"touch_passed_counts_and_slides", touch_passed_counts_and_slides},
    {"touch_with_clock_going_back", touch_with_clock_going_back},
    {"touch_keeps_no_reading", touch_keeps_no_reading},
    {"learn_absent_is_passed", learn_absent_is_passed},
    {"learn_pending_passes_without_waiting", learn_pending_passes_without_waiting},
    {"learn_pending_leaves_a_longer_window", learn_pending_leaves_a_longer_window},
    {"learn_known_keeps_what_it_waited", learn_known_keeps_what_it_waited},
    {"learn_dead_begins_anew", learn_dead_begins_anew},
    {"learn_with_clock_going_back", learn_with_clock_going_back},
    {"learn_and_touch_stay_at_the_greatest_number", learn_and_touch_stay_at_the_greatest_number},
    {"learn_keeps_reading_where_it_passes", learn_keeps_reading_where_it_passes},
    {NULL, NULL},
};
