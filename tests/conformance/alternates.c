/*
 * alternates.c: GREY with weaker keys to look under: which history is taken, and that it is written
 * under the key and nowhere else.
 */
#include "suite.h"

/* A GREY of key 1 with so many of the alternates 11, 12, 13, in this order. */
static struct storage_sighting with_alternates(int64_t now, uint8_t count)
{
    struct storage_sighting sighting = suite_grey(1, now);

    sighting.alternates_count = count;
    for (uint32_t i = 0; i < count; i++) {
        sighting.alternate[i] = suite_key(11 + i);
    }
    return sighting;
}

static void alternates_absent_make_it_new(void **state)
{
    struct suite *suite = *state;

    EXPECT_ENTRY(suite_see(suite, with_alternates(T0, 3)), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = 1);
    for (uint32_t key = 11; key <= 13; key++) {
        EXPECT_NOT_STORED(suite, key);
    }
}

static void alternate_pending_keeps_waiting(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + MINUTE, 1)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2, .origin = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + MINUTE, .expires = T0 + WINDOW,
                  .tries = 2);
    EXPECT_STORED(suite, 11, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void alternate_pending_passes_under_the_key(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;

    (void)suite_see(suite, suite_grey(13, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 3)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1, .passes = 1, .origin = 3);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = now, .expires = SLID(now, KEEP),
                  .waited = DELAY, .tries = 1, .passes = 1);
    EXPECT_STORED(suite, 13, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void alternate_passed_is_known_under_the_key(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DAY;

    (void)suite_see(suite, suite_grey(12, T0));
    (void)suite_see(suite, suite_grey(12, T0 + DELAY));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 2)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1, .passes = 2, .origin = 2);
    /* From now on the history is the key's own. */
    EXPECT_ENTRY(suite_see(suite, with_alternates(now + 1, 2)), .first_seen = T0,
                 .last_seen = now + 1, .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1,
                 .passes = 3);
    EXPECT_STORED(suite, 12, .first_seen = T0, .last_seen = T0 + DELAY,
                  .expires = SLID(T0 + DELAY, KEEP), .waited = DELAY, .tries = 1, .passes = 1);
}

static void alternate_slide_left_alone_is_copied(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_learn(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + HOUR, 1)), .first_seen = T0,
                 .last_seen = T0 + HOUR, .expires = SLID(T0, KEEP), .passes = 2, .origin = 1);
}

static void alternates_passed_goes_before_earlier(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(11, T0));
    (void)suite_see(suite, suite_learn(12, T0 + MINUTE));
    (void)suite_see(suite, suite_grey(13, T0 + 1));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + HOUR, 3)), .first_seen = T0 + MINUTE,
                 .last_seen = T0 + HOUR, .expires = SLID(T0 + MINUTE, KEEP), .passes = 2,
                 .origin = 2);
}

static void alternates_earliest_of_pending_goes_first(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(11, T0 + 2));
    (void)suite_see(suite, suite_grey(12, T0 + 1));
    (void)suite_see(suite, suite_grey(13, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + MINUTE, 3)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2, .origin = 3);
}

static void alternates_earliest_of_passed_goes_first(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_learn(11, T0 + 2));
    (void)suite_see(suite, suite_learn(12, T0));
    (void)suite_see(suite, suite_learn(13, T0 + 1));
    assert_int_equal(suite_see(suite, with_alternates(T0 + MINUTE, 3)).origin, 2);
}

static void alternates_of_one_age_in_the_order_given(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = with_alternates(T0 + MINUTE, 3);

    for (uint32_t key = 11; key <= 13; key++) {
        struct storage_sighting grey = suite_grey(key, T0);
        grey.count = key;
        (void)suite_see(suite, grey);
    }
    sighting.alternate[0] = suite_key(13);
    sighting.alternate[1] = suite_key(11);
    sighting.alternate[2] = suite_key(12);
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + MINUTE,
                 .expires = T0 + WINDOW, .tries = 14, .origin = 1);
}

static void alternates_the_key_goes_first_at_one_age(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting other = suite_grey(11, T0);

    other.count = 5;
    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, other);
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + MINUTE, 1)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2);
}

static void alternate_passed_replaces_own_pending(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + MINUTE;

    (void)suite_see(suite, suite_grey(1, T0 - HOUR));
    (void)suite_see(suite, suite_learn(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 1)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(T0, KEEP), .passes = 2, .origin = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = now, .expires = SLID(T0, KEEP),
                  .passes = 2);
}

