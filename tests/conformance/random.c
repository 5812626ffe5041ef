/*
 * random.c: thousands of sightings drawn by lot, over few keys and short times, so that every
 * boundary is met often; each row that is answered is compared with the model, and now and then the
 * whole store.
 *
 * MONGREY_SEED repeats a run, MONGREY_STEPS sets how many batches it has. Within a batch no
 * sighting depends on what another one does: which of the two comes first is the driver's business.
 */
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEPS 4000
#define ENTRY_KEYS 20
#define COUNTER_KEYS 12 /* the even ones by COUNT, the odd ones by PAIR */
#define BATCH_MOST (ENTRY_KEYS + COUNTER_KEYS)

struct lot {
    struct suite *suite;
    struct model model;
    uint64_t state;
    uint64_t seed;
    uint32_t step;
    int64_t clock;
    struct storage_sighting batch[BATCH_MOST];
    size_t count;
    struct storage_reading reading[BATCH_MOST];
    struct storage_merge merge[BATCH_MOST];
    struct storage_sighting on_pass[BATCH_MOST][STORAGE_ON_PASS];
    struct storage_sighting shared; /* a COUNT that may stand in many on_pass of this batch */
    bool has_shared;
    bool looking;                    /* all of this batch looks */
    bool counter_used[COUNTER_KEYS]; /* by this batch, in whatever way */
    bool entry_seen[ENTRY_KEYS];     /* in this batch; the others may be alternates */
};

/* --- Drawing ---------------------------------------------------------------------------------- */

