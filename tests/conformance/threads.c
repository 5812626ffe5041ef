/*
 * threads.c: two threads, a session each, that do something to one key in the same instant.
 *
 * The threads only act and note what was answered; the case judges when they have ended.
 */
#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 300
#define RACERS 2
#define BUSY_TRIES 2000

struct race;

struct racer {
    struct race *race;
    uint32_t number;
    struct storage_session *session;
    pthread_t thread;
    struct storage_error error;
    enum storage_status status[ROUNDS];
    struct storage_row row[ROUNDS];
};

typedef enum storage_status race_step(struct racer *racer, uint32_t round, struct storage_row *row);

struct race {
    const struct storage_driver *driver;
    race_step *step;
    uint32_t rounds;
    pthread_barrier_t start;
    struct racer racer[RACERS];
};

static void *run_racer(void *argument)
{
    struct racer *racer = argument;

    for (uint32_t round = 0; round < racer->race->rounds; round++) {
        (void)pthread_barrier_wait(&racer->race->start);
        racer->status[round] = racer->race->step(racer, round, &racer->row[round]);
    }
    return NULL;
}

/* Runs the step in both threads, `rounds` times at once; `other` is the second one's session. */
static void run_race(struct suite *suite, struct race *race, uint32_t rounds, race_step *step,
                     struct storage_session *other)
{
    memset(race, 0, sizeof *race);
    race->driver = suite->driver;
    race->step = step;
    race->rounds = rounds;
    assert_int_equal(pthread_barrier_init(&race->start, NULL, RACERS), 0);
    for (uint32_t i = 0; i < RACERS; i++) {
        struct racer *racer = &race->racer[i];
        racer->race = race;
        racer->number = i;
        racer->session = i == 0 ? suite->session : other;
        assert_int_equal(pthread_create(&racer->thread, NULL, run_racer, racer), 0);
    }
    for (uint32_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(race->racer[i].thread, NULL), 0);
    }
    assert_int_equal(pthread_barrier_destroy(&race->start), 0);
}

static void run_race_on_sessions(struct suite *suite, struct race *race, uint32_t rounds,
                                 race_step *step)
{
    struct storage_session *other = suite_attach(suite);

    run_race(suite, race, rounds, step, other);
    suite->driver->detach(other);
}

static enum storage_status see(struct racer *racer, struct storage_sighting sighting,
                               struct storage_row *row)
{
    return suite_observe(racer->race->driver, racer->session, &sighting, 1, row, &racer->error);
}

static void expect_all_ok(const struct race *race)
{
    for (uint32_t round = 0; round < race->rounds; round++) {
        for (uint32_t i = 0; i < RACERS; i++) {
            if (race->racer[i].status[round] != STORAGE_OK) {
                fail_msg("round %u: status %d: %s", round, (int)race->racer[i].status[round],
                         race->racer[i].error.text);
            }
        }
    }
}

/* --- Entries ---------------------------------------------------------------------------------- */

static enum storage_status meet_new_key(struct racer *racer, uint32_t round,
                                        struct storage_row *row)
{
    return see(racer, suite_grey(round, T0 + racer->number), row);
}

/* One of the two is new, the other is told of the same first time. */
static void expect_one_first_time(struct suite *suite, const struct race *race)
{
    expect_all_ok(race);
    for (uint32_t round = 0; round < race->rounds; round++) {
        const struct storage_row *one = &race->racer[0].row[round];
        const struct storage_row *other = &race->racer[1].row[round];
        const struct storage_row *later = one->tries == 2 ? one : other;
        struct suite_entry entry;
        assert_int_equal(one->tries + other->tries, 3);
        assert_int_equal(one->passes + other->passes, 0);
        if (round % 50 == 0) {
            assert_true(suite_find_entry(suite, round, &entry));
            assert_int_equal(entry.number[TRIES], 2);
            assert_int_equal(entry.number[FIRST_SEEN], later->first_seen);
            assert_int_equal(entry.number[LAST_SEEN], T0 + 1);
        }
    }
}

static void threads_agree_on_one_first_time(void **state)
{
    static struct race race;

    run_race_on_sessions(*state, &race, ROUNDS, meet_new_key);
    expect_one_first_time(*state, &race);
}

static void handles_agree_on_one_first_time(void **state)
{
    static struct race race;
    struct suite *suite = *state;
    struct storage_session *other;
    struct storage_db *db;

    if (!suite_can_reopen(suite)) {
        skip();
    }
    db = suite_open_again(suite);
    other = suite_attach_to(suite, db);
    run_race(suite, &race, ROUNDS, meet_new_key, other);
    suite->driver->detach(other);
    suite->driver->close(db);
    expect_one_first_time(suite, &race);
}

