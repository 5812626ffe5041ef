/*
 * exemptions.c: counters that spare a sighting its row, and those that a first pass moves.
 */
#include "suite.h"

static struct storage_sighting with_exemption(int64_t now, uint32_t at_least)
{
    struct storage_sighting sighting = suite_grey(1, now);

    sighting.exemptions_count = 1;
    sighting.exemption[0] = (struct storage_exemption){suite_key(9), at_least, KEEP};
    return sighting;
}

static void exemption_answers_and_writes_no_row(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_count(9, T0, 5));
    EXPECT_COUNTER(suite_see(suite, with_exemption(T0 + HOUR, 5)), .exempt = 1, .first_seen = T0,
                   .last_seen = T0, .expires = SLID(T0, KEEP), .count = 5);
    EXPECT_NOT_STORED(suite, 1);
}

static void exemption_below_at_least_does_not_spare(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 20 * DAY;

    (void)suite_see(suite, suite_count(9, T0, 4));
    EXPECT_ENTRY(suite_see(suite, with_exemption(now, 5)), .first_seen = now, .last_seen = now,
                 .expires = now + WINDOW, .tries = 1);
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 4);
}

static void exemption_absent_does_not_spare(void **state)
{
    struct suite *suite = *state;

    assert_int_equal(suite_see(suite, with_exemption(T0, 1)).exempt, 0);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
    EXPECT_NOT_FOUND(suite_counter(suite, 9, T0));
}

static void exemption_slides_by_its_own_keep(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DAY;
    struct storage_sighting sighting = with_exemption(now, 5);

    (void)suite_see(suite, suite_count(9, T0, 5));
    sighting.exemption[0].keep = 3 * KEEP;
    EXPECT_COUNTER(suite_see(suite, sighting), .exempt = 1, .first_seen = T0, .last_seen = T0,
                   .expires = SLID(now, 3 * KEEP), .count = 5);
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(now, 3 * KEEP), .count = 5);
}

/* What an exemption spares must not put off the next sighting that counts. */
static void exemption_leaves_the_counters_gap(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting count = suite_count(9, T0 + HOUR, 1);

    (void)suite_see(suite, suite_count(9, T0, 5));
    (void)suite_see(suite, with_exemption(T0 + HOUR - 1, 5));
    count.min_gap = HOUR;
    assert_int_equal(suite_see(suite, count).count, 6);
}

static void exemption_dead_does_not_spare(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(T0, KEEP);

    (void)suite_see(suite, suite_count(9, T0, 5));
    assert_int_equal(suite_see(suite, with_exemption(dies, 5)).exempt, 0);
    (void)suite_see(suite, suite_count(9, dies, 5));
    assert_int_equal(suite_see(suite, with_exemption(dies, 5)).exempt, 1);
}

static void exemption_second_answers_with_its_number(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = with_exemption(T0 + 1, 5);

    (void)suite_see(suite, suite_count(9, T0, 4));
    (void)suite_see(suite, suite_count(10, T0, 2));
    sighting.exemptions_count = 2;
    sighting.exemption[1] = (struct storage_exemption){suite_key(10), 2, KEEP};
    EXPECT_COUNTER(suite_see(suite, sighting), .exempt = 2, .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 2);
    sighting.exemption[0].at_least = 4;
    assert_int_equal(suite_see(suite, sighting).exempt, 1);
}

/* "That row alone slides": of two that would do, the second is left as it is. */
static void exemption_first_alone_slides(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 20 * DAY;
    struct storage_sighting sighting = with_exemption(now, 5);

    (void)suite_see(suite, suite_count(9, T0, 5));
    (void)suite_see(suite, suite_count(10, T0, 5));
    sighting.exemptions_count = 2;
    sighting.exemption[1] = (struct storage_exemption){suite_key(10), 5, KEEP};
    assert_int_equal(suite_see(suite, sighting).exempt, 1);
    assert_int_equal(suite_counter(suite, 9, now).expires, SLID(now, KEEP));
    assert_int_equal(suite_counter(suite, 10, now).expires, SLID(T0, KEEP));
}

static void exemption_by_pairs_counts_marks(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_pair(9, T0, 1));
    assert_int_equal(suite_see(suite, with_exemption(T0, 2)).exempt, 0);
    (void)suite_see(suite, suite_pair(9, T0, 2));
    assert_int_equal(suite_see(suite, with_exemption(T0, 2)).exempt, 1);
}

static void exemption_leaves_own_row_and_on_pass(void **state)
{
    struct suite *suite = *state;
    const struct storage_sighting on_pass = suite_count(10, T0 + DELAY, 1);
    struct storage_sighting sighting = with_exemption(T0 + DELAY, 5);

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_count(9, T0, 5));
    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    assert_int_equal(suite_see(suite, sighting).exempt, 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
    EXPECT_NOT_FOUND(suite_counter(suite, 10, T0 + DELAY));
}

/* An entry under the very key of the exemption is another thing. */
static void exemption_is_not_an_entry(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting learn = suite_learn(9, T0);

    learn.count = 100;
    (void)suite_see(suite, learn);
    assert_int_equal(suite_see(suite, with_exemption(T0, 5)).exempt, 0);
}

/* --- on_pass ---------------------------------------------------------------------------------- */