/* splitmix64: small, known, and the same everywhere. */
static uint64_t draw_bits(struct lot *lot)
{
    uint64_t bits = lot->state += UINT64_C(0x9e3779b97f4a7c15);

    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

static uint32_t draw(struct lot *lot, uint32_t below)
{
    return (uint32_t)(draw_bits(lot) % below);
}

static bool one_in(struct lot *lot, uint32_t many)
{
    return draw(lot, many) == 0;
}

static int64_t draw_duration(struct lot *lot)
{
    static const int64_t durations[] = {0, 1, 2, 5, 10, 20, 63, 64, 65, 128, 200, 640, DAY};

    return durations[draw(lot, sizeof durations / sizeof *durations)];
}

/* Now and then so many that they cannot be told any more. */
static uint32_t draw_count(struct lot *lot)
{
    if (one_in(lot, 150)) {
        return UINT32_MAX - draw(lot, 2);
    }
    return 1 + (one_in(lot, 4) ? draw(lot, 5) : 0);
}

static int64_t draw_now(struct lot *lot)
{
    return one_in(lot, 6) ? lot->clock - draw(lot, 100) : lot->clock + draw(lot, 3);
}

static struct storage_text draw_text(struct lot *lot)
{
    static const char *const texts[] = {
        "",     "a",         "example.com", "Gr\xc3\xbc\xc3\x9f",
        "it's", "192.0.2.1", "x%y_z\\",     "a rather long text, as names may be long"};

    return suite_text(texts[draw(lot, sizeof texts / sizeof *texts)]);
}

static struct storage_reading draw_reading(struct lot *lot)
{
    return (struct storage_reading){draw_text(lot), draw_text(lot), draw_text(lot), draw_text(lot),
                                    draw_text(lot), draw_text(lot), draw_text(lot)};
}

static struct storage_merge draw_merge(struct lot *lot, int64_t now)
{
    struct storage_merge merge = {
        .position = draw(lot, 30),
        .first_seen = now - draw(lot, 300),
        .expires = now + draw_duration(lot) - (one_in(lot, 8) ? 30 : 0),
        .waited = one_in(lot, 2) ? draw_duration(lot) : 0,
        .tries = one_in(lot, 150) ? UINT32_MAX : draw(lot, 4),
        .passes = one_in(lot, 2) ? draw(lot, 4) : 0,
    };

    merge.last_seen = merge.first_seen + draw(lot, 320);
    merge.origin[0] = (uint8_t)draw(lot, 4);
    merge.origin[15] = 0xff;
    return merge;
}

/* A counter that nothing in this batch uses yet. SIZE_MAX: none was found. */
static size_t draw_free_counter(struct lot *lot)
{
    for (int i = 0; i < 4; i++) {
        size_t number = draw(lot, COUNTER_KEYS);
        if (!lot->counter_used[number]) {
            lot->counter_used[number] = true;
            return number;
        }
    }
    return SIZE_MAX;
}

static void draw_times(struct lot *lot, struct storage_sighting *sighting)
{
    sighting->now = draw_now(lot);
    sighting->delay = draw_duration(lot);
    sighting->window = draw_duration(lot);
    sighting->keep = draw_duration(lot);
    sighting->min_gap = one_in(lot, 2) ? 0 : draw_duration(lot);
}

static struct storage_sighting draw_counter(struct lot *lot, uint32_t number, bool on_pass)
{
    struct storage_sighting sighting = {.key = suite_key(number), .count = 1};

    draw_times(lot, &sighting);
    if (!on_pass && one_in(lot, 5)) {
        sighting.op = STORAGE_TAKE;
        sighting.count = 1 + draw(lot, 6);
    } else if (number % 2 == 1) {
        sighting.op = STORAGE_PAIR;
        sighting.mark = draw(lot, 7);
    } else {
        sighting.op = STORAGE_COUNT;
        sighting.count = one_in(lot, 4) ? 0 : draw_count(lot);
    }
    return sighting;
}

/* What comes to the same in any order: each in one moment, by the same rules. */
static void draw_shared(struct lot *lot)
{
    size_t number = one_in(lot, 3) ? draw_free_counter(lot) : SIZE_MAX;

    lot->has_shared = number != SIZE_MAX && number % 2 == 0;
    if (lot->has_shared) {
        lot->shared = (struct storage_sighting){
            .op = STORAGE_COUNT, .key = suite_key((uint32_t)number), .count = draw_count(lot)};
        draw_times(lot, &lot->shared);
    }
}

static void draw_parts(struct lot *lot, struct storage_sighting *sighting, size_t at)
{
    for (uint32_t i = draw(lot, STORAGE_ALTERNATES + 1); i > 0; i--) {
        uint32_t number = draw(lot, ENTRY_KEYS);
        if (!lot->entry_seen[number]) {
            sighting->alternate[sighting->alternates_count++] = suite_key(number);
        }
    }
    for (uint32_t i = one_in(lot, 3) ? draw(lot, STORAGE_EXEMPTIONS + 1) : 0; i > 0; i--) {
        size_t number = draw_free_counter(lot);
        if (number != SIZE_MAX) {
            sighting->exemption[sighting->exemptions_count++] = (struct storage_exemption){
                suite_key((uint32_t)number), 1 + draw(lot, 6), draw_duration(lot)};
        }
    }
    sighting->on_pass = lot->on_pass[at];
    if (lot->has_shared && one_in(lot, 2)) {
        lot->on_pass[at][sighting->on_pass_count++] = lot->shared;
    }
    for (uint32_t i = one_in(lot, 2) ? draw(lot, STORAGE_ON_PASS) : 0; i > 0; i--) {
        size_t number = draw_free_counter(lot);
        if (number != SIZE_MAX) {
            lot->on_pass[at][sighting->on_pass_count++] = draw_counter(lot, (uint32_t)number, true);
        }
    }
}

static struct storage_sighting draw_entry(struct lot *lot, uint32_t number, size_t at)
{
    static const enum storage_op ops[] = {STORAGE_GREY,  STORAGE_GREY,  STORAGE_GREY, STORAGE_GREY,
                                          STORAGE_TOUCH, STORAGE_LEARN, STORAGE_MERGE};
    struct storage_sighting sighting = {.key = suite_key(number)};

    /* The last of them is MERGE, which cannot look. */
    sighting.op = ops[draw(lot, sizeof ops / sizeof *ops - (lot->looking ? 1 : 0))];
    sighting.look = lot->looking;
    sighting.count = draw_count(lot);
    draw_times(lot, &sighting);
    if (!one_in(lot, 4)) {
        lot->reading[at] = draw_reading(lot);
        sighting.reading = &lot->reading[at];
    }
    if (sighting.op == STORAGE_MERGE) {
        lot->merge[at] = draw_merge(lot, sighting.now);
        sighting.merge = &lot->merge[at];
    }
    if (sighting.op == STORAGE_GREY) {
        draw_parts(lot, &sighting, at);
    }
    return sighting;
}

/* Draws which keys are seen first, for their alternates and counters must not be among them. */
static void draw_keys(struct lot *lot, bool counter_seen[COUNTER_KEYS])
{
    uint32_t sparse = 1 + draw(lot, 12);

    for (size_t i = 0; i < ENTRY_KEYS; i++) {
        lot->entry_seen[i] = one_in(lot, sparse + 1);
    }
    for (size_t i = 0; i < COUNTER_KEYS; i++) {
        counter_seen[i] = !lot->looking && one_in(lot, sparse + 3);
        lot->counter_used[i] = counter_seen[i];
    }
    draw_shared(lot);
}

/* Both tables in the order of their keys, mixed in any way. */
static void draw_batch(struct lot *lot)
{
    bool counter_seen[COUNTER_KEYS];
    uint32_t counter = 0;
    uint32_t entry = 0;

    lot->count = 0;
    lot->clock += draw(lot, one_in(lot, 20) ? 400 : 8);
    lot->looking = one_in(lot, 8);
    draw_keys(lot, counter_seen);
    while (entry < ENTRY_KEYS || counter < COUNTER_KEYS) {
        if (entry == ENTRY_KEYS || (counter < COUNTER_KEYS && one_in(lot, 2))) {
            if (counter_seen[counter]) {
                lot->batch[lot->count++] = draw_counter(lot, counter, false);
            }
            counter++;
        } else {
            if (lot->entry_seen[entry]) {
                lot->batch[lot->count] = draw_entry(lot, entry, lot->count);
                lot->count++;
            }
            entry++;
        }
    }
}

/* --- Comparing -------------------------------------------------------------------------------- */

static void tell_sighting(const struct lot *lot, size_t at)
{
    const struct storage_sighting *s = &lot->batch[at];

    print_error("seed %" PRIu64 ", step %u, sighting %zu of %zu: op %d key %u now %" PRId64
                " delay %" PRId64 " window %" PRId64 " keep %" PRId64 " min_gap %" PRId64
                " count %u mark %" PRIu64 " look %d alternates %d exemptions %d on_pass %d\n",
                lot->seed, lot->step, at, lot->count, (int)s->op, (unsigned)s->key.bytes[3],
                s->now - T0, s->delay, s->window, s->keep, s->min_gap, s->count, s->mark,
                (int)s->look, (int)s->alternates_count, (int)s->exemptions_count,
                (int)s->on_pass_count);
}

static bool is_counter(const struct storage_sighting *sighting, const struct storage_row *row)
{
    return sighting->op >= STORAGE_COUNT || row->exempt > 0;
}

static bool same_row(const struct storage_sighting *sighting, const struct storage_row *is,
                     const struct storage_row *want)
{
    if (is->status != want->status || want->status != STORAGE_OK || sighting->op == STORAGE_MERGE) {
        return is->status == want->status;
    }
    if (is->exempt != want->exempt || is->first_seen != want->first_seen ||
        is->last_seen != want->last_seen || is->expires != want->expires) {
        return false;
    }
    if (is_counter(sighting, want)) {
        return is->count == want->count;
    }
    return is->origin == want->origin && is->waited == want->waited && is->tries == want->tries &&
           is->passes == want->passes;
}

static void compare_batch(struct lot *lot)
{
    static struct storage_row rows[BATCH_MOST];

    if (lot->count == 0) {
        return;
    }
    suite_see_all(lot->suite, lot->batch, lot->count, rows);
    for (size_t i = 0; i < lot->count; i++) {
        struct storage_row want;
        model_see(&lot->model, &lot->batch[i], &want);
        if (same_row(&lot->batch[i], &rows[i], &want)) {
            continue;
        }
        tell_sighting(lot, i);
        if (is_counter(&lot->batch[i], &want)) {
            suite_expect_counter(rows[i], want, __FILE__, __LINE__);
        }
        suite_expect_entry(rows[i], want, __FILE__, __LINE__);
    }
}

struct table {
    struct suite_entry entry[MODEL_KEYS];
    size_t count;
    char last_id[STORAGE_ID_MAX + 1];
    bool wrong;
};

static bool note_entry(void *context, const struct storage_record *record)
{
    struct table *table = context;

    (void)snprintf(table->last_id, sizeof table->last_id, "%s", record->id);
    if (table->count == MODEL_KEYS || !suite_read_entry(record, &table->entry[table->count])) {
        table->wrong = true;
        return false;
    }
    table->count++;
    return true;
}

static void read_table(struct lot *lot, struct table *table)
{
    struct storage_query query = {.kind = ENTRIES, .order = STORAGE_BY_ID, .limit = 7};
    size_t before = SIZE_MAX;

    *table = (struct table){.count = 0};
    while (before != table->count) {
        before = table->count;
        query.after_id = before == 0 ? NULL : table->last_id;
        assert_int_equal(lot->suite->driver->search(lot->suite->session, &query, note_entry, table,
                                                    &lot->suite->error),
                         STORAGE_OK);
        assert_false(table->wrong);
    }
}

static void compare_entry(struct lot *lot, const struct suite_entry *is, uint32_t key)
{
    const struct model_entry *want = &lot->model.entry[key];
    const int64_t numbers[CLIENT_ADDRESS] = {want->first_seen, want->last_seen, want->expires,
                                             want->waited,     want->tries,     want->passes};
    bool same = is->key == key && memcmp(is->number, numbers, sizeof numbers) == 0;

    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        same = same && strcmp(is->text[i], want->text[i]) == 0 && (want->told || is->null[i]);
    }
    if (same) {
        return;
    }
    print_error("seed %" PRIu64 ", step %u: the stored entry %u (of key %u) differs\n", lot->seed,
                lot->step, is->key, key);
    for (size_t i = 0; i < CLIENT_ADDRESS; i++) {
        print_error("number %zu: is %" PRId64 ", should be %" PRId64 "\n", i, is->number[i],
                    numbers[i]);
    }
    for (size_t i = 0; i < ENTRY_TEXTS; i++) {
        print_error("text %zu: is \"%s\"%s, should be \"%s\"%s\n", i, is->text[i],
                    is->null[i] ? " (NULL)" : "", want->text[i], want->told ? "" : " (NULL)");
    }
    fail();
}