static void alternate_older_replaces_own_of_the_same_state(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting own = suite_grey(1, T0 + 1);

    own.count = 7;
    (void)suite_see(suite, own);
    (void)suite_see(suite, suite_grey(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + MINUTE, 1)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2, .origin = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + MINUTE, .expires = T0 + WINDOW,
                  .tries = 2);
}

static void alternate_younger_does_not_replace_own(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(11, T0 + 1));
    assert_int_equal(suite_see(suite, with_alternates(T0 + MINUTE, 1)).origin, 0);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + MINUTE, .expires = T0 + WINDOW,
                  .tries = 2);
}

static void alternates_own_passed_goes_before_pending(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_learn(1, T0 + HOUR));
    (void)suite_see(suite, suite_grey(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(T0 + HOUR, 1)), .first_seen = T0 + HOUR,
                 .last_seen = T0 + HOUR, .expires = SLID(T0 + HOUR, KEEP), .passes = 2);
}

/* What is known under the key itself is known: an older history elsewhere is not asked. */
static void alternates_own_passed_goes_before_older_passed(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + HOUR;

    (void)suite_see(suite, suite_learn(1, T0 + MINUTE));
    (void)suite_see(suite, suite_learn(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 1)), .first_seen = T0 + MINUTE,
                 .last_seen = now, .expires = SLID(T0 + MINUTE, KEEP), .passes = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0 + MINUTE, .last_seen = now,
                  .expires = SLID(T0 + MINUTE, KEEP), .passes = 2);
    EXPECT_STORED(suite, 11, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
}

/* But only while it lives. */
static void alternate_passed_replaces_own_passed_and_dead(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting own = suite_learn(1, T0 - DAY);
    int64_t now = T0 + HOUR;

    own.keep = HOUR;
    (void)suite_see(suite, own);
    (void)suite_see(suite, suite_learn(11, T0));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 1)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(T0, KEEP), .passes = 2, .origin = 1);
}

static void alternate_alive_with_the_key_dead(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW;
    struct storage_sighting own = suite_grey(1, T0);

    own.count = 9;
    (void)suite_see(suite, own);
    (void)suite_see(suite, suite_learn(12, T0 + HOUR));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 2)), .first_seen = T0 + HOUR,
                 .last_seen = now, .expires = SLID(now, KEEP), .passes = 2, .origin = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0 + HOUR, .last_seen = now, .expires = SLID(now, KEEP),
                  .passes = 2);
}

static void alternate_dead_counts_as_absent(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW;

    (void)suite_see(suite, suite_grey(11, T0));
    (void)suite_see(suite, suite_grey(12, T0 + 1));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 2)), .first_seen = T0 + 1, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = WINDOW - 1, .tries = 1, .passes = 1,
                 .origin = 2);
    EXPECT_STORED(suite, 11, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void alternate_dead_and_key_alive(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW;

    (void)suite_see(suite, suite_grey(11, T0));
    (void)suite_see(suite, suite_grey(1, T0 + DAY));
    EXPECT_ENTRY(suite_see(suite, with_alternates(now, 1)), .first_seen = T0 + DAY,
                 .last_seen = now, .expires = SLID(now, KEEP), .waited = WINDOW - DAY, .tries = 1,
                 .passes = 1);
}

static void alternates_beyond_the_count_are_not_read(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = with_alternates(T0 + HOUR, 3);

    (void)suite_see(suite, suite_learn(12, T0));
    sighting.alternates_count = 1;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0 + HOUR, .last_seen = T0 + HOUR,
                 .expires = T0 + HOUR + WINDOW, .tries = 1);
}

static void expect_sender(struct suite *suite, uint32_t key, const char *sender)
{
    struct suite_entry entry;

    assert_true(suite_find_entry(suite, key, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], sender);
}

static void see_from(struct suite *suite, struct storage_sighting sighting, const char *sender)
{
    const struct storage_reading reading = {.sender = suite_text(sender)};

    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
}

/* An entry that is made from an alternate tells of the request that made it. */
static void alternate_taken_keeps_the_new_reading(void **state)
{
    see_from(*state, suite_learn(11, T0), "alternate");
    see_from(*state, with_alternates(T0 + 1, 1), "made");
    expect_sender(*state, 1, "made");
    expect_sender(*state, 11, "alternate");
}

