/*
 * search.c: search() over records: relations, orders, pages.
 */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct storage_query articles(size_t order)
{
    return (struct storage_query){.kind = ARTICLES, .order = order, .limit = 1000};
}

static void expect_where(struct suite *suite, size_t field, enum storage_relation relation,
                         struct storage_value value, const char *ids)
{
    const struct storage_condition condition = {field, relation, value};
    struct storage_query query = articles(STORAGE_BY_ID);

    query.conditions = &condition;
    query.conditions_count = 1;
    EXPECT_FOUND(suite, &query, ids);
}

/* --- Relations -------------------------------------------------------------------------------- */

static void put_labels(struct suite *suite)
{
    suite_put_article(suite, "a", "alpha", value_integer(1));
    suite_put_article(suite, "b", "Alphabet", value_integer(2));
    suite_put_article(suite, "c", "beta", value_integer(3));
    suite_put_article(suite, "d", "", value_integer(-4));
    suite_put_article(suite, "e", "alph", value_integer(INT64_MAX));
}

static void search_equal(void **state)
{
    struct suite *suite = *state;

    put_labels(suite);
    suite_put_article(suite, "f", NULL, value_null());
    expect_where(suite, LABEL, STORAGE_EQ, value_text("alpha"), "a");
    expect_where(suite, LABEL, STORAGE_EQ, value_text("Alpha"), "");
    expect_where(suite, LABEL, STORAGE_EQ, value_text("alpha "), "");
    expect_where(suite, LABEL, STORAGE_EQ, value_text(""), "d");
    expect_where(suite, RANK, STORAGE_EQ, value_integer(3), "c");
    expect_where(suite, RANK, STORAGE_EQ, value_integer(INT64_MAX), "e");
    expect_where(suite, RANK, STORAGE_EQ, value_integer(0), "");
}

static void search_less_and_greater(void **state)
{
    struct suite *suite = *state;

    put_labels(suite);
    expect_where(suite, RANK, STORAGE_LT, value_integer(2), "a d");
    expect_where(suite, RANK, STORAGE_GT, value_integer(2), "c e");
    expect_where(suite, RANK, STORAGE_GT, value_integer(INT64_MAX), "");
    expect_where(suite, LABEL, STORAGE_LT, value_text("alpha"), "b d e");
    expect_where(suite, LABEL, STORAGE_GT, value_text("alpha"), "c");
    suite_put_article(suite, "f", NULL, value_null());
    expect_where(suite, RANK, STORAGE_GT, value_integer(-5), "a b c d e");
    expect_where(suite, LABEL, STORAGE_GT, value_text("aa"), "a c e");
}

/* EQ finds what has no value; no other relation does. */
static void search_null(void **state)
{
    struct suite *suite = *state;

    put_labels(suite);
    suite_put_article(suite, "f", NULL, value_null());
    suite_put_article(suite, "g", "", value_null());
    expect_where(suite, LABEL, STORAGE_EQ, value_null(), "f");
    expect_where(suite, RANK, STORAGE_EQ, value_null(), "f g");
    expect_where(suite, BODY, STORAGE_EQ, value_null(), "a b c d e f g");
    expect_where(suite, LABEL, STORAGE_EQ, value_text(""), "d g");
    expect_where(suite, RANK, STORAGE_LT, value_integer(2), "a d");
    expect_where(suite, RANK, STORAGE_LT, value_integer(INT64_MIN), "");
    expect_where(suite, RANK, STORAGE_GT, value_integer(INT64_MIN), "a b c d e");
    expect_where(suite, LABEL, STORAGE_LT, value_text("B"), "b d g");
    expect_where(suite, RANK, STORAGE_LT, value_null(), "");
}

static void search_times_and_reals(void **state)
{
    struct suite *suite = *state;
    static const char *const ids[] = {"a", "b", "c"};

    for (size_t i = 0; i < 3; i++) {
        const struct storage_value values[ARTICLE_FIELDS] = {
            [WEIGHT] = value_real((double)i - 0.5), [MOMENT] = value_time(T0 + (int64_t)i)};
        assert_int_equal(suite_put(suite, ARTICLES, ids[i], 0, values), STORAGE_OK);
    }
    expect_where(suite, MOMENT, STORAGE_EQ, value_time(T0 + 1), "b");
    expect_where(suite, MOMENT, STORAGE_LT, value_time(T0 + 1), "a");
    expect_where(suite, MOMENT, STORAGE_GT, value_time(T0), "b c");
    expect_where(suite, WEIGHT, STORAGE_EQ, value_real(0.5), "b");
    expect_where(suite, WEIGHT, STORAGE_LT, value_real(0.5), "a");
    expect_where(suite, WEIGHT, STORAGE_GT, value_real(-0.25), "b c");
}

