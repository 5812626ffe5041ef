/*
 * driver.c: the driver's face, its handles, and what outlives a closing.
 */
#include "suite.h"

#include <string.h>

static void driver_is_complete(void **state)
{
    struct suite *suite = *state;
    const struct storage_driver *driver = suite->driver;

    assert_int_equal(driver->abi, STORAGE_ABI);
    assert_true(driver->size >= sizeof *driver);
    assert_true(driver->name != NULL && *driver->name != '\0');
    assert_true(driver->schemes != NULL && driver->schemes[0] != NULL);
    assert_true(driver->writers >= 1);
    assert_in_range(driver->batch, 1, STORAGE_BATCH_MAX);
    assert_true(driver->library != NULL && driver->library() != NULL && *driver->library() != '\0');
    assert_true(driver->open != NULL && driver->close != NULL);
    assert_true(driver->attach != NULL && driver->detach != NULL);
    assert_true(driver->observe != NULL && driver->change != NULL);
    assert_true(driver->search != NULL && driver->revision != NULL);
    assert_true(driver->purge != NULL && driver->tally != NULL);
}

static void driver_knows_its_scheme(void **state)
{
    struct suite *suite = *state;
    size_t length = strcspn(suite->url, ":");

    for (const char *const *scheme = suite->driver->schemes; *scheme != NULL; scheme++) {
        if (strlen(*scheme) == length && strncmp(*scheme, suite->url, length) == 0) {
            return;
        }
    }
    fail_msg("no scheme for %s", suite->url);
}

static void driver_closes_nothing(void **state)
{
    struct suite *suite = *state;

    suite->driver->detach(NULL);
    suite->driver->close(NULL);
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, 1);
}

static void sessions_see_one_store(void **state)
{
    struct suite *suite = *state;
    struct storage_session *first = suite->session;
    struct storage_session *second = suite_attach(suite);

    (void)suite_see(suite, suite_grey(1, T0));
    suite->session = second;
    assert_int_equal(suite_see(suite, suite_grey(1, T0 + 1)).tries, 2);
    suite_put_article(suite, "a", "label", value_integer(1));
    suite->session = first;
    EXPECT_FOUND(suite, (&(const struct storage_query){.order = STORAGE_BY_ID, .limit = 9}), "a");
    suite->driver->detach(second);
    assert_int_equal(suite_see(suite, suite_grey(1, T0 + 2)).tries, 3);
}

static void many_sessions(void **state)
{
    struct suite *suite = *state;
    struct storage_session *first = suite->session;
    struct storage_session *sessions[16];

    for (uint32_t i = 0; i < 16; i++) {
        sessions[i] = suite_attach(suite);
        suite->session = sessions[i];
        assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, i + 1);
    }
    suite->session = first;
    for (uint32_t i = 0; i < 16; i++) {
        suite->driver->detach(sessions[i]);
    }
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, 17);
}

static void handles_see_one_store(void **state)
{
    struct suite *suite = *state;
    struct storage_session *first = suite->session;
    struct storage_db *db;
    uint64_t revision;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    db = suite_open_again(suite);
    (void)suite_see(suite, suite_grey(1, T0));
    suite_put_article(suite, "a", "label", value_integer(1));
    revision = suite_revision(suite);
    suite->session = suite_attach_to(suite, db);
    assert_int_equal(suite_see(suite, suite_grey(1, T0 + 1)).tries, 2);
    EXPECT_FOUND(suite, (&(const struct storage_query){.order = STORAGE_BY_ID, .limit = 9}), "a");
    assert_int_equal(suite_revision(suite), revision);
    suite->driver->detach(suite->session);
    suite->driver->close(db);
    suite->session = first;
    assert_int_equal(suite_see(suite, suite_grey(1, T0 + 2)).tries, 3);
}