static void alternate_passed_moves_the_reading_of_own_pending(void **state)
{
    see_from(*state, suite_grey(1, T0), "made");
    see_from(*state, suite_learn(11, T0), "alternate");
    see_from(*state, with_alternates(T0 + 1, 1), "moved");
    expect_sender(*state, 1, "moved");
}

/* Neither made nor moved to "passed": it keeps what it had, also where its history is another's. */
static void alternate_taken_leaves_the_reading_otherwise(void **state)
{
    struct storage_sighting pending = suite_grey(2, T0 + MINUTE);

    see_from(*state, suite_learn(1, T0 + 1), "known");
    see_from(*state, suite_learn(11, T0), "alternate");
    see_from(*state, with_alternates(T0 + 2, 1), "later");
    expect_sender(*state, 1, "known");
    see_from(*state, suite_grey(2, T0 + 1), "pending");
    see_from(*state, suite_grey(12, T0), "alternate");
    pending.alternates_count = 1;
    pending.alternate[0] = suite_key(12);
    see_from(*state, pending, "later");
    expect_sender(*state, 2, "pending");
}

/* Where there is nothing to keep, what is kept stays; of the alternate's nothing is taken. */
static void alternate_taken_without_a_reading(void **state)
{
    struct suite *suite = *state;
    struct suite_entry entry;

    see_from(suite, suite_learn(11, T0), "alternate");
    (void)suite_see(suite, with_alternates(T0 + 1, 1));
    assert_true(suite_find_entry(suite, 1, &entry));
    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        assert_true(entry.null[i]);
    }
    see_from(suite, suite_grey(2, T0), "pending");
    struct storage_sighting sighting = with_alternates(T0 + 1, 1);
    sighting.key = suite_key(2);
    assert_int_equal(suite_see(suite, sighting).origin, 1);
    expect_sender(suite, 2, "pending");
}

const struct suite_case alternate_cases[] = {
    {"alternates_absent_make_it_new", alternates_absent_make_it_new},
    {"alternate_pending_keeps_waiting", alternate_pending_keeps_waiting},
    {"alternate_pending_passes_under_the_key", alternate_pending_passes_under_the_key},
    {"alternate_passed_is_known_under_the_key", alternate_passed_is_known_under_the_key},
    {"alternate_slide_left_alone_is_copied", alternate_slide_left_alone_is_copied},
    {"alternates_passed_goes_before_earlier", alternates_passed_goes_before_earlier},
    {"alternates_earliest_of_pending_goes_first", alternates_earliest_of_pending_goes_first},
    {"alternates_earliest_of_passed_goes_first", alternates_earliest_of_passed_goes_first},
    {"alternates_of_one_age_in_the_order_given", alternates_of_one_age_in_the_order_given},
    {"alternates_the_key_goes_first_at_one_age", alternates_the_key_goes_first_at_one_age},
    {"alternate_passed_replaces_own_pending", alternate_passed_replaces_own_pending},
    {"alternate_older_replaces_own_of_the_same_state",
     alternate_older_replaces_own_of_the_same_state},
    {"alternate_younger_does_not_replace_own", alternate_younger_does_not_replace_own},
    {"alternates_own_passed_goes_before_pending", alternates_own_passed_goes_before_pending},
    {"alternates_own_passed_goes_before_older_passed",
     alternates_own_passed_goes_before_older_passed},
    {"alternate_passed_replaces_own_passed_and_dead",
     alternate_passed_replaces_own_passed_and_dead},
    {"alternate_alive_with_the_key_dead", alternate_alive_with_the_key_dead},
    {"alternate_dead_counts_as_absent", alternate_dead_counts_as_absent},
    {"alternate_dead_and_key_alive", alternate_dead_and_key_alive},
    {"alternates_beyond_the_count_are_not_read", alternates_beyond_the_count_are_not_read},
    {"alternate_taken_keeps_the_new_reading", alternate_taken_keeps_the_new_reading},
    {"alternate_passed_moves_the_reading_of_own_pending",
     alternate_passed_moves_the_reading_of_own_pending},
    {"alternate_taken_without_a_reading", alternate_taken_without_a_reading},
    {"alternate_taken_leaves_the_reading_otherwise", alternate_taken_leaves_the_reading_otherwise},
    {NULL, NULL},
};
