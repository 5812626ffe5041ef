/* test_tally.c: rows of greylist_metric, on the real SQLite driver with a store in memory. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/server/tally.h"
#include "core/store/records.h"

#define HOUR INT64_C(3600000)
#define T0 INT64_C(1700000000000)
#define INTERVAL INT64_C(300000)
#define ROWS_MAX 600

struct bench {
    struct store *store;
    struct store_line line;
    size_t count;
    struct {
        char id[STORAGE_ID_MAX + 1];
        int64_t numbers[METRIC_FIELDS];
        double delay;
    } rows[ROWS_MAX];
};

static int start(void **state)
{
    static struct bench b;
    const char *drivers = getenv("MONGREY_TEST_DRIVERS");
    struct storage_error error = {0, ""};
    if (!hash_start() || drivers == NULL)
        return -1;
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    struct store_options options = {
        .url = TEXT("sqlite:///:memory:"), .driver_path = text_of(drivers), .call_timeout = 5000};
    b.store = store_make(&options, &error);
    if (b.store == NULL)
        return -1;
    store_line_start(&b.line, b.store);
    *state = &b;
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;
    store_line_end(&b->line);
    store_free(b->store);
    return 0;
}

static void see(struct bench *b, uint32_t number, int64_t now)
{
    struct storage_error error = {0, ""};
    struct storage_row row;
    struct storage_sighting s = {.op = STORAGE_GREY,
                                 .count = 1,
                                 .now = now,
                                 .delay = 20000,
                                 .window = 48 * HOUR,
                                 .keep = 840 * HOUR};
    hash_key(&number, sizeof(number), s.key.bytes);
    assert_int_equal(store_observe(&b->line, &s, 1, &row, clock_steady() + 5000, &error),
                     STORAGE_OK);
}

static bool each(void *context, const struct storage_record *record)
{
    struct bench *b = context;
    assert_true(b->count < ROWS_MAX);
    snprintf(b->rows[b->count].id, sizeof(b->rows[0].id), "%s", record->id);
    for (size_t i = 0; i < METRIC_FIELDS; i++)
        b->rows[b->count].numbers[i] = record->values[i].integer;
    b->rows[b->count].delay = record->values[METRIC_delay].real;
    b->count++;
    return true;
}

static void read_rows(struct bench *b)
{
    struct storage_error error = {0, ""};
    struct storage_query query = {.kind = KIND_METRIC, .order = STORAGE_BY_ID, .limit = ROWS_MAX};
    b->count = 0;
    assert_int_equal(store_search(&b->line, &query, each, b, &error), STORAGE_OK);
}

static void expect_tally(struct bench *b, int64_t now)
{
    struct storage_error error = {0, ""};
    enum storage_status status = tally_store(&b->line, now, INTERVAL, &error);
    CHECK_ROW(status == STORAGE_OK, "%d: %s", (int)status, error.text);
}

static void a_row_is_the_sum_of_the_last_day(void **state)
{
    struct bench *b = *state;
    see(b, 1, T0 - 25 * HOUR); /* too long ago */
    see(b, 2, T0 - 24 * HOUR); /* just in; abandoned */
    see(b, 3, T0 - 2 * HOUR);
    see(b, 3, T0 - 2 * HOUR + 1000);
    see(b, 3, T0 - 2 * HOUR + 30000); /* waited 30 s */
    see(b, 3, T0 - HOUR);
    see(b, 4, T0 - 2 * HOUR);
    see(b, 4, T0 - 2 * HOUR + 61000); /* waited 61 s */
    see(b, 5, T0 - HOUR + 1000);      /* may still come */
    expect_tally(b, T0);
    read_rows(b);
    assert_int_equal(b->count, 1);
    const int64_t *n = b->rows[0].numbers;
    assert_int_equal(n[METRIC_timestamp], T0);
    assert_int_equal(n[METRIC_count], 4);
    assert_int_equal(n[METRIC_accepted], 3);
    assert_int_equal(n[METRIC_rejected], 5);
    assert_int_equal(n[METRIC_requests], 8);
    assert_int_equal(n[METRIC_abandoned], 1);
    assert_true(b->rows[0].delay > 45.49 && b->rows[0].delay < 45.51);
}

static void another_hosts_row_of_the_interval_holds(void **state)
{
    struct bench *b = *state;
    int64_t slot = T0 - T0 % INTERVAL;
    expect_tally(b, slot + 2);
    see(b, 1, slot + 10);
    expect_tally(b, slot + INTERVAL - 1);
    read_rows(b);
    assert_int_equal(b->count, 1);
    assert_int_equal(b->rows[0].numbers[METRIC_timestamp], slot + 2);
    assert_int_equal(b->rows[0].numbers[METRIC_count], 0);
    assert_true(b->rows[0].delay == 0.0);
    expect_tally(b, slot + INTERVAL);
    read_rows(b);
    assert_int_equal(b->count, 2);
    assert_int_equal(b->rows[1].numbers[METRIC_count], 1);
}

static void ids_sort_as_times_do(void **state)
{
    static const int64_t times[] = {0, 1, 299999, 300000, T0, T0 + INTERVAL, INT64_C(1) << 43};
    char before[17] = "";
    (void)state;
    for (size_t i = 3; i < COUNT(times); i++) {
        char id[17];
        char later[17];
        tally_id(times[i], INTERVAL, id);
        tally_id(times[i] - times[i] % INTERVAL + INTERVAL - 1, INTERVAL, later);
        assert_string_equal(id, later);
        assert_int_equal(strlen(id), 16);
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof(before));
    }
    char a[17];
    char b[17];
    for (size_t i = 0; i < 3; i++) {
        tally_id(times[0], INTERVAL, a);
        tally_id(times[i], INTERVAL, b);
        assert_string_equal(a, b);
    }
    /* Another length of the interval, and still in the order of time. */
    tally_id(T0, 60000, a);
    tally_id(T0 + HOUR, 3600000, b);
    assert_true(strcmp(a, b) < 0);
    tally_id(INT64_C(32), 1, a);
    assert_string_equal(a, "0000000000000010");
    tally_id(-1, INTERVAL, a);
    assert_string_equal(a, "0000000000000000");
}

static void the_oldest_rows_go(void **state)
{
    struct bench *b = *state;
    struct storage_error error = {0, ""};
    for (int64_t i = 0; i < 450; i++)
        expect_tally(b, T0 + i * INTERVAL);
    assert_int_equal(tally_trim(&b->line, 450, &error), STORAGE_OK);
    read_rows(b);
    assert_int_equal(b->count, 450);
    assert_int_equal(tally_trim(&b->line, 10, &error), STORAGE_OK);
    read_rows(b);
    assert_int_equal(b->count, 10);
    assert_int_equal(b->rows[0].numbers[METRIC_timestamp], T0 + 440 * INTERVAL);
    assert_int_equal(b->rows[9].numbers[METRIC_timestamp], T0 + 449 * INTERVAL);
    assert_int_equal(tally_trim(&b->line, 0, &error), STORAGE_OK);
    read_rows(b);
    assert_int_equal(b->count, 0);
    assert_int_equal(tally_trim(&b->line, 0, &error), STORAGE_OK);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_is_the_sum_of_the_last_day, start, stop),
        cmocka_unit_test_setup_teardown(another_hosts_row_of_the_interval_holds, start, stop),
        cmocka_unit_test(ids_sort_as_times_do),
        cmocka_unit_test_setup_teardown(the_oldest_rows_go, start, stop),
    };
    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
