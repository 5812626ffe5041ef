/* store.c: see store.h. */
#include "core/store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/url.h"
#include "core/store/loader.h"
#include "core/store/records.h"

#define CONNECT_TIMEOUT 5000
#define PAUSE_FIRST 100
#define PAUSE_MOST 5000
#define UNWELL 10000 /* ms: how long a write that failed is held against the store */

struct store {
    struct arena arena;
    struct url url;
    struct storage_parameter parameters[URL_PARAMETERS_MAX];
    struct storage_host host;
    const struct storage_driver *driver;
    char masked[URL_MAX + 64];
    pthread_mutex_t lock; /* of `db` while it is being opened */
    struct storage_db *db;
    atomic_bool away; /* what was last logged */
    pthread_mutex_t counting;
    struct store_counters counters;
    bool last_failed;     /* the last call did */
    int64_t write_failed; /* steady ms: when the last write that failed did; 0: none has */
};

static void driver_log(void *context, enum storage_level level, const char *text)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING,
                                            LOG_LEVEL_ERROR};
    const struct store *store = context;
    log_format(levels[level], "%s: %s", store->driver->name, text);
}

static bool read_url(struct store *store, const struct store_options *options,
                     struct storage_error *error)
{
    const char *why;
    struct writer w = writer_on(store->masked, sizeof(store->masked));
    url_write_masked(&w, options->url);
    writer_end(&w);
    if (url_parse(&store->arena, options->url, &store->url, &why))
        return true;
    snprintf(error->text, sizeof(error->text), "MONGREY_DB: the URL %s", why);
    return false;
}

struct store *store_make(const struct store_options *options, struct storage_error *error)
{
    struct store *store = calloc(1, sizeof(*store));
    snprintf(error->text, sizeof(error->text), "out of memory");
    error->native = 0;
    if (store == NULL)
        return NULL;
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->counting, NULL);
    store->arena = arena_make(256 * 1024);
    store->host = (struct storage_host){
        .abi = STORAGE_ABI,
        .size = sizeof(struct storage_host),
        .kinds = record_kinds,
        .kinds_count = KINDS,
        .connect_timeout = CONNECT_TIMEOUT,
        .call_timeout = options->call_timeout,
        .read_only = options->read_only,
        .log = driver_log,
        .log_context = store,
    };
    if (read_url(store, options, error))
        store->driver = loader_load(store->url.scheme, options->driver_path, error);
    if (store->driver != NULL)
        return store;
    store_free(store);
    return NULL;
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    if (store->driver != NULL)
        store->driver->close(store->db);
    arena_free(&store->arena);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->counting);
    free(store);
}

static bool is_trouble(enum storage_status status)
{
    return status == STORAGE_BUSY || status == STORAGE_UNAVAILABLE || status == STORAGE_UNCERTAIN ||
           status == STORAGE_SCHEMA || status == STORAGE_DENIED;
}

/* The store is well: too much was asked of it at once. */
static bool is_too_much(enum store_call call, enum storage_status status)
{
    return status == STORAGE_BUSY && (call == STORE_SEARCH || call == STORE_TALLY);
}

static void count(struct store_line *line, enum store_call call, enum storage_status status,
                  bool wrote)
{
    struct store *store = line->store;
    bool tried = line->began != 0;
    uint64_t took = tried ? clock_nanoseconds() - line->began : 0;
    bool writes = call == STORE_OBSERVE || call == STORE_CHANGE || call == STORE_PURGE;
    line->began = 0;
    pthread_mutex_lock(&store->counting);
    store->counters.results[status]++;
    if (tried) {
        store->counters.calls[call]++;
        histogram_add(&store->counters.latency, took);
    }
    if (!is_too_much(call, status))
        store->last_failed = is_trouble(status);
    if (writes && tried && is_trouble(status))
        store->write_failed = clock_steady();
    else if (wrote && status == STORAGE_OK)
        store->write_failed = 0;
    pthread_mutex_unlock(&store->counting);
}

void store_count(struct store *store, struct store_counters *counters)
{
    pthread_mutex_lock(&store->counting);
    *counters = store->counters;
    pthread_mutex_unlock(&store->counting);
}

bool store_is_well(struct store *store)
{
    pthread_mutex_lock(&store->counting);
    bool held = store->write_failed != 0 && clock_steady() - store->write_failed < UNWELL;
    bool well = !store->last_failed && !held;
    pthread_mutex_unlock(&store->counting);
    return well;
}

const char *store_call_word(size_t call)
{
    static const char *const words[STORE_CALLS] = {"observe", "change", "search",
                                                   "tally",   "purge",  "revision"};
    return words[call];
}

const char *store_status_word(size_t status)
{
    static const char *const words[STORE_STATUSES] = {
        "ok",          "not_found", "conflict", "exists", "busy",
        "unavailable", "uncertain", "invalid",  "schema", "denied"};
    return words[status];
}

/* A change of state is worth one line, not one for each request. A store that can be read may still be
 * locked or full: only a write (`wrote`) shows that it is back. */
