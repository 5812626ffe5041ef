/*
 * grey.c: GREY on one key, without alternates or exemptions: the table of its transitions.
 */
#include "suite.h"

#include <string.h>

static void grey_absent_becomes_new(void **state)
{
    struct suite *suite = *state;

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0)), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void grey_keys_are_apart(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_grey(2, T0 + DELAY)), .first_seen = T0 + DELAY,
                 .last_seen = T0 + DELAY, .expires = T0 + DELAY + WINDOW, .tries = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
}

static void grey_too_early_counts_a_try(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 + MINUTE)), .first_seen = T0,
                 .last_seen = T0 + MINUTE, .expires = T0 + WINDOW, .tries = 2);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 + DELAY - 1)), .first_seen = T0,
                 .last_seen = T0 + DELAY - 1, .expires = T0 + WINDOW, .tries = 3);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + DELAY - 1, .expires = T0 + WINDOW,
                  .tries = 3);
}

static void grey_passes_when_delay_is_exactly_over(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1, .passes = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = now, .expires = SLID(now, KEEP),
                  .waited = DELAY, .tries = 1, .passes = 1);
}

static void grey_waited_is_what_was_waited(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + 3 * HOUR + 7;

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, T0 + MINUTE));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = 3 * HOUR + 7, .tries = 2, .passes = 1);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now + DAY)), .first_seen = T0,
                 .last_seen = now + DAY, .expires = SLID(now + DAY, KEEP), .waited = 3 * HOUR + 7,
                 .tries = 2, .passes = 2);
}

static void grey_delay_zero_passes_at_second_sight(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.delay = 0;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = 1);
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = SLID(T0, KEEP), .tries = 1, .passes = 1);
}

/* Each sighting brings its own delay: a policy may have changed in between. */
static void grey_delay_is_the_sightings(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0 + MINUTE);

    (void)suite_see(suite, suite_grey(1, T0));
    sighting.delay = MINUTE;
    assert_int_equal(suite_see(suite, sighting).passes, 1);
    sighting = suite_grey(2, T0);
    (void)suite_see(suite, sighting);
    sighting.now = T0 + DELAY;
    sighting.delay = HOUR;
    assert_int_equal(suite_see(suite, sighting).passes, 0);
}

static void grey_passes_until_window_ends(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW - 1;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = WINDOW - 1, .tries = 1, .passes = 1);
}

static void grey_is_new_when_window_is_exactly_over(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + WINDOW;

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, T0 + MINUTE));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now)), .first_seen = now, .last_seen = now,
                 .expires = now + WINDOW, .tries = 1);
    EXPECT_STORED(suite, 1, .first_seen = now, .last_seen = now, .expires = now + WINDOW,
                  .tries = 1);
}

/* A try does not lengthen the window: a sender cannot keep a key pending for ever. */
static void grey_tries_leave_the_window(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    (void)suite_see(suite, sighting);
    sighting.now = T0 + MINUTE;
    sighting.window = 10 * WINDOW;
    assert_int_equal(suite_see(suite, sighting).expires, T0 + WINDOW);
}

static void grey_window_zero_is_dead_at_once(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.window = 0;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0, .expires = T0,
                 .tries = 1);
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0, .expires = T0,
                 .tries = 1);
}

/* Makes key 1 known: first seen at T0, passed at T0 + DELAY. */
static int64_t make_known(struct suite *suite)
{
    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, T0 + DELAY));
    return T0 + DELAY;
}

static void grey_known_counts_passes(void **state)
{
    struct suite *suite = *state;
    int64_t passed = make_known(suite);
    struct storage_sighting sighting = suite_grey(1, passed + 1);

    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = passed + 1,
                 .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
    sighting.delay = STORAGE_DURATION_MAX;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = passed + 1,
                 .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 3);
}

static void grey_slide_is_left_alone_while_long_enough(void **state)
{
    struct suite *suite = *state;
    int64_t passed = make_known(suite);
    int64_t edge = passed + KEEP / 64; /* here expires == now + keep */

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, edge)), .first_seen = T0, .last_seen = edge,
                 .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = edge, .expires = SLID(passed, KEEP),
                  .waited = DELAY, .tries = 1, .passes = 2);
}

static void grey_slide_is_rewritten_when_too_short(void **state)
{
    struct suite *suite = *state;
    int64_t passed = make_known(suite);
    int64_t behind = passed + KEEP / 64 + 1;

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, behind)), .first_seen = T0, .last_seen = behind,
                 .expires = SLID(behind, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = behind, .expires = SLID(behind, KEEP),
                  .waited = DELAY, .tries = 1, .passes = 2);
}