static enum storage_status pass_first_time(struct racer *racer, uint32_t round,
                                           struct storage_row *row)
{
    const struct storage_sighting on_pass = suite_count(round, T0 + DELAY, 1);
    struct storage_sighting sighting = suite_grey(round, T0 + DELAY);

    sighting.on_pass = &on_pass;
    sighting.on_pass_count = 1;
    return see(racer, sighting, row);
}

static void threads_pass_first_once(void **state)
{
    static struct race race;
    struct suite *suite = *state;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)suite_see(suite, suite_grey(round, T0));
    }
    run_race_on_sessions(suite, &race, ROUNDS, pass_first_time);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(race.racer[0].row[round].passes + race.racer[1].row[round].passes, 3);
        assert_int_equal(suite_counter(suite, round, T0 + DELAY).count, 1);
    }
}

/* Each looks under the key that the other writes. */
static enum storage_status look_under_other(struct racer *racer, uint32_t round,
                                            struct storage_row *row)
{
    struct storage_sighting sighting = suite_grey(2 * round + racer->number, T0);

    sighting.alternates_count = 1;
    sighting.alternate[0] = suite_key(2 * round + 1 - racer->number);
    return see(racer, sighting, row);
}

static void threads_look_under_each_others_keys(void **state)
{
    static struct race race;
    struct suite *suite = *state;

    run_race_on_sessions(suite, &race, ROUNDS, look_under_other);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < RACERS; i++) {
            const struct storage_row *row = &race.racer[i].row[round];
            assert_int_equal(row->first_seen, T0);
            assert_int_equal(row->tries, 1 + row->origin);
        }
    }
}

#define OVERLAP 40

/* Both do batches of the same keys; in each the first half of one is the second of the other. */
static enum storage_status do_batch(struct racer *racer, uint32_t round, struct storage_row *row)
{
    struct storage_sighting batch[OVERLAP];
    struct storage_row rows[OVERLAP];
    enum storage_status status;

    for (uint32_t i = 0; i < OVERLAP; i++) {
        uint32_t key = i + (racer->number + round) % 2 * (OVERLAP / 2);
        batch[i] = key % 4 == 3 ? suite_count(key, T0, 1) : suite_grey(key, T0);
    }
    status =
        suite_observe(racer->race->driver, racer->session, batch, OVERLAP, rows, &racer->error);
    *row = rows[OVERLAP - 1];
    return status;
}

static void threads_do_overlapping_batches(void **state)
{
    static struct race race;
    struct suite *suite = *state;
    const uint32_t rounds = 100;

    run_race_on_sessions(suite, &race, rounds, do_batch);
    expect_all_ok(&race);
    for (uint32_t key = 0; key < OVERLAP + OVERLAP / 2; key++) {
        bool in_both = key >= OVERLAP / 2 && key < OVERLAP;
        uint32_t expected = in_both ? 2 * rounds : rounds;
        struct suite_entry entry;
        if (key % 4 == 3) {
            assert_int_equal(suite_counter(suite, key, T0).count, expected);
        } else {
            assert_true(suite_find_entry(suite, key, &entry));
            assert_int_equal(entry.number[TRIES], expected);
        }
    }
}

/* One purges what is dead while the other sees it again: what was answered must be there. */
static enum storage_status revive_or_purge(struct racer *racer, uint32_t round,
                                           struct storage_row *row)
{
    enum storage_status status = STORAGE_BUSY;
    size_t removed;

    if (racer->number == 0) {
        return see(racer, suite_grey(round, T0 + WINDOW), row);
    }
    for (int i = 0; i < BUSY_TRIES && status == STORAGE_BUSY; i++) {
        status =
            racer->race->driver->purge(racer->session, T0 + WINDOW, 10, &removed, &racer->error);
    }
    return status;
}

static void threads_purge_spares_the_revived(void **state)
{
    static struct race race;
    struct suite *suite = *state;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)suite_see(suite, suite_grey(round, T0));
    }
    run_race_on_sessions(suite, &race, ROUNDS, revive_or_purge);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct storage_sighting look = suite_grey(round, T0 + WINDOW);
        look.look = true;
        assert_int_equal(race.racer[0].row[round].tries, 1);
        assert_int_equal(suite_see(suite, look).tries, 2);
    }
}

/* --- Counters --------------------------------------------------------------------------------- */

static enum storage_status count_one(struct racer *racer, uint32_t round, struct storage_row *row)
{
    (void)round;
    return see(racer, suite_count(1, T0, 1), row);
}

