/* server.c: the loop: starts everything, keeps time, hears signals, stops everything. */
#include "core/server/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/redis_url.h"
#include "core/base/version.h"
#include "core/server/exits.h"

#define SWEEP_INTERVAL 100      /* ms */
#define DESCRIPTORS_ELSE 32     /* what the store, the log and the loop need */
#define COMPLAIN_INTERVAL 10000 /* ms */
#define STEP_MIN 5000     /* ms: a wall clock that moves by more against the steady one was set */
#define STEP_REST 3600000 /* ms: after which a clock that was set is trusted to purge by */
#define REFRESH_EVERY 10  /* sweeps: a change on another host counts within 2 s */

/* --- Timers ---------------------------------------------------------------------------------- */

static void finish_stop(struct server *server);

static void complain_of_pattern(struct server *server)
{
    char line[160];
    struct writer w = writer_on(line, sizeof(line));
    write_format(&w, "the pattern of %s costs too much and was broken off",
                 server->snapshot->gave_up_at);
    server->snapshot->gave_up = 0;
    server_complain(server, COMPLAINT_PATTERN, writer_end(&w));
}

static void look_at_store(struct server *server)
{
    if (store_is_away(server->store))
        keeper_look(server->keeper);
    else
        lane_refresh(server->lane);
}

static void on_sweep(uv_timer_t *timer)
{
    struct server *server = timer->data;
    static unsigned sweeps;
    client_sweep(server);
    if (server->snapshot->gave_up > 0)
        complain_of_pattern(server);
    if (server->snapshot->too_long > 0)
        server_complain(server, COMPLAINT_LENGTH,
                        "a name or address was too long to be held against patterns (512 bytes)");
    server->snapshot->too_long = 0;
    watch_sweep(server);
    log_flush();
    if (server->stopping)
        finish_stop(server);
    else if (++sweeps % REFRESH_EVERY == 0)
        look_at_store(server);
}

static void on_tell(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (store_is_away(server->store))
        return; /* what is counted stays where it is counted */
    touches_flush(&server->touches);
    server_tell_hits(server);
}

/* Where tests turn the clock, background work goes by the latest time that a request brought. */
static int64_t background_time(const struct server *server)
{
    return server->boot->test_clock && server->newest_time > 0 ? server->newest_time : clock_wall();
}

/* Whether the wall clock was set lately. Nothing is purged then: what a clock that is a year ahead would
 * remove, no clock that is right again brings back. */
static bool clock_is_doubtful(struct server *server)
{
    int64_t steady = clock_steady();
    int64_t offset = clock_wall() - steady;
    int64_t step = offset - server->clock_offset;
    server->clock_offset = offset;
    if (step > STEP_MIN || step < -STEP_MIN) {
        log_warning("the clock was set by %lld s; nothing is purged for an hour",
                    (long long)(step / 1000));
        server->clock_stepped = steady;
    }
    return server->clock_stepped != 0 && steady - server->clock_stepped < STEP_REST;
}

static void on_purge(uv_timer_t *timer)
{
    struct server *server = timer->data;
    bool doubtful = !server->boot->test_clock && clock_is_doubtful(server);
    if (server->settings->purge_enable && !doubtful)
        lane_purge(server->lane, background_time(server));
}

static void on_tally(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->settings->metrics_enable)
        keeper_tally(server->keeper, background_time(server), server->settings->metrics_interval);
}

void server_complain(struct server *server, enum complaint complaint, const char *text)
{
    int64_t now = clock_steady();
    int64_t *last = &server->complained[complaint];
    if (*last != 0 && now - *last < COMPLAIN_INTERVAL)
        return;
    *last = now;
    log_warning("%s", text);
}

static void start_purging(struct server *server)
{
    uint64_t interval = (uint64_t)server->settings->purge_interval;
    uv_timer_start(&server->purge, on_purge, interval, interval);
}

static void start_tallying(struct server *server)
{
    uint64_t interval = (uint64_t)server->settings->metrics_interval;
    uv_timer_start(&server->tally, on_tally, interval, interval);
}

