/*
 * changes.c: change() of several records at once: all of them or none, what it says of each, and
 * how the revision moves.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

/* A record of this rank, written; expected as in struct storage_change. */
struct draft {
    const char *id;
    int64_t expected;
    int64_t rank; /* ERASE: it is erased */
    const char *owner;
};

#define ERASE INT64_MIN
#define DRAFTS_MAX 8

static enum storage_status change(struct suite *suite, const struct draft *drafts, size_t count,
                                  int64_t versions[DRAFTS_MAX])
{
    struct storage_value values[DRAFTS_MAX][ARTICLE_FIELDS];
    struct storage_change changes[DRAFTS_MAX];
    enum storage_status status;

    for (size_t i = 0; i < count; i++) {
        for (size_t field = 0; field < ARTICLE_FIELDS; field++) {
            values[i][field] = value_null();
        }
        values[i][RANK] = value_integer(drafts[i].rank);
        if (drafts[i].owner != NULL) {
            values[i][OWNER] = value_text(drafts[i].owner);
        }
        changes[i] = (struct storage_change){.id = drafts[i].id,
                                             .expected = drafts[i].expected,
                                             .values = drafts[i].rank == ERASE ? NULL : values[i],
                                             .version = -77};
    }
    suite->error = suite_raw_error();
    status = suite_change(suite, ARTICLES, changes, count);
    for (size_t i = 0; i < count; i++) {
        versions[i] = changes[i].version;
    }
    return status;
}

/* "id=rank/version ...", of all articles. */
struct listing {
    char text[1024];
    size_t used;
};

static bool list_article(void *context, const struct storage_record *record)
{
    struct listing *listing = context;
    int written = snprintf(listing->text + listing->used, sizeof listing->text - listing->used,
                           "%s%s=%lld/%lld", listing->used == 0 ? "" : " ", record->id,
                           (long long)record->values[RANK].integer, (long long)record->version);

    assert_in_range(written, 1, sizeof listing->text - listing->used - 1);
    listing->used += (size_t)written;
    return true;
}

static void expect_articles(struct suite *suite, const char *expected)
{
    const struct storage_query query = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 100};
    struct listing listing = {.text = ""};

    assert_int_equal(
        suite->driver->search(suite->session, &query, list_article, &listing, &suite->error),
        STORAGE_OK);
    assert_string_equal(listing.text, expected);
}

#define COUNT_OF(drafts) (sizeof(drafts) / sizeof *(drafts))

/* Three articles to change: a and b of version 1, c of version 2. */
static void put_three(struct suite *suite)
{
    static const struct draft drafts[] = {
        {"a", 0, 1, "one"}, {"b", 0, 2, "two"}, {"c", 0, 3, NULL}};
    static const struct draft again[] = {{"c", 1, 3, "three"}};
    int64_t versions[DRAFTS_MAX];

    assert_int_equal(change(suite, drafts, COUNT_OF(drafts), versions), STORAGE_OK);
    assert_int_equal(change(suite, again, 1, versions), STORAGE_OK);
    expect_articles(suite, "a=1/1 b=2/1 c=3/2");
}

static void change_several_at_once(void **state)
{
    static const struct draft drafts[] = {{"d", 0, 40, NULL},
                                          {"a", 1, 10, "one"},
                                          {"b", 1, ERASE, NULL},
                                          {"c", STORAGE_ANY_VERSION, 30, "three"},
                                          {"e", STORAGE_ANY_VERSION, 50, NULL}};
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];

    put_three(suite);
    assert_int_equal(change(suite, drafts, COUNT_OF(drafts), versions), STORAGE_OK);
    expect_articles(suite, "a=10/2 c=30/3 d=40/1 e=50/1");
}

static void change_tells_the_versions(void **state)
{
    static const struct draft drafts[] = {{"d", 0, 4, NULL},
                                          {"a", 1, 5, NULL},
                                          {"b", 1, ERASE, NULL},
                                          {"c", STORAGE_ANY_VERSION, 6, NULL}};
    static const struct draft later[] = {
        {"c", 3, 7, NULL}, {"b", 0, 8, NULL}, {"a", STORAGE_ANY_VERSION, ERASE, NULL}};
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];

    put_three(suite);
    assert_int_equal(change(suite, drafts, COUNT_OF(drafts), versions), STORAGE_OK);
    assert_int_equal(versions[0], 1);
    assert_int_equal(versions[1], 2);
    assert_int_equal(versions[2], 0);
    assert_int_equal(versions[3], 3);
    assert_int_equal(change(suite, later, COUNT_OF(later), versions), STORAGE_OK);
    assert_int_equal(versions[0], 4);
    assert_int_equal(versions[1], 1);
    assert_int_equal(versions[2], 0);
}

