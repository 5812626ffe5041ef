/*
 * test_lane.c: the storage lane, on the real SQLite driver with a store in memory.
 *
 * MONGREY_TEST_DRIVERS is the folder of the drivers. The stores here are in memory and have one
 * session each, so that what a lane wrote is seen by the same lane only.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/server/lane.h"
#include "core/server/touches.h"

#define T0 INT64_C(1700000000000)
#define DELAY 20000
#define WINDOW INT64_C(172800000)
#define KEEP INT64_C(3024000000)

struct bench {
    struct store *store;
    struct lane *lane;
    bool running;
    atomic_uint woken;
    unsigned finished;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

struct item {
    struct lane_item lane;
    struct bench *bench;
    unsigned order; /* the how many-th to be finished; 0: not yet */
};

static void wake(void *context)
{
    struct bench *b = context;
    atomic_fetch_add(&b->woken, 1);
    pthread_mutex_lock(&b->lock);
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void finish(struct lane_item *lane_item)
{
    struct item *item = (struct item *)lane_item;
    item->order = ++item->bench->finished;
}

static struct bench *bench_make(const char *url)
{
    struct bench *b = calloc(1, sizeof(*b));
    const char *drivers = getenv("MONGREY_TEST_DRIVERS");
    assert_non_null(b);
    if (drivers == NULL)
        fail_msg("MONGREY_TEST_DRIVERS is not set");
    struct store_options options = {
        .url = text_of(url), .driver_path = text_of(drivers), .call_timeout = 5000};
    struct storage_error error = {0, ""};
    b->store = store_make(&options, &error);
    if (b->store == NULL)
        fail_msg("%s", error.text);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    return b;
}

static void bench_start(struct bench *b)
{
    struct lane_calls calls = {.wake = wake, .context = b};
    b->lane = lane_start(b->store, &calls);
    assert_non_null(b->lane);
    b->running = true;
}

/* Stops, and collects what came last. */
static void bench_stop(struct bench *b)
{
    lane_stop(b->lane);
    b->running = false;
    lane_collect(b->lane);
}

static void bench_free(struct bench *b)
{
    if (b->running) /* a test that failed in the middle; its items are static for that */
        lane_stop(b->lane);
    lane_free(b->lane);
    store_free(b->store);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
    free(b);
}

static void wait_for(struct bench *b, unsigned count)
{
    int64_t until = clock_steady() + 20000;
    while (b->finished < count && clock_steady() < until) {
        lane_collect(b->lane);
        (void)usleep(200);
    }
    lane_collect(b->lane);
    assert_int_equal(b->finished, count);
}

static void item_make(struct item *item, struct bench *b, uint32_t number, int64_t now)
{
    *item = (struct item){.bench = b};
    item->lane.finish = finish;
    item->lane.deadline = clock_steady() + 5000;
    item->lane.sighting = (struct storage_sighting){
        .op = STORAGE_GREY,
        .count = 1,
        .now = now,
        .delay = DELAY,
        .window = WINDOW,
        .keep = KEEP,
    };
    hash_key(&number, sizeof(number), item->lane.sighting.key.bytes);
}

/* One sighting at a time: what is stored afterwards is as if it had come alone. */
static struct storage_row alone(struct bench *b, uint32_t number, int64_t now)
{
    static struct item item;
    item_make(&item, b, number, now);
    assert_true(lane_submit(b->lane, &item.lane, true));
    wait_for(b, b->finished + 1);
    assert_int_equal(item.lane.status, STORAGE_OK);
    return item.lane.row;
}

static int start(void **state)
{
    if (!hash_start())
        return -1;
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    *state = bench_make("sqlite:///:memory:");
    return 0;
}

static int stop(void **state)
{
    bench_free(*state);
    return 0;
}

static void a_sender_comes_back_and_passes(void **state)
{
    struct bench *b = *state;
    bench_start(b);
    struct storage_row row = alone(b, 1, T0);
    assert_true(row.passes == 0 && row.tries == 1);
    row = alone(b, 1, T0 + 1000);
    assert_true(row.passes == 0 && row.tries == 2);
    row = alone(b, 1, T0 + DELAY - 1);
    assert_true(row.passes == 0 && row.tries == 3);
    row = alone(b, 1, T0 + DELAY);
    assert_true(row.passes == 1 && row.waited == DELAY);
    row = alone(b, 1, T0 + DELAY + 1);
    assert_true(row.passes == 2);
    row = alone(b, 2, T0);
    assert_true(row.passes == 0 && row.tries == 1);
    bench_stop(b);
}

/* Submitted before the lane can take them, they are one batch: a queue that is filled under the
 * store's first, slow call would do as well, but not surely. */
static void submit_all(struct bench *b, struct item *items, size_t count, bool urgent)
{
    for (size_t i = 0; i < count; i++)
        assert_true(lane_submit(b->lane, &items[i].lane, urgent));
}

/* Keeps the lane's only thread busy for long enough that what is submitted next is one batch. */
#define BLOCKERS 1000
static void block(struct bench *b, struct item *blockers)
{
    for (uint32_t i = 0; i < BLOCKERS; i++)
        item_make(&blockers[i], b, 1000000 + i, T0);
    submit_all(b, blockers, BLOCKERS, true);
}

static void doubles_get_rows_as_if_each_had_come_alone(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[5];
    bench_start(b);
    block(b, blockers);
    for (size_t i = 0; i < COUNT(items); i++)
        item_make(&items[i], b, 1, T0);
    submit_all(b, items, COUNT(items), true);
    wait_for(b, BLOCKERS + COUNT(items));
    unsigned tries = 0;
    for (size_t i = 0; i < COUNT(items); i++) {
        assert_int_equal(items[i].lane.row.passes, 0);
        assert_in_range(items[i].lane.row.tries, 1, COUNT(items));
        tries |= 1u << items[i].lane.row.tries;
    }
    assert_int_equal(tries, 0x3e); /* each of 1 to 5 once: one is new, the others are early */
    struct storage_row row = alone(b, 1, T0 + 1);
    assert_int_equal(row.tries, COUNT(items) + 1);

    block(b, blockers);
    for (size_t i = 0; i < COUNT(items); i++)
        item_make(&items[i], b, 1, T0 + DELAY + 5);
    submit_all(b, items, COUNT(items), true);
    wait_for(b, 2 * BLOCKERS + 2 * COUNT(items) + 1);
    unsigned passes = 0;
    for (size_t i = 0; i < COUNT(items); i++)
        passes |= 1u << items[i].lane.row.passes;
    assert_int_equal(passes, 0x3e); /* the first pass is told to exactly one */
    assert_int_equal(alone(b, 1, T0 + DELAY + 6).passes, COUNT(items) + 1);
    bench_stop(b);
}

static void doubles_of_several_tries_count_them_all(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[3];
    bench_start(b);
    block(b, blockers);
    for (size_t i = 0; i < COUNT(items); i++) {
        item_make(&items[i], b, 1, T0 + (int64_t)i);
        items[i].lane.sighting.count = (uint32_t)i + 1;
    }
    submit_all(b, items, COUNT(items), true);
    wait_for(b, BLOCKERS + COUNT(items));
    assert_int_equal(items[0].lane.row.tries, 1);
    assert_int_equal(items[1].lane.row.tries, 3);
    assert_int_equal(items[2].lane.row.tries, 6);
    bench_stop(b);
}

/* One key at moments that could not be one: who came first is seen first, whatever the clock said,
 * and the next sees what that left. */
static void a_key_whose_clock_was_turned_is_seen_in_the_order_of_coming(void **state)
{
    static struct item blockers[BLOCKERS];
    static const int64_t clock[] = {T0 + 1000, T0, T0 + DELAY, T0 + DELAY - 5000};
    struct bench *b = *state;
    static struct item items[COUNT(clock)];
    bench_start(b);
    block(b, blockers);
    for (size_t i = 0; i < COUNT(items); i++)
        item_make(&items[i], b, 1, clock[i]);
    submit_all(b, items, COUNT(items), true);
    wait_for(b, BLOCKERS + COUNT(items));
    for (size_t i = 1; i < COUNT(items); i++)
        assert_true(items[i - 1].order < items[i].order);
    assert_true(items[0].lane.row.tries == 1 && items[0].lane.row.first_seen == T0 + 1000);
    assert_true(items[1].lane.row.tries == 2 && items[1].lane.row.first_seen == T0);
    assert_true(items[2].lane.row.passes == 1 && items[2].lane.row.waited == DELAY);
    assert_true(items[3].lane.row.passes == 2 && items[3].lane.row.last_seen == T0 + DELAY);
    bench_stop(b);
}

/* The first and the third could be one, but not before the second, which came between them. */
static void a_double_does_not_overtake_what_came_between(void **state)
{
    static struct item blockers[BLOCKERS];
    static const int64_t clock[] = {T0, T0 + DELAY, T0 + 1};
    struct bench *b = *state;
    static struct item items[COUNT(clock)];
    bench_start(b);
    block(b, blockers);
    for (size_t i = 0; i < COUNT(items); i++)
        item_make(&items[i], b, 1, clock[i]);
    submit_all(b, items, COUNT(items), true);
    wait_for(b, BLOCKERS + COUNT(items));
    assert_int_equal(items[0].lane.row.tries, 1);
    assert_int_equal(items[1].lane.row.passes, 1);
    assert_int_equal(items[2].lane.row.passes, 2);
    bench_stop(b);
}

/* Doubles are told to the store at the time of the first: one that comes from before it is none. */
static void a_sight_from_before_the_first_is_no_double(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[2];
    bench_start(b);
    block(b, blockers);
    item_make(&items[0], b, 1, T0 + 1);
    item_make(&items[1], b, 1, T0);
    submit_all(b, items, 2, true);
    wait_for(b, BLOCKERS + 2);
    assert_int_equal(items[0].lane.row.first_seen, T0 + 1);
    assert_int_equal(items[1].lane.row.first_seen, T0);
    bench_stop(b);
}

static void sights_a_second_apart_are_no_doubles(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[2];
    bench_start(b);
    block(b, blockers);
    item_make(&items[0], b, 1, T0);
    item_make(&items[1], b, 1, T0 + 1000);
    submit_all(b, items, 2, true);
    wait_for(b, BLOCKERS + 2);
    assert_int_equal(items[0].lane.row.last_seen, T0);
    assert_int_equal(items[1].lane.row.last_seen, T0 + 1000);
    assert_int_equal(items[1].lane.row.tries, 2);
    bench_stop(b);
}

static void settings_that_differ_make_no_doubles(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[2];
    bench_start(b);
    assert_int_equal(alone(b, 1, T0).tries, 1);
    block(b, blockers);
    item_make(&items[0], b, 1, T0 + 5000);
    item_make(&items[1], b, 1, T0 + 5001);
    items[1].lane.sighting.delay = 1000;
    submit_all(b, items, 2, true);
    wait_for(b, BLOCKERS + 3);
    assert_int_equal(items[0].lane.row.passes, 0);
    assert_int_equal(items[1].lane.row.passes, 1);
    bench_stop(b);
}

static void a_counter_and_an_entry_of_one_key_are_two(void **state)
{
    static struct item blockers[BLOCKERS];
    struct bench *b = *state;
    static struct item items[2];
    bench_start(b);
    block(b, blockers);
    item_make(&items[0], b, 1, T0);
    item_make(&items[1], b, 1, T0);
    items[1].lane.sighting.op = STORAGE_COUNT;
    items[1].lane.sighting.count = 3;
    submit_all(b, items, 2, true);
    wait_for(b, BLOCKERS + 2);
    assert_int_equal(items[0].lane.row.tries, 1);
    assert_int_equal(items[1].lane.row.count, 3);
    bench_stop(b);
}

/* Nobody waits for riders, but they are done, too, and before the lane ends. */
static void stopping_finishes_everything(void **state)
{
    enum { ITEMS = 3000 };
    struct bench *b = *state;
    struct item *items = calloc(ITEMS, sizeof(*items));
    assert_non_null(items);
    bench_start(b);
    for (uint32_t i = 0; i < ITEMS; i++) {
        item_make(&items[i], b, i % 700, T0 + (int64_t)i % 3 * 2000);
        assert_true(lane_submit(b->lane, &items[i].lane, i % 2 == 0));
    }
    bench_stop(b);
    assert_int_equal(b->finished, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].lane.status, STORAGE_OK);
    free(items);
}

