/* decide.c: from the bytes of a request to its verdict: the checks, then the caches, then the store.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/data/decision.h"
#include "core/policy/greylist.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"
#include "core/server/server.h"

_Static_assert(sizeof(((struct kept *)0)->reading_memory) >= GREYLIST_READING_MAX,
               "room for what is escaped");

/* What is made of a key that a cache has. */
static const struct storage_row known = {.passes = 2}; /* any number above one */

static bool may_recall(const struct server *server, const struct inquiry *q)
{
    const struct storage_sighting *s = &q->sighting;
    return server->cache != NULL && (s->op == STORAGE_GREY || s->op == STORAGE_LEARN);
}

/* A key that has passed is answered without the store, which is told later. */
static bool recall(struct server *server, struct inquiry *q)
{
    const struct storage_sighting *s = &q->sighting;
    if (!may_recall(server, q))
        return false;
    server->counters.lookups++;
    if (!server->cache_driver->get(server->cache, s->key.bytes, s->now))
        return false;
    server->counters.cached++;
    touches_note(&server->touches, s);
    q->status = STORAGE_OK;
    q->row = known;
    return true;
}

/* The row is put where it is as new as the revision that the cache is of: one that was read before
 * somebody forgot it may come later than the news of that. */
static void remember(struct server *server, const struct lane_item *item)
{
    const struct storage_sighting *s = &item->sighting;
    struct sealed entry = {.revision = item->revision, .expires = item->row.expires};
    if (server->cache == NULL || item->status != STORAGE_OK || item->row.passes == 0 ||
        item->revision != server->revision)
        return;
    server->cache_driver->put(server->cache, s->key.bytes, entry.expires);
    if (entry.revision > 0)
        far_put(server->far, s->key.bytes, &entry, entry.expires - s->now);
}

/* What it waited for has come: the end of its way. */
static void conclude(struct kept *kept)
{
    struct server *server = kept->server;
    server->kept_count--;
    if (kept->client != NULL) {
        pipeline_resume(&kept->inquiry);
        client_resume(kept->client, kept);
    }
    settings_release(kept->inquiry.settings);
    keeper_let_go(server->keeper, kept->inquiry.snapshot);
    free(kept);
}

static void finish(struct lane_item *item)
{
    struct kept *kept = (struct kept *)item;
    remember(kept->server, item);
    if (item->status != STORAGE_OK)
        kept->server->counters.trouble++;
    kept->inquiry.status = item->status;
    kept->inquiry.row = item->row;
    conclude(kept);
}

static bool ask_store(struct kept *kept)
{
    touches_tell(&kept->server->touches, &kept->item.sighting.key);
    return lane_submit(kept->server->lane, &kept->item, true);
}

static void finish_far(struct far_item *item)
{
    struct kept *kept = item->context;
    struct server *server = kept->server;
    const struct storage_sighting *s = &kept->item.sighting;
    const struct sealed *entry = &item->entry;
    if (item->found && entry->revision == server->revision && entry->expires > s->now) {
        server->counters.far_cached++;
        server->cache_driver->put(server->cache, s->key.bytes, entry->expires);
        touches_note(&server->touches, s);
        kept->inquiry.status = STORAGE_OK;
        kept->inquiry.row = known;
        conclude(kept);
    } else if (!ask_store(kept)) {
        server->counters.trouble++;
        kept->inquiry.status = STORAGE_UNAVAILABLE;
        conclude(kept);
    }
}

/* Copies the inquiry with the bytes that it points into, and hands it to who has to be asked. */
static struct kept *ask(struct server *server, struct client *client, const struct inquiry *q,
                        int64_t deadline)
{
    struct text bytes = q->request.bytes;
    struct text canonical = q->request.canonical;
    struct kept *kept = malloc(sizeof(*kept) + bytes.size + canonical.size);
    if (kept == NULL)
        return NULL;
    memset(&kept->item, 0, sizeof(kept->item));
    memcpy(kept->bytes, bytes.data, bytes.size);
    kept->inquiry = *q;
    if (q->rules == &q->own)
        kept->inquiry.rules = &kept->inquiry.own;
    memcpy(kept->bytes + bytes.size, canonical.data, canonical.size);
    request_rebase(&kept->inquiry.request, kept->bytes, kept->bytes + bytes.size);
    kept->server = server;
    kept->client = client;
    kept->item.sighting = q->sighting;
    greylist_read(&kept->inquiry, kept->reading_memory, &kept->reading);
    kept->item.sighting.reading = &kept->reading;
    kept->item.deadline = deadline;
    kept->item.finish = finish;
    kept->far.finish = finish_far;
    kept->far.context = kept;
    memcpy(kept->far.key, q->sighting.key.bytes, CACHE_KEY_SIZE);
    bool far = may_recall(server, q) && server->revision > 0 && far_ask(server->far, &kept->far);
    if (!far && !ask_store(kept)) {
        free(kept);
        return NULL;
    }
    settings_hold(q->settings);
    snapshot_hold(q->snapshot);
    server->kept_count++;
    return kept;
}

bool decide(struct server *server, struct client *client, struct text bytes, int64_t deadline,
            struct inquiry *q, struct kept **kept, const char **why)
{
    *kept = NULL;
    if (!request_parse(bytes, &q->request, why))
        return true;
    *why = NULL;
    server->counters.requests++;
    int64_t wall = clock_wall();
    prepare(&q->request, wall, server->boot->test_clock, server->canonical);
    id_make(&server->ids, wall, q->verdict.id);
    if (q->request.now > server->newest_time)
        server->newest_time = q->request.now;
    q->settings = server->settings;
    q->snapshot = server->snapshot;
    q->instances = &server->instances;
    q->host = server->host;
    q->costs = NULL;
    if (pipeline_run(q))
        return true;
    if (!recall(server, q)) {
        *kept = ask(server, client, q, deadline);
        if (*kept != NULL)
            return false;
        /* No memory, or a queue that is full: shed load at once rather than make all mail wait. */
        server->counters.trouble++;
        q->status = STORAGE_UNAVAILABLE;
    }
    pipeline_resume(q);
    return true;
}

/* For `explain`: what did not pass, and first passes. */
static void record(struct server *server, const struct inquiry *q)
{
    bool differs = q->would[0] != '\0' && q->would_outcome != q->verdict.outcome;
    bool remarkable = q->verdict.outcome != OUTCOME_PASS || q->verdict.delay >= 0 || differs;
    if (!remarkable || q->settings->decisions_max == 0 || !keeper_wants(server->keeper))
        return;
    struct decision *decision = decision_make(q);
    if (decision != NULL)
        keeper_record(server->keeper, decision, (size_t)q->settings->decisions_max);
}

void decide_note(struct server *server, struct inquiry *q)
{
    watch_decided(server, q);
    record(server, q);
    decision_log(q);
}
