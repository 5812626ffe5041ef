/*
 * test_sqlite_search.c: how SQLite goes about the searches that must be quick in millions of rows (it
 * is asked, by EXPLAIN QUERY PLAN), and that one which is not quick ends in time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/store/records.h"
#include "drivers/sqlite/sqlite.h"
#include "unit.h"

extern const struct storage_driver storage_driver_sqlite;

#define ROWS 60000
#define PLAN_MAX 4096

struct way {
    struct storage_host host;
    struct storage_db *db;
    struct storage_session *session;
    struct storage_error error;
    char sql[8][8192]; /* of the searches since the last look */
    size_t sql_count;
};

static void no_log(void *context, enum storage_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

static int note_sql(unsigned kind, void *context, void *statement, void *text)
{
    struct way *way = context;
    (void)kind;
    (void)text;
    const char *sql = sqlite3_sql(statement);
    if (sql != NULL && strncmp(sql, "SELECT", 6) == 0 && way->sql_count < 8)
        snprintf(way->sql[way->sql_count++], sizeof(way->sql[0]), "%s", sql);
    return 0;
}

static int set_up(void **state)
{
    const struct storage_url url = {.text = "",
                                    .scheme = "sqlite",
                                    .user = "",
                                    .password = "",
                                    .hosts = "",
                                    .path = ":memory:"};
    struct way *way = calloc(1, sizeof(*way));
    if (way == NULL)
        return -1;
    *state = way;
    way->host = (struct storage_host){
        .abi = STORAGE_ABI,
        .size = sizeof(way->host),
        .kinds = record_kinds,
        .kinds_count = KINDS,
        .connect_timeout = 5000,
        .call_timeout = 5000,
        .log = no_log,
    };
    if (storage_driver_sqlite.open(&way->host, &url, &way->db, &way->error) != STORAGE_OK ||
        storage_driver_sqlite.attach(way->db, &way->session, &way->error) != STORAGE_OK)
        return -1;
    sqlite3_trace_v2(way->session->sqlite, SQLITE_TRACE_STMT, note_sql, way);
    return 0;
}

static int tear_down(void **state)
{
    struct way *way = *state;
    storage_driver_sqlite.detach(way->session);
    storage_driver_sqlite.close(way->db);
    free(way);
    return 0;
}

/* --- Plans ------------------------------------------------------------------------------------ */

static bool take_all(void *context, const struct storage_record *record)
{
    (void)context;
    (void)record;
    return true;
}

static void explain(struct way *way, const char *sql, char *plan, size_t size)
{
    char text[8300];
    sqlite3_stmt *statement;
    snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(way->session->sqlite, text, -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size_t used = strlen(plan);
        snprintf(plan + used, size - used, "%s; ", (const char *)sqlite3_column_text(statement, 3));
    }
    sqlite3_finalize(statement);
}

/* The plans of all statements of one search. */
static void plan_of(struct way *way, const struct storage_query *query, char plan[PLAN_MAX])
{
    way->sql_count = 0;
    assert_int_equal(storage_driver_sqlite.search(way->session, query, take_all, NULL, &way->error),
                     STORAGE_OK);
    size_t count = way->sql_count;
    assert_true(count > 0);
    plan[0] = '\0';
    for (size_t i = 0; i < count; i++)
        explain(way, way->sql[i], plan, PLAN_MAX);
}

/* An index is walked, and nothing is sorted but, of entries, those few that have the same time. */
static void expect_walk(struct way *way, const struct storage_query *query, const char *index)
{
    char plan[PLAN_MAX];
    plan_of(way, query, plan);
    const char *sort = strstr(plan, "TEMP B-TREE");
    bool last_term = strstr(plan, "TEMP B-TREE FOR RIGHT PART OF ORDER BY") != NULL ||
                     strstr(plan, "TEMP B-TREE FOR LAST TERM OF ORDER BY") != NULL;
    if (strstr(plan, index) == NULL || (sort != NULL && !(query->kind == KIND_ENTRY && last_term)))
        fail_msg("no walk along %s: %s", index, plan);
}

static size_t field_of(size_t kind, const char *name)
{
    for (size_t i = 0; i < record_kinds[kind].fields_count; i++) {
        if (strcmp(record_kinds[kind].fields[i].name, name) == 0)
            return i;
    }
    fail_msg("no field %s", name);
    return 0;
}

static struct storage_value time_value(int64_t time)
{
    return (struct storage_value){.type = STORAGE_TIME, .integer = time};
}

static struct storage_value text_value(const char *text)
{
    return (struct storage_value){.type = STORAGE_TEXT, .text = {text, strlen(text)}};
}

static const char after[] = "80000000000000000000000000000000";

static void expect_walk_both_ways(struct way *way, struct storage_query *query,
                                  struct storage_value value, const char *index)
{
    for (int i = 0; i < 4; i++) {
        query->descending = i % 2 == 1;
        query->after_id = i < 2 ? NULL : after;
        query->after_value = value;
        expect_walk(way, query, index);
    }
}

static void test_entries_walk_an_index(void **state)
{
    struct way *way = *state;
    struct storage_query query = {.kind = KIND_ENTRY, .limit = 50};
    query.order = field_of(KIND_ENTRY, "first_seen");
    expect_walk_both_ways(way, &query, time_value(1700000000000), "greylist_entry_first_seen");
    query.order = field_of(KIND_ENTRY, "expires");
    expect_walk_both_ways(way, &query, time_value(1700000000000), "greylist_entry_expires");
    query.order = STORAGE_BY_ID;
    expect_walk_both_ways(way, &query, time_value(0), "sqlite_autoindex_greylist_entry_1");
}

/* Whatever is asked for besides, the order's index is walked, and no other tempts. */
static void test_filters_change_no_walk(void **state)
{
    struct way *way = *state;
    const struct storage_condition conditions[] = {
        {field_of(KIND_ENTRY, "sender"), STORAGE_CONTAINS, text_value("@example.com")},
        {field_of(KIND_ENTRY, "recipient"), STORAGE_EQ, text_value("a@example.com")},
        {field_of(KIND_ENTRY, "client_address"), STORAGE_STARTS, text_value("192.0.2.")},
        {field_of(KIND_ENTRY, "passes"), STORAGE_EQ, {.type = STORAGE_INTEGER}},
        {field_of(KIND_ENTRY, "expires"), STORAGE_GT, time_value(1700000000000)},
        {field_of(KIND_ENTRY, "expires"), STORAGE_LT, time_value(1800000000000)},
        {field_of(KIND_ENTRY, "first_seen"), STORAGE_GT, time_value(1600000000000)},
    };
    struct storage_query query = {.kind = KIND_ENTRY, .conditions = conditions, .limit = 50};
    query.order = field_of(KIND_ENTRY, "first_seen");
    for (query.conditions_count = 1; query.conditions_count <= 7; query.conditions_count++)
        expect_walk_both_ways(way, &query, time_value(1700000000000), "greylist_entry_first_seen");
}

static void test_records_walk_an_index(void **state)
{
    struct way *way = *state;
    const struct storage_value null = {.type = STORAGE_NULL};
    struct storage_query query = {.kind = KIND_DECISION, .limit = 50};
    query.order = DECISION_at;
    expect_walk_both_ways(way, &query, time_value(1700000000000), "decision_at");
    expect_walk_both_ways(way, &query, null, "decision_at");
    query.kind = KIND_WHITELIST;
    query.order = ENTRY_value;
    expect_walk_both_ways(way, &query, text_value("v"), "whitelist_value");
    expect_walk_both_ways(way, &query, null, "whitelist_value");
    query.order = ENTRY_slug;
    expect_walk_both_ways(way, &query, text_value("v"), "whitelist_slug");
    query.order = STORAGE_BY_ID;
    expect_walk_both_ways(way, &query, null, "whitelist");
}

static void test_a_value_is_looked_up(void **state)
{
    struct way *way = *state;
    char plan[PLAN_MAX];
    struct storage_condition condition = {ENTRY_slug, STORAGE_EQ, text_value("client_name:a")};
    struct storage_query query = {
        .kind = KIND_WHITELIST, .conditions = &condition, .conditions_count = 1, .limit = 50};
    query.order = STORAGE_BY_ID;
    plan_of(way, &query, plan);
    assert_non_null(strstr(plan, "SEARCH whitelist USING INDEX whitelist_slug"));
    condition = (struct storage_condition){IMPORTED_source, STORAGE_EQ, text_value("list")};
    query.kind = KIND_IMPORTED;
    plan_of(way, &query, plan);
    assert_non_null(strstr(plan, "SEARCH imported USING INDEX imported_source"));
}

static void test_tally_walks_an_index(void **state)
{
    struct way *way = *state;
    struct storage_tally tally;
    char plan[PLAN_MAX] = "";
    way->sql_count = 0;
    assert_int_equal(storage_driver_sqlite.tally(way->session, 1, 2, &tally, &way->error),
                     STORAGE_OK);
    explain(way, way->sql[0], plan, sizeof(plan));
    assert_non_null(strstr(plan, "SEARCH greylist_entry USING INDEX greylist_entry_first_seen"));
}

/* --- In time ---------------------------------------------------------------------------------- */

static void fill(struct way *way)
{
    static struct storage_sighting batch[1000];
    static struct storage_row rows[1000];
    const struct storage_reading reading = {.sender = {"nobody@example.com", 18}};
    for (unsigned n = 0; n < ROWS; n++) {
        struct storage_sighting *s = &batch[n % 1000];
        *s = (struct storage_sighting){
            .op = STORAGE_GREY, .count = 1, .now = 1, .window = 1, .keep = 1, .reading = &reading};
        for (int i = 0; i < 4; i++)
            s->key.bytes[i] = (uint8_t)(n >> (24 - 8 * i));
        if (n % 1000 == 999)
            assert_int_equal(
                storage_driver_sqlite.observe(way->session, batch, 1000, rows, &way->error),
                STORAGE_OK);
    }
}

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void test_what_takes_too_long_ends(void **state)
{
    struct way *way = *state;
    struct storage_tally tally;
    struct storage_condition condition = {field_of(KIND_ENTRY, "sender"), STORAGE_CONTAINS,
                                          text_value("somebody else")};
    struct storage_query query = {
        .kind = KIND_ENTRY, .conditions = &condition, .conditions_count = 1, .limit = 50};
    query.order = field_of(KIND_ENTRY, "last_seen"); /* has no index: all rows are sorted */
    fill(way);
    way->host.connect_timeout = 1;
    way->host.call_timeout = 1;
    int64_t began = milliseconds();
    assert_int_equal(
        storage_driver_sqlite.search(way->session, &query, take_all, NULL, &way->error),
        STORAGE_BUSY);
    assert_non_null(strstr(way->error.text, "too long"));
    assert_int_equal(storage_driver_sqlite.tally(way->session, 0, 0, &tally, &way->error),
                     STORAGE_BUSY);
    assert_true(milliseconds() - began < 1000);
    /* The session is as good as before. */
    way->host.call_timeout = 60000;
    assert_int_equal(
        storage_driver_sqlite.search(way->session, &query, take_all, NULL, &way->error),
        STORAGE_OK);
    assert_int_equal(storage_driver_sqlite.tally(way->session, 0, 0, &tally, &way->error),
                     STORAGE_OK);
    assert_int_equal(tally.entries, ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entries_walk_an_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filters_change_no_walk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_records_walk_an_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_value_is_looked_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tally_walks_an_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_takes_too_long_ends, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