/* keep / 64 is cut, not rounded. */
static void grey_slide_cuts_the_64th(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);
    const int64_t keep = 100 * DAY + 63;

    (void)suite_see(suite, sighting);
    sighting.now = T0 + DELAY;
    sighting.keep = keep;
    assert_int_equal(suite_see(suite, sighting).expires, T0 + DELAY + keep + 135000000);
}

/* A policy with a longer keep slides at once; one with a shorter never shortens a life. */
static void grey_slide_follows_the_sightings_keep(void **state)
{
    struct suite *suite = *state;
    int64_t passed = make_known(suite);
    struct storage_sighting sighting = suite_grey(1, passed + 1);

    sighting.keep = 2 * KEEP;
    assert_int_equal(suite_see(suite, sighting).expires, SLID(passed + 1, 2 * KEEP));
    sighting.keep = HOUR;
    assert_int_equal(suite_see(suite, sighting).expires, SLID(passed + 1, 2 * KEEP));
}

static void grey_first_pass_leaves_a_longer_window(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.window = 2 * KEEP;
    (void)suite_see(suite, sighting);
    sighting.now = T0 + DELAY;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + DELAY,
                 .expires = T0 + 2 * KEEP, .waited = DELAY, .tries = 1, .passes = 1);
}

static void grey_longest_durations(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);
    const int64_t most = STORAGE_DURATION_MAX;

    sighting.window = most;
    sighting.keep = most;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + most, .tries = 1);
    sighting.now = T0 + DELAY;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = sighting.now,
                 .expires = SLID(sighting.now, most), .waited = DELAY, .tries = 1, .passes = 1);
}

static void grey_known_dies_when_keep_is_over(void **state)
{
    struct suite *suite = *state;
    int64_t dies = SLID(make_known(suite), KEEP);

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, dies)), .first_seen = dies, .last_seen = dies,
                 .expires = dies + WINDOW, .tries = 1);
    EXPECT_STORED(suite, 1, .first_seen = dies, .last_seen = dies, .expires = dies + WINDOW,
                  .tries = 1);
}

static void grey_known_lives_until_then(void **state)
{
    struct suite *suite = *state;
    int64_t now = SLID(make_known(suite), KEEP) - 1;

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, now)), .first_seen = T0, .last_seen = now,
                 .expires = SLID(now, KEEP), .waited = DELAY, .tries = 1, .passes = 2);
}

/* `count` stands for doubles that the core removed: all of them count, whatever comes of it. */
static void grey_counts_removed_doubles(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.count = 3;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = 3);
    sighting.count = 4;
    assert_int_equal(suite_see(suite, sighting).tries, 7);
    sighting.count = 5;
    sighting.now = T0 + DELAY;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + DELAY,
                 .expires = SLID(T0 + DELAY, KEEP), .waited = DELAY, .tries = 7, .passes = 5);
    sighting.count = 1000000;
    assert_int_equal(suite_see(suite, sighting).passes, 1000005);
}

static void grey_pending_with_clock_going_back(void **state)
{
    struct suite *suite = *state;

    (void)suite_see(suite, suite_grey(1, T0));
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 - MINUTE)), .first_seen = T0 - MINUTE,
                 .last_seen = T0, .expires = T0 + WINDOW, .tries = 2);
    EXPECT_STORED(suite, 1, .first_seen = T0 - MINUTE, .last_seen = T0, .expires = T0 + WINDOW,
                  .tries = 2);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 + DELAY - MINUTE)), .first_seen = T0 - MINUTE,
                 .last_seen = T0 + DELAY - MINUTE, .expires = SLID(T0 + DELAY - MINUTE, KEEP),
                 .waited = DELAY, .tries = 2, .passes = 1);
}

/* The step of the clock comes first: a delay of 0 is over, and nothing was waited. */
static void grey_delay_zero_with_clock_going_back(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0 - MINUTE);

    (void)suite_see(suite, suite_grey(1, T0));
    sighting.delay = 0;
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0 - MINUTE, .last_seen = T0,
                 .expires = SLID(T0 - MINUTE, KEEP), .tries = 1, .passes = 1);
    EXPECT_STORED(suite, 1, .first_seen = T0 - MINUTE, .last_seen = T0,
                  .expires = SLID(T0 - MINUTE, KEEP), .tries = 1, .passes = 1);
}