static enum storage_status note(struct store *store, enum storage_status status, bool wrote,
                                const struct storage_error *error)
{
    if (status == STORAGE_INVALID)
        log_error("store %s: a call that is our own fault: %s", store->masked, error->text);
    bool away = is_trouble(status);
    if ((!away && !wrote) || atomic_exchange(&store->away, away) == away)
        return status;
    if (away)
        log_error("store %s: %s", store->masked, error->text);
    else
        log_info("store %s: back again", store->masked);
    return status;
}

enum storage_status store_open(struct store *store, struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    pthread_mutex_lock(&store->lock);
    if (store->db == NULL) {
        const struct url *u = &store->url;
        for (size_t i = 0; i < u->parameters_count; i++)
            store->parameters[i] =
                (struct storage_parameter){u->parameters[i].name, u->parameters[i].value};
        struct storage_url url = {u->text,  u->scheme, u->user,           u->password,
                                  u->hosts, u->path,   store->parameters, u->parameters_count};
        status = store->driver->open(&store->host, &url, &store->db, error);
    }
    pthread_mutex_unlock(&store->lock);
    if (status != STORAGE_OK) {
        pthread_mutex_lock(&store->counting);
        store->last_failed = true;
        pthread_mutex_unlock(&store->counting);
    }
    return status;
}

const char *store_name(const struct store *store)
{
    return store->driver->name;
}

const char *store_masked(const struct store *store)
{
    return store->masked;
}

uint32_t store_writers(const struct store *store)
{
    return store->driver->writers;
}

uint32_t store_batch(const struct store *store)
{
    return store->driver->batch;
}

void store_line_start(struct store_line *line, struct store *store)
{
    *line = (struct store_line){.store = store};
}

static void line_drop(struct store_line *line)
{
    line->store->driver->detach(line->session);
    line->session = NULL;
}

void store_line_end(struct store_line *line)
{
    if (line->store != NULL)
        line_drop(line);
    line->store = NULL;
}

/* Trouble: until retry_at nothing is tried, and callers hear so at once. */
static void line_rest(struct store_line *line)
{
    line->pause = line->pause == 0 ? PAUSE_FIRST : line->pause * 2;
    if (line->pause > PAUSE_MOST)
        line->pause = PAUSE_MOST;
    line->retry_at = clock_steady() + line->pause;
}

/* Gives the line a session if it has none, and if it is time to try again. */
static enum storage_status line_ready(struct store_line *line, struct storage_error *error)
{
    struct store *store = line->store;
    if (line->pause > 0 && clock_steady() < line->retry_at) {
        snprintf(error->text, sizeof(error->text), "the store is away");
        return STORAGE_UNAVAILABLE;
    }
    line->began = clock_nanoseconds();
    if (line->session != NULL)
        return STORAGE_OK;
    enum storage_status status = store_open(store, error);
    if (status == STORAGE_OK)
        status = store->driver->attach(store->db, &line->session, error);
    if (status != STORAGE_OK)
        line_rest(line);
    return status;
}

/* After a call: a session that is dead, or of which one no longer knows what it did, is dropped. */
static enum storage_status line_done(struct store_line *line, enum store_call call,
                                     enum storage_status status, bool wrote,
                                     const struct storage_error *error)
{
    count(line, call, status, wrote);
    if (is_too_much(call, status))
        return status;
    if (status == STORAGE_BUSY)
        line_rest(line);
    else if (status == STORAGE_OK && wrote)
        line->pause = 0;
    if (line->session != NULL && (status == STORAGE_UNAVAILABLE || status == STORAGE_UNCERTAIN))
        line_drop(line);
    return note(line->store, status, wrote, error);
}

static void nap(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

enum storage_status store_observe(struct store_line *line, const struct storage_sighting *sightings,
                                  size_t count, struct storage_row *rows, int64_t deadline,
                                  struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    for (int64_t pause = 1; status == STORAGE_OK; pause *= 2) {
        status = line->store->driver->observe(line->session, sightings, count, rows, error);
        /* After trouble one try must do: others are waiting for what it shows. */
        if (status != STORAGE_BUSY || line->pause > 0 || clock_steady() + pause >= deadline)
            break;
        nap(pause);
        status = STORAGE_OK;
    }
    return line_done(line, STORE_OBSERVE, status, true, error);
}

enum storage_status store_purge(struct store_line *line, int64_t now, size_t limit, size_t *removed,
                                struct storage_error *error)
{
    *removed = 0;
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK)
        status = line->store->driver->purge(line->session, now, limit, removed, error);
    return line_done(line, STORE_PURGE, status, removed[0] > 0, error);
}

enum storage_status store_revision(struct store_line *line, uint64_t *revision,
                                   struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK)
        status = line->store->driver->revision(line->session, revision, error);
    return line_done(line, STORE_REVISION, status, false, error);
}

enum storage_status store_change(struct store_line *line, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK)
        status = line->store->driver->change(line->session, kind, changes, count, error);
    return line_done(line, STORE_CHANGE, status, status == STORAGE_OK, error);
}

enum storage_status store_search(struct store_line *line, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK)
        status = line->store->driver->search(line->session, query, each, context, error);
    return line_done(line, STORE_SEARCH, status, false, error);
}

enum storage_status store_tally(struct store_line *line, int64_t since, int64_t abandoned_before,
                                struct storage_tally *tally, struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK)
        status = line->store->driver->tally(line->session, since, abandoned_before, tally, error);
    return line_done(line, STORE_TALLY, status, false, error);
}
