/*
 * records.c: single changes of records: versions, unique fields, values of every type, and the
 * revision.
 */
#include "suite.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* --- What a record holds ---------------------------------------------------------------------- */

struct expected_record {
    const char *id;
    int64_t version;
    const struct storage_value *values;
    size_t seen;
    const char *wrong; /* what differs, for the message */
};

static const char *compare_value(const struct storage_value *is, const struct storage_value *want)
{
    if (is->type != want->type) {
        return "type";
    }
    switch (is->type) {
    case STORAGE_NULL:
        return NULL;
    case STORAGE_REAL:
        return memcmp(&is->real, &want->real, sizeof is->real) == 0 ? NULL : "real";
    case STORAGE_TEXT:
        if (is->text.size != want->text.size) {
            return "text's size";
        }
        return is->text.size == 0 || memcmp(is->text.data, want->text.data, is->text.size) == 0
                   ? NULL
                   : "text";
    default:
        return is->integer == want->integer ? NULL : "integer";
    }
}

static bool compare_record(void *context, const struct storage_record *record)
{
    struct expected_record *expected = context;

    if (strcmp(record->id, expected->id) != 0) {
        return true;
    }
    expected->seen++;
    if (record->version != expected->version) {
        expected->wrong = "version";
    }
    for (size_t i = 0; i < ARTICLE_FIELDS; i++) {
        const char *wrong = compare_value(&record->values[i], &expected->values[i]);
        if (wrong != NULL) {
            print_error("field %zu of %s: %s\n", i, record->id, wrong);
            expected->wrong = wrong;
        }
    }
    return true;
}

static void expect_record(struct suite *suite, const char *id, int64_t version,
                          const struct storage_value *values)
{
    const struct storage_query query = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 1000};
    struct expected_record expected = {.id = id, .version = version, .values = values};

    assert_int_equal(
        suite->driver->search(suite->session, &query, compare_record, &expected, &suite->error),
        STORAGE_OK);
    assert_int_equal(expected.seen, 1);
    if (expected.wrong != NULL) {
        fail_msg("record %s: wrong %s", id, expected.wrong);
    }
}

static void expect_ids(struct suite *suite, const char *ids)
{
    const struct storage_query query = {.kind = ARTICLES, .order = STORAGE_BY_ID, .limit = 1000};

    EXPECT_FOUND(suite, &query, ids);
}

#define EXPECT_PUT(suite, id, expected, values, status) \
    assert_int_equal(suite_put((suite), ARTICLES, (id), (expected), (values)), (status))
#define EXPECT_ERASE(suite, id, expected, status) \
    assert_int_equal(suite_erase((suite), ARTICLES, (id), (expected)), (status))

/* --- Writing and erasing ---------------------------------------------------------------------- */

static void record_put_and_found(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {
        [LABEL] = value_text("label"), [RANK] = value_integer(-5),  [WEIGHT] = value_real(0.1),
        [MOMENT] = value_time(T0),     [BODY] = value_text("body"), [OWNER] = value_text("owner")};

    expect_ids(suite, "");
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, values);
    expect_ids(suite, "a");
}

static void record_put_writes_all_of_it(void **state)
{
    struct suite *suite = *state;
    struct storage_value values[ARTICLE_FIELDS] = {
        [LABEL] = value_text("one"), [RANK] = value_integer(1)};

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    values[LABEL] = value_null();
    values[WEIGHT] = value_real(2.5);
    EXPECT_PUT(suite, "a", 1, values, STORAGE_OK);
    expect_record(suite, "a", 2, values);
    values[RANK] = value_null();
    EXPECT_PUT(suite, "a", STORAGE_ANY_VERSION, values, STORAGE_OK);
    expect_record(suite, "a", 3, values);
    expect_ids(suite, "a");
}

static void record_put_the_same_is_a_change(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    uint64_t before;

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    before = suite_revision(suite);
    EXPECT_PUT(suite, "a", 1, values, STORAGE_OK);
    expect_record(suite, "a", 2, values);
    assert_int_not_equal(suite_revision(suite), before);
}