/* Nothing begins at 0 again: neither tries, nor passes. */
static void grey_counts_stay_at_the_greatest_number(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(1, T0);

    sighting.count = UINT32_MAX;
    assert_int_equal(suite_see(suite, sighting).tries, UINT32_MAX);
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0,
                 .expires = T0 + WINDOW, .tries = UINT32_MAX);
    sighting.now = T0 + DELAY;
    for (int i = 0; i < 2; i++) {
        EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + DELAY,
                     .expires = SLID(T0 + DELAY, KEEP), .waited = DELAY, .tries = UINT32_MAX,
                     .passes = UINT32_MAX);
    }
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0 + DELAY,
                  .expires = SLID(T0 + DELAY, KEEP), .waited = DELAY, .tries = UINT32_MAX,
                  .passes = UINT32_MAX);
}

static void grey_known_with_clock_going_back(void **state)
{
    struct suite *suite = *state;
    int64_t passed = make_known(suite);

    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 + MINUTE)), .first_seen = T0,
                 .last_seen = passed, .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1,
                 .passes = 2);
    EXPECT_ENTRY(suite_see(suite, suite_grey(1, T0 - HOUR)), .first_seen = T0 - HOUR,
                 .last_seen = passed, .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1,
                 .passes = 3);
    EXPECT_STORED(suite, 1, .first_seen = T0 - HOUR, .last_seen = passed,
                  .expires = SLID(passed, KEEP), .waited = DELAY, .tries = 1, .passes = 3);
}

/* --- The reading ------------------------------------------------------------------------------ */

static struct storage_reading make_reading(const char *sender)
{
    return (struct storage_reading){
        .client_address = suite_text("192.0.2.1"),
        .client_name = suite_text("mail.example.com"),
        .helo_name = suite_text("helo.example.com"),
        .sender = suite_text(sender),
        .recipient = suite_text("Gr\xc3\xbc\xc3\x9f@example.net"),
        .country = suite_text("DE"),
        .policy = suite_text("it's \"default\" \\ 100%"),
    };
}

static void expect_texts(struct suite *suite, uint32_t key, const char *const texts[ENTRY_TEXTS])
{
    struct suite_entry entry;

    assert_true(suite_find_entry(suite, key, &entry));
    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        assert_string_equal(entry.text[i], texts[i]);
    }
}

static void expect_sender(struct suite *suite, uint32_t key, const char *sender)
{
    struct suite_entry entry;

    assert_true(suite_find_entry(suite, key, &entry));
    assert_string_equal(entry.text[SENDER - CLIENT_ADDRESS], sender);
}

static void see_with_reading(struct suite *suite, struct storage_sighting sighting,
                             const char *sender)
{
    struct storage_reading reading = make_reading(sender);

    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
}

static void grey_keeps_every_text_of_the_reading(void **state)
{
    static const char *const texts[ENTRY_TEXTS] = {"192.0.2.1",
                                                   "mail.example.com",
                                                   "helo.example.com",
                                                   "a@example.com",
                                                   "Gr\xc3\xbc\xc3\x9f@example.net",
                                                   "DE",
                                                   "it's \"default\" \\ 100%"};

    see_with_reading(*state, suite_grey(1, T0), "a@example.com");
    expect_texts(*state, 1, texts);
}

static void grey_without_reading_has_no_texts(void **state)
{
    static const char *const texts[ENTRY_TEXTS] = {"", "", "", "", "", "", ""};
    const struct storage_reading empty = {.policy = {NULL, 0}};
    struct storage_sighting sighting = suite_grey(2, T0);
    struct suite_entry entry;

    (void)suite_see(*state, suite_grey(1, T0));
    assert_true(suite_find_entry(*state, 1, &entry));
    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        assert_true(entry.null[i]);
    }
    sighting.reading = &empty;
    (void)suite_see(*state, sighting);
    expect_texts(*state, 2, texts);
}

static void grey_reading_is_of_making_and_first_pass(void **state)
{
    see_with_reading(*state, suite_grey(1, T0), "made");
    see_with_reading(*state, suite_grey(1, T0 + MINUTE), "tried");
    expect_sender(*state, 1, "made");
    see_with_reading(*state, suite_grey(1, T0 + DELAY), "passed");
    expect_sender(*state, 1, "passed");
    see_with_reading(*state, suite_grey(1, T0 + HOUR), "known");
    expect_sender(*state, 1, "passed");
}

