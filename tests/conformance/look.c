/*
 * look.c: sightings that only look: they answer as if they were done, and nothing changes.
 */
#include "suite.h"

static struct storage_row look(struct suite *suite, struct storage_sighting sighting)
{
    sighting.look = true;
    return suite_see(suite, sighting);
}

static void look_at_absent_makes_nothing(void **state)
{
    struct suite *suite = *state;

    EXPECT_ENTRY(look(suite, suite_grey(1, T0)), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = 1);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_ENTRY(look(suite, suite_learn(1, T0)), .first_seen = T0, .last_seen = T0,
                 .expires = SLID(T0, KEEP), .passes = 1);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_NOT_FOUND(look(suite, suite_touch(1, T0)));
    EXPECT_NOT_STORED(suite, 1);
}

static void look_at_pending_counts_no_try(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    for (int i = 0; i < 3; i++) {
        EXPECT_ENTRY(look(suite, suite_grey(1, T0 + MINUTE)), .first_seen = T0,
                     .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2);
    }
    EXPECT_NOT_FOUND(look(suite, suite_touch(1, T0 + MINUTE)));
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void look_at_first_pass_does_not_pass(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;

    (void)suite_see(suite, suite_grey(1, T0));
    for (int i = 0; i < 2; i++) {
        EXPECT_ENTRY(look(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                     .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1, .passes = 1);
        EXPECT_ENTRY(look(suite, suite_learn(1, now)), .first_seen = T0, .last_seen = now,
                     .expires = SLID(now, KEEP), .tries = 1, .passes = 1);
    }
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void look_at_known_leaves_it(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 20 * DAY;

    (void)suite_see(suite, suite_learn(1, T0));
    for (int i = 0; i < 2; i++) {
        EXPECT_ENTRY(look(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                     .expires = SLID(now, KEEP), .passes = 2);
        EXPECT_ENTRY(look(suite, suite_touch(1, now)), .first_seen = T0, .last_seen = now,
                     .expires = SLID(now, KEEP), .passes = 2);
        EXPECT_ENTRY(look(suite, suite_learn(1, now)), .first_seen = T0, .last_seen = now,
                     .expires = SLID(now, KEEP), .passes = 2);
    }
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
}

static void look_at_dead_leaves_it_dead(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(look(suite, suite_grey(1, now)), .first_seen = now, .last_seen = now,
                 .expires = now + WINDOW, .tries = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void look_through_alternate_copies_nothing(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0 + DAY);

    (void)suite_see(suite, suite_learn(2, T0));
    sighting.alternates_count = 1;
    sighting.alternate[0] = suite_key(2);
    EXPECT_ENTRY(look(suite, sighting), .first_seen = T0, .last_seen = T0 + DAY,
                 .expires = SLID(T0 + DAY, KEEP), .passes = 2, .origin = 1);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_STORED(suite, 2, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
}

static void look_at_exemption_does_not_slide(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 20 * DAY;
    struct storage_sighting sighting = suite_grey(1, now);

    (void)suite_see(suite, suite_count(9, T0, 5));
    sighting.exemptions_count = 1;
    sighting.exemption[0] = (struct storage_exemption){suite_key(9), 5, KEEP};
    EXPECT_COUNTER(look(suite, sighting), .exempt = 1, .first_seen = T0, .last_seen = T0,
                   .expires = SLID(now, KEEP), .count = 5);
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 5);
    EXPECT_NOT_STORED(suite, 1);
}

static void look_at_first_pass_does_no_on_pass(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;
    const struct storage_sighting on_pass = suite_count(9, now, 1);
    struct storage_sighting sighting = suite_grey(1, now);

    (void)suite_see(suite, suite_grey(1, T0));
    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    assert_int_equal(look(suite, sighting).passes, 1);
    EXPECT_NOT_FOUND(suite_counter(suite, 9, now));
    assert_int_equal(suite_see(suite, sighting).passes, 1);
    assert_int_equal(suite_counter(suite, 9, now).count, 1);
}

static void look_keeps_no_reading(void **state)
{
    struct suite *suite = *state;
    const struct storage_reading reading = {.sender = suite_text("looked@example.com")};
    struct storage_sighting sighting = suite_grey(1, T0 + DELAY);
    struct suite_entry entry;

    (void)suite_see(suite, suite_grey(1, T0));
    sighting.reading = &reading;
    (void)look(suite, sighting);
    assert_true(suite_find_entry(suite, 1, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], "");
}

/* A batch reads or writes: all of its sightings look, or none. */
static void look_beside_others_is_invalid(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting batch[3] = {suite_grey(1, T0), suite_learn(2, T0),
                                        suite_count(3, T0, 1)};

    batch[0].look = true;
    suite_expect_invalid(suite, batch, 2);
    batch[0].look = false;
    batch[1].look = true;
    suite_expect_invalid(suite, batch, 2);
    suite_expect_invalid(suite, batch, 3);
    batch[0].look = true;
    suite_expect_invalid(suite, batch, 3);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_NOT_STORED(suite, 2);
    EXPECT_NOT_FOUND(suite_counter(suite, 3, T0));
}

static void look_is_for_grey_touch_and_learn(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = {
        .position = 1, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 1};
    struct storage_sighting wrong[] = {suite_merge(1, T0, &merge), suite_count(1, T0, 1),
                                       suite_count(1, T0, 0), suite_pair(1, T0, 1),
                                       suite_take(1, T0, 1)};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wrong[i].look = true;
        suite_expect_invalid(suite, &wrong[i], 1);
    }
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_NOT_FOUND(suite_counter(suite, 1, T0));
}

/* A whole batch that looks answers as if all of it were done. */
static void look_at_many(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;
    struct storage_sighting batch[5] = {suite_grey(1, now), suite_grey(2, now), suite_touch(3, now),
                                        suite_touch(4, now), suite_learn(5, now)};
    struct storage_row rows[5];

    (void)suite_see(suite, suite_grey(2, T0));
    (void)suite_see(suite, suite_learn(3, T0));
    for (size_t i = 0; i < 5; i++) {
        batch[i].look = true;
    }
    for (int round = 0; round < 2; round++) {
        suite_see_all(suite, batch, 5, rows);
        assert_int_equal(rows[0].tries, 1);
        assert_int_equal(rows[1].passes, 1);
        assert_int_equal(rows[2].passes, 2);
        EXPECT_NOT_FOUND(rows[3]);
        assert_int_equal(rows[4].passes, 1);
    }
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_NOT_STORED(suite, 5);
}

const struct suite_case look_cases[] = {
    {"look_at_absent_makes_nothing", look_at_absent_makes_nothing},
    {"look_at_pending_counts_no_try", look_at_pending_counts_no_try},
    {"look_at_first_pass_does_not_pass", look_at_first_pass_does_not_pass},
    {"look_at_known_leaves_it", look_at_known_leaves_it},
    {"look_at_dead_leaves_it_dead", look_at_dead_leaves_it_dead},
    {"look_through_alternate_copies_nothing", look_through_alternate_copies_nothing},
    {"look_at_exemption_does_not_slide", look_at_exemption_does_not_slide},
    {"look_at_first_pass_does_no_on_pass", look_at_first_pass_does_no_on_pass},
    {"look_keeps_no_reading", look_keeps_no_reading},
    {"look_beside_others_is_invalid", look_beside_others_is_invalid},
    {"look_is_for_grey_touch_and_learn", look_is_for_grey_touch_and_learn},
    {"look_at_many", look_at_many},
    {NULL, NULL},
};
