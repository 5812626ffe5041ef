/* keeper.c: see keeper.h. */
#include "core/server/keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/data/data.h"
#include "core/data/decision.h"
#include "core/data/ring.h"
#include "core/server/tally.h"
#include "core/store/records.h"

#define QUEUE_MAX 1024   /* decisions that may wait */
#define A_SECOND_MAX 200 /* decisions taken in one second: a flood is the log's affair */
#define RECOUNT 3600000  /* ms: other hosts write decisions too */
#define RECOUNT_ROWS 64  /* and after a quarter of the ring and so many of one's own */
#define RETRY 1000       /* ms: after a failed load */
#define GATHER 500       /* ms: what comes in it is one transaction */
#define STORE_TRIES 3    /* of decisions, before they are dropped */

struct keeper {
    struct store *store;
    void (*wake)(void *context);
    void *context;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stopping;
    struct lists_place *place; /* where the lists are saved; NULL: nowhere */
    bool load;
    int64_t load_at; /* steady ms: not before */
    char *fixtures;  /* to be merged before the next load; NULL: none */
    struct snapshot *fresh;
    struct snapshot *old; /* to be freed, each with the next in `next_old` */
    int64_t store_at;     /* steady ms: when the decisions that wait are stored */
    struct decision *first;
    struct decision **last;
    size_t waiting;
    int64_t second; /* steady: of `in_second` */
    size_t in_second;
    size_t keep_most;
    int64_t tally_now; /* 0: nothing to tally */
    int64_t tally_interval;
    struct keeper_counters counters;

    /* The thread's own. */
    size_t stored;   /* decisions in the store, as far as known */
    size_t since;    /* own ones since they were counted */
    int64_t counted; /* steady ms: when they were counted; 0: never, or somebody else is at them */
};

/* --- What it does, without the lock ----------------------------------------------------------- */

/* What is the store's trouble was logged where it was found. */
static struct snapshot *load(struct keeper *k, struct store_line *line, const char *fixtures)
{
    struct storage_error error = {0, ""};
    enum storage_status status;
    struct snapshot *s = data_load(line, fixtures, k->place, clock_wall(), &status, &error);
    if (s == NULL && !store_is_away(k->store) && status != STORAGE_UNAVAILABLE &&
        status != STORAGE_BUSY)
        log_error("the lists were not read: %s; those before stay in force", error.text);
    return s;
}

static void free_decisions(struct decision *first)
{
    while (first != NULL) {
        struct decision *next = first->next;
        free(first);
        first = next;
    }
}

static void trim(struct keeper *k, struct store_line *line, size_t most)
{
    struct storage_error error;
    size_t removed = 1;
    if (k->counted == 0 || clock_steady() - k->counted > RECOUNT ||
        k->since > most / 4 + RECOUNT_ROWS) {
        if (ring_count(line, KIND_DECISION, &k->stored, &error) != STORAGE_OK)
            return;
        k->counted = clock_steady();
        k->since = 0;
    }
    while (k->stored > most && removed > 0) {
        if (ring_trim(line, KIND_DECISION, k->stored - most, &removed, &error) != STORAGE_OK)
            return;
        k->stored -= removed < k->stored ? removed : k->stored;
        if (removed == 0)
            k->counted = 0;
    }
}

/* Returns how many were stored. */
static size_t store_decisions(struct keeper *k, struct store_line *line, struct decision *first,
                              size_t count, size_t most)
{
    struct storage_error error;
    enum storage_status status = STORAGE_BUSY;
    for (int i = 0; i < STORE_TRIES && status == STORAGE_BUSY; i++)
        status = decision_store(line, first, &error);
    free_decisions(first);
    if (status != STORAGE_OK)
        return 0;
    k->stored += count;
    k->since += count;
    trim(k, line, most);
    return count;
}

/* --- The thread ------------------------------------------------------------------------------- */

/* Each is called with the lock held, and lets go of it while it works. */

static void run_load(struct keeper *k, struct store_line *line)
{
    char *fixtures = k->fixtures;
    k->load = false;
    k->fixtures = NULL;
    pthread_mutex_unlock(&k->lock);
    struct snapshot *s = load(k, line, fixtures);
    pthread_mutex_lock(&k->lock);
    if (s == NULL) {
        k->load = true;
        k->load_at = clock_steady() + RETRY;
        /* What the store was away for is merged when it is back; a newer wish goes before it. */
        if (k->fixtures == NULL) {
            k->fixtures = fixtures;
            return;
        }
    }
    free(fixtures);
    if (s == NULL)
        return;
    snapshot_release(k->fresh);
    k->fresh = s;
    k->wake(k->context);
}

static void run_decisions(struct keeper *k, struct store_line *line)
{
    struct decision *first = k->first;
    size_t count = k->waiting;
    size_t most = k->keep_most;
    k->first = NULL;
    k->last = &k->first;
    k->waiting = 0;
    pthread_mutex_unlock(&k->lock);
    size_t stored = store_decisions(k, line, first, count, most);
    pthread_mutex_lock(&k->lock);
    k->counters.decisions += stored;
    k->counters.dropped += count - stored;
}

static void run_free(struct keeper *k)
{
    struct snapshot *s = k->old;
    k->old = s->next_old;
    pthread_mutex_unlock(&k->lock);
    snapshot_free(s);
    pthread_mutex_lock(&k->lock);
}

static void run_tally(struct keeper *k, struct store_line *line)
{
    struct storage_error error;
    int64_t now = k->tally_now;
    int64_t interval = k->tally_interval;
    k->tally_now = 0;
    pthread_mutex_unlock(&k->lock);
    tally_store(line, now, interval, &error);
    pthread_mutex_lock(&k->lock);
}