static void compare_entries(struct lot *lot)
{
    static struct table table;
    size_t at = 0;

    read_table(lot, &table);
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        if (lot->model.entry[key].there) {
            assert_true(at < table.count);
            compare_entry(lot, &table.entry[at++], key);
        }
    }
    assert_int_equal(at, table.count);
}

static void compare_counters(struct lot *lot)
{
    for (uint32_t key = 0; key < COUNTER_KEYS; key++) {
        struct storage_sighting sighting = suite_count(key, lot->clock, 0);
        struct storage_row is = suite_see(lot->suite, sighting);
        struct storage_row want;
        model_see(&lot->model, &sighting, &want);
        if (!same_row(&sighting, &is, &want)) {
            print_error("seed %" PRIu64 ", step %u: counter %u differs\n", lot->seed, lot->step,
                        key);
            suite_expect_counter(is, want, __FILE__, __LINE__);
        }
    }
}

static void compare_tally(struct lot *lot)
{
    int64_t since = lot->clock - draw(lot, 600);
    int64_t abandoned_before = lot->clock - draw(lot, 300);
    struct storage_tally want = model_tally(&lot->model, since, abandoned_before);
    struct storage_tally is = {0};

    assert_int_equal(lot->suite->driver->tally(lot->suite->session, since, abandoned_before, &is,
                                               &lot->suite->error),
                     STORAGE_OK);
    assert_int_equal(is.entries, want.entries);
    assert_int_equal(is.accepted, want.accepted);
    assert_int_equal(is.rejected, want.rejected);
    assert_int_equal(is.abandoned, want.abandoned);
    assert_int_equal(is.passed, want.passed);
    assert_int_equal(is.waited, want.waited);
}