static void a_full_queue_says_so_and_recovers(void **state)
{
    enum { ITEMS = LANE_QUEUE_MAX + 40000 };
    struct bench *b = *state;
    struct item *items = calloc(ITEMS, sizeof(*items));
    unsigned taken = 0;
    assert_non_null(items);
    bench_start(b);
    for (uint32_t i = 0; i < ITEMS; i++) {
        item_make(&items[i], b, i, T0);
        taken += lane_submit(b->lane, &items[i].lane, true);
    }
    assert_true(taken >= LANE_QUEUE_MAX);
    wait_for(b, taken);
    assert_int_equal(alone(b, ITEMS + 1, T0).tries, 1);
    bench_stop(b);
    free(items);
}

/* A loop that asks thousands of questions, a few hundred at a time, as a server does. */
static void thousands_from_a_loop_are_all_answered(void **state)
{
    enum { ITEMS = 5000, AT_ONCE = 250 };
    struct bench *b = *state;
    struct item *items = calloc(ITEMS, sizeof(*items));
    unsigned submitted = 0;
    int64_t until = clock_steady() + 20000;
    assert_non_null(items);
    bench_start(b);
    while (b->finished < ITEMS && clock_steady() < until) {
        while (submitted < ITEMS && submitted - b->finished < AT_ONCE) {
            item_make(&items[submitted], b, submitted, T0);
            assert_true(lane_submit(b->lane, &items[submitted].lane, true));
            submitted++;
        }
        lane_collect(b->lane);
    }
    assert_int_equal(b->finished, ITEMS);
    for (unsigned i = 0; i < ITEMS; i++)
        assert_true(items[i].lane.row.tries == 1 && items[i].lane.row.passes == 0);
    struct lane_counters counters = lane_counters(b->lane);
    assert_int_equal(counters.sightings, ITEMS);
    assert_true(counters.batches > 0 && counters.batches <= ITEMS);
    assert_true(atomic_load(&b->woken) > 0);
    bench_stop(b);
    free(items);
}

