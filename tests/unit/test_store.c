/*
 * test_store.c: the one caller of a driver: what is tried again and what is not, who finds out that a store
 * is back, and what is logged, on a driver that answers as it is told (scripted_driver.c).
 *
 * MONGREY_TEST_FAKES is the folder of that driver.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/store/breaker.h"
#include "core/store/store.h"

#define T INT64_C(1000000)

struct bench {
    char folder[64];
    char script[128];
    char calls[160];
    char log[128];
    int standard_error; /* the real one */
    struct store *store;
    struct store_line line;
    struct store_line other;
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void read_file(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t count = f == NULL ? 0 : fread(text, 1, size - 1, f);
    text[count] = '\0';
    if (f != NULL)
        (void)fclose(f);
}

static void told(const struct bench *b, const char *script)
{
    write_file(b->script, script);
}

/* What was called since the last time. */
static void expect_calls(const struct bench *b, const char *wanted)
{
    char calls[512];
    read_file(b->calls, calls, sizeof(calls));
    (void)unlink(b->calls);
    assert_string_equal(calls, wanted);
}

static size_t count_in(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* How often the log has it, in all. */
static void expect_logged(const struct bench *b, const char *what, size_t wanted)
{
    char text[8192];
    log_flush();
    read_file(b->log, text, sizeof(text));
    CHECK_ROW(count_in(text, what) == wanted, "%s, %zu times in\n%s", what, wanted, text);
}

static int start(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    const char *fakes = getenv("MONGREY_TEST_FAKES");
    struct storage_error error = {0, ""};
    char url[256];
    assert_non_null(b);
    if (fakes == NULL)
        fail_msg("MONGREY_TEST_FAKES is not set");
    assert_true(hash_start());
    (void)snprintf(b->folder, sizeof(b->folder), "/tmp/mongrey-store-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    (void)snprintf(b->script, sizeof(b->script), "%s/script", b->folder);
    (void)snprintf(b->calls, sizeof(b->calls), "%s.calls", b->script);
    (void)snprintf(b->log, sizeof(b->log), "%s/log", b->folder);
    write_file(b->script, "");
    (void)snprintf(url, sizeof(url), "scripted:///%s", b->script + 1);
    struct store_options options = {
        .url = text_of(url), .driver_path = text_of(fakes), .call_timeout = 1000};
    b->store = store_make(&options, &error);
    if (b->store == NULL)
        fail_msg("%s", error.text);
    store_line_start(&b->line, b->store);
    store_line_start(&b->other, b->store);
    b->standard_error = dup(STDERR_FILENO);
    assert_non_null(freopen(b->log, "we", stderr));
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_INFO);
    *state = b;
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;
    store_line_end(&b->line);
    store_line_end(&b->other);
    store_free(b->store);
    log_flush();
    (void)fflush(stderr);
    (void)dup2(b->standard_error, STDERR_FILENO);
    (void)close(b->standard_error);
    (void)unlink(b->script);
    (void)unlink(b->calls);
    (void)unlink(b->log);
    (void)rmdir(b->folder);
    free(b);
    return 0;
}

static enum storage_status observe(struct store_line *line)
{
    struct storage_sighting s = {.op = STORAGE_TOUCH, .count = 1, .now = T, .keep = 1000};
    struct storage_row row;
    struct storage_error error;
    return store_observe(line, &s, 1, &row, clock_steady() + 200, &error);
}

static enum storage_status look(struct store_line *line)
{
    struct storage_error error;
    uint64_t number;
    return store_revision(line, &number, &error);
}

static enum storage_status change(struct store_line *line)
{
    struct storage_error error;
    struct storage_change c = {.id = "a", .expected = STORAGE_ANY_VERSION};
    return store_change(line, 1, &c, 1, &error);
}

static void wait_until_due(const struct bench *b)
{
    while (store_retry_at(b->store) > clock_steady())
        (void)usleep(2000);
}

/* --- Calls -------------------------------------------------------------------------------------- */

static void a_session_that_had_died_unseen_is_made_anew(void **state)
{
    struct bench *b = *state;
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_calls(b, "OAo");
    told(b, "observe 5\nrevision 5\nchange 5\n");
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_calls(b, "oDAo");
    assert_int_equal(look(&b->line), STORAGE_OK);
    expect_calls(b, "rDAr");
    assert_int_equal(change(&b->line), STORAGE_OK);
    expect_calls(b, "cDAc");
    assert_false(store_is_away(b->store));
    expect_logged(b, "store scripted", 0);
}

static void what_is_uncertain_is_never_done_again(void **state)
{
    struct bench *b = *state;
    assert_int_equal(observe(&b->line), STORAGE_OK);
    told(b, "observe 6\n");
    assert_int_equal(observe(&b->line), STORAGE_UNCERTAIN);
    expect_calls(b, "OAooD");
    told(b, "change 6\n");
    assert_int_equal(observe(&b->line), STORAGE_OK);
    assert_int_equal(change(&b->line), STORAGE_UNCERTAIN);
    expect_calls(b, "AocD");
}

static void what_fails_on_a_new_session_too_is_given_up(void **state)
{
    struct bench *b = *state;
    assert_int_equal(observe(&b->line), STORAGE_OK);
    told(b, "observe* 5\n");
    assert_int_equal(observe(&b->line), STORAGE_UNAVAILABLE);
    expect_calls(b, "OAooDAoD");
    assert_true(store_is_away(b->store));
}

static void busy_is_run_again_until_the_deadline(void **state)
{
    struct bench *b = *state;
    told(b, "observe 4\nobserve 4\n");
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_calls(b, "OAooo");
    told(b, "observe* 4\n");
    int64_t began = clock_steady();
    assert_int_equal(observe(&b->line), STORAGE_BUSY);
    assert_in_range(clock_steady() - began, 50, 400);
    /* This one pauses; the store is not away, and another may try. */
    (void)unlink(b->calls);
    assert_int_equal(observe(&b->line), STORAGE_UNAVAILABLE);
    expect_calls(b, "");
    told(b, "");
    assert_int_equal(observe(&b->other), STORAGE_OK);
    expect_logged(b, "observe came to 4", 1);
    expect_logged(b, "back again", 1);
}

static void a_search_is_never_run_again(void **state)
{
    struct bench *b = *state;
    struct storage_error error;
    struct storage_query query = {.kind = 1, .order = STORAGE_BY_ID, .limit = 1};
    assert_int_equal(observe(&b->line), STORAGE_OK);
    told(b, "search 5\n");
    assert_int_equal(store_search(&b->line, &query, NULL, NULL, &error), STORAGE_UNAVAILABLE);
    expect_calls(b, "OAosD");
}

/* --- All lines together ------------------------------------------------------------------------- */

static void one_line_that_found_it_away_spares_the_others(void **state)
{
    struct bench *b = *state;
    assert_int_equal(observe(&b->line), STORAGE_OK);
    assert_int_equal(observe(&b->other), STORAGE_OK);
    expect_calls(b, "OAoAo");
    told(b, "observe* 5\nattach* 5\nrevision* 5\n");
    assert_int_equal(observe(&b->line), STORAGE_UNAVAILABLE);
    expect_calls(b, "oDA");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(observe(&b->other), STORAGE_UNAVAILABLE);
        assert_int_equal(observe(&b->line), STORAGE_UNAVAILABLE);
    }
    expect_calls(b, "");
    assert_true(store_is_away(b->store));
    assert_false(store_is_well(b->store));
    /* It is back: one try, and all go on. */
    told(b, "");
    wait_until_due(b);
    assert_int_equal(look(&b->other), STORAGE_OK);
    assert_false(store_is_away(b->store));
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_calls(b, "rAo");
    expect_logged(b, "attach came to 5", 1);
    expect_logged(b, "back again", 1);
    expect_logged(b, "store scripted", 2);
}