static void start_timers(struct server *server)
{
    server->clock_offset = clock_wall() - clock_steady();
    uv_timer_start(&server->sweep, on_sweep, SWEEP_INTERVAL, SWEEP_INTERVAL);
    uv_timer_start(&server->tell, on_tell, TOUCHES_INTERVAL, TOUCHES_INTERVAL);
    start_purging(server);
    start_tallying(server);
}

/* --- The lane's answers ---------------------------------------------------------------------- */

static void wake(void *context)
{
    struct server *server = context;
    uv_async_send(&server->wake);
}

static void on_wake(uv_async_t *async)
{
    struct server *server = async->data;
    uint64_t revision = lane_revision(server->lane);
    if (revision != server->revision && server->cache != NULL)
        server->cache_driver->clear(server->cache);
    if (revision != server->revision && revision != server->snapshot->revision)
        keeper_load(server->keeper);
    /* First, so that no answer from before the change is remembered after it. */
    server->revision = revision;
    server->touches.revision = revision;
    far_collect(server->far);
    lane_collect(server->lane);
    struct snapshot *fresh = keeper_take(server->keeper);
    if (fresh != NULL)
        lists_use(server, fresh);
}

/* --- Signals --------------------------------------------------------------------------------- */

static void log_counters(struct server *server)
{
    const struct counters *c = &server->counters;
    struct lane_counters l = lane_counters(server->lane);
    size_t cached = server->cache != NULL ? server->cache_driver->count(server->cache) : 0;
    log_info("counters: connections=%" PRIu64 " clients=%zu refused=%" PRIu64 " surplus=%" PRIu64
             " malformed=%" PRIu64 " timeouts=%" PRIu64 " requests=%" PRIu64 " passed=%" PRIu64
             " greylisted=%" PRIu64 " rejected=%" PRIu64 " cache_hits=%" PRIu64 " far_hits=%" PRIu64
             " cache_keys=%zu store_trouble=%" PRIu64 " batches=%" PRIu64 " sightings=%" PRIu64
             " purged=%" PRIu64,
             c->connections, server->clients_count, c->refused, c->surplus, c->malformed,
             c->timeouts, c->requests, c->outcome[OUTCOME_PASS], c->outcome[OUTCOME_GREYLIST],
             c->outcome[OUTCOME_REJECT], c->cached, c->far_cached, cached, c->trouble, l.batches,
             l.sightings, l.purged);
}

static void reload(struct server *server)
{
    char memory[4096];
    struct settings_error error;
    struct settings *fresh = settings_load(server->sources, &error);
    if (fresh == NULL) {
        watch_reloaded(server, false);
        log_error("settings not reloaded, the old ones stay: %s", error.text);
        return;
    }
    for (int i = 0; i < SETTINGS; i++) {
        enum setting which = (enum setting)i;
        if (settings_needs_start(which) && !settings_same(server->boot, fresh, which))
            log_warning("settings: a new %s counts from the next start", settings_key(which));
    }
    bool other_purge = fresh->purge_interval != server->settings->purge_interval;
    bool other_tally = fresh->metrics_interval != server->settings->metrics_interval;
    settings_release(server->settings);
    server->settings = fresh;
    watch_reloaded(server, true);
    log_set_level(fresh->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (other_purge)
        start_purging(server);
    if (other_tally)
        start_tallying(server);
    keeper_reload(server->keeper, lists_find_fixtures(server, memory));
    log_info("settings reloaded");
}

static void begin_stop(struct server *server)
{
    if (server->stopping)
        return;
    server->stopping = true;
    server->stop_by = clock_steady() + server->settings->request_timeout + 1000;
    log_info("stopping: %zu requests under way", server->kept_count);
    listen_stop(server);
    client_stop_all(server);
    finish_stop(server);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == SIGHUP)
        reload(server);
    else if (number == SIGUSR1)
        log_counters(server);
    else
        begin_stop(server);
}