static void search_starts(void **state)
{
    struct suite *suite = *state;

    put_labels(suite);
    suite_put_article(suite, "f", NULL, value_null());
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("alpha"), "a b");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("ALPH"), "a b e");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("lpha"), "");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text(""), "a b c d e");
}

static void search_contains(void **state)
{
    struct suite *suite = *state;

    put_labels(suite);
    suite_put_article(suite, "f", NULL, value_null());
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("BET"), "b c");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("a"), "a b c e");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("alphabets"), "");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text(""), "a b c d e");
}

/* What is special in LIKE, in regular expressions or in quotes stands for itself. */
static void search_for_special_characters(void **state)
{
    static const char *const texts[] = {"100% sure", "100_sure", "a\\b",   "it's",
                                        "a.c",       "abc",      "[a-c]*", "^start$"};
    struct suite *suite = *state;
    char id[2] = "a";

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        id[0] = (char)('a' + i);
        suite_put_article(suite, id, texts[i], value_null());
    }
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("%"), "a");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("_"), "b");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("\\"), "c");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("'"), "d");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("a.c"), "e");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("[a-c]*"), "g");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("$"), "h");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("100%"), "a");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("100_"), "b");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("a\\"), "c");
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("^"), "h");
}

/* ASCII letters are alike, no others. */
static void search_beyond_ascii(void **state)
{
    struct suite *suite = *state;

    suite_put_article(suite, "a", "K\xc3\xb6ln", value_null());
    suite_put_article(suite, "b", "k\xc3\x96ln", value_null());
    suite_put_article(suite, "c", "koln", value_null());
    expect_where(suite, LABEL, STORAGE_STARTS, value_text("k\xc3\xb6L"), "a");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("\xc3\x96LN"), "b");
    expect_where(suite, LABEL, STORAGE_CONTAINS, value_text("o"), "c");
    expect_where(suite, LABEL, STORAGE_EQ, value_text("K\xc3\xb6ln"), "a");
}

static void search_all_conditions_hold(void **state)
{
    struct suite *suite = *state;
    const struct storage_condition conditions[] = {
        {RANK, STORAGE_GT, value_integer(0)},
        {RANK, STORAGE_LT, value_integer(3)},
        {LABEL, STORAGE_CONTAINS, value_text("alpha")},
        {LABEL, STORAGE_EQ, value_text("alpha")},
    };
    static const char *const expected[] = {"a b c d e", "a b c e", "a b", "a b", "a"};
    struct storage_query query = articles(STORAGE_BY_ID);

    put_labels(suite);
    query.conditions = conditions;
    for (size_t i = 0; i <= 4; i++) {
        query.conditions_count = i;
        EXPECT_FOUND(suite, &query, expected[i]);
    }
}

/* The most conditions there may be, on the longest texts that may be searched for. */
static void search_by_the_most_conditions(void **state)
{
    struct suite *suite = *state;
    struct storage_condition conditions[STORAGE_CONDITIONS + 1];
    struct storage_query query = articles(LABEL);
    struct suite_found found;
    char longest[STORAGE_INDEXED_MAX + 1];

    memset(longest, 'a', sizeof longest);
    longest[STORAGE_INDEXED_MAX] = '\0';
    suite_put_article(suite, "b", longest, value_integer(1));
    suite_put_article(suite, "c", "a", value_integer(1));
    for (size_t i = 0; i <= STORAGE_CONDITIONS; i++) {
        conditions[i] = (struct storage_condition){
            LABEL, (enum storage_relation)(i % 2 == 0 ? STORAGE_STARTS : STORAGE_CONTAINS),
            value_text(longest)};
    }
    query.conditions = conditions;
    query.conditions_count = STORAGE_CONDITIONS;
    query.after_id = "c";
    query.after_value = value_text("a");
    EXPECT_FOUND(suite, &query, "b");
    query.conditions_count = STORAGE_CONDITIONS + 1;
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
}

/* --- Orders ----------------------------------------------------------------------------------- */

static void expect_order(struct suite *suite, size_t order, const char *up, const char *down)
{
    struct storage_query query = articles(order);

    EXPECT_FOUND(suite, &query, up);
    query.descending = true;
    EXPECT_FOUND(suite, &query, down);
}

static void search_order_by_id(void **state)
{
    struct suite *suite = *state;

    suite_put_article(suite, "b", NULL, value_null());
    suite_put_article(suite, "aa", NULL, value_null());
    suite_put_article(suite, "a", NULL, value_null());
    suite_put_article(suite, "10", NULL, value_null());
    suite_put_article(suite, "9", NULL, value_null());
    expect_order(suite, STORAGE_BY_ID, "10 9 a aa b", "b aa a 9 10");
}