static void a_line_that_requests_wait_for_never_tries(void **state)
{
    struct bench *b = *state;
    b->line.waited_for = true;
    told(b, "open 5\n");
    assert_int_equal(observe(&b->other), STORAGE_UNAVAILABLE);
    wait_until_due(b);
    assert_int_equal(observe(&b->line), STORAGE_UNAVAILABLE);
    expect_calls(b, "O");
    assert_int_equal(look(&b->other), STORAGE_OK);
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_calls(b, "OArAo");
}

static void pauses_grow_and_have_an_end(void **state)
{
    struct breaker k;
    bool probes;
    int64_t now = T;
    int64_t wait = 0;
    (void)state;
    breaker_start(&k);
    assert_true(breaker_lets(&k, now, true, &probes) && !probes);
    assert_true(breaker_due(&k, now) == BREAKER_NEVER);
    breaker_failed(&k, now, false, BREAKER_AWAY);
    for (int i = 0; i < 12; i++) {
        int64_t most = i < 5 ? 100 << i : 2000;
        wait = breaker_due(&k, now) - now;
        assert_in_range(wait, most - most / 4, most + most / 4);
        assert_false(breaker_lets(&k, now + wait - 1, true, &probes));
        now += wait;
        assert_false(breaker_lets(&k, now, false, &probes));
        assert_true(breaker_lets(&k, now, true, &probes) && probes);
        assert_false(breaker_lets(&k, now, true, &probes)); /* one at a time */
        breaker_failed(&k, now, false, BREAKER_AWAY); /* a call from before: changes nothing */
        breaker_failed(&k, now, true, BREAKER_AWAY);
    }
    wait = breaker_due(&k, now) - now;
    assert_true(breaker_lets(&k, now + wait, true, &probes));
    breaker_failed(&k, now + wait, true, BREAKER_REFUSED);
    assert_in_range(breaker_due(&k, now + wait) - now - wait, 3000, 5000);
    breaker_answered(&k, false); /* a call that was under way */
    assert_true(breaker_due(&k, now) == BREAKER_NEVER);
    breaker_failed(&k, now, false, BREAKER_SOON);
    assert_int_equal(breaker_due(&k, now), now);
    breaker_end(&k);
}