static void purge_both(struct lot *lot)
{
    int64_t now = lot->clock - draw(lot, 60);
    size_t limit = 1 + draw(lot, 10);
    size_t removed = 1;
    size_t sum = 0;

    while (removed > 0) {
        assert_int_equal(lot->suite->driver->purge(lot->suite->session, now, limit, &removed,
                                                   &lot->suite->error),
                         STORAGE_OK);
        assert_true(removed <= limit);
        sum += removed;
    }
    assert_int_equal(sum, model_purge(&lot->model, now));
}

static void erase_both(struct lot *lot)
{
    uint32_t key = draw(lot, ENTRY_KEYS);
    char id[STORAGE_KEY_SIZE * 2 + 1];
    enum storage_status status;

    suite_key_id(key, id);
    status = suite_erase(lot->suite, ENTRIES, id, STORAGE_ANY_VERSION);
    assert_int_equal(status, lot->model.entry[key].there ? STORAGE_OK : STORAGE_NOT_FOUND);
    lot->model.entry[key].there = false;
}

/* --- The case --------------------------------------------------------------------------------- */

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL || *text == '\0' ? otherwise : strtoull(text, NULL, 10);
}

static void run_lot(struct lot *lot, uint64_t steps)
{
    for (lot->step = 0; lot->step < steps; lot->step++) {
        draw_batch(lot);
        compare_batch(lot);
        if (one_in(lot, 40)) {
            purge_both(lot);
        }
        if (one_in(lot, 40)) {
            erase_both(lot);
        }
        if (one_in(lot, 60)) {
            compare_entries(lot);
            compare_counters(lot);
            compare_tally(lot);
        }
    }
    compare_entries(lot);
    compare_counters(lot);
    compare_tally(lot);
}

static void random_sightings_as_in_the_model(void **state)
{
    static struct lot lot;
    uint64_t chosen = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;

    memset(&lot, 0, sizeof lot);
    lot.suite = *state;
    lot.seed = number_from("MONGREY_SEED", chosen);
    lot.state = lot.seed;
    lot.clock = T0;
    print_message("MONGREY_SEED=%" PRIu64 "\n", lot.seed);
    run_lot(&lot, number_from("MONGREY_STEPS", STEPS));
}

const struct suite_case random_cases[] = {
    {"random_sightings_as_in_the_model", random_sightings_as_in_the_model},
    {NULL, NULL},
};