static void threads_count_exactly(void **state)
{
    static struct race race;
    struct suite *suite = *state;
    uint8_t seen[2 * ROUNDS + 1] = {0};

    run_race_on_sessions(suite, &race, ROUNDS, count_one);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < RACERS; i++) {
            uint32_t count = race.racer[i].row[round].count;
            assert_in_range(count, 1, 2 * ROUNDS);
            assert_int_equal(seen[count]++, 0);
        }
    }
    assert_int_equal(suite_counter(suite, 1, T0).count, 2 * ROUNDS);
}

static enum storage_status count_with_gap(struct racer *racer, uint32_t round,
                                          struct storage_row *row)
{
    struct storage_sighting sighting = suite_count(round, T0, 1);

    sighting.min_gap = HOUR;
    return see(racer, sighting, row);
}

static void threads_count_once_in_a_gap(void **state)
{
    static struct race race;

    run_race_on_sessions(*state, &race, ROUNDS, count_with_gap);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(race.racer[0].row[round].count, 1);
        assert_int_equal(race.racer[1].row[round].count, 1);
    }
}

static enum storage_status add_mark(struct racer *racer, uint32_t round, struct storage_row *row)
{
    return see(racer, suite_pair(round, T0, round % 2 == 0 ? 7 : racer->number), row);
}

static void threads_add_marks(void **state)
{
    static struct race race;
    struct suite *suite = *state;

    run_race_on_sessions(suite, &race, ROUNDS, add_mark);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(suite_counter(suite, round, T0).count, round % 2 == 0 ? 1 : 2);
    }
}

static enum storage_status take_one(struct racer *racer, uint32_t round, struct storage_row *row)
{
    return see(racer, suite_take(round, T0, 5), row);
}

static void threads_take_once(void **state)
{
    static struct race race;
    struct suite *suite = *state;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)suite_see(suite, suite_count(round, T0, 5));
    }
    run_race_on_sessions(suite, &race, ROUNDS, take_one);
    expect_all_ok(&race);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        bool first = race.racer[0].row[round].status == STORAGE_OK;
        EXPECT_NOT_FOUND(race.racer[first ? 1 : 0].row[round]);
        assert_int_equal(race.racer[first ? 0 : 1].row[round].status, STORAGE_OK);
        assert_int_equal(race.racer[first ? 0 : 1].row[round].count, 5);
    }
}

/* --- Records ---------------------------------------------------------------------------------- */

static enum storage_status change_in_race(struct racer *racer, struct storage_change *changes,
                                          size_t count)
{
    enum storage_status status = STORAGE_BUSY;

    for (int i = 0; i < BUSY_TRIES && status == STORAGE_BUSY; i++) {
        status =
            racer->race->driver->change(racer->session, ARTICLES, changes, count, &racer->error);
    }
    return status;
}

static enum storage_status put(struct racer *racer, const char *id, int64_t expected,
                               const char *owner)
{
    const struct storage_value values[ARTICLE_FIELDS] = {
        [OWNER] = owner == NULL ? value_null() : value_text(owner)};
    struct storage_change change = {.id = id, .expected = expected, .values = values};

    return change_in_race(racer, &change, 1);
}

static enum storage_status put_same_owner(struct racer *racer, uint32_t round,
                                          struct storage_row *row)
{
    char id[32];
    char owner[32];

    (void)row;
    (void)snprintf(id, sizeof id, "%u-%u", round, racer->number);
    (void)snprintf(owner, sizeof owner, "owner %u", round);
    return put(racer, id, 0, owner);
}

static enum storage_status put_same_id(struct racer *racer, uint32_t round, struct storage_row *row)
{
    char id[32];

    (void)row;
    (void)snprintf(id, sizeof id, "%u", round);
    return put(racer, id, 0, NULL);
}

static enum storage_status put_same_version(struct racer *racer, uint32_t round,
                                            struct storage_row *row)
{
    (void)row;
    return put(racer, "only", (int64_t)round + 1, NULL);
}

/* One is done, to the other this is said. */
static void expect_one_of_two(const struct race *race, enum storage_status refusal)
{
    for (uint32_t round = 0; round < race->rounds; round++) {
        enum storage_status one = race->racer[0].status[round];
        enum storage_status other = race->racer[1].status[round];
        if (!(one == STORAGE_OK && other == refusal) && !(one == refusal && other == STORAGE_OK)) {
            fail_msg("round %u: %d and %d", round, (int)one, (int)other);
        }
    }
}

static void threads_put_one_of_two(void **state)
{
    static struct race race;
    struct suite *suite = *state;
    const uint32_t rounds = 100;

    run_race_on_sessions(suite, &race, rounds, put_same_owner);
    expect_one_of_two(&race, STORAGE_EXISTS);
    run_race_on_sessions(suite, &race, rounds, put_same_id);
    expect_one_of_two(&race, STORAGE_CONFLICT);
    suite_put_article(suite, "only", NULL, value_null());
    run_race_on_sessions(suite, &race, rounds, put_same_version);
    expect_one_of_two(&race, STORAGE_CONFLICT);
}