static void record_put_new_where_one_is(void **state)
{
    struct suite *suite = *state;
    const struct storage_value first[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    const struct storage_value second[ARTICLE_FIELDS] = {[RANK] = value_integer(2)};

    EXPECT_PUT(suite, "a", 0, first, STORAGE_OK);
    EXPECT_PUT(suite, "a", 0, second, STORAGE_CONFLICT);
    expect_record(suite, "a", 1, first);
    EXPECT_PUT(suite, "b", STORAGE_ANY_VERSION, second, STORAGE_OK);
    expect_record(suite, "b", 1, second);
}

static void record_put_with_a_version(void **state)
{
    struct suite *suite = *state;
    const struct storage_value first[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    const struct storage_value second[ARTICLE_FIELDS] = {[RANK] = value_integer(2)};

    EXPECT_PUT(suite, "a", 1, first, STORAGE_NOT_FOUND);
    expect_ids(suite, "");
    EXPECT_PUT(suite, "a", 0, first, STORAGE_OK);
    EXPECT_PUT(suite, "a", 2, second, STORAGE_CONFLICT);
    EXPECT_PUT(suite, "a", 1, second, STORAGE_OK);
    EXPECT_PUT(suite, "a", 1, first, STORAGE_CONFLICT);
    expect_record(suite, "a", 2, second);
}

static void record_erase(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};

    EXPECT_ERASE(suite, "a", STORAGE_ANY_VERSION, STORAGE_NOT_FOUND);
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    EXPECT_PUT(suite, "a", 1, values, STORAGE_OK);
    EXPECT_PUT(suite, "b", 0, values, STORAGE_OK);
    EXPECT_ERASE(suite, "a", 1, STORAGE_CONFLICT);
    expect_ids(suite, "a b");
    EXPECT_ERASE(suite, "a", 2, STORAGE_OK);
    EXPECT_ERASE(suite, "a", 2, STORAGE_NOT_FOUND);
    expect_ids(suite, "b");
    EXPECT_ERASE(suite, "b", STORAGE_ANY_VERSION, STORAGE_OK);
    expect_ids(suite, "");
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, values);
}

/* Kinds are apart, also where the ids are the same. */
static void record_kinds_are_apart(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[LABEL] = value_text("same")};
    const struct storage_query notes = {.kind = NOTES, .order = STORAGE_BY_ID, .limit = 10};

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    EXPECT_FOUND(suite, &notes, "");
    assert_int_equal(suite_put(suite, NOTES, "a", 0, values), STORAGE_OK);
    EXPECT_ERASE(suite, "a", STORAGE_ANY_VERSION, STORAGE_OK);
    EXPECT_FOUND(suite, &notes, "a");
}

static void record_longest_id(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    const char *longest = "0123456789abcdef0123456789abcdef01234567";

    assert_int_equal(strlen(longest), STORAGE_ID_MAX);
    EXPECT_PUT(suite, longest, 0, values, STORAGE_OK);
    EXPECT_PUT(suite, "0123456789abcdef0123456789abcdef0123456", 0, values, STORAGE_OK);
    expect_record(suite, longest, 1, values);
    EXPECT_ERASE(suite, longest, 1, STORAGE_OK);
    expect_ids(suite, "0123456789abcdef0123456789abcdef0123456");
}

/* --- Unique fields ---------------------------------------------------------------------------- */

static void record_unique_field(void **state)
{
    struct suite *suite = *state;
    const struct storage_value one[ARTICLE_FIELDS] = {[OWNER] = value_text("one")};
    const struct storage_value two[ARTICLE_FIELDS] = {[OWNER] = value_text("two")};

    EXPECT_PUT(suite, "a", 0, one, STORAGE_OK);
    EXPECT_PUT(suite, "b", 0, one, STORAGE_EXISTS);
    EXPECT_PUT(suite, "b", STORAGE_ANY_VERSION, one, STORAGE_EXISTS);
    expect_ids(suite, "a");
    EXPECT_PUT(suite, "b", 0, two, STORAGE_OK);
    EXPECT_PUT(suite, "b", 1, one, STORAGE_EXISTS);
    expect_record(suite, "b", 1, two);
    EXPECT_PUT(suite, "a", 1, one, STORAGE_OK);
    EXPECT_ERASE(suite, "a", STORAGE_ANY_VERSION, STORAGE_OK);
    EXPECT_PUT(suite, "b", 1, one, STORAGE_OK);
    EXPECT_PUT(suite, "a", 0, two, STORAGE_OK);
}