/* Each of these has good changes before and behind the one that does not go. */
static void change_all_or_none(void **state)
{
    static const struct {
        struct draft bad;
        enum storage_status status;
    } bad[] = {
        {{"b", 0, 20, "new owner"}, STORAGE_CONFLICT},
        {{"b", 7, 20, "two"}, STORAGE_CONFLICT},
        {{"b", 7, ERASE, NULL}, STORAGE_CONFLICT},
        {{"x", 1, 20, NULL}, STORAGE_NOT_FOUND},
        {{"x", STORAGE_ANY_VERSION, ERASE, NULL}, STORAGE_NOT_FOUND},
        {{"x", 1, ERASE, NULL}, STORAGE_NOT_FOUND},
        {{"x", 0, 20, "three"}, STORAGE_EXISTS},
        {{"b", 1, 20, "three"}, STORAGE_EXISTS},
        {{"b", STORAGE_ANY_VERSION, 20, "three"}, STORAGE_EXISTS},
        {{"", 0, 20, NULL}, STORAGE_INVALID},
    };
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];
    uint64_t before;

    put_three(suite);
    before = suite_revision(suite);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        for (size_t at = 0; at < 4; at++) {
            struct draft drafts[] = {
                {"a", 1, ERASE, NULL}, {"c", 2, 30, "three"}, {"d", 0, 40, "four"}, {"", 0, 0, ""}};
            drafts[3] = drafts[at];
            drafts[at] = bad[i].bad;
            assert_int_equal(change(suite, drafts, 4, versions), bad[i].status);
            suite_expect_error_filled(&suite->error);
            expect_articles(suite, "a=1/1 b=2/1 c=3/2");
        }
    }
    assert_int_equal(suite_revision(suite), before);
}

/* What it answers is of the first change that does not go. */
static void change_speaks_of_the_first(void **state)
{
    static const struct draft bad[] = {{"b", 7, 20, NULL}, {"x", 0, 20, "one"}, {"y", 1, 20, NULL}};
    static const enum storage_status status[] = {STORAGE_CONFLICT, STORAGE_EXISTS,
                                                 STORAGE_NOT_FOUND};
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];

    put_three(suite);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            const struct draft drafts[] = {{"d", 0, 40, NULL}, bad[i], bad[j]};
            if (i != j) {
                assert_int_equal(change(suite, drafts, 3, versions), status[i]);
            }
        }
    }
    expect_articles(suite, "a=1/1 b=2/1 c=3/2");
}

/* Two records of one call cannot have one value of a UNIQUE field; what is given up may be taken. */
static void change_unique_within_a_call(void **state)
{
    static const struct draft same[] = {{"d", 0, 4, "four"}, {"e", 0, 5, "four"}};
    static const struct draft freed[] = {{"a", 1, ERASE, NULL}, {"d", 0, 4, "one"}};
    static const struct draft moved[] = {{"b", 1, 20, NULL}, {"c", 2, 30, "two"}};
    static const struct draft back[] = {{"c", 3, 30, NULL}, {"b", 2, 20, "two"}};
    static const struct draft taken[] = {{"e", 0, 5, "two"}};
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];

    put_three(suite);
    assert_int_equal(change(suite, same, 2, versions), STORAGE_EXISTS);
    expect_articles(suite, "a=1/1 b=2/1 c=3/2");
    assert_int_equal(change(suite, freed, 2, versions), STORAGE_OK);
    assert_int_equal(change(suite, moved, 2, versions), STORAGE_OK);
    expect_articles(suite, "b=20/2 c=30/3 d=4/1");
    assert_int_equal(change(suite, back, 2, versions), STORAGE_OK);
    expect_articles(suite, "b=20/3 c=30/4 d=4/1");
    assert_int_equal(change(suite, taken, 1, versions), STORAGE_EXISTS);
}

/* The step of the revision is the same, however many records a call changes. */
static void change_moves_the_revision_once(void **state)
{
    static const struct draft single[] = {{"d", 0, 4, NULL}};
    static const struct draft many[] = {
        {"a", 1, 10, NULL}, {"b", 1, ERASE, NULL}, {"e", 0, 5, NULL}, {"d", 1, 40, NULL}};
    struct suite *suite = *state;
    int64_t versions[DRAFTS_MAX];
    uint64_t revision[3];

    put_three(suite);
    revision[0] = suite_revision(suite);
    assert_int_equal(change(suite, single, 1, versions), STORAGE_OK);
    revision[1] = suite_revision(suite);
    assert_int_equal(change(suite, many, COUNT_OF(many), versions), STORAGE_OK);
    revision[2] = suite_revision(suite);
    assert_int_not_equal(revision[1], revision[0]);
    assert_int_equal(revision[2] - revision[1], revision[1] - revision[0]);
}

