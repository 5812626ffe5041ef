/* lane.c: see lane.h. */
#include "core/server/lane.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define THREADS_MAX 16
#define RIDERS_MAX 64  /* of a batch's sightings that nobody waits for, while others do wait */
#define PURGE_STEP 100 /* rows; a step takes a millisecond or so */

struct queue {
    struct lane_item *first;
    struct lane_item **last;
    size_t size;
};

struct lane {
    struct store *store;
    struct lane_calls calls;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue urgent;
    struct queue riders;
    struct queue done;
    bool stopping;
    bool stopped; /* its threads have ended */
    bool refresh;
    bool purging;  /* there is something to purge, and nobody is at it */
    int64_t purge; /* what expired before this */
    uint64_t revision;
    struct lane_counters counters;
    unsigned threads_count;
    pthread_t threads[THREADS_MAX];
};

/* One thread's batch. */
struct batch {
    size_t count;
    struct lane_item *items[STORAGE_BATCH_MAX]; /* each the first of its doubles */
    struct storage_sighting sightings[STORAGE_BATCH_MAX];
    struct storage_row rows[STORAGE_BATCH_MAX];
};

static void queue_clear(struct queue *q)
{
    q->first = NULL;
    q->last = &q->first;
    q->size = 0;
}

static void queue_push(struct queue *q, struct lane_item *item)
{
    item->next = NULL;
    *q->last = item;
    q->last = &item->next;
    q->size++;
}

static struct lane_item *queue_pop(struct queue *q)
{
    struct lane_item *item = q->first;
    q->first = item->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->size--;
    return item;
}

static void take(struct batch *b, struct queue *q, size_t most)
{
    for (size_t i = 0; i < most && q->first != NULL; i++) {
        struct lane_item *item = queue_pop(q);
        item->twin = NULL;
        item->place = b->count;
        b->items[b->count++] = item;
    }
}

static bool is_counter(const struct lane_item *item)
{
    return item->sighting.op >= STORAGE_COUNT;
}

/* By key, and of one key who came first; entries and counters apart. */
static int compare(const void *a, const void *b)
{
    const struct lane_item *x = *(struct lane_item *const *)a;
    const struct lane_item *y = *(struct lane_item *const *)b;
    int order = memcmp(x->sighting.key.bytes, y->sighting.key.bytes, STORAGE_KEY_SIZE);
    if (order == 0)
        order = (int)is_counter(x) - (int)is_counter(y);
    if (order == 0)
        order = (x->place > y->place) - (x->place < y->place);
    return order;
}

static bool same_key(const struct lane_item *a, const struct lane_item *b)
{
    return is_counter(a) == is_counter(b) &&
           memcmp(a->sighting.key.bytes, b->sighting.key.bytes, STORAGE_KEY_SIZE) == 0;
}

/* Whether two sights of a key can be told to the store as one of the earlier time: they could have
 * arrived at once. */
static bool is_double(const struct lane_item *a, const struct lane_item *b)
{
    const struct storage_sighting *s = &a->sighting;
    const struct storage_sighting *t = &b->sighting;
    return s->op == STORAGE_GREY && t->op == STORAGE_GREY && s->delay == t->delay &&
           s->window == t->window && s->keep == t->keep && t->now >= s->now &&
           t->now - s->now < 1000 &&
           s->alternates_count + t->alternates_count + s->exemptions_count + t->exemptions_count +
                   s->on_pass_count + t->on_pass_count ==
               0;
}

/* Sorts the batch, makes one of doubles, and puts what must come after another sight of its key
 * back to the front of the queue. Lock not held; `back` collects those. */
static void arrange(struct batch *b, struct queue *back)
{
    size_t kept = 0;
    struct lane_item *last_twin = NULL;
    bool held = false; /* something of this key went back: what came later must not overtake it */
    qsort(b->items, b->count, sizeof(b->items[0]), compare);
    for (size_t i = 0; i < b->count; i++) {
        struct lane_item *item = b->items[i];
        struct lane_item *before = kept > 0 ? b->items[kept - 1] : NULL;
        if (before == NULL || !same_key(before, item)) {
            b->sightings[kept] = item->sighting;
            b->items[kept++] = item;
            last_twin = item;
            held = false;
        } else if (!held && is_double(before, item)) {
            b->sightings[kept - 1].count += item->sighting.count;
            last_twin->twin = item;
            last_twin = item;
        } else {
            held = true;
            queue_push(back, item);
        }
    }
    b->count = kept;
}