/* --- Start and stop -------------------------------------------------------------------------- */

static void start_handles(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    uv_loop_t *loop = &server->loop;
    uv_async_init(loop, &server->wake, on_wake);
    uv_timer_init(loop, &server->sweep);
    uv_timer_init(loop, &server->tell);
    uv_timer_init(loop, &server->purge);
    uv_timer_init(loop, &server->tally);
    server->wake.data = server;
    server->sweep.data = server;
    server->tell.data = server;
    server->purge.data = server;
    server->tally.data = server;
    for (size_t i = 0; i < 4; i++) {
        uv_signal_init(loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* All requests are answered, or their time is up: ends the loop. */
static void finish_stop(struct server *server)
{
    touches_flush(&server->touches);
    bool late = clock_steady() >= server->stop_by;
    bool told = server->touches.on_their_way == 0;
    bool alone = server->clients[CLIENT_WAITING].first == NULL &&
                 server->clients[CLIENT_WRITING].first == NULL;
    if ((alone && told && server->kept_count == 0) || late)
        uv_stop(&server->loop);
    if (late && server->kept_count > 0)
        log_warning("stopping: the store still owes %zu answers", server->kept_count);
}

/* As many descriptors as connections may come, and some for all else; or as many connections as there
 * are descriptors for. */
static void plan_clients(struct server *server)
{
    struct rlimit limit;
    rlim_t most = (rlim_t)server->boot->max_clients;
    rlim_t bound = most + most / 4 + 64;
    server->clients_most = most;
    server->clients_bound = bound;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < bound + DESCRIPTORS_ELSE) {
        rlim_t wanted = bound + DESCRIPTORS_ELSE;
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= bound + DESCRIPTORS_ELSE)
        return;
    rlim_t left = limit.rlim_cur > DESCRIPTORS_ELSE ? limit.rlim_cur - DESCRIPTORS_ELSE : 4;
    server->clients_bound = left;
    if (most > left - left / 4)
        server->clients_most = left - left / 4;
    log_warning("max_clients %llu: the system gives descriptors for %zu connections only",
                (unsigned long long)most, server->clients_most);
}

/* The driver is loaded before root is given up: its folder may be out of the other user's reach. */
static int make_store(struct server *server)
{
    struct storage_error error = {0, ""};
    struct store_options options = {
        .url = server->boot->db_url,
        .driver_path = server->boot->driver_path,
        .call_timeout = 2000,
    };
    server->store = store_make(&options, &error);
    if (server->store == NULL) {
        log_error("%s", error.text);
        return EXIT_CONFIG;
    }
    return EXIT_FINE;
}

/* What an administrator must mend ends the start; what may mend itself does not. */
static int open_store(struct server *server)
{
    struct storage_error error = {0, ""};
    switch (store_open(server->store, &error)) {
    case STORAGE_OK:
        log_info("store %s, driver %s", store_masked(server->store), store_name(server->store));
        return EXIT_FINE;
    case STORAGE_INVALID:
    case STORAGE_SCHEMA:
    case STORAGE_DENIED:
        log_error("store %s: %s", store_masked(server->store), error.text);
        return EXIT_CONFIG;
    default:
        log_error("store %s: %s; answering by db_trouble until it is there",
                  store_masked(server->store), error.text);
        return EXIT_FINE;
    }
}

static void open_caches(struct server *server)
{
    struct far_options options = {
        .driver = &cache_redis,
        .settings = server->boot,
        .store = server->store,
        .wake = wake,
        .context = server,
    };
    server->cache_driver = &cache_memory;
    if (!text_equal(server->boot->cache_url, TEXT("none")))
        server->cache = cache_memory.open((size_t)server->boot->cache_size);
    if (server->cache == NULL && !text_equal(server->boot->cache_url, TEXT("none")))
        log_warning("no memory for a cache of cache_size; going on without one");
    if (server->cache != NULL && redis_url_is(server->boot->cache_url)) {
        server->far = far_start(&options);
        if (server->far == NULL)
            log_warning("no thread for the cache in Redis; going on without it");
    }
    server->touches.driver = server->cache_driver;
    server->touches.cache = server->cache;
    server->touches.far = server->far;
}

static int start(struct server *server, const struct server_hooks *hooks)
{
    struct lane_calls calls = {.wake = wake, .context = server, .probed = true};
    char memory[4096];
    if (server->boot->test_clock)
        log_warning("test_clock is on: whoever may ask may turn the clock; never use it for mail");
    plan_clients(server);
    start_handles(server);
    int status = make_store(server);
    if (status != EXIT_FINE)
        return status;
    if (!listen_start(server))
        return EXIT_FAILED;
    status = watch_bind(server);
    if (status != EXIT_FINE)
        return status;
    if (!hooks->bound(hooks->context))
        return EXIT_FAILED;
    status = open_store(server);
    if (status != EXIT_FINE)
        return status;
    open_caches(server);
    server->lane = lane_start(server->store, &calls);
    server->touches.lane = server->lane;
    const char *fixtures = lists_find_fixtures(server, memory);
    lists_start(server, fixtures);
    if (server->lane != NULL)
        server->keeper = keeper_start(server->store, lists_place(server), wake, server);
    if (server->keeper == NULL) {
        log_error("cannot start the storage threads");
        return EXIT_FAILED;
    }
    if (!server->snapshot->loaded || server->snapshot->saved_at != 0)
        keeper_reload(server->keeper, fixtures);
    if (!watch_start(server))
        return EXIT_FAILED;
    start_timers(server);
    log_flush();
    lane_refresh(server->lane);
    return hooks->started(hooks->context) ? EXIT_FINE : EXIT_FAILED;
}

static void stop(struct server *server)
{
    listen_stop(server);
    watch_stop(server);
    far_stop(server->far);
    if (server->lane != NULL) {
        far_collect(server->far);
        server_tell_hits(server);
        lane_stop(server->lane);
        lane_collect(server->lane);
    }
    for (int state = 0; state < CLIENT_CLOSED; state++) {
        for (struct client *c; (c = server->clients[state].first) != NULL;)
            client_cut(c);
    }
    if (server->keeper != NULL) /* its last word is a wake-up: the loop must still be there */
        keeper_stop(server->keeper);
    uv_walk(&server->loop, close_handle, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    touches_drop(&server->touches);
    keeper_free(server->keeper);
    snapshot_release(server->snapshot);
    lane_free(server->lane);
    far_free(server->far);
    server->cache_driver = &cache_memory;
    server->cache_driver->close(server->cache);
    store_free(server->store);
}

int server_run(struct settings *settings, const struct settings_sources *sources,
               const struct server_hooks *hooks)
{
    struct server *server = calloc(1, sizeof(*server));
    struct snapshot *none = snapshot_make();
    if (server == NULL || none == NULL || !snapshot_seal(none) ||
        uv_loop_init(&server->loop) != 0) {
        log_error("cannot make the event loop");
        snapshot_release(none);
        free(server);
        return EXIT_FAILED;
    }
    server->loop.data = server;
    server->boot = settings_hold(settings);
    server->settings = settings_hold(settings);
    server->snapshot = none;
    server->sources = sources;
    server->out = writer_on(server->out_memory, OUT_SIZE);
    id_start(&server->ids);
    if (gethostname(server->host, sizeof(server->host) - 1) != 0)
        memcpy(server->host, "localhost", sizeof("localhost"));
    signal(SIGPIPE, SIG_IGN);
    log_info("mongrey-%s starting", MONGREY_VERSION);
    int status = start(server, hooks);
    if (status == EXIT_FINE)
        uv_run(&server->loop, UV_RUN_DEFAULT);
    stop(server);
    if (status == EXIT_FINE)
        log_info("stopped");
    log_flush();
    settings_release(server->settings);
    settings_release(server->boot);
    free(server);
    return status;
}
