/* test_page.c: pages of entries by slices of time, on the real SQLite driver with a store in memory. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/page.h"
#include "core/store/records.h"

#define T0 INT64_C(1700000000000)
#define ROWS 60000
#define RARE 1499 /* one in so many */
#define FOUND (ROWS / RARE + 1)
#define FIRST_SEEN 0
#define SENDER 9

static const char in_memory[] = "sqlite:///:memory:";

struct bench {
    struct store *store;
    struct store_line line;
    size_t count;
    int64_t times[2 * FOUND];
    char ids[2 * FOUND][STORAGE_ID_MAX + 1];
};

/* Four rows in a moment, so that slices and pages meet within one. */
static int64_t time_of(unsigned number)
{
    return T0 + number / 4 * 10;
}

static void fill(struct bench *b)
{
    static struct storage_sighting batch[1000];
    static struct storage_row rows[1000];
    static const struct storage_reading common = {.sender = {"a@example.com", 13}};
    static const struct storage_reading rare = {.sender = {"rare@example.com", 16}};
    struct storage_error error = {0, ""};
    for (unsigned n = 0; n < ROWS; n++) {
        struct storage_sighting *s = &batch[n % 1000];
        *s = (struct storage_sighting){.op = STORAGE_GREY,
                                       .count = 1,
                                       .now = time_of(n),
                                       .window = 1,
                                       .keep = 1,
                                       .reading = n % RARE == 0 ? &rare : &common};
        for (int i = 0; i < 4; i++)
            s->key.bytes[i] = (uint8_t)(n >> (24 - 8 * i));
        if (n % 1000 == 999)
            assert_int_equal(store_observe(&b->line, batch, 1000, rows, INT64_MAX, &error),
                             STORAGE_OK);
    }
}

static void open_store(struct bench *b, const char *url, uint32_t call_timeout)
{
    struct storage_error error = {0, ""};
    struct store_options options = {.url = text_of(url),
                                    .driver_path = text_of(getenv("MONGREY_TEST_DRIVERS")),
                                    .call_timeout = call_timeout};
    memset(b, 0, sizeof(*b));
    b->store = store_make(&options, &error);
    assert_non_null(b->store);
    store_line_start(&b->line, b->store);
}

static void close_store(struct bench *b)
{
    store_line_end(&b->line);
    store_free(b->store);
}

static bool note(void *context, const struct storage_record *record)
{
    struct bench *b = context;
    assert_true(b->count < COUNT(b->times));
    b->times[b->count] = record->values[FIRST_SEEN].integer;
    snprintf(b->ids[b->count], sizeof(b->ids[0]), "%s", record->id);
    b->count++;
    return true;
}

static void expect_rare(const struct bench *b, bool descending)
{
    assert_int_equal(b->count, FOUND);
    for (unsigned i = 0; i < FOUND; i++) {
        unsigned number = RARE * (descending ? FOUND - 1 - i : i);
        char id[STORAGE_ID_MAX + 1];
        snprintf(id, sizeof(id), "%08x%024d", number, 0);
        assert_string_equal(b->ids[i], id);
        assert_int_equal(b->times[i], time_of(number));
    }
}

static const struct storage_condition is_rare = {
    SENDER, STORAGE_EQ, {.type = STORAGE_TEXT, .text = {"rare@example.com", 16}}};

/* Pages of `limit`, each with so much time, until the last. Returns their number. */
static unsigned page_all(struct bench *b, bool descending, size_t limit, int64_t time)
{
    struct storage_query query = {.kind = KIND_ENTRY,
                                  .conditions = &is_rare,
                                  .conditions_count = 1,
                                  .order = FIRST_SEEN,
                                  .descending = descending,
                                  .limit = limit,
                                  .after_value = {.type = STORAGE_TIME}};
    struct storage_error error = {0, ""};
    struct page_end end = {.is_last = false};
    char from[STORAGE_ID_MAX + 1];
    unsigned pages = 0;
    b->count = 0;
    while (!end.is_last) {
        size_t before = b->count;
        enum storage_status status =
            page_search(&b->line, &query, clock_steady() + time, note, b, &end, &error);
        assert_true(status == STORAGE_OK || status == STORAGE_BUSY);
        assert_true(b->count - before <= limit);
        assert_true(++pages < 100000);
        if (end.id[0] == '\0')
            continue; /* busy before it began */
        memcpy(from, end.id, sizeof(from));
        query.after_id = from;
        query.after_value.integer = end.value;
    }
    return pages;
}

static void test_slices_find_all(void **state)
{
    static struct bench b;
    (void)state;
    open_store(&b, in_memory, 60000);
    fill(&b);
    for (int down = 0; down < 2; down++) {
        page_all(&b, down == 1, 1000, 60000);
        expect_rare(&b, down == 1);
        assert_true(page_all(&b, down == 1, 7, 60000) > FOUND / 7);
        expect_rare(&b, down == 1);
    }
    close_store(&b);
}

/* A page that has no time ends after a slice, and the next goes on behind it. */
static void test_pages_without_time(void **state)
{
    static struct bench b;
    (void)state;
    open_store(&b, in_memory, 60000);
    fill(&b);
    for (int down = 0; down < 2; down++) {
        assert_true(page_all(&b, down == 1, 1000, 0) > 100);
        expect_rare(&b, down == 1);
    }
    close_store(&b);
}

/* A store that breaks off what takes a few milliseconds is asked for less. */
static void test_a_slow_store(void **state)
{
    static struct bench b;
    struct store_counters counters;
    char folder[] = "/tmp/mongrey-page-XXXXXX";
    char url[128];
    char command[128];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof(url), "sqlite:///%s/a.db", folder);
    open_store(&b, url, 60000);
    fill(&b);
    close_store(&b);
    open_store(&b, url, UNIT_SANITIZED ? 30 : 3);
    for (int down = 0; down < 2; down++) {
        page_all(&b, down == 1, 1000, 60000);
        expect_rare(&b, down == 1);
    }
    store_count(b.store, &counters);
    /* How long 30 ms are depends on the sanitizer: there it is only seen that all is found. */
    assert_true(UNIT_SANITIZED || counters.results[STORAGE_BUSY] > 0);
    assert_true(store_is_well(b.store));
    close_store(&b);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void test_an_empty_store(void **state)
{
    static struct bench b;
    (void)state;
    open_store(&b, in_memory, 60000);
    assert_int_equal(page_all(&b, true, 10, 1000), 1);
    assert_int_equal(b.count, 0);
    close_store(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_find_all),
        cmocka_unit_test(test_pages_without_time),
        cmocka_unit_test(test_a_slow_store),
        cmocka_unit_test(test_an_empty_store),
    };
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