/* Values are the same if their bytes are: neither case, nor accents, nor a trailing blank. */
static void record_unique_by_bytes(void **state)
{
    static const char *const owners[] = {"owner", "OWNER", "owner ", "\xc3\xb6wner", "owne", ""};
    struct suite *suite = *state;
    const char *ids[] = {"a", "b", "c", "d", "e", "f"};

    for (size_t i = 0; i < 6; i++) {
        const struct storage_value values[ARTICLE_FIELDS] = {[OWNER] = value_text(owners[i])};
        EXPECT_PUT(suite, ids[i], 0, values, STORAGE_OK);
        EXPECT_PUT(suite, "z", 0, values, STORAGE_EXISTS);
    }
}

/* NULL is no value: any number of records may lack one. */
static void record_unique_leaves_null(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    EXPECT_PUT(suite, "b", 0, values, STORAGE_OK);
    expect_ids(suite, "a b");
}

/* --- Values ----------------------------------------------------------------------------------- */

static void record_of_nulls(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[LABEL] = value_null()};

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, values);
}

static void record_numbers(void **state)
{
    static const int64_t integers[] = {0,         1,         -1,        INT32_MAX,
                                       INT32_MIN, INT64_MAX, INT64_MIN, INT64_C(9007199254740993)};
    static const double reals[] = {0.0,     1.0 / 3, -1e300, DBL_MAX,
                                   DBL_MIN, 1e-300,  0.1,    123456789.123456789};
    struct suite *suite = *state;

    for (size_t i = 0; i < 8; i++) {
        const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(integers[i]),
                                                             [WEIGHT] = value_real(reals[i]),
                                                             [MOMENT] =
                                                                 value_time(T0 + (int64_t)i)};
        EXPECT_PUT(suite, "a", STORAGE_ANY_VERSION, values, STORAGE_OK);
        expect_record(suite, "a", (int64_t)i + 1, values);
    }
}

static void record_texts(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "trailing blank ",
        "'quoted' \"twice\" `thrice` \\ back; -- drop",
        "100% _ $1 ?1 :name @name {\"$set\": 1}",
        "line\nbreak\ttab\r",
        "Gr\xc3\xbc\xc3\x9f aus K\xc3\xb6ln",
        "\xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x93\xa7 \xd7\xa9\xd7\x9c",
    };
    struct suite *suite = *state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct storage_value values[ARTICLE_FIELDS] = {[LABEL] = value_text(texts[i]),
                                                             [BODY] = value_text(texts[i]),
                                                             [OWNER] = value_text(texts[i])};
        EXPECT_PUT(suite, "a", STORAGE_ANY_VERSION, values, STORAGE_OK);
        expect_record(suite, "a", (int64_t)i + 1, values);
    }
}

static void record_text_of_64_kib(void **state)
{
    struct suite *suite = *state;
    const size_t size = STORAGE_VALUE_MAX;
    char *text = malloc(size);
    struct storage_value values[ARTICLE_FIELDS] = {[LABEL] = value_text("")};

    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)('a' + i % 23);
    }
    values[BODY] = (struct storage_value){.type = STORAGE_TEXT, .text = {text, size}};
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, values);
    for (size_t i = 0; i + 1 < size; i += 2) { /* two bytes each */
        memcpy(text + i, "\xc3\xa4", 2);
    }
    EXPECT_PUT(suite, "a", 1, values, STORAGE_OK);
    expect_record(suite, "a", 2, values);
    free(text);
}

/* Of how many bytes a text may be in each of the fields that hold one. */
static void expect_longest(struct suite *suite, enum article_field field, size_t longest)
{
    static char text[STORAGE_VALUE_MAX + 1];
    struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};

    memset(text, 'a', sizeof text);
    values[field] = (struct storage_value){.type = STORAGE_TEXT, .text = {text, longest}};
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, values);
    values[field].text.size = longest + 1;
    suite->error = suite_raw_error();
    EXPECT_PUT(suite, "a", 1, values, STORAGE_INVALID);
    suite_expect_error_filled(&suite->error);
    EXPECT_PUT(suite, "b", 0, values, STORAGE_INVALID);
    values[field].text.size = longest;
    expect_record(suite, "a", 1, values);
    EXPECT_ERASE(suite, "a", 1, STORAGE_OK);
    expect_ids(suite, "");
}