static struct storage_row see_with_on_pass(struct suite *suite, struct storage_sighting sighting)
{
    struct storage_sighting on_pass[2] = {suite_count(9, sighting.now, 2),
                                          suite_pair(10, sighting.now, 77)};

    sighting.on_pass = on_pass;
    sighting.on_pass_count = 2;
    return suite_see(suite, sighting);
}

static void on_pass_is_done_at_first_pass_only(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;

    (void)see_with_on_pass(suite, suite_grey(1, T0));
    (void)see_with_on_pass(suite, suite_grey(1, now - 1));
    EXPECT_NOT_FOUND(suite_counter(suite, 9, now));
    EXPECT_NOT_FOUND(suite_counter(suite, 10, now));
    EXPECT_ENTRY(see_with_on_pass(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = DELAY, .tries = 2, .passes = 1);
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = now, .last_seen = now,
                   .expires = SLID(now, KEEP), .count = 2);
    EXPECT_COUNTER(suite_counter(suite, 10, now), .first_seen = now, .last_seen = now,
                   .expires = now + WINDOW, .count = 1);
    (void)see_with_on_pass(suite, suite_grey(1, now + HOUR));
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = now, .last_seen = now,
                   .expires = SLID(now, KEEP), .count = 2);
}

static void on_pass_is_not_done_by_others(void **state)
{
    struct suite *suite = *state;

    (void)see_with_on_pass(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_learn(1, T0 + 1));
    (void)see_with_on_pass(suite, suite_grey(1, T0 + DELAY));
    EXPECT_NOT_FOUND(suite_counter(suite, 9, T0 + DELAY));
}

static void on_pass_by_pending_alternate(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0 + DELAY);

    (void)suite_see(suite, suite_grey(11, T0));
    sighting.alternates_count = 1;
    sighting.alternate[0] = suite_key(11);
    assert_int_equal(see_with_on_pass(suite, sighting).origin, 1);
    assert_int_equal(suite_counter(suite, 9, T0 + DELAY).count, 2);
}

/* The history had passed before, though this key sees it for the first time. */
static void on_pass_not_by_passed_alternate(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0 + DELAY);

    (void)suite_see(suite, suite_learn(11, T0));
    sighting.alternates_count = 1;
    sighting.alternate[0] = suite_key(11);
    assert_int_equal(see_with_on_pass(suite, sighting).passes, 2);
    EXPECT_NOT_FOUND(suite_counter(suite, 9, T0 + DELAY));
}

static void on_pass_keeps_its_own_rules(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;
    struct storage_sighting on_pass = suite_count(9, now, 1);
    struct storage_sighting sighting = suite_grey(1, T0);

    on_pass.min_gap = HOUR;
    on_pass.keep = DAY;
    (void)suite_see(suite, suite_count(9, T0, 1));
    (void)suite_see(suite, sighting);
    sighting.now = now;
    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    assert_int_equal(suite_see(suite, sighting).passes, 1);
    EXPECT_COUNTER(suite_counter(suite, 9, now), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 1);
}

static void on_pass_again_after_death(void **state)
{
    struct suite *suite = *state;
    int64_t later = SLID(T0 + DELAY, KEEP) + DAY;
    struct storage_sighting on_pass = suite_count(9, T0 + DELAY, 1);
    struct storage_sighting sighting = suite_grey(1, T0 + DELAY);

    on_pass.keep = 10 * KEEP;
    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, sighting);
    sighting.now = later;
    assert_int_equal(suite_see(suite, sighting).passes, 0);
    sighting.now = later + DELAY;
    on_pass.now = later + DELAY;
    assert_int_equal(suite_see(suite, sighting).passes, 1);
    assert_int_equal(suite_counter(suite, 9, later + DELAY).count, 2);
}

const struct suite_case exemption_cases[] = {
    {"exemption_answers_and_writes_no_row", exemption_answers_and_writes_no_row},
    {"exemption_below_at_least_does_not_spare", exemption_below_at_least_does_not_spare},
    {"exemption_absent_does_not_spare", exemption_absent_does_not_spare},
    {"exemption_slides_by_its_own_keep", exemption_slides_by_its_own_keep},
    {"exemption_leaves_the_counters_gap", exemption_leaves_the_counters_gap},
    {"exemption_dead_does_not_spare", exemption_dead_does_not_spare},
    {"exemption_second_answers_with_its_number", exemption_second_answers_with_its_number},
    {"exemption_first_alone_slides", exemption_first_alone_slides},
    {"exemption_by_pairs_counts_marks", exemption_by_pairs_counts_marks},
    {"exemption_leaves_own_row_and_on_pass", exemption_leaves_own_row_and_on_pass},
    {"exemption_is_not_an_entry", exemption_is_not_an_entry},
    {"on_pass_is_done_at_first_pass_only", on_pass_is_done_at_first_pass_only},
    {"on_pass_is_not_done_by_others", on_pass_is_not_done_by_others},
    {"on_pass_by_pending_alternate", on_pass_by_pending_alternate},
    {"on_pass_not_by_passed_alternate", on_pass_not_by_passed_alternate},
    {"on_pass_keeps_its_own_rules", on_pass_keeps_its_own_rules},
    {"on_pass_again_after_death", on_pass_again_after_death},
    {NULL, NULL},
};