static void change_of_quiet_records_is_quiet(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[2] = {value_text("note"), value_integer(1)};
    struct storage_change changes[2] = {{.id = "a", .values = values},
                                        {.id = "b", .values = values}};
    uint64_t before = suite_revision(suite);

    assert_int_equal(suite_change(suite, NOTES, changes, 2), STORAGE_OK);
    assert_int_equal(changes[1].version, 1);
    changes[0].expected = 1;
    changes[1].expected = 2;
    assert_int_equal(suite_change(suite, NOTES, changes, 2), STORAGE_CONFLICT);
    assert_int_equal(suite_revision(suite), before);
}

/* --- How many --------------------------------------------------------------------------------- */

struct crowd {
    struct storage_value values[STORAGE_BATCH_MAX + 1][ARTICLE_FIELDS];
    struct storage_change changes[STORAGE_BATCH_MAX + 1];
    char ids[STORAGE_BATCH_MAX + 1][16];
};

static struct crowd *make_crowd(void)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);

    assert_non_null(crowd);
    for (size_t i = 0; i <= STORAGE_BATCH_MAX; i++) {
        (void)snprintf(crowd->ids[i], sizeof crowd->ids[i], "%04zu", i);
        crowd->values[i][RANK] = value_integer((int64_t)i);
        crowd->changes[i] =
            (struct storage_change){.id = crowd->ids[i], .values = crowd->values[i]};
    }
    return crowd;
}

static size_t articles_of_version(struct suite *suite, struct crowd *crowd, int64_t version)
{
    const struct storage_query query = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 5000};
    struct suite_found found;

    assert_int_equal(suite_search(suite, &query, &found), STORAGE_OK);
    for (size_t i = 0; i < found.count; i++) {
        assert_int_equal(crowd->changes[i].version, version);
    }
    return found.count;
}

static void change_of_the_largest_size(void **state)
{
    struct suite *suite = *state;
    struct crowd *crowd = make_crowd();

    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, STORAGE_BATCH_MAX), STORAGE_OK);
    assert_int_equal(articles_of_version(suite, crowd, 1), STORAGE_BATCH_MAX);
    for (size_t i = 0; i < STORAGE_BATCH_MAX; i++) {
        crowd->changes[i].expected = 1;
    }
    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, STORAGE_BATCH_MAX), STORAGE_OK);
    assert_int_equal(articles_of_version(suite, crowd, 2), STORAGE_BATCH_MAX);
    for (size_t i = 0; i < STORAGE_BATCH_MAX; i++) {
        crowd->changes[i].expected = 2;
        crowd->changes[i].values = NULL;
    }
    crowd->changes[STORAGE_BATCH_MAX - 1].expected = 1;
    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, STORAGE_BATCH_MAX),
                     STORAGE_CONFLICT);
    crowd->changes[STORAGE_BATCH_MAX - 1].expected = 2;
    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, STORAGE_BATCH_MAX), STORAGE_OK);
    assert_int_equal(articles_of_version(suite, crowd, 0), 0);
    free(crowd);
}

static void invalid_numbers_of_changes(void **state)
{
    struct suite *suite = *state;
    struct crowd *crowd = make_crowd();
    uint64_t before = suite_revision(suite);

    suite->error = suite_raw_error();
    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, 0), STORAGE_INVALID);
    suite_expect_error_filled(&suite->error);
    suite->error = suite_raw_error();
    assert_int_equal(suite_change(suite, ARTICLES, crowd->changes, STORAGE_BATCH_MAX + 1),
                     STORAGE_INVALID);
    suite_expect_error_filled(&suite->error);
    assert_int_equal(articles_of_version(suite, crowd, 0), 0);
    assert_int_equal(suite_revision(suite), before);
    free(crowd);
}

const struct suite_case change_cases[] = {
    {"change_several_at_once", change_several_at_once},
    {"change_tells_the_versions", change_tells_the_versions},
    {"change_all_or_none", change_all_or_none},
    {"change_speaks_of_the_first", change_speaks_of_the_first},
    {"change_unique_within_a_call", change_unique_within_a_call},
    {"change_moves_the_revision_once", change_moves_the_revision_once},
    {"change_of_quiet_records_is_quiet", change_of_quiet_records_is_quiet},
    {"change_of_the_largest_size", change_of_the_largest_size},
    {"invalid_numbers_of_changes", invalid_numbers_of_changes},
    {NULL, NULL},
};
