/*
 * test_far.c: the far cache's thread, with a cache of the test's own behind the door, on the real SQLite
 * driver for the secret. Who asks is always answered, and never waits for who is away.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/server/far.h"
#include "tests/unit/settings_load.h"

#define KEYS 64

/* --- The cache behind the door: the test says how it behaves --------------------------------- */

struct cache_far {
    bool connected;
};

static struct cache_far there;
static atomic_bool away;
static atomic_bool full;
static atomic_uint connects;
static atomic_uint exchanges;
static atomic_uint largest;
static atomic_int held_for; /* ms that an exchange takes; then it fails if `away` */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cache_call stored[KEYS];
static char prefix_seen[CACHE_PREFIX_MAX + 1];

static struct cache_far *fake_open(const struct cache_place *place)
{
    pthread_mutex_lock(&lock);
    snprintf(prefix_seen, sizeof(prefix_seen), "%s", place->prefix);
    pthread_mutex_unlock(&lock);
    return &there;
}

static void fake_close(struct cache_far *far)
{
    if (far != NULL)
        far->connected = false;
}

static bool fake_connect(struct cache_far *far, uint32_t patience, char *why, size_t size)
{
    (void)patience;
    atomic_fetch_add(&connects, 1);
    snprintf(why, size, "not there");
    far->connected = !atomic_load(&away);
    return far->connected;
}

static void fake_call(struct cache_call *call, char *why, size_t size)
{
    struct cache_call *slot = &stored[call->key[0] % KEYS];
    if (call->op == CACHE_GET) {
        call->result = slot->size > 0 ? CACHE_FOUND : CACHE_NONE;
        call->size = slot->size;
        memcpy(call->value, slot->value, slot->size);
        return;
    }
    call->result = atomic_load(&full) ? CACHE_REFUSED : CACHE_DONE;
    snprintf(why, size, "no room");
    if (call->result == CACHE_DONE) {
        *slot = *call;
        slot->size = call->op == CACHE_PUT ? call->size : 0;
    }
}

static bool fake_exchange(struct cache_far *far, struct cache_call *calls, size_t count, char *why,
                          size_t size)
{
    int wait = atomic_load(&held_for);
    assert_true(far->connected);
    if (count > 0)
        atomic_fetch_add(&exchanges, 1);
    if (count > atomic_load(&largest))
        atomic_store(&largest, (unsigned)count);
    if (wait > 0)
        (void)usleep((unsigned)wait * 1000);
    if (atomic_load(&away)) {
        far->connected = false;
        snprintf(why, size, "went away");
        return false;
    }
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++)
        fake_call(&calls[i], why, size);
    pthread_mutex_unlock(&lock);
    return true;
}

static const struct cache_far_driver fake = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .connect = fake_connect,
    .exchange = fake_exchange,
};

/* --- The bench ------------------------------------------------------------------------------- */

struct bench {
    struct store *store;
    struct settings *settings;
    struct far *far;
    unsigned finished;
    atomic_uint woken;
};

static struct bench bench;

static void wake(void *context)
{
    atomic_fetch_add(&((struct bench *)context)->woken, 1);
}

static void finish(struct far_item *item)
{
    struct bench *b = item->context;
    b->finished++;
}

static struct far_item item_of(uint8_t number)
{
    struct far_item item = {.finish = finish, .context = &bench};
    memset(item.key, number, sizeof(item.key));
    return item;
}

static void wait_up(bool up)
{
    int64_t until = clock_steady() + 20000;
    while (far_counters(bench.far).up != up && clock_steady() < until)
        (void)usleep(500);
    assert_true(far_counters(bench.far).up == up);
}

static void wait_finished(unsigned count)
{
    int64_t until = clock_steady() + 20000;
    while (bench.finished < count && clock_steady() < until) {
        far_collect(bench.far);
        (void)usleep(200);
    }
    assert_int_equal(bench.finished, count);
}

static bool has(uint8_t number, struct sealed *entry)
{
    struct far_item item = item_of(number);
    unsigned before = bench.finished;
    assert_true(far_ask(bench.far, &item));
    wait_finished(before + 1);
    *entry = item.entry;
    return item.found;
}

