/*
 * entries.c: entries as a kind of record: searched and erased.
 */
#include "suite.h"

#include <stdio.h>
#include <string.h>

static struct storage_query entries(size_t order)
{
    return (struct storage_query){.kind = ENTRIES, .order = order, .limit = 5000};
}

static void see_from(struct suite *suite, uint32_t key, int64_t now, const char *client,
                     const char *sender)
{
    const struct storage_reading reading = {.client_address = suite_text(client),
                                            .sender = suite_text(sender)};
    struct storage_sighting sighting = suite_grey(key, now);

    sighting.reading = &reading;
    (void)suite_see(suite, sighting);
}

/* The ids that are expected, made of key numbers. */
static void expect_keys(struct suite *suite, const struct storage_query *query,
                        const uint32_t *keys, size_t count, int line)
{
    char ids[SUITE_FOUND_MAX] = "";

    for (size_t i = 0; i < count; i++) {
        char id[STORAGE_KEY_SIZE * 2 + 1];
        size_t used = strlen(ids);
        suite_key_id(keys[i], id);
        (void)snprintf(ids + used, sizeof ids - used, "%s%s", i == 0 ? "" : " ", id);
    }
    suite_expect_found(suite, query, ids, __FILE__, line);
}

#define EXPECT_KEYS(suite, query, ...)                             \
    expect_keys((suite), (query), (const uint32_t[]){__VA_ARGS__}, \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), __LINE__)

static void entries_are_found_by_key_in_hex(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = entries(STORAGE_BY_ID);

    (void)suite_see(suite, suite_grey(0xfedcba98, T0));
    (void)suite_see(suite, suite_grey(7, T0));
    (void)suite_see(suite, suite_count(8, T0, 1));
    EXPECT_KEYS(suite, &query, 7, 0xfedcba98);
    query.descending = true;
    EXPECT_KEYS(suite, &query, 0xfedcba98, 7);
}

static void entries_by_conditions(void **state)
{
    struct suite *suite = *state;
    struct storage_condition condition = {SENDER, STORAGE_CONTAINS, value_text("EXAMPLE.COM")};
    struct storage_query query = entries(STORAGE_BY_ID);

    see_from(suite, 1, T0, "192.0.2.1", "a@example.com");
    see_from(suite, 2, T0 + 1, "192.0.2.2", "b@example.net");
    see_from(suite, 3, T0 + 2, "2001:db8::1", "c@example.com");
    see_from(suite, 1, T0 + DELAY, "192.0.2.1", "a@example.com");
    query.conditions = &condition;
    query.conditions_count = 1;
    EXPECT_KEYS(suite, &query, 1, 3);
    condition = (struct storage_condition){CLIENT_ADDRESS, STORAGE_STARTS, value_text("192.0.2.")};
    EXPECT_KEYS(suite, &query, 1, 2);
    condition = (struct storage_condition){CLIENT_ADDRESS, STORAGE_EQ, value_text("2001:db8::1")};
    EXPECT_KEYS(suite, &query, 3);
    condition = (struct storage_condition){PASSES, STORAGE_GT, value_integer(0)};
    EXPECT_KEYS(suite, &query, 1);
    condition = (struct storage_condition){FIRST_SEEN, STORAGE_LT, value_time(T0 + 2)};
    EXPECT_KEYS(suite, &query, 1, 2);
    condition = (struct storage_condition){LAST_SEEN, STORAGE_GT, value_time(T0 + 1)};
    EXPECT_KEYS(suite, &query, 1, 3);
    condition = (struct storage_condition){EXPIRES, STORAGE_EQ, value_time(T0 + 1 + WINDOW)};
    EXPECT_KEYS(suite, &query, 2);
}

static void entries_by_order(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = entries(FIRST_SEEN);

    see_from(suite, 1, T0 + 5, "192.0.2.3", "b");
    see_from(suite, 2, T0 + 5, "192.0.2.2", "a");
    see_from(suite, 3, T0, "192.0.2.1", "b");
    EXPECT_KEYS(suite, &query, 3, 1, 2);
    query.descending = true;
    EXPECT_KEYS(suite, &query, 2, 1, 3);
    query.order = SENDER;
    EXPECT_KEYS(suite, &query, 3, 1, 2);
    query.descending = false;
    EXPECT_KEYS(suite, &query, 2, 1, 3);
    query.order = CLIENT_ADDRESS;
    query.limit = 2;
    EXPECT_KEYS(suite, &query, 3, 2);
}

static void entries_behind_an_end(void **state)
{
    struct suite *suite = *state;
    struct storage_query query = entries(FIRST_SEEN);
    char id[STORAGE_KEY_SIZE * 2 + 1];

    for (uint32_t key = 1; key <= 6; key++) {
        (void)suite_see(suite, suite_grey(key, T0 + key / 3));
    }
    suite_key_id(3, id); /* first_seen: 1, 2 at T0; 3, 4, 5 at T0 + 1; 6 at T0 + 2 */
    query.after_id = id;
    query.after_value = value_time(T0 + 1);
    EXPECT_KEYS(suite, &query, 4, 5, 6);
    query.descending = true;
    EXPECT_KEYS(suite, &query, 2, 1);
    query.order = STORAGE_BY_ID;
    query.descending = false;
    EXPECT_KEYS(suite, &query, 4, 5, 6);
}