/* Both change the same two records, one of them from the other end. */
static enum storage_status change_two(struct racer *racer, uint32_t round, struct storage_row *row)
{
    const struct storage_value values[ARTICLE_FIELDS] = {[RANK] = value_integer(racer->number)};
    struct storage_change changes[2] = {{.id = racer->number == 0 ? "one" : "two"},
                                        {.id = racer->number == 0 ? "two" : "one"}};

    (void)row;
    for (size_t i = 0; i < 2; i++) {
        changes[i].expected = (int64_t)round + 1;
        changes[i].values = values;
    }
    return change_in_race(racer, changes, 2);
}

static void threads_change_all_or_none(void **state)
{
    static struct race race;
    struct suite *suite = *state;
    const uint32_t rounds = 100;

    suite_put_article(suite, "one", NULL, value_null());
    suite_put_article(suite, "two", NULL, value_null());
    run_race_on_sessions(suite, &race, rounds, change_two);
    expect_one_of_two(&race, STORAGE_CONFLICT);
    assert_int_equal(suite_erase(suite, ARTICLES, "one", rounds + 1), STORAGE_OK);
    assert_int_equal(suite_erase(suite, ARTICLES, "two", rounds + 1), STORAGE_OK);
}

/* --- Opening ---------------------------------------------------------------------------------- */

#define OPENINGS 10

struct opener {
    struct race *race;
    const struct suite *suite;
    const char *url;
    pthread_t thread;
    struct storage_db *db;
    struct storage_error error;
    enum storage_status status;
};

static void *run_opener(void *argument)
{
    struct opener *opener = argument;
    enum storage_status status = STORAGE_BUSY;

    (void)pthread_barrier_wait(&opener->race->start);
    for (int i = 0; i < BUSY_TRIES && (status == STORAGE_BUSY || status == STORAGE_UNAVAILABLE);
         i++) {
        status = place_open(opener->suite->place, &opener->suite->host, opener->url, &opener->db,
                            &opener->error);
    }
    opener->status = status;
    return NULL;
}

static void expect_opened(struct suite *suite, struct opener *opener, uint32_t tries)
{
    struct storage_session *own = suite->session;

    if (opener->status != STORAGE_OK) {
        fail_msg("opening %s: status %d: %s", opener->url, (int)opener->status, opener->error.text);
    }
    suite->session = suite_attach_to(suite, opener->db);
    assert_int_equal(suite_see(suite, suite_grey(1, T0)).tries, tries);
    suite->driver->detach(suite->session);
    suite->session = own;
}

/* Two instances meet a store that is not there yet: one makes it, both have it. */
static void open_at_once(struct suite *suite)
{
    static struct race race;
    struct opener openers[RACERS];
    char url[sizeof suite->url];

    place_name_store(suite->place, url, sizeof url);
    assert_int_equal(pthread_barrier_init(&race.start, NULL, RACERS), 0);
    for (size_t i = 0; i < RACERS; i++) {
        openers[i] = (struct opener){.race = &race, .suite = suite, .url = url};
        assert_int_equal(pthread_create(&openers[i].thread, NULL, run_opener, &openers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
    }
    assert_int_equal(pthread_barrier_destroy(&race.start), 0);
    for (uint32_t i = 0; i < RACERS; i++) {
        expect_opened(suite, &openers[i], i + 1);
    }
    for (size_t i = 0; i < RACERS; i++) {
        suite->driver->close(openers[i].db);
    }
}

static void threads_open_a_new_store(void **state)
{
    if (!suite_can_reopen(*state)) {
        skip();
    }
    for (int i = 0; i < OPENINGS; i++) {
        open_at_once(*state);
    }
}

const struct suite_case thread_cases[] = {
    {"threads_agree_on_one_first_time", threads_agree_on_one_first_time},
    {"handles_agree_on_one_first_time", handles_agree_on_one_first_time},
    {"threads_pass_first_once", threads_pass_first_once},
    {"threads_do_overlapping_batches", threads_do_overlapping_batches},
    {"threads_purge_spares_the_revived", threads_purge_spares_the_revived},
    {"threads_count_exactly", threads_count_exactly},
    {"threads_count_once_in_a_gap", threads_count_once_in_a_gap},
    {"threads_add_marks", threads_add_marks},
    {"threads_take_once", threads_take_once},
    {"threads_put_one_of_two", threads_put_one_of_two},
    {"threads_change_all_or_none", threads_change_all_or_none},
    {"threads_look_under_each_others_keys", threads_look_under_each_others_keys},
    {"threads_open_a_new_store", threads_open_a_new_store},
    {NULL, NULL},
};
