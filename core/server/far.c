/* far.c: see far.h. */
#include "core/server/far.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/redis_url.h"
#include "core/data/secret.h"

#define BATCH 512         /* calls in one exchange */
#define PATIENCE 1000     /* ms to connect; no request waits for that */
#define PAUSE_FIRST 100   /* ms */
#define PAUSE_MOST 5000   /* ms */
#define PING_EVERY 1000   /* ms of silence: who is gone is known before a request meets him */
#define REFUSED_REST 5000 /* ms without a refusal, after which it is said to take entries again */
#define KEEP_LEAST 1000   /* ms */
#define KEEP_MOST 86400000

_Static_assert(BATCH <= CACHE_CALLS_MAX, "a batch is one exchange");

/* To be put, or where keep is 0 forgotten. */
struct told {
    uint8_t key[CACHE_KEY_SIZE];
    uint32_t keep;
    struct sealed entry;
};

struct far {
    const struct cache_far_driver *driver;
    struct store *store;
    void (*wake)(void *context);
    void *context;
    struct arena arena;
    struct redis_url url;
    struct text prefix;
    char masked[URL_MAX + 64];
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of all up to the thread's own */
    pthread_cond_t work;
    bool stopping;
    bool up;
    bool idle; /* the thread waits */
    struct far_item *asked;
    struct far_item **asked_last;
    size_t asked_count;
    struct far_item *done;
    struct far_item **done_last;
    size_t told_first;
    size_t told_count;
    struct far_counters counters;
    struct told told[FAR_TOLD_MAX];

    /* The thread's own. */
    struct cache_far *cache;
    uint8_t secret[HASH_SECRET_SIZE];
    bool known_away;    /* it was said */
    int64_t refused_at; /* steady ms: when an entry was refused last; 0: that is over */
    int64_t retry_at;   /* steady ms: when to connect */
    int64_t pause;      /* ms; 0: no trouble since the last exchange */
    int64_t heard_at;   /* steady ms: its last answer */
    struct far_item *items[BATCH];
    struct cache_call calls[BATCH];
};

static const char *const trouble_words[FAR_TROUBLES] = {"lost", "refused", "foreign", "dropped"};

const char *far_trouble_word(size_t trouble)
{
    return trouble_words[trouble];
}

/* --- Queues: lock held ------------------------------------------------------------------------ */

static void queue_done(struct far *f, struct far_item *item)
{
    item->next = NULL;
    *f->done_last = item;
    f->done_last = &item->next;
}

static struct far_item *take_asked(struct far *f)
{
    struct far_item *item = f->asked;
    f->asked = item->next;
    if (f->asked == NULL)
        f->asked_last = &f->asked;
    f->asked_count--;
    return item;
}

/* Nobody is to wait for it any longer: all that waits goes to the store. */
static void set_down(struct far *f)
{
    f->up = false;
    f->counters.trouble[FAR_LOST]++;
    f->counters.trouble[FAR_DROPPED] += f->told_count;
    f->told_count = 0;
    while (f->asked != NULL)
        queue_done(f, take_asked(f));
}

/* --- The thread ------------------------------------------------------------------------------- */

/* Lock held. Until something is to be done, or `at` (steady ms). */
static void rest(struct far *f, int64_t at)
{
    struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
    f->idle = true;
    pthread_cond_timedwait(&f->work, &f->lock, &until);
    f->idle = false;
}

static void grow_pause(struct far *f)
{
    f->pause = f->pause == 0 ? PAUSE_FIRST : f->pause * 2;
    f->pause = f->pause > PAUSE_MOST ? PAUSE_MOST : f->pause;
    f->retry_at = clock_steady() + f->pause;
}

static void say_away(struct far *f, const char *why)
{
    if (!f->known_away)
        log_warning("cache %s: %s; going on without it", f->masked, why);
    f->known_away = true;
}

/* Lock not held. The names in the cache hang on the store's secret. */
static bool open_cache(struct far *f)
{
    char prefix[CACHE_PREFIX_MAX + 1];
    struct store_line line;
    struct storage_error error = {0, ""};
    store_line_start(&line, f->store);
    enum storage_status status = secret_get(&line, "cache", f->secret, &error);
    store_line_end(&line);
    if (status == STORAGE_SCHEMA || status == STORAGE_DENIED || status == STORAGE_INVALID)
        say_away(f, error.text);
    if (status != STORAGE_OK)
        return false;
    sealed_prefix(f->secret, f->prefix, prefix);
    struct cache_place place = {
        .host = f->url.host,
        .path = f->url.path,
        .user = f->url.user,
        .password = f->url.password,
        .prefix = prefix,
        .timeout = f->url.timeout,
        .database = f->url.database,
        .port = f->url.port,
    };
    f->cache = f->driver->open(&place);
    return f->cache != NULL;
}