static void search_order_with_ties_and_null(void **state)
{
    struct suite *suite = *state;

    suite_put_article(suite, "c", NULL, value_integer(1));
    suite_put_article(suite, "a", NULL, value_integer(1));
    suite_put_article(suite, "b", NULL, value_integer(INT64_MIN));
    suite_put_article(suite, "e", NULL, value_null());
    suite_put_article(suite, "d", NULL, value_null());
    suite_put_article(suite, "f", NULL, value_integer(10));
    suite_put_article(suite, "g", NULL, value_integer(9));
    expect_order(suite, RANK, "d e b a c g f", "f g c a b e d");
}

/* Texts sort by their bytes, so that every store pages in one order. */
static void search_order_of_texts(void **state)
{
    struct suite *suite = *state;

    suite_put_article(suite, "a", "b", value_null());
    suite_put_article(suite, "b", "a", value_null());
    suite_put_article(suite, "c", "B", value_null());
    suite_put_article(suite, "d", "", value_null());
    suite_put_article(suite, "e", NULL, value_null());
    suite_put_article(suite, "f", "\xc3\xa4", value_null());
    suite_put_article(suite, "g", "a b", value_null());
    suite_put_article(suite, "h", "a", value_null());
    expect_order(suite, LABEL, "e d c b h g a f", "f a g h b c d e");
}

static void search_order_of_reals_and_times(void **state)
{
    static const double weights[] = {1e-300, -2.5, 1e300, 0.0};
    struct suite *suite = *state;
    char id[2] = "a";

    for (size_t i = 0; i < 4; i++) {
        const struct storage_value values[ARTICLE_FIELDS] = {
            [WEIGHT] = value_real(weights[i]), [MOMENT] = value_time(T0 - (int64_t)i % 2)};
        id[0] = (char)('a' + i);
        assert_int_equal(suite_put(suite, ARTICLES, id, 0, values), STORAGE_OK);
    }
    expect_order(suite, WEIGHT, "b d a c", "c a d b");
    expect_order(suite, MOMENT, "b d a c", "c a d b");
}

/* --- Pages ------------------------------------------------------------------------------------ */

static void search_limit_and_early_stop(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = articles(STORAGE_BY_ID);

    put_labels(suite);
    query.limit = 1;
    EXPECT_FOUND(suite, &query, "a");
    query.limit = 3;
    EXPECT_FOUND(suite, &query, "a b c");
    query.limit = 5;
    EXPECT_FOUND(suite, &query, "a b c d e");
    query.limit = SIZE_MAX;
    EXPECT_FOUND(suite, &query, "a b c d e");
}

static bool stop_at_second(void *context, const struct storage_record *record)
{
    size_t *seen = context;

    (void)record;
    (*seen)++;
    return *seen < 2;
}

static void search_ends_when_asked(void **state)
{
    struct suite *suite = *state;
    const struct storage_query query = articles(STORAGE_BY_ID);
    size_t seen = 0;

    put_labels(suite);
    assert_int_equal(
        suite->driver->search(suite->session, &query, stop_at_second, &seen, &suite->error),
        STORAGE_OK);
    assert_int_equal(seen, 2);
    /* The session is not left within the search. */
    suite_put_article(suite, "f", "after", value_null());
    EXPECT_FOUND(suite, &query, "a b c d e f");
}

static void search_behind_an_end(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = articles(RANK);

    suite_put_article(suite, "a", NULL, value_null());
    suite_put_article(suite, "b", NULL, value_null());
    suite_put_article(suite, "c", NULL, value_integer(1));
    suite_put_article(suite, "d", NULL, value_integer(1));
    suite_put_article(suite, "e", NULL, value_integer(2));
    query.after_id = "a";
    query.after_value = value_null();
    EXPECT_FOUND(suite, &query, "b c d e");
    query.descending = true;
    EXPECT_FOUND(suite, &query, "");
    query.after_id = "b";
    EXPECT_FOUND(suite, &query, "a");
    query.after_id = "c";
    query.after_value = value_integer(1);
    EXPECT_FOUND(suite, &query, "b a");
    query.descending = false;
    EXPECT_FOUND(suite, &query, "d e");
    query.order = STORAGE_BY_ID;
    EXPECT_FOUND(suite, &query, "d e");
}

/* Where the record that a page ended on is gone, the next begins where it was. */
static void search_behind_what_is_gone(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = articles(RANK);

    suite_put_article(suite, "a", NULL, value_integer(1));
    suite_put_article(suite, "b", NULL, value_integer(2));
    suite_put_article(suite, "c", NULL, value_integer(3));
    assert_int_equal(suite_erase(suite, ARTICLES, "b", STORAGE_ANY_VERSION), STORAGE_OK);
    query.after_id = "b";
    query.after_value = value_integer(2);
    EXPECT_FOUND(suite, &query, "c");
    query.descending = true;
    EXPECT_FOUND(suite, &query, "a");
}