/* --- The log ------------------------------------------------------------------------------------ */

static void a_start_without_it_is_said_by_who_starts(void **state)
{
    struct bench *b = *state;
    struct storage_error error;
    told(b, "open 5\nopen 5\n");
    assert_int_equal(store_open(b->store, &error), STORAGE_UNAVAILABLE);
    wait_until_due(b);
    assert_int_equal(look(&b->line), STORAGE_UNAVAILABLE);
    expect_logged(b, "store scripted", 0);
    wait_until_due(b);
    assert_int_equal(look(&b->line), STORAGE_OK);
    expect_logged(b, "back again", 1);
}

static void a_store_that_comes_back_and_refuses_is_said_once(void **state)
{
    struct bench *b = *state;
    struct storage_error error;
    told(b, "open 5\nopen 9\nopen 9\n");
    assert_int_equal(store_open(b->store, &error), STORAGE_UNAVAILABLE);
    for (int i = 0; i < 2; i++) {
        wait_until_due(b);
        assert_int_equal(look(&b->line), STORAGE_DENIED);
    }
    expect_logged(b, "open came to 9", 1);
    wait_until_due(b);
    assert_int_equal(look(&b->line), STORAGE_OK);
    expect_logged(b, "back again", 1);
    expect_logged(b, "store scripted", 2);
}

/* A full disk can be read. */
static void reading_does_not_show_that_it_can_be_written(void **state)
{
    struct bench *b = *state;
    told(b, "observe* 9\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(observe(&b->line), STORAGE_DENIED);
        assert_int_equal(look(&b->line), STORAGE_OK);
    }
    expect_logged(b, "observe came to 9", 1);
    expect_logged(b, "back again", 0);
    told(b, "");
    assert_int_equal(observe(&b->line), STORAGE_OK);
    expect_logged(b, "back again", 1);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(a_session_that_had_died_unseen_is_made_anew),
        STORE_TEST(what_is_uncertain_is_never_done_again),
        STORE_TEST(what_fails_on_a_new_session_too_is_given_up),
        STORE_TEST(busy_is_run_again_until_the_deadline),
        STORE_TEST(a_search_is_never_run_again),
        STORE_TEST(one_line_that_found_it_away_spares_the_others),
        STORE_TEST(a_line_that_requests_wait_for_never_tries),
        cmocka_unit_test(pauses_grow_and_have_an_end),
        STORE_TEST(a_start_without_it_is_said_by_who_starts),
        STORE_TEST(a_store_that_comes_back_and_refuses_is_said_once),
        STORE_TEST(reading_does_not_show_that_it_can_be_written),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