/* Each double gets the row as it would have been after it alone: the store counted them all. */
static void answer(struct batch *b, enum storage_status status)
{
    for (size_t i = 0; i < b->count; i++) {
        uint32_t all = b->sightings[i].count;
        uint32_t before = 0;
        for (struct lane_item *item = b->items[i]; item != NULL; item = item->twin) {
            item->status = status;
            item->row = b->rows[i];
            before += item->sighting.count;
            if (status != STORAGE_OK || all == item->sighting.count)
                continue;
            if (item->row.passes == 0)
                item->row.tries -= all - before;
            else
                item->row.passes -= all - before;
        }
    }
}

/* Takes out what nobody waits for any more, so that a store that was away is not busy with the past. */
static void give_up_late(struct batch *b, struct queue *late)
{
    int64_t now = clock_steady();
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct lane_item *item = b->items[i];
        if (item->deadline > now) {
            b->items[kept++] = item;
            continue;
        }
        item->status = STORAGE_UNAVAILABLE;
        queue_push(late, item);
    }
    b->count = kept;
}

static int64_t latest_deadline(const struct batch *b)
{
    int64_t latest = 0;
    for (size_t i = 0; i < b->count; i++) {
        for (const struct lane_item *item = b->items[i]; item != NULL; item = item->twin)
            latest = item->deadline > latest ? item->deadline : latest;
    }
    return latest;
}

/* Lock held at start and end. */
static void run_batch(struct lane *lane, struct store_line *line, struct batch *b)
{
    struct storage_error error;
    struct queue back;
    struct queue late;
    size_t limit = store_batch(lane->store);
    b->count = 0;
    queue_clear(&back);
    queue_clear(&late);
    take(b, &lane->urgent, lane->riders.first != NULL ? limit - limit / 8 : limit);
    take(b, &lane->riders,
         b->count == 0                   ? limit
         : limit - b->count < RIDERS_MAX ? limit - b->count
                                         : RIDERS_MAX);
    pthread_mutex_unlock(&lane->lock);
    give_up_late(b, &late);
    arrange(b, &back);
    enum storage_status status = STORAGE_OK;
    if (b->count > 0)
        status = store_observe(line, b->sightings, b->count, b->rows, latest_deadline(b), &error);
    answer(b, status);
    pthread_mutex_lock(&lane->lock);
    while (late.first != NULL)
        queue_push(&lane->done, queue_pop(&late));
    for (size_t i = 0; i < b->count; i++) {
        struct lane_item *twin;
        for (struct lane_item *item = b->items[i]; item != NULL; item = twin) {
            twin = item->twin;
            queue_push(&lane->done, item);
        }
    }
    if (back.first != NULL) {
        *back.last = lane->urgent.first;
        if (lane->urgent.first == NULL)
            lane->urgent.last = back.last;
        lane->urgent.first = back.first;
        lane->urgent.size += back.size;
    }
    lane->counters.batches++;
    lane->counters.sightings += b->count;
    lane->calls.wake(lane->calls.context);
}

/* Lock held at start and end. */
static void run_refresh(struct lane *lane, struct store_line *line)
{
    struct storage_error error;
    uint64_t revision = 0;
    lane->refresh = false;
    pthread_mutex_unlock(&lane->lock);
    enum storage_status status = store_revision(line, &revision, &error);
    pthread_mutex_lock(&lane->lock);
    if (status != STORAGE_OK || revision == lane->revision)
        return;
    lane->revision = revision;
    lane->calls.wake(lane->calls.context);
}