/* In a batch of its own and in steps, until nothing is left. */
static void what_has_expired_is_purged_beside_the_requests(void **state)
{
    enum { ITEMS = 350 };
    struct bench *b = *state;
    static struct item items[ITEMS];
    bench_start(b);
    for (uint32_t i = 0; i < ITEMS; i++)
        item_make(&items[i], b, i, T0);
    submit_all(b, items, ITEMS, true);
    wait_for(b, ITEMS);
    lane_purge(b->lane, T0 + WINDOW - 1);
    (void)alone(b, ITEMS + 1, T0 + WINDOW - 1);
    lane_purge(b->lane, T0 + WINDOW);
    int64_t until = clock_steady() + 10000;
    while (lane_counters(b->lane).purged < ITEMS && clock_steady() < until)
        (void)usleep(1000);
    assert_int_equal(lane_counters(b->lane).purged, ITEMS);
    bench_stop(b);
}

static void the_revision_is_read_when_it_is_asked_for(void **state)
{
    struct bench *b = *state;
    bench_start(b);
    assert_int_equal(lane_revision(b->lane), 0);
    lane_refresh(b->lane);
    int64_t until = clock_steady() + 10000;
    while (lane_revision(b->lane) == 0 && clock_steady() < until)
        (void)usleep(1000);
    assert_true(lane_revision(b->lane) > 0);
    bench_stop(b);
}

