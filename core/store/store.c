/* store.c: see store.h. */
#include "core/store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/url.h"
#include "core/store/breaker.h"
#include "core/store/loader.h"
#include "core/store/records.h"

#define CONNECT_TIMEOUT 5000
#define PAUSE_FIRST 100
#define PAUSE_MOST 2000
#define UNWELL 10000      /* ms: how long a write that failed is held against the store */
#define QUICK 1000000000u /* ns: what failed within it may be tried again on another session */

/* What was last logged. */
enum state {
    STATE_HERE,
    STATE_AWAY,
    STATE_REFUSED /* it answers, but will not have us: somebody must act */
};

struct store {
    struct arena arena;
    struct url url;
    struct storage_parameter parameters[URL_PARAMETERS_MAX];
    struct storage_host host;
    const struct storage_driver *driver;
    char masked[URL_MAX + 64];
    pthread_mutex_t lock; /* of `db` while it is being opened */
    struct storage_db *db;
    struct breaker breaker;
    pthread_mutex_t counting; /* of all below */
    enum state state;
    bool until_written; /* reading did not fail: only a write shows that it is back */
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
    breaker_start(&store->breaker);
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
    breaker_end(&store->breaker);
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

static bool is_refusal(enum storage_status status)
{
    return status == STORAGE_INVALID || status == STORAGE_SCHEMA || status == STORAGE_DENIED;
}

/* What a call came to. */
struct outcome {
    enum storage_status status;
    bool reached; /* there was a session: what failed is the call, not the way to the store */
    bool writes;  /* it would have written */
    bool wrote;
};

/* True: the state is another one now. A store that can be read may still be locked or full. */
static bool settle(struct store *store, const struct outcome *o, enum state *now)
{
    pthread_mutex_lock(&store->counting);
    enum state before = store->state;
    if (!o->reached) {
        store->state = is_refusal(o->status) ? STATE_REFUSED : STATE_AWAY;
        store->until_written = false;
    } else if (is_trouble(o->status)) {
        store->state = STATE_AWAY;
        store->until_written = store->until_written || o->writes;
    } else if (!store->until_written || o->wrote) {
        store->state = STATE_HERE;
        store->until_written = false;
    }
    *now = store->state;
    pthread_mutex_unlock(&store->counting);
    return *now != before;
}

/* A change of state is worth one line, not one for each request or thread. */
static void note(struct store *store, const struct outcome *o, const struct storage_error *error)
{
    enum state now;
    if (o->reached && o->status == STORAGE_INVALID)
        log_error("store %s: a call that is our own fault: %s", store->masked, error->text);
    if (!settle(store, o, &now))
        return;
    if (now == STATE_HERE)
        log_info("store %s: back again", store->masked);
    else
        log_error("store %s: %s", store->masked, error->text);
}

static enum storage_status open_db(struct store *store, struct storage_error *error)
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
    return status;
}

static enum breaker_pause pause_after(enum storage_status status)
{
    return is_refusal(status) ? BREAKER_REFUSED : BREAKER_AWAY;
}

enum storage_status store_open(struct store *store, struct storage_error *error)
{
    enum storage_status status = open_db(store, error);
    if (status == STORAGE_OK)
        return status;
    enum state now;
    const struct outcome failed = {.status = status};
    (void)settle(store, &failed, &now); /* the caller says it */
    breaker_failed(&store->breaker, clock_steady(), false, pause_after(status));
    pthread_mutex_lock(&store->counting);
    store->last_failed = true;
    pthread_mutex_unlock(&store->counting);
    return status;
}

int64_t store_retry_at(struct store *store)
{
    return breaker_due(&store->breaker, clock_steady());
}