static void reopening_keeps_everything(void **state)
{
    struct suite *suite = *state;
    const struct storage_merge merge = {
        .position = 4, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 5};
    uint64_t revision;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_merge(2, T0, &merge));
    (void)suite_see(suite, suite_pair(3, T0, 7));
    suite_put_article(suite, "a", "label", value_integer(1));
    revision = suite_revision(suite);
    suite_reopen(suite, suite_kinds, KINDS);
    EXPECT_STORED(suite, 1, .first_seen = T0, .last_seen = T0, .expires = T0 + WINDOW, .tries = 1);
    EXPECT_NOT_FOUND(suite_see(suite, suite_merge(2, T0, &merge)));
    EXPECT_STORED(suite, 2, .first_seen = T0, .last_seen = T0, .expires = T0 + DAY, .tries = 5);
    assert_int_equal(suite_see(suite, suite_pair(3, T0 + 1, 7)).count, 1);
    assert_int_equal(suite_see(suite, suite_pair(3, T0 + 2, 8)).count, 2);
    EXPECT_FOUND(suite, (&(const struct storage_query){.order = STORAGE_BY_ID, .limit = 9}), "a");
    assert_int_equal(suite_revision(suite), revision);
}

/* --- Kinds that change between two versions of mongrey ---------------------------------------- */

static void expect_label(struct suite *suite, size_t field, const char *label, const char *ids)
{
    const struct storage_condition condition = {field, STORAGE_EQ, value_text(label)};
    const struct storage_query query = {.kind = ARTICLES,
                                        .conditions = &condition,
                                        .conditions_count = 1,
                                        .order = STORAGE_BY_ID,
                                        .limit = 10};

    EXPECT_FOUND(suite, &query, ids);
}

/* A later version has one kind more and a field more, in the midst of the others. */
static void kinds_grow(void **state)
{
    static const struct storage_field fields[] = {
        {"extra", STORAGE_TEXT, STORAGE_INDEXED},
        {"label", STORAGE_TEXT, STORAGE_INDEXED},
        {"rank", STORAGE_INTEGER, STORAGE_INDEXED},
    };
    static const struct storage_kind grown[] = {
        {"article", 0, fields, 3},
        {"novelty", 0, fields, 1},
    };
    struct suite *suite = *state;
    const struct storage_value values[] = {value_text("more"), value_text("two"), value_integer(2)};

    if (!suite_can_reopen(suite)) {
        skip();
    }
    suite_put_article(suite, "a", "one", value_integer(1));
    suite_reopen(suite, grown, 2);
    expect_label(suite, 1, "one", "a");
    assert_int_equal(suite_put(suite, 0, "b", 0, values), STORAGE_OK);
    assert_int_equal(suite_put(suite, 1, "n", 0, values), STORAGE_OK);
    expect_label(suite, 0, "more", "b");
    expect_label(suite, 1, "two", "b");
}

/* An earlier version that comes back for a while loses nothing of what it does not know. */
static void kinds_are_never_narrowed(void **state)
{
    static const struct storage_field fields[] = {{"label", STORAGE_TEXT, STORAGE_INDEXED}};
    static const struct storage_kind narrow[] = {{"article", 0, fields, 1}};
    struct suite *suite = *state;
    const struct storage_condition condition = {RANK, STORAGE_EQ, value_integer(1)};
    const struct storage_query query = {.kind = ARTICLES,
                                        .conditions = &condition,
                                        .conditions_count = 1,
                                        .order = STORAGE_BY_ID,
                                        .limit = 10};

    if (!suite_can_reopen(suite)) {
        skip();
    }
    suite_put_article(suite, "a", "one", value_integer(1));
    suite_reopen(suite, narrow, 1);
    expect_label(suite, 0, "one", "a");
    suite_reopen(suite, suite_kinds, KINDS);
    EXPECT_FOUND(suite, &query, "a");
}

const struct suite_case driver_cases[] = {
    {"driver_is_complete", driver_is_complete},
    {"driver_knows_its_scheme", driver_knows_its_scheme},
    {"driver_closes_nothing", driver_closes_nothing},
    {"sessions_see_one_store", sessions_see_one_store},
    {"many_sessions", many_sessions},
    {"handles_see_one_store", handles_see_one_store},
    {"reopening_keeps_everything", reopening_keeps_everything},
    {"kinds_grow", kinds_grow},
    {"kinds_are_never_narrowed", kinds_are_never_narrowed},
    {NULL, NULL},
};