static void an_idle_lane_stops_at_once(void **state)
{
    bench_start(*state);
    int64_t from = clock_steady();
    bench_stop(*state);
    assert_true(clock_steady() - from < 2000);
}

/* A store that cannot be reached answers every item, and does not keep them. */
static void a_store_that_is_away_fails_every_item(void **state)
{
    struct bench *b = bench_make("sqlite:////nowhere/at/all/mongrey.db");
    static struct item items[20];
    (void)state;
    log_set_level(LOG_LEVEL_ERROR + 1);
    bench_start(b);
    for (uint32_t i = 0; i < COUNT(items); i++)
        item_make(&items[i], b, i % 3, T0);
    submit_all(b, items, COUNT(items), true);
    bench_stop(b);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(b->finished, COUNT(items));
    for (size_t i = 0; i < COUNT(items); i++)
        assert_int_not_equal(items[i].lane.status, STORAGE_OK);
    bench_free(b);
}

/* --- Touches ---------------------------------------------------------------------------------- */

static struct touches *touches_make(struct bench *b)
{
    struct touches *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->lane = b->lane;
    t->driver = &cache_memory;
    t->cache = t->driver->open(1 << 20);
    assert_non_null(t->cache);
    return t;
}

static void touches_free(struct touches *t)
{
    t->driver->close(t->cache);
    free(t);
}