/* Lock held at start and end. */
static void run_connect(struct far *f)
{
    char why[256] = "";
    pthread_mutex_unlock(&f->lock);
    bool fine = f->cache != NULL || open_cache(f);
    if (fine) {
        fine = f->driver->connect(f->cache, PATIENCE, why, sizeof(why));
        if (fine)
            log_info("cache %s: %s", f->masked, f->known_away ? "back again" : "here");
        else
            say_away(f, why);
    }
    if (fine) {
        f->known_away = false;
        f->heard_at = clock_steady();
    } else {
        grow_pause(f);
    }
    pthread_mutex_lock(&f->lock);
    f->up = fine;
}

/* Lock not held. What is refused is a state of its own: it answers, but is full, or may not be written. */
static void note_refusals(struct far *f, size_t refused, const char *why)
{
    int64_t now = clock_steady();
    if (refused > 0) {
        if (f->refused_at == 0)
            log_warning("cache %s: takes no entries: %s", f->masked, why);
        f->refused_at = now;
    } else if (f->refused_at != 0 && now - f->refused_at >= REFUSED_REST) {
        log_info("cache %s: takes entries again", f->masked);
        f->refused_at = 0;
    }
}

/* Lock held. Takes what waits into calls; who asks goes first. Returns how many ask. */
static size_t gather(struct far *f, size_t *count)
{
    size_t asking = 0;
    for (; asking < BATCH && f->asked != NULL; asking++) {
        struct far_item *item = take_asked(f);
        f->items[asking] = item;
        f->calls[asking].op = CACHE_GET;
        memcpy(f->calls[asking].key, item->key, CACHE_KEY_SIZE);
    }
    for (*count = asking; *count < BATCH && f->told_count > 0; ++*count) {
        const struct told *t = &f->told[f->told_first];
        struct cache_call *call = &f->calls[*count];
        call->op = t->keep > 0 ? CACHE_PUT : CACHE_FORGET;
        call->keep = t->keep;
        call->size = SEALED_SIZE;
        memcpy(call->key, t->key, CACHE_KEY_SIZE);
        if (t->keep > 0)
            sealed_write(f->secret, t->key, &t->entry, call->value);
        f->told_first = (f->told_first + 1) % FAR_TOLD_MAX;
        f->told_count--;
    }
    return asking;
}

struct outcome {
    size_t put;
    size_t refused;
    size_t foreign;
    size_t trying; /* puts among the calls */
};

/* Lock not held: the items are the thread's. */
static void understand(struct far *f, size_t asking, size_t count, struct outcome *o)
{
    for (size_t i = 0; i < asking; i++) {
        const struct cache_call *call = &f->calls[i];
        struct far_item *item = f->items[i];
        if (call->result != CACHE_FOUND)
            continue;
        item->found = sealed_read(f->secret, item->key, call->value, call->size, &item->entry);
        o->foreign += !item->found;
    }
    for (size_t i = asking; i < count; i++) {
        bool put = f->calls[i].op == CACHE_PUT;
        o->trying += put;
        o->put += put && f->calls[i].result == CACHE_DONE;
        o->refused += f->calls[i].result == CACHE_REFUSED;
    }
}

/* Lock held at start and end. With nothing to do it only hears whether the other side is there. */
static void run_exchange(struct far *f)
{
    char why[256] = "";
    size_t count = 0;
    struct outcome o = {0, 0, 0, 0};
    size_t asking = gather(f, &count);
    pthread_mutex_unlock(&f->lock);
    uint64_t began = clock_nanoseconds();
    bool fine = f->driver->exchange(f->cache, f->calls, count, why, sizeof(why));
    uint64_t took = clock_nanoseconds() - began;
    if (fine) {
        understand(f, asking, count, &o);
        if (o.trying > 0)
            note_refusals(f, o.refused, why);
        f->pause = 0;
        f->heard_at = clock_steady();
    } else {
        say_away(f, why);
        grow_pause(f);
    }
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < asking; i++)
        queue_done(f, f->items[i]);
    if (count > 0) {
        f->counters.exchanges++;
        histogram_add(&f->counters.latency, took);
    }
    f->counters.puts += o.put;
    f->counters.trouble[FAR_REFUSED] += o.refused;
    f->counters.trouble[FAR_FOREIGN] += o.foreign;
    if (!fine)
        set_down(f);
    if (f->done != NULL)
        f->wake(f->context);
}