/* --- A thousand records, page by page, while others are put ----------------------------------- */

#define MANY 1000
#define PAGE 64

struct paging {
    uint8_t seen[MANY];
    size_t page;
    char after_id[STORAGE_ID_MAX + 1];
    struct storage_value after_value;
    bool wrong;
};

static bool note_paged(void *context, const struct storage_record *record)
{
    struct paging *paging = context;
    const struct storage_value *rank = &record->values[RANK];

    paging->page++;
    if (record->id[0] == 'm') { /* "m0000" to "m0999"; those put meanwhile begin with n */
        size_t number = strtoul(record->id + 1, NULL, 10);
        if (number < MANY && paging->seen[number] < 255) {
            paging->seen[number]++;
        } else {
            paging->wrong = true;
        }
    }
    (void)snprintf(paging->after_id, sizeof paging->after_id, "%s", record->id);
    paging->after_value = *rank;
    return true;
}

static void put_numbered(struct suite *suite, char letter, size_t number)
{
    char id[16];

    (void)snprintf(id, sizeof id, "%c%04zu", letter, number);
    suite_put_article(suite, id, number % 3 == 0 ? NULL : "label",
                      number % 7 == 0 ? value_null() : value_integer((int64_t)(number * 37 % 50)));
}

static void page_through(struct suite *suite, size_t order, bool descending, char letter)
{
    struct storage_query query = {
        .kind = ARTICLES, .order = order, .descending = descending, .limit = PAGE};
    struct paging paging = {.page = PAGE};
    size_t pages = 0;

    while (paging.page == PAGE) {
        paging.page = 0;
        assert_int_equal(
            suite->driver->search(suite->session, &query, note_paged, &paging, &suite->error),
            STORAGE_OK);
        assert_true(++pages < 100);
        assert_true(paging.page <= PAGE);
        query.after_id = paging.after_id;
        query.after_value = order == STORAGE_BY_ID ? value_null() : paging.after_value;
        put_numbered(suite, letter, pages);
        put_numbered(suite, letter, 999 - pages);
    }
    assert_false(paging.wrong);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(paging.seen[i], 1);
    }
}

static void search_pages_see_each_record_once(void **state)
{
    struct suite *suite = *state;

    for (size_t i = 0; i < MANY; i++) {
        put_numbered(suite, 'm', i * 7 % MANY);
    }
    page_through(suite, STORAGE_BY_ID, false, 'n');
    page_through(suite, STORAGE_BY_ID, true, 'k');
    page_through(suite, RANK, false, 'o');
    page_through(suite, RANK, true, 'l');
}

static void invalid_queries(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = articles(STORAGE_BY_ID);
    struct storage_condition condition = {ARTICLE_FIELDS, STORAGE_EQ, value_null()};
    struct suite_found found;

    query.kind = KINDS;
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    query = articles(STORAGE_BY_ID);
    query.limit = 0;
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    query = articles(ARTICLE_FIELDS);
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    query = articles(STORAGE_BY_ID);
    query.conditions = &condition;
    query.conditions_count = 1;
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    condition = (struct storage_condition){RANK, STORAGE_CONTAINS, value_integer(1)};
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    condition = (struct storage_condition){RANK, STORAGE_EQ, value_text("1")};
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    condition = (struct storage_condition){MOMENT, STORAGE_GT, value_integer(1)};
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
    condition = (struct storage_condition){LABEL, STORAGE_CONTAINS, value_integer(1)};
    assert_int_equal(suite_search(suite, &query, &found), STORAGE_INVALID);
}

const struct suite_case search_cases[] = {
    {"search_equal", search_equal},
    {"search_less_and_greater", search_less_and_greater},
    {"search_null", search_null},
    {"search_times_and_reals", search_times_and_reals},
    {"search_starts", search_starts},
    {"search_contains", search_contains},
    {"search_for_special_characters", search_for_special_characters},
    {"search_beyond_ascii", search_beyond_ascii},
    {"search_all_conditions_hold", search_all_conditions_hold},
    {"search_by_the_most_conditions", search_by_the_most_conditions},
    {"search_order_by_id", search_order_by_id},
    {"search_order_with_ties_and_null", search_order_with_ties_and_null},
    {"search_order_of_texts", search_order_of_texts},
    {"search_order_of_reals_and_times", search_order_of_reals_and_times},
    {"search_limit_and_early_stop", search_limit_and_early_stop},
    {"search_ends_when_asked", search_ends_when_asked},
    {"search_behind_an_end", search_behind_an_end},
    {"search_behind_what_is_gone", search_behind_what_is_gone},
    {"search_pages_see_each_record_once", search_pages_see_each_record_once},
    {"invalid_queries", invalid_queries},
    {NULL, NULL},
};