static void give(uint8_t number, uint64_t revision)
{
    struct sealed entry = {.revision = revision, .expires = INT64_C(1700000000000)};
    uint8_t key[CACHE_KEY_SIZE];
    memset(key, number, sizeof(key));
    far_put(bench.far, key, &entry, 5000);
}

/* Who asks goes before who tells in an exchange; behind an answer all is done that was told before. */
static void settle(void)
{
    struct sealed entry;
    (void)has(KEYS - 1, &entry);
}

static void put(uint8_t number, uint64_t revision)
{
    give(number, revision);
    settle();
}

static int begin(void **state)
{
    (void)state;
    struct far_options options = {
        .driver = &fake,
        .settings = bench.settings,
        .store = bench.store,
        .wake = wake,
        .context = &bench,
    };
    atomic_store(&away, false);
    atomic_store(&full, false);
    atomic_store(&held_for, 0);
    atomic_store(&largest, 0);
    memset(stored, 0, sizeof(stored));
    bench.finished = 0;
    bench.far = far_start(&options);
    return bench.far != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    far_stop(bench.far);
    far_collect(bench.far);
    far_free(bench.far);
    bench.far = NULL;
    return 0;
}

static int start(void **state)
{
    static struct said said;
    const char *drivers = getenv("MONGREY_TEST_DRIVERS");
    (void)state;
    if (!hash_start() || drivers == NULL)
        return -1;
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_ERROR);
    struct store_options options = {
        .url = TEXT("sqlite:///:memory:"), .driver_path = text_of(drivers), .call_timeout = 5000};
    struct storage_error error = {0, ""};
    bench.store = store_make(&options, &error);
    bench.settings =
        load(&said, "cache_settings: {cache_url: 'redis://h', cache_prefix: pre}", NULL, NULL);
    return bench.store != NULL && bench.settings != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    settings_release(bench.settings);
    store_free(bench.store);
    return 0;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void what_is_put_is_found_until_it_is_forgotten(void **state)
{
    struct sealed entry;
    uint8_t key[CACHE_KEY_SIZE];
    (void)state;
    wait_up(true);
    assert_false(has(1, &entry));
    put(1, 9);
    assert_true(has(1, &entry));
    assert_int_equal(entry.revision, 9);
    assert_int_equal(entry.expires, INT64_C(1700000000000));
    assert_false(has(2, &entry));
    memset(key, 1, sizeof(key));
    far_forget(bench.far, key);
    settle();
    assert_false(has(1, &entry));
    assert_int_equal(far_counters(bench.far).puts, 1);
    pthread_mutex_lock(&lock);
    assert_memory_equal(prefix_seen, "pre:", 4);
    assert_int_equal(strlen(prefix_seen), 21);
    pthread_mutex_unlock(&lock);
}

static void a_value_of_others_is_none(void **state)
{
    struct sealed entry;
    (void)state;
    wait_up(true);
    put(3, 1);
    assert_true(has(3, &entry));
    pthread_mutex_lock(&lock);
    stored[4] = stored[3]; /* a true one, moved to another key */
    stored[5].size = 5;
    pthread_mutex_unlock(&lock);
    assert_false(has(4, &entry));
    assert_false(has(5, &entry));
    assert_int_equal(far_counters(bench.far).trouble[FAR_FOREIGN], 2);
}

static void what_waits_goes_out_at_once(void **state)
{
    static struct far_item items[200];
    (void)state;
    wait_up(true);
    atomic_store(&held_for, 50);
    unsigned before = atomic_load(&exchanges);
    for (size_t i = 0; i < COUNT(items); i++) {
        items[i] = item_of((uint8_t)i);
        assert_true(far_ask(bench.far, &items[i]));
    }
    wait_finished(COUNT(items));
    unsigned used = atomic_load(&exchanges) - before;
    CHECK_ROW(used <= 4, "%u exchanges", used);
    assert_true(atomic_load(&largest) >= 50);
}