static void *far_thread(void *argument)
{
    struct far *f = argument;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        int64_t now = clock_steady();
        bool work = f->up && (f->asked != NULL || f->told_count > 0);
        if (work)
            run_exchange(f);
        else if (f->stopping)
            break;
        else if (!f->up && now >= f->retry_at)
            run_connect(f);
        else if (!f->up)
            rest(f, f->retry_at);
        else if (now - f->heard_at >= PING_EVERY)
            run_exchange(f);
        else
            rest(f, f->heard_at + PING_EVERY);
    }
    f->up = false;
    pthread_mutex_unlock(&f->lock);
    f->driver->close(f->cache);
    return NULL;
}

/* --- Start and stop --------------------------------------------------------------------------- */

static bool start_thread(struct far *f)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    f->started = pthread_create(&f->thread, NULL, far_thread, f) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return f->started;
}

struct far *far_start(const struct far_options *options)
{
    const char *why;
    struct far *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->driver = options->driver;
    f->store = options->store;
    f->wake = options->wake;
    f->context = options->context;
    f->prefix = options->settings->cache_prefix;
    f->asked_last = &f->asked;
    f->done_last = &f->done;
    f->arena = arena_make(64 * 1024);
    struct writer w = writer_on(f->masked, sizeof(f->masked));
    url_write_masked(&w, options->settings->cache_url);
    writer_end(&w);
    pthread_condattr_t steady;
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&f->work, &steady);
    pthread_condattr_destroy(&steady);
    /* The settings were refused if it could not be read. */
    if (redis_url_parse(&f->arena, options->settings->cache_url, &f->url, &why) && start_thread(f))
        return f;
    far_free(f);
    return NULL;
}

void far_stop(struct far *f)
{
    if (f == NULL || !f->started)
        return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->started = false;
}

void far_free(struct far *f)
{
    if (f == NULL)
        return;
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->lock);
    arena_free(&f->arena);
    free(f);
}

/* --- The loop's side -------------------------------------------------------------------------- */

bool far_ask(struct far *f, struct far_item *item)
{
    if (f == NULL)
        return false;
    item->found = false;
    item->next = NULL;
    pthread_mutex_lock(&f->lock);
    bool takes = f->up && !f->stopping && f->asked_count < FAR_ASKED_MAX;
    if (takes) {
        *f->asked_last = item;
        f->asked_last = &item->next;
        f->asked_count++;
        f->counters.asked++;
        if (f->idle)
            pthread_cond_signal(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
    return takes;
}

void far_collect(struct far *f)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    struct far_item *item = f->done;
    f->done = NULL;
    f->done_last = &f->done;
    pthread_mutex_unlock(&f->lock);
    while (item != NULL) {
        struct far_item *next = item->next;
        item->finish(item);
        item = next;
    }
}

static void tell(struct far *f, const struct told *told)
{
    pthread_mutex_lock(&f->lock);
    if (f->up && !f->stopping && f->told_count < FAR_TOLD_MAX) {
        f->told[(f->told_first + f->told_count++) % FAR_TOLD_MAX] = *told;
        if (f->idle)
            pthread_cond_signal(&f->work);
    } else {
        f->counters.trouble[FAR_DROPPED]++;
    }
    pthread_mutex_unlock(&f->lock);
}

void far_put(struct far *f, const uint8_t key[CACHE_KEY_SIZE], const struct sealed *entry,
             int64_t keep)
{
    struct told told = {.entry = *entry};
    if (f == NULL || keep <= 0)
        return;
    memcpy(told.key, key, CACHE_KEY_SIZE);
    told.keep = (uint32_t)(keep < KEEP_LEAST ? KEEP_LEAST : keep > KEEP_MOST ? KEEP_MOST : keep);
    tell(f, &told);
}

void far_forget(struct far *f, const uint8_t key[CACHE_KEY_SIZE])
{
    struct told told = {.keep = 0};
    if (f == NULL)
        return;
    memcpy(told.key, key, CACHE_KEY_SIZE);
    tell(f, &told);
}

struct far_counters far_counters(struct far *f)
{
    struct far_counters counters = {.up = false};
    if (f == NULL)
        return counters;
    pthread_mutex_lock(&f->lock);
    counters = f->counters;
    counters.up = f->up;
    pthread_mutex_unlock(&f->lock);
    return counters;
}