bool store_is_away(struct store *store)
{
    return store_retry_at(store) != STORE_NEVER;
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

/* Busy: until retry_at nothing is tried, and callers hear so at once. */
static void line_rest(struct store_line *line)
{
    line->pause = line->pause == 0 ? PAUSE_FIRST : line->pause * 2;
    if (line->pause > PAUSE_MOST)
        line->pause = PAUSE_MOST;
    line->retry_at = clock_steady() + line->pause;
}

static enum storage_status line_attach(struct store_line *line, struct storage_error *error)
{
    struct store *store = line->store;
    enum storage_status status = open_db(store, error);
    if (status == STORAGE_OK)
        status = store->driver->attach(store->db, &line->session, error);
    line->fresh = true;
    return status;
}

/* Gives the line a session if it has none, and if it is time to try again. */
static enum storage_status line_ready(struct store_line *line, struct storage_error *error)
{
    struct store *store = line->store;
    int64_t now = clock_steady();
    bool lets = breaker_lets(&store->breaker, now, !line->waited_for, &line->probes);
    bool rests = line->pause > 0 && now < line->retry_at && !line->probes;
    if (!lets || rests) {
        snprintf(error->text, sizeof(error->text), "the store is away");
        return STORAGE_UNAVAILABLE;
    }
    line->began = clock_nanoseconds();
    line->fresh = false;
    return line->session != NULL ? STORAGE_OK : line_attach(line, error);
}

/* True: call once more. The session had died unseen, as after a restart of the server; certainly nothing
 * was done, and there is a new one. What took its time is not tried again: somebody waits. */
static bool line_again(struct store_line *line, enum storage_status *status,
                       struct storage_error *error)
{
    if (*status != STORAGE_UNAVAILABLE || line->fresh || clock_nanoseconds() - line->began > QUICK)
        return false;
    line_drop(line);
    *status = line_attach(line, error);
    return *status == STORAGE_OK;
}

/* After a call: a session that is dead, or of which one no longer knows what it did, is dropped. */
static enum storage_status line_done(struct store_line *line, enum store_call call,
                                     enum storage_status status, bool wrote,
                                     const struct storage_error *error)
{
    struct store *store = line->store;
    bool tried = line->began != 0;
    struct outcome o = {
        .status = status,
        .reached = line->session != NULL,
        .writes = call == STORE_OBSERVE || call == STORE_CHANGE || call == STORE_PURGE,
        .wrote = wrote && status == STORAGE_OK,
    };
    count(line, call, status, wrote);
    if (!tried)
        return status;
    if (!o.reached)
        breaker_failed(&store->breaker, clock_steady(), line->probes, pause_after(status));
    else if (status == STORAGE_UNAVAILABLE || status == STORAGE_UNCERTAIN)
        breaker_failed(&store->breaker, clock_steady(), line->probes,
                       status == STORAGE_UNCERTAIN ? BREAKER_SOON : BREAKER_AWAY);
    else
        breaker_answered(&store->breaker, line->probes);
    if (is_too_much(call, status))
        return status;
    if (status == STORAGE_BUSY && o.reached)
        line_rest(line);
    else if (o.wrote)
        line->pause = 0;
    if (o.reached && (status == STORAGE_UNAVAILABLE || status == STORAGE_UNCERTAIN))
        line_drop(line);
    note(store, &o, error);
    return status;
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
        if (line_again(line, &status, error))
            continue;
        /* After trouble one try must do: others are waiting for what it shows. */
        if (status != STORAGE_BUSY || line->session == NULL || line->pause > 0 ||
            clock_steady() + pause >= deadline)
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
    while (status == STORAGE_OK) {
        status = line->store->driver->purge(line->session, now, limit, removed, error);
        if (!line_again(line, &status, error))
            break;
    }
    return line_done(line, STORE_PURGE, status, removed[0] > 0, error);
}

enum storage_status store_revision(struct store_line *line, uint64_t *revision,
                                   struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    while (status == STORAGE_OK) {
        status = line->store->driver->revision(line->session, revision, error);
        if (!line_again(line, &status, error))
            break;
    }
    return line_done(line, STORE_REVISION, status, false, error);
}

enum storage_status store_change(struct store_line *line, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    while (status == STORAGE_OK) {
        status = line->store->driver->change(line->session, kind, changes, count, error);
        if (!line_again(line, &status, error))
            break;
    }
    return line_done(line, STORE_CHANGE, status, status == STORAGE_OK, error);
}

enum storage_status store_search(struct store_line *line, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    if (status == STORAGE_OK) /* never twice: `each` may have had records already */
        status = line->store->driver->search(line->session, query, each, context, error);
    return line_done(line, STORE_SEARCH, status, false, error);
}

enum storage_status store_tally(struct store_line *line, int64_t since, int64_t abandoned_before,
                                struct storage_tally *tally, struct storage_error *error)
{
    enum storage_status status = line_ready(line, error);
    while (status == STORAGE_OK) {
        status = line->store->driver->tally(line->session, since, abandoned_before, tally, error);
        if (!line_again(line, &status, error))
            break;
    }
    return line_done(line, STORE_TALLY, status, false, error);
}