/* Whether the store is back; what waited for it is due at once. */
static void run_probe(struct keeper *k, struct store_line *line)
{
    struct storage_error error;
    uint64_t revision;
    pthread_mutex_unlock(&k->lock);
    enum storage_status status = store_revision(line, &revision, &error);
    pthread_mutex_lock(&k->lock);
    if (status == STORAGE_OK)
        k->load_at = clock_steady();
}

/* Until something new is to be done, or the time has come for what waits for it. */
static void rest(struct keeper *k)
{
    int64_t at = store_retry_at(k->store);
    if (k->load && k->load_at < at)
        at = k->load_at;
    if (k->first != NULL && k->store_at < at)
        at = k->store_at;
    if (at == INT64_MAX) {
        pthread_cond_wait(&k->work, &k->lock);
        return;
    }
    /* A time that has come meanwhile ends the wait at once. */
    struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
    pthread_cond_timedwait(&k->work, &k->lock, &until);
}

static void *keeper_thread(void *argument)
{
    struct keeper *k = argument;
    struct store_line line;
    store_line_start(&line, k->store);
    pthread_mutex_lock(&k->lock);
    for (;;) {
        int64_t now = clock_steady();
        if (k->load && k->load_at <= now && !k->stopping)
            run_load(k, &line);
        else if (k->first != NULL && (k->store_at <= now || k->stopping))
            run_decisions(k, &line);
        else if (k->old != NULL)
            run_free(k);
        else if (k->tally_now != 0 && !k->stopping)
            run_tally(k, &line);
        else if (store_retry_at(k->store) <= now && !k->stopping)
            run_probe(k, &line);
        else if (k->stopping)
            break;
        else
            rest(k);
    }
    pthread_mutex_unlock(&k->lock);
    store_line_end(&line);
    return NULL;
}

struct keeper *keeper_start(struct store *store, struct lists_place *place,
                            void (*wake)(void *context), void *context)
{
    sigset_t all;
    sigset_t before;
    struct keeper *k = calloc(1, sizeof(*k));
    if (k == NULL)
        return NULL;
    k->store = store;
    k->place = place;
    k->wake = wake;
    k->context = context;
    k->last = &k->first;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&k->work, &steady);
    pthread_condattr_destroy(&steady);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    k->started = pthread_create(&k->thread, NULL, keeper_thread, k) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (k->started)
        return k;
    keeper_free(k);
    return NULL;
}

void keeper_stop(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_signal(&k->work);
    pthread_mutex_unlock(&k->lock);
    if (k->started)
        pthread_join(k->thread, NULL);
    k->started = false;
}

void keeper_free(struct keeper *k)
{
    if (k == NULL)
        return;
    free_decisions(k->first);
    free(k->fixtures);
    snapshot_release(k->fresh);
    while (k->old != NULL) {
        struct snapshot *s = k->old;
        k->old = s->next_old;
        snapshot_free(s);
    }
    pthread_cond_destroy(&k->work);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* --- The loop's side -------------------------------------------------------------------------- */

void keeper_load(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    k->load = true;
    pthread_cond_signal(&k->work);
    pthread_mutex_unlock(&k->lock);
}

void keeper_look(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    pthread_cond_signal(&k->work);
    pthread_mutex_unlock(&k->lock);
}

void keeper_reload(struct keeper *k, const char *fixtures)
{
    char *copy = fixtures == NULL ? NULL : strdup(fixtures);
    pthread_mutex_lock(&k->lock);
    if (copy != NULL) {
        free(k->fixtures);
        k->fixtures = copy;
    }
    pthread_mutex_unlock(&k->lock);
    keeper_load(k);
}

struct snapshot *keeper_take(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    struct snapshot *s = k->fresh;
    k->fresh = NULL;
    pthread_mutex_unlock(&k->lock);
    return s;
}

/* Lock held. Whether one more is taken in this second, and there is room. */
static bool has_room(struct keeper *k)
{
    int64_t second = clock_steady() / 1000;
    if (second != k->second) {
        k->second = second;
        k->in_second = 0;
    }
    return k->waiting < QUEUE_MAX && k->in_second++ < A_SECOND_MAX;
}

void keeper_let_go(struct keeper *k, struct snapshot *s)
{
    if (!snapshot_let_go(s))
        return;
    pthread_mutex_lock(&k->lock);
    s->next_old = k->old;
    k->old = s;
    pthread_cond_signal(&k->work);
    pthread_mutex_unlock(&k->lock);
}

bool keeper_wants(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    bool room = has_room(k);
    k->counters.dropped += !room;
    pthread_mutex_unlock(&k->lock);
    return room;
}

void keeper_record(struct keeper *k, struct decision *decision, size_t keep_most)
{
    pthread_mutex_lock(&k->lock);
    if (k->first == NULL) {
        k->store_at = clock_steady() + GATHER;
        pthread_cond_signal(&k->work);
    }
    decision->next = NULL;
    *k->last = decision;
    k->last = &decision->next;
    k->waiting++;
    k->keep_most = keep_most;
    pthread_mutex_unlock(&k->lock);
}

void keeper_tally(struct keeper *k, int64_t now, int64_t interval)
{
    pthread_mutex_lock(&k->lock);
    k->tally_now = now;
    k->tally_interval = interval;
    pthread_cond_signal(&k->work);
    pthread_mutex_unlock(&k->lock);
}

struct keeper_counters keeper_counters(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    struct keeper_counters counters = k->counters;
    pthread_mutex_unlock(&k->lock);
    return counters;
}