static void grey_without_reading_keeps_what_was(void **state)
{
    struct suite *suite = *state;

    see_with_reading(suite, suite_grey(1, T0), "made");
    (void)suite_see(suite, suite_grey(1, T0 + DELAY));
    expect_sender(suite, 1, "made");
    (void)suite_see(suite, suite_grey(2, T0));
    see_with_reading(suite, suite_grey(2, T0 + DELAY), "passed");
    expect_sender(suite, 2, "passed");
}

static void grey_reading_of_the_dead_is_forgotten(void **state)
{
    see_with_reading(*state, suite_grey(1, T0), "dead");
    (void)suite_see(*state, suite_grey(1, T0 + WINDOW));
    expect_sender(*state, 1, "");
    see_with_reading(*state, suite_grey(1, T0 + 2 * WINDOW), "new");
    expect_sender(*state, 1, "new");
}

static void grey_longest_texts(void **state)
{
    struct suite *suite = *state;
    char text[STORAGE_TEXT_MAX + 1];
    const struct storage_text longest = {text, STORAGE_TEXT_MAX};
    const struct storage_reading reading = {longest, longest, longest, longest,
                                            longest, longest, longest};
    struct storage_sighting sighting = suite_grey(1, T0);
    struct suite_entry entry;

    memset(text, 'a', sizeof text);
    text[STORAGE_TEXT_MAX] = '\0';
    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
    assert_true(suite_find_entry(suite, 1, &entry));
    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        assert_string_equal(entry.text[i], text);
    }
}

const struct suite_case grey_cases[] = {
    {"grey_absent_becomes_new", grey_absent_becomes_new},
    {"grey_keys_are_apart", grey_keys_are_apart},
    {"grey_too_early_counts_a_try", grey_too_early_counts_a_try},
    {"grey_passes_when_delay_is_exactly_over", grey_passes_when_delay_is_exactly_over},
    {"grey_waited_is_what_was_waited", grey_waited_is_what_was_waited},
    {"grey_delay_zero_passes_at_second_sight", grey_delay_zero_passes_at_second_sight},
    {"grey_delay_is_the_sightings", grey_delay_is_the_sightings},
    {"grey_passes_until_window_ends", grey_passes_until_window_ends},
    {"grey_is_new_when_window_is_exactly_over", grey_is_new_when_window_is_exactly_over},
    {"grey_tries_leave_the_window", grey_tries_leave_the_window},
    {"grey_window_zero_is_dead_at_once", grey_window_zero_is_dead_at_once},
    {"grey_known_counts_passes", grey_known_counts_passes},
    {"grey_slide_is_left_alone_while_long_enough", grey_slide_is_left_alone_while_long_enough},
    {"grey_slide_is_rewritten_when_too_short", grey_slide_is_rewritten_when_too_short},
    {"grey_slide_cuts_the_64th", grey_slide_cuts_the_64th},
    {"grey_slide_follows_the_sightings_keep", grey_slide_follows_the_sightings_keep},
    {"grey_first_pass_leaves_a_longer_window", grey_first_pass_leaves_a_longer_window},
    {"grey_longest_durations", grey_longest_durations},
    {"grey_known_dies_when_keep_is_over", grey_known_dies_when_keep_is_over},
    {"grey_known_lives_until_then", grey_known_lives_until_then},
    {"grey_counts_removed_doubles", grey_counts_removed_doubles},
    {"grey_pending_with_clock_going_back", grey_pending_with_clock_going_back},
    {"grey_delay_zero_with_clock_going_back", grey_delay_zero_with_clock_going_back},
    {"grey_counts_stay_at_the_greatest_number", grey_counts_stay_at_the_greatest_number},
    {"grey_known_with_clock_going_back", grey_known_with_clock_going_back},
    {"grey_keeps_every_text_of_the_reading", grey_keeps_every_text_of_the_reading},
    {"grey_without_reading_has_no_texts", grey_without_reading_has_no_texts},
    {"grey_reading_is_of_making_and_first_pass", grey_reading_is_of_making_and_first_pass},
    {"grey_without_reading_keeps_what_was", grey_without_reading_keeps_what_was},
    {"grey_reading_of_the_dead_is_forgotten", grey_reading_of_the_dead_is_forgotten},
    {"grey_longest_texts", grey_longest_texts},
    {NULL, NULL},
};