static void all_are_handed_back_when_it_goes_away(void **state)
{
    static struct far_item items[700]; /* more than a batch */
    struct sealed entry;
    (void)state;
    wait_up(true);
    put(1, 1);
    assert_true(has(1, &entry));
    atomic_store(&held_for, 50);
    atomic_store(&away, true);
    bench.finished = 0;
    int64_t began = clock_steady();
    for (size_t i = 0; i < COUNT(items); i++) {
        items[i] = item_of(1);
        assert_true(far_ask(bench.far, &items[i]));
    }
    wait_finished(COUNT(items));
    /* One exchange, not one for each that waited. */
    CHECK_ROW(clock_steady() - began < 1000 * (1 + 9 * UNIT_SANITIZED), "%lld ms",
              (long long)(clock_steady() - began));
    for (size_t i = 0; i < COUNT(items); i++)
        assert_false(items[i].found);
    assert_false(far_ask(bench.far, &items[0]));
    give(2, 1);
    assert_true(far_counters(bench.far).trouble[FAR_LOST] >= 1);
    assert_true(far_counters(bench.far).trouble[FAR_DROPPED] >= 1);
    atomic_store(&held_for, 0);
    atomic_store(&away, false);
    wait_up(true);
    assert_true(has(1, &entry));
}

static void it_is_not_asked_in_a_hurry_while_it_is_away(void **state)
{
    (void)state;
    wait_up(true);
    atomic_store(&away, true);
    give(1, 1);
    wait_up(false);
    unsigned before = atomic_load(&connects);
    (void)usleep(1000 * 1000);
    unsigned tries = atomic_load(&connects) - before;
    CHECK_ROW(tries >= 1 && tries <= 5, "%u", tries); /* after 100, 200, 400 ms… */
}

static void silence_is_broken_by_a_look(void **state)
{
    (void)state;
    wait_up(true);
    atomic_store(&away, true);
    wait_up(false); /* nobody asked anything */
}

static void one_that_takes_nothing_still_answers(void **state)
{
    struct sealed entry;
    (void)state;
    wait_up(true);
    put(1, 1);
    assert_true(has(1, &entry));
    atomic_store(&full, true);
    put(2, 1);
    assert_true(has(1, &entry));
    assert_false(has(2, &entry));
    assert_int_equal(far_counters(bench.far).trouble[FAR_REFUSED], 1);
    assert_true(far_counters(bench.far).up);
}

static void what_nobody_waits_for_has_a_bound(void **state)
{
    (void)state;
    wait_up(true);
    atomic_store(&held_for, 300);
    give(0, 1);
    (void)usleep(50 * 1000); /* it is under way */
    for (unsigned i = 0; i < FAR_TOLD_MAX + 100; i++)
        give((uint8_t)i, 1);
    assert_true(far_counters(bench.far).trouble[FAR_DROPPED] >= 50);
    atomic_store(&held_for, 0);
}

static void who_stops_is_answered_first(void **state)
{
    static struct far_item items[100];
    (void)state;
    wait_up(true);
    atomic_store(&held_for, 20);
    for (size_t i = 0; i < COUNT(items); i++) {
        items[i] = item_of((uint8_t)i);
        assert_true(far_ask(bench.far, &items[i]));
    }
    far_stop(bench.far);
    far_collect(bench.far);
    assert_int_equal(bench.finished, COUNT(items));
    assert_false(far_ask(bench.far, &items[0]));
}

static void none_is_none(void **state)
{
    struct far_item item = item_of(1);
    struct sealed entry = {1, 1};
    (void)state;
    assert_false(far_ask(NULL, &item));
    far_put(NULL, item.key, &entry, 1);
    far_forget(NULL, item.key);
    far_collect(NULL);
    far_stop(NULL);
    far_free(NULL);
    assert_false(far_counters(NULL).up);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)
    static const struct CMUnitTest tests[] = {
        CASE(what_is_put_is_found_until_it_is_forgotten),
        CASE(a_value_of_others_is_none),
        CASE(what_waits_goes_out_at_once),
        CASE(all_are_handed_back_when_it_goes_away),
        CASE(it_is_not_asked_in_a_hurry_while_it_is_away),
        CASE(silence_is_broken_by_a_look),
        CASE(one_that_takes_nothing_still_answers),
        CASE(what_nobody_waits_for_has_a_bound),
        CASE(who_stops_is_answered_first),
        cmocka_unit_test(none_is_none),
    };
    return cmocka_run_group_tests_name("far", tests, start, stop);
}
