/*
 * readonly.c: a store that is open for reading only: a look is answered, nothing can be written.
 */
#include "suite.h"

static const struct storage_query by_id = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 9};

/* The case's store, opened once more for reading; the host must outlive it. */
struct reader {
    struct storage_host host;
    struct storage_db *db;
    struct storage_session *session;
    struct storage_session *writer; /* the case's own session */
};

static enum storage_status try_reading(struct suite *suite, struct reader *reader, const char *url)
{
    *reader = (struct reader){.host = suite_host(), .writer = suite->session};
    reader->host.read_only = true;
    suite->error = suite_raw_error();
    return place_open(suite->place, &reader->host, url, &reader->db, &suite->error);
}

/* From now on the case speaks through the reader, till stop_reading(). */
static void start_reading(struct suite *suite, struct reader *reader)
{
    enum storage_status status = try_reading(suite, reader, suite->url);

    if (status != STORAGE_OK) {
        fail_msg("opening %s for reading: %d: %s", suite->url, (int)status, suite->error.text);
    }
    reader->session = suite_attach_to(suite, reader->db);
    suite->session = reader->session;
}

static void stop_reading(struct suite *suite, struct reader *reader)
{
    suite->session = reader->writer;
    suite->driver->detach(reader->session);
    suite->driver->close(reader->db);
}

/* Key 1 has passed, key 2 waits, counter 9 has 5; an article "a". */
static void fill(struct suite *suite)
{
    (void)suite_see(suite, suite_learn(1, T0));
    (void)suite_see(suite, suite_grey(2, T0));
    (void)suite_see(suite, suite_count(9, T0, 5));
    suite_put_article(suite, "a", "label", value_integer(1));
}

static void expect_as_filled(struct suite *suite)
{
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
    EXPECT_STORED(suite, 2, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
    EXPECT_NOT_STORED(suite, 3);
    EXPECT_COUNTER(suite_counter(suite, 9, T0), .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0, KEEP), .count = 5);
    EXPECT_FOUND(suite, &by_id, "a");
}

static void read_only_answers_looks(void **state)
{
    struct suite *suite = *state;
    int64_t now = T0 + DELAY;
    struct storage_sighting batch[4] = {suite_grey(1, now), suite_grey(2, now), suite_learn(3, now),
                                        suite_touch(4, now)};
    struct storage_row rows[4];
    struct reader reader;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    fill(suite);
    for (size_t i = 0; i < 4; i++) {
        batch[i].look = true;
    }
    start_reading(suite, &reader);
    suite_see_all(suite, batch, 4, rows);
    EXPECT_ENTRY(rows[0], .first_seen = T0, .last_seen = now, .expires = SLID(T0, KEEP),
                 .passes = 2);
    EXPECT_ENTRY(rows[1], .first_seen = T0, .last_seen = now, .expires = SLID(now, KEEP),
                 .waited = DELAY, .tries = 1, .passes = 1);
    EXPECT_ENTRY(rows[2], .first_seen = now, .last_seen = now, .expires = SLID(now, KEEP),
                 .passes = 1);
    EXPECT_NOT_FOUND(rows[3]);
    expect_as_filled(suite);
    stop_reading(suite, &reader);
    expect_as_filled(suite);
}

/* A look through all that a sighting may have: each of its parts would write. */
static void read_only_answers_a_look_with_parts(void **state)
{
    struct suite *suite = *state;
    const struct storage_sighting on_pass = suite_count(9, T0 + DELAY, 1);
    struct storage_sighting sighting = suite_grey(3, T0 + DELAY);
    struct reader reader;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    fill(suite);
    sighting.look = true;
    sighting.alternates_count = 1;
    sighting.alternate[0] = suite_key(2);
    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    start_reading(suite, &reader);
    EXPECT_ENTRY(suite_see(suite, sighting), .first_seen = T0, .last_seen = T0 + DELAY,
                 .expires = SLID(T0 + DELAY, KEEP), .waited = DELAY, .tries = 1, .passes = 1,
                 .origin = 1);
    sighting.exemptions_count = 1;
    sighting.exemption[0] = (struct storage_exemption){suite_key(9), 5, 3 * KEEP};
    EXPECT_COUNTER(suite_see(suite, sighting), .exempt = 1, .first_seen = T0, .last_seen = T0,
                   .expires = SLID(T0 + DELAY, 3 * KEEP), .count = 5);
    expect_as_filled(suite);
    stop_reading(suite, &reader);
}