static void wait_for_touches(struct bench *b, struct touches *t)
{
    int64_t until = clock_steady() + 10000;
    while (t->on_their_way > 0 && clock_steady() < until) {
        lane_collect(b->lane);
        (void)usleep(200);
    }
    assert_int_equal(t->on_their_way, 0);
}

static void passes_from_the_cache_are_counted_up_and_told_once(void **state)
{
    struct bench *b = *state;
    struct item grey;
    bench_start(b);
    struct touches *t = touches_make(b);
    (void)alone(b, 1, T0);
    assert_int_equal(alone(b, 1, T0 + DELAY).passes, 1);
    for (int i = 0; i < 7; i++) {
        item_make(&grey, b, 1, T0 + DELAY + 100 - i);
        touches_note(t, &grey.lane.sighting);
    }
    assert_int_equal(t->count, 1);
    touches_flush(t);
    assert_int_equal(t->count, 0);
    wait_for_touches(b, t);
    struct storage_row row = alone(b, 1, T0 + DELAY + 50);
    assert_int_equal(row.passes, 1 + 7 + 1);
    assert_int_equal(row.last_seen, T0 + DELAY + 100);
    assert_true(t->driver->get(t->cache, grey.lane.sighting.key.bytes, T0 + DELAY + KEEP));
    touches_flush(t);
    bench_stop(b);
    touches_free(t);
}

/* What was forgotten in the store must not live on in the cache. */
static void a_touch_of_what_is_gone_makes_the_cache_forget(void **state)
{
    struct bench *b = *state;
    struct item grey;
    bench_start(b);
    struct touches *t = touches_make(b);
    item_make(&grey, b, 1, T0);
    const uint8_t *key = grey.lane.sighting.key.bytes;
    t->driver->put(t->cache, key, T0 + KEEP);
    touches_note(t, &grey.lane.sighting);
    touches_flush(t);
    wait_for_touches(b, t);
    assert_false(t->driver->get(t->cache, key, T0));
    struct storage_row row = alone(b, 1, T0);
    assert_true(row.passes == 0 && row.tries == 1);
    bench_stop(b);
    touches_free(t);
}

static void many_touches_are_told_without_being_asked(void **state)
{
    struct bench *b = *state;
    struct item grey;
    bench_start(b);
    struct touches *t = touches_make(b);
    for (uint32_t i = 0; i < TOUCHES_MAX; i++) {
        assert_int_equal(t->count, i);
        item_make(&grey, b, i, T0);
        touches_note(t, &grey.lane.sighting);
    }
    assert_int_equal(t->count, 0);
    wait_for_touches(b, t);
    bench_stop(b);
    touches_free(t);
}

#define LANE_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        LANE_TEST(a_sender_comes_back_and_passes),
        LANE_TEST(doubles_get_rows_as_if_each_had_come_alone),
        LANE_TEST(doubles_of_several_tries_count_them_all),
        LANE_TEST(a_key_whose_clock_was_turned_is_seen_in_the_order_of_coming),
        LANE_TEST(a_double_does_not_overtake_what_came_between),
        LANE_TEST(a_sight_from_before_the_first_is_no_double),
        LANE_TEST(sights_a_second_apart_are_no_doubles),
        LANE_TEST(settings_that_differ_make_no_doubles),
        LANE_TEST(a_counter_and_an_entry_of_one_key_are_two),
        LANE_TEST(stopping_finishes_everything),
        LANE_TEST(a_full_queue_says_so_and_recovers),
        LANE_TEST(thousands_from_a_loop_are_all_answered),
        LANE_TEST(what_has_expired_is_purged_beside_the_requests),
        LANE_TEST(the_revision_is_read_when_it_is_asked_for),
        LANE_TEST(an_idle_lane_stops_at_once),
        cmocka_unit_test(a_store_that_is_away_fails_every_item),
        LANE_TEST(passes_from_the_cache_are_counted_up_and_told_once),
        LANE_TEST(a_touch_of_what_is_gone_makes_the_cache_forget),
        LANE_TEST(many_touches_are_told_without_being_asked),
    };
    return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