static void record_text_of_each_field_is_bounded(void **state)
{
    expect_longest(*state, BODY, STORAGE_VALUE_MAX);
    expect_longest(*state, LABEL, STORAGE_INDEXED_MAX);
    expect_longest(*state, OWNER, STORAGE_INDEXED_MAX);
}

/* Two of the longest that differ in their last byte are two, for a UNIQUE field as well. */
static void record_longest_unique_texts_differ(void **state)
{
    struct suite *suite = *state;
    char text[STORAGE_INDEXED_MAX];
    struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};

    memset(text, 'a', sizeof text);
    values[OWNER] = (struct storage_value){.type = STORAGE_TEXT, .text = {text, sizeof text}};
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    EXPECT_PUT(suite, "b", 0, values, STORAGE_EXISTS);
    text[sizeof text - 1] = 'b';
    EXPECT_PUT(suite, "b", 0, values, STORAGE_OK);
    expect_record(suite, "b", 1, values);
}

/* A text is as long as its size says, whatever follows it. */
static void record_text_is_not_terminated(void **state)
{
    struct suite *suite = *state;
    struct storage_value values[ARTICLE_FIELDS] = {[LABEL] = value_text("cut here")};
    struct storage_value expected[ARTICLE_FIELDS] = {[LABEL] = value_text("cut")};

    values[LABEL].text.size = 3;
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    expect_record(suite, "a", 1, expected);
}

/* --- The revision ----------------------------------------------------------------------------- */

static void revision_moves_with_every_change(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(1)};
    uint64_t seen[4];

    seen[0] = suite_revision(suite);
    assert_int_equal(suite_revision(suite), seen[0]);
    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    seen[1] = suite_revision(suite);
    EXPECT_PUT(suite, "a", 1, values, STORAGE_OK);
    seen[2] = suite_revision(suite);
    EXPECT_ERASE(suite, "a", 2, STORAGE_OK);
    seen[3] = suite_revision(suite);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(seen[i], seen[j]);
        }
    }
}

static void revision_stays_where_nothing_changed(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[OWNER] = value_text("one")};
    uint64_t before;

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    before = suite_revision(suite);
    EXPECT_PUT(suite, "a", 0, values, STORAGE_CONFLICT);
    EXPECT_PUT(suite, "a", 7, values, STORAGE_CONFLICT);
    EXPECT_PUT(suite, "b", 0, values, STORAGE_EXISTS);
    EXPECT_PUT(suite, "b", 1, values, STORAGE_NOT_FOUND);
    EXPECT_ERASE(suite, "b", STORAGE_ANY_VERSION, STORAGE_NOT_FOUND);
    EXPECT_ERASE(suite, "a", 7, STORAGE_CONFLICT);
    expect_ids(suite, "a");
    assert_int_equal(suite_revision(suite), before);
}

static void revision_stays_for_quiet_kinds(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[2] = {value_text("note"), value_integer(1)};
    uint64_t before = suite_revision(suite);

    assert_int_equal(suite_put(suite, NOTES, "a", 0, values), STORAGE_OK);
    assert_int_equal(suite_put(suite, NOTES, "a", 1, values), STORAGE_OK);
    assert_int_equal(suite_erase(suite, NOTES, "a", 2), STORAGE_OK);
    assert_int_equal(suite_revision(suite), before);
}