static void read_only_denies_sightings(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = {
        .position = 1, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 1};
    const struct storage_sighting writing[] = {suite_grey(3, T0),     suite_grey(2, T0),
                                               suite_touch(1, T0),    suite_learn(3, T0),
                                               suite_learn(1, T0),    suite_merge(3, T0, &merge),
                                               suite_count(9, T0, 1), suite_count(3, T0, 1),
                                               suite_pair(3, T0, 1),  suite_take(9, T0, 5)};
    struct reader reader;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    fill(suite);
    start_reading(suite, &reader);
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
        struct storage_error error = suite_raw_error();
        struct storage_row row;
        assert_int_equal(suite_observe(suite->driver, suite->session, &writing[i], 1, &row, &error),
                         STORAGE_DENIED);
        suite_expect_error_filled(&error);
    }
    expect_as_filled(suite);
    stop_reading(suite, &reader);
    expect_as_filled(suite);
    assert_int_equal(suite_see(suite, suite_grey(2, T0)).tries, 2);
}

static void read_only_denies_changes(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    char id[STORAGE_KEY_SIZE * 2 + 1];
    struct reader reader;
    uint64_t revision;
    size_t removed = 0;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    fill(suite);
    revision = suite_revision(suite);
    suite_key_id(1, id);
    start_reading(suite, &reader);
    assert_int_equal(suite_put(suite, ARTICLES, "b", 0, values), STORAGE_DENIED);
    suite_expect_error_filled(&suite->error);
    assert_int_equal(suite_put(suite, ARTICLES, "a", 1, values), STORAGE_DENIED);
    assert_int_equal(suite_erase(suite, ARTICLES, "a", STORAGE_ANY_VERSION), STORAGE_DENIED);
    assert_int_equal(suite_erase(suite, ENTRIES, id, STORAGE_ANY_VERSION), STORAGE_DENIED);
    assert_int_equal(suite->driver->purge(suite->session, T0 + WINDOW, 10, &removed, &suite->error),
                     STORAGE_DENIED);
    assert_int_equal(suite_revision(suite), revision);
    expect_as_filled(suite);
    stop_reading(suite, &reader);
    expect_as_filled(suite);
}

/* What is written meanwhile is seen; a session that was refused a write goes on reading. */
static void read_only_sees_what_others_write(void **state)
{
    struct suite *suite = *state;
    struct storage_sighting sighting = suite_grey(2, T0);
    struct storage_tally tally = {0};
    struct reader reader;
    struct storage_row row;
    uint64_t revision;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    fill(suite);
    start_reading(suite, &reader);
    revision = suite_revision(suite);
    assert_int_equal(
        suite_observe(suite->driver, suite->session, &sighting, 1, &row, &suite->error),
        STORAGE_DENIED);
    suite->session = reader.writer;
    (void)suite_see(suite, sighting);
    suite_put_article(suite, "b", "label", value_integer(2));
    suite->session = reader.session;
    sighting.look = true;
    assert_int_equal(suite_see(suite, sighting).tries, 3);
    assert_int_not_equal(suite_revision(suite), revision);
    EXPECT_FOUND(suite, &by_id, "a b");
    assert_int_equal(suite->driver->tally(suite->session, T0, T0, &tally, &suite->error),
                     STORAGE_OK);
    assert_int_equal(tally.entries, 2);
    stop_reading(suite, &reader);
}

/* It is not made by looking for it, neither the first time nor the second. */
static void read_only_makes_no_store(void **state)
{
    struct suite *suite = *state;
    char url[sizeof suite->url];
    struct storage_db *db = NULL;
    struct reader reader;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    place_name_store(suite->place, url, sizeof url);
    for (int i = 0; i < 2; i++) {
        enum storage_status status = try_reading(suite, &reader, url);
        if (status == STORAGE_OK) {
            suite->driver->close(reader.db);
        }
        assert_int_equal(status, STORAGE_UNAVAILABLE);
        suite_expect_error_filled(&suite->error);
    }
    assert_int_equal(place_open(suite->place, &suite->host, url, &db, &suite->error), STORAGE_OK);
    assert_int_equal(try_reading(suite, &reader, url), STORAGE_OK);
    suite->driver->close(reader.db);
    suite->driver->close(db);
}

const struct suite_case read_only_cases[] = {
    {"read_only_answers_looks", read_only_answers_looks},
    {"read_only_answers_a_look_with_parts", read_only_answers_a_look_with_parts},
    {"read_only_denies_sightings", read_only_denies_sightings},
    {"read_only_denies_changes", read_only_denies_changes},
    {"read_only_sees_what_others_write", read_only_sees_what_others_write},
    {"read_only_makes_no_store", read_only_makes_no_store},
    {NULL, NULL},
};
