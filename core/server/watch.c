/* watch.c: what those who watch are told: the numbers for HTTP, and the line of stats. Loop thread. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/policy/pipeline.h"
#include "core/server/exits.h"
#include "core/server/process.h"
#include "core/server/server.h"

#define PUBLISH_EVERY 2 /* sweeps */

/* --- Counting --------------------------------------------------------------------------------- */

void watch_decided(struct server *server, const struct inquiry *q)
{
    size_t check = pipeline_was_asked(q) ? q->cursor + 1 : 0;
    server->counters.outcome[q->verdict.outcome]++;
    server->counters.decided[check][q->verdict.outcome]++;
}

/* --- The numbers for HTTP --------------------------------------------------------------------- */

static void add_loop(const struct server *server, struct metrics *m)
{
    const struct counters *c = &server->counters;
    m->build[0] = 1;
    m->requests = c->requests;
    memcpy(m->decided, c->decided, sizeof(m->decided));
    m->latency = c->latency;
    m->waiting = server->kept_count;
    m->malformed = c->malformed;
    m->timeouts = c->timeouts;
    m->clients = server->clients_count;
    m->accepted = c->connections;
    m->refused = c->refused;
    m->surplus = c->surplus;
    m->cache_lookups = c->lookups;
    m->cache_hits = c->cached;
    m->cache_keys = server->cache != NULL ? server->cache_driver->count(server->cache) : 0;
    m->store_trouble = c->trouble;
    struct keeper_counters k = keeper_counters(server->keeper);
    m->untold = c->untold + server->touches.untold;
    m->recorded = k.decisions;
    m->unrecorded = k.dropped;
    m->lists_loaded = server->lists_state.loaded;
    m->lists_revision = server->lists_state.revision;
    m->lists_bytes = server->lists_state.bytes;
    memcpy(m->lists_entries, server->lists_state.entries, sizeof(m->lists_entries));
    m->reload_fine = !server->watch.reload_failed;
    m->process_start = (uint64_t)server->watch.start;
}

static void add_store(const struct server *server, struct metrics *m)
{
    struct store_counters s;
    struct lane_counters l = lane_counters(server->lane);
    store_count(server->store, &s);
    m->store_up = store_is_well(server->store);
    m->batches = l.batches;
    m->sightings = l.sightings;
    m->purged = l.purged;
    m->queued[0] = l.urgent;
    m->queued[1] = l.riders;
    memcpy(m->calls, s.calls, sizeof(m->calls));
    memcpy(m->results, s.results, sizeof(m->results));
    m->call_latency = s.latency;
}

static void add_far(const struct server *server, struct metrics *m)
{
    struct far_counters f = far_counters(server->far);
    m->far_set = server->far != NULL;
    m->far_up = f.up;
    m->far_lookups = f.asked;
    m->far_hits = server->counters.far_cached;
    m->far_puts = f.puts;
    m->far_exchanges = f.exchanges;
    memcpy(m->far_trouble, f.trouble, sizeof(m->far_trouble));
    m->far_latency = f.latency;
}

static void publish(struct server *server)
{
    struct http_facts facts;
    memset(&facts, 0, sizeof(facts));
    add_loop(server, &facts.metrics);
    add_store(server, &facts.metrics);
    add_far(server, &facts.metrics);
    facts.stopping = server->stopping;
    facts.lists_saved = server->lists_state.saved;
    http_publish(server->watch.http, &facts);
}

void watch_sweep(struct server *server)
{
    static unsigned sweeps;
    if (server->watch.http != NULL && ++sweeps % PUBLISH_EVERY == 0)
        publish(server);
}

/* --- The line of stats ------------------------------------------------------------------------ */

static void write_size(struct writer *w, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes * 10;
    for (; tenths >= 10240 && unit < 4; unit++)
        tenths = (tenths + 512) / 1024;
    write_format(w, "\"%" PRIu64 ".%" PRIu64 " %s\"", tenths / 10, tenths % 10, units[unit]);
}

static void write_tenths(struct writer *w, double value)
{
    write_format(w, "%.1f", value);
}

static void on_stats(uv_timer_t *timer)
{
    struct server *server = timer->data;
    struct watch *watch = &server->watch;
    char line[512];
    struct writer w = writer_on(line, sizeof(line));
    struct process p;
    double load[3] = {0, 0, 0};
    if (server->counters.requests == watch->requests)
        return;
    process_read(&p);
    int64_t now = clock_steady();
    int64_t passed = now > watch->at ? now - watch->at : 1;
    uint64_t machine = process_machine_memory();
    if (getloadavg(load, 3) != 3)
        memset(load, 0, sizeof(load));
    write_literal(&w, "stats {\"mem_rss\": ");
    write_size(&w, p.resident);
    write_literal(&w, ", \"mem_vms\": ");
    write_size(&w, p.virtual);
    write_literal(&w, ", \"mem_percent\": ");
    write_tenths(&w, machine > 0 ? 100.0 * (double)p.resident / (double)machine : 0);
    write_literal(&w, ", \"cpu_percent\": ");
    write_tenths(&w, 100.0 * (double)(p.cpu - watch->cpu) / (double)passed);
    write_format(&w, ", \"load_avg\": [%.2f, %.2f, %.2f], \"connections\": %zu}", load[0], load[1],
                 load[2], server->clients_count);
    log_line(LOG_LEVEL_INFO, writer_text(&w));
    watch->requests = server->counters.requests;
    watch->cpu = p.cpu;
    watch->at = now;
}

static void start_stats(struct server *server)
{
    const struct settings *s = server->settings;
    uint64_t interval = (uint64_t)s->stats_interval;
    uv_timer_stop(&server->watch.stats);
    if (s->stats_enable)
        uv_timer_start(&server->watch.stats, on_stats, interval, interval);
}

void watch_reloaded(struct server *server, bool fine)
{
    server->watch.reload_failed = !fine;
    if (fine)
        start_stats(server);
}

/* --- Start and stop --------------------------------------------------------------------------- */

int watch_bind(struct server *server)
{
    server->watch.start = clock_wall();
    return http_bind(&server->boot->metrics_listen, &server->watch.http);
}

bool watch_start(struct server *server)
{
    server->watch.at = clock_steady();
    uv_timer_init(&server->loop, &server->watch.stats);
    server->watch.stats.data = server;
    start_stats(server);
    if (server->watch.http == NULL)
        return true;
    publish(server);
    return http_start(server->watch.http);
}

void watch_stop(struct server *server)
{
    http_stop(server->watch.http);
    server->watch.http = NULL;
}