/* Lock held at start and end. One step; the rest waits until the next batch is through. */
static void run_purge(struct lane *lane, struct store_line *line)
{
    struct storage_error error;
    size_t removed = 0;
    int64_t now = lane->purge;
    lane->purging = false;
    pthread_mutex_unlock(&lane->lock);
    enum storage_status status = store_purge(line, now, PURGE_STEP, &removed, &error);
    pthread_mutex_lock(&lane->lock);
    lane->counters.purged += removed;
    if (status == STORAGE_OK && removed == PURGE_STEP)
        lane->purging = true;
}

static void *lane_thread(void *argument)
{
    struct lane *lane = argument;
    struct store_line line;
    struct batch *batch = malloc(sizeof(*batch));
    if (batch == NULL) {
        log_error("out of memory for a storage thread");
        abort(); /* at start-up, before anything was promised */
    }
    store_line_start(&line, lane->store);
    line.waited_for = lane->calls.probed;
    pthread_mutex_lock(&lane->lock);
    for (;;) {
        bool idle = lane->urgent.first == NULL && lane->riders.first == NULL;
        if (!idle)
            run_batch(lane, &line, batch);
        if (lane->refresh)
            run_refresh(lane, &line);
        else if (lane->purging && !lane->stopping)
            run_purge(lane, &line);
        else if (idle && lane->stopping)
            break;
        else if (idle)
            pthread_cond_wait(&lane->work, &lane->lock);
    }
    pthread_mutex_unlock(&lane->lock);
    store_line_end(&line);
    free(batch);
    return NULL;
}

static bool start_threads(struct lane *lane)
{
    sigset_t all;
    sigset_t before;
    unsigned wanted = store_writers(lane->store);
    wanted = wanted == 0 || wanted > THREADS_MAX ? THREADS_MAX : wanted;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (lane->threads_count < wanted &&
           pthread_create(&lane->threads[lane->threads_count], NULL, lane_thread, lane) == 0)
        lane->threads_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return lane->threads_count > 0;
}

struct lane *lane_start(struct store *store, const struct lane_calls *calls)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL)
        return NULL;
    lane->store = store;
    lane->calls = *calls;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->work, NULL);
    queue_clear(&lane->urgent);
    queue_clear(&lane->riders);
    queue_clear(&lane->done);
    if (start_threads(lane))
        return lane;
    lane_free(lane);
    return NULL;
}

void lane_stop(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->work);
    pthread_mutex_unlock(&lane->lock);
    for (unsigned i = 0; i < lane->threads_count; i++)
        pthread_join(lane->threads[i], NULL);
    lane->threads_count = 0;
    lane->stopped = true;
}

void lane_free(struct lane *lane)
{
    if (lane == NULL)
        return;
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->lock);
    free(lane);
}

bool lane_submit(struct lane *lane, struct lane_item *item, bool urgent)
{
    struct queue *q = urgent ? &lane->urgent : &lane->riders;
    pthread_mutex_lock(&lane->lock);
    bool room = q->size < LANE_QUEUE_MAX && !lane->stopped;
    bool first = lane->urgent.first == NULL && lane->riders.first == NULL;
    if (room) {
        item->revision = lane->revision;
        queue_push(q, item);
    }
    if (room && (first || lane->threads_count > 1))
        pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
    return room;
}

void lane_collect(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    struct lane_item *item = lane->done.first;
    queue_clear(&lane->done);
    pthread_mutex_unlock(&lane->lock);
    while (item != NULL) {
        struct lane_item *next = item->next;
        item->finish(item);
        item = next;
    }
}

void lane_purge(struct lane *lane, int64_t now)
{
    pthread_mutex_lock(&lane->lock);
    lane->purge = now;
    lane->purging = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
}

void lane_refresh(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->refresh = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->lock);
}

uint64_t lane_revision(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    uint64_t revision = lane->revision;
    pthread_mutex_unlock(&lane->lock);
    return revision;
}

struct lane_counters lane_counters(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    struct lane_counters counters = lane->counters;
    counters.urgent = lane->urgent.size;
    counters.riders = lane->riders.size;
    pthread_mutex_unlock(&lane->lock);
    return counters;
}