struct entry_pages {
    char last_id[STORAGE_ID_MAX + 1];
    struct storage_value last_value;
    size_t page;
    size_t sum;
    bool wrong;
};

static bool note_entry(void *context, const struct storage_record *record)
{
    struct entry_pages *pages = context;
    struct suite_entry entry;

    pages->wrong = pages->wrong || !suite_read_entry(record, &entry);
    pages->page++;
    pages->sum += suite_key_number(record->id) < 3000 ? suite_key_number(record->id) : 0;
    (void)snprintf(pages->last_id, sizeof pages->last_id, "%s", record->id);
    pages->last_value = record->values[FIRST_SEEN];
    return true;
}

/* The greylist's page of the web interface, while mail goes on. */
static void entries_page_by_page(void **state)
{
    struct suite *suite = *state;
    static struct storage_row rows[1000];
    static struct storage_sighting batch[1000];
    struct storage_query query = entries(FIRST_SEEN);
    struct entry_pages pages = {.page = 100};

    for (uint32_t i = 0; i < 1000; i++) {
        batch[i] = suite_grey(i, T0 + i * 7 % 13);
    }
    suite_see_all(suite, batch, 1000, rows);
    query.limit = 100;
    query.descending = true;
    for (uint32_t i = 0; pages.page == 100; i++) {
        pages.page = 0;
        assert_int_equal(
            suite->driver->search(suite->session, &query, note_entry, &pages, &suite->error),
            STORAGE_OK);
        query.after_id = pages.last_id;
        query.after_value = pages.last_value;
        (void)suite_see(suite, suite_grey(5000 + i, T0 + 5));
        assert_true(i < 100);
    }
    assert_false(pages.wrong);
    assert_int_equal(pages.sum, 999 * 1000 / 2);
}

/* Rows that no reading was given for have no texts; EQ finds them by that. */
static void entries_without_texts(void **state)
{
    struct suite *suite = *state;
    const struct storage_condition condition = {SENDER, STORAGE_EQ, value_null()};
    struct storage_query query = entries(STORAGE_BY_ID);

    (void)suite_see(suite, suite_grey(1, T0));
    see_from(suite, 2, T0, "192.0.2.1", "a@example.com");
    (void)suite_see(suite, suite_learn(3, T0));
    query.conditions = &condition;
    query.conditions_count = 1;
    EXPECT_KEYS(suite, &query, 1, 3);
}

static void entry_erased_is_forgotten(void **state)
{
    struct suite *suite = *state;
    char id[STORAGE_KEY_SIZE * 2 + 1];
    uint64_t before;

    (void)suite_see(suite, suite_learn(1, T0));
    (void)suite_see(suite, suite_learn(2, T0));
    (void)suite_see(suite, suite_count(1, T0, 3));
    before = suite_revision(suite);
    suite_key_id(1, id);
    assert_int_equal(suite_erase(suite, ENTRIES, id, STORAGE_ANY_VERSION), STORAGE_OK);
    assert_int_not_equal(suite_revision(suite), before);
    before = suite_revision(suite);
    assert_int_equal(suite_erase(suite, ENTRIES, id, STORAGE_ANY_VERSION), STORAGE_NOT_FOUND);
    assert_int_equal(suite_revision(suite), before);
    EXPECT_NOT_STORED(suite, 1);
    EXPECT_STORED(suite, 2, .first_seen = T0, .last_seen = T0, .expires = SLID(T0, KEEP),
                  .passes = 1);
    assert_int_equal(suite_counter(suite, 1, T0).count, 3);
    EXPECT_NOT_FOUND(suite_see(suite, suite_touch(1, T0)));
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, 1);
}

/* A page of the web interface is erased in one call. */
static void entries_erased_together(void **state)
{
    struct suite *suite = *state;
    char ids[3][STORAGE_KEY_SIZE * 2 + 1];
    struct storage_change changes[3];
    struct storage_query query = entries(STORAGE_BY_ID);
    uint64_t before;

    for (uint32_t i = 0; i < 3; i++) {
        (void)suite_see(suite, suite_learn(i + 1, T0));
        suite_key_id(3 - i, ids[i]);
        changes[i] =
            (struct storage_change){.id = ids[i], .expected = STORAGE_ANY_VERSION, .version = 77};
    }
    suite_key_id(9, ids[1]);
    before = suite_revision(suite);
    assert_int_equal(suite_change(suite, ENTRIES, changes, 3), STORAGE_NOT_FOUND);
    EXPECT_KEYS(suite, &query, 1, 2, 3);
    assert_int_equal(suite_revision(suite), before);
    suite_key_id(2, ids[1]);
    assert_int_equal(suite_change(suite, ENTRIES, changes, 2), STORAGE_OK);
    EXPECT_KEYS(suite, &query, 1);
    assert_int_equal(changes[0].version, 0);
    assert_int_equal(changes[1].version, 0);
    assert_int_not_equal(suite_revision(suite), before);
}

const struct suite_case entry_cases[] = {
    {"entries_are_found_by_key_in_hex", entries_are_found_by_key_in_hex},
    {"entries_by_conditions", entries_by_conditions},
    {"entries_by_order", entries_by_order},
    {"entries_behind_an_end", entries_behind_an_end},
    {"entries_page_by_page", entries_page_by_page},
    {"entries_without_texts", entries_without_texts},
    {"entry_erased_is_forgotten", entry_erased_is_forgotten},
    {"entries_erased_together", entries_erased_together},
    {NULL, NULL},
};