static void revision_stays_for_sightings_and_purge(void **state)
{
    struct suite *suite = *state;
    uint64_t before = suite_revision(suite);
    size_t removed = 0;

    (void)suite_see(suite, suite_grey(1, T0));
    (void)suite_see(suite, suite_grey(1, T0 + DELAY));
    (void)suite_see(suite, suite_count(1, T0, 5));
    (void)suite_see(suite, suite_take(1, T0, 5));
    (void)suite_see(suite, suite_grey(2, T0));
    assert_int_equal(suite->driver->purge(suite->session, T0 + WINDOW, 10, &removed, &suite->error),
                     STORAGE_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(suite_revision(suite), before);
}

static void revision_is_seen_by_other_sessions(void **state)
{
    struct suite *suite = *state;
    struct storage_session *other = suite_attach(suite);
    uint64_t before = 0;
    uint64_t after = 0;

    assert_int_equal(suite->driver->revision(other, &before, &suite->error), STORAGE_OK);
    suite_put_article(suite, "a", "label", value_integer(1));
    assert_int_equal(suite->driver->revision(other, &after, &suite->error), STORAGE_OK);
    suite->driver->detach(other);
    assert_int_not_equal(before, after);
    assert_int_equal(suite_revision(suite), after);
}

/* --- What is not allowed ---------------------------------------------------------------------- */

static void invalid_puts(void **state)
{
    struct suite *suite = *state;
    struct storage_value values[ENTRY_FIELDS] = {[LABEL] = value_text("a")};
    char key[STORAGE_KEY_SIZE * 2 + 1];

    suite->error = suite_raw_error();
    assert_int_equal(suite_put(suite, KINDS, "a", 0, values), STORAGE_INVALID);
    suite_expect_error_filled(&suite->error);
    suite_key_id(1, key);
    for (size_t i = 0; i < ENTRY_FIELDS; i++) {
        values[i] = value_null();
    }
    assert_int_equal(suite_put(suite, ENTRIES, key, 0, values), STORAGE_INVALID);
    assert_int_equal(suite_put(suite, ENTRIES, key, STORAGE_ANY_VERSION, values), STORAGE_INVALID);
    EXPECT_NOT_STORED(suite, 1);
    values[RANK] = value_text("no integer");
    EXPECT_PUT(suite, "a", 0, values, STORAGE_INVALID);
    expect_ids(suite, "");
    assert_int_equal(suite_erase(suite, KINDS, "a", STORAGE_ANY_VERSION), STORAGE_INVALID);
}

static void refused_put_says_why(void **state)
{
    struct suite *suite = *state;
    const struct storage_value values[ARTICLE_FIELDS] = {[OWNER] = value_text("one")};

    EXPECT_PUT(suite, "a", 0, values, STORAGE_OK);
    suite->error = suite_raw_error();
    EXPECT_PUT(suite, "b", 0, values, STORAGE_EXISTS);
    suite_expect_error_filled(&suite->error);
    suite->error = suite_raw_error();
    EXPECT_PUT(suite, "a", 9, values, STORAGE_CONFLICT);
    suite_expect_error_filled(&suite->error);
    suite->error = suite_raw_error();
    EXPECT_PUT(suite, "b", 1, values, STORAGE_NOT_FOUND);
    suite_expect_error_filled(&suite->error);
}

const struct suite_case record_cases[] = {
    {"record_put_and_found", record_put_and_found},
    {"record_put_writes_all_of_it", record_put_writes_all_of_it},
    {"record_put_the_same_is_a_change", record_put_the_same_is_a_change},
    {"record_put_new_where_one_is", record_put_new_where_one_is},
    {"record_put_with_a_version", record_put_with_a_version},
    {"record_erase", record_erase},
    {"record_kinds_are_apart", record_kinds_are_apart},
    {"record_longest_id", record_longest_id},
    {"record_unique_field", record_unique_field},
    {"record_unique_by_bytes", record_unique_by_bytes},
    {"record_unique_leaves_null", record_unique_leaves_null},
    {"record_of_nulls", record_of_nulls},
    {"record_numbers", record_numbers},
    {"record_texts", record_texts},
    {"record_text_of_64_kib", record_text_of_64_kib},
    {"record_text_of_each_field_is_bounded", record_text_of_each_field_is_bounded},
    {"record_longest_unique_texts_differ", record_longest_unique_texts_differ},
    {"record_text_is_not_terminated", record_text_is_not_terminated},
    {"revision_moves_with_every_change", revision_moves_with_every_change},
    {"revision_stays_where_nothing_changed", revision_stays_where_nothing_changed},
    {"revision_stays_for_quiet_kinds", revision_stays_for_quiet_kinds},
    {"revision_stays_for_sightings_and_purge", revision_stays_for_sightings_and_purge},
    {"revision_is_seen_by_other_sessions", revision_is_seen_by_other_sessions},
    {"invalid_puts", invalid_puts},
    {"refused_put_says_why", refused_put_says_why},
    {NULL, NULL},
};
