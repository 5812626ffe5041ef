/* decide.c: from the bytes of a request to its verdict: the checks, then the cache, then the store.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/policy/greylist.h"
#include "core/policy/logline.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"
#include "core/server/server.h"

_Static_assert(sizeof(((struct kept *)0)->reading_memory) >= GREYLIST_READING_MAX,
               "room for what is escaped");

/* A key that has passed is answered without the store, which is told later. */
static bool recall(struct server *server, struct inquiry *q)
{
    const struct storage_sighting *s = &q->sighting;
    if (server->cache == NULL || s->op != STORAGE_GREY)
        return false;
    server->counters.lookups++;
    if (!server->cache_driver->get(server->cache, s->key.bytes, s->now))
        return false;
    server->counters.cached++;
    touches_note(&server->touches, s);
    q->status = STORAGE_OK;
    q->row = (struct storage_row){.passes = 2}; /* any number above one: known */
    return true;
}

static void remember(struct server *server, const struct lane_item *item)
{
    if (server->cache != NULL && item->status == STORAGE_OK && item->row.passes > 0)
        server->cache_driver->put(server->cache, item->sighting.key.bytes, item->row.expires);
}

static void finish(struct lane_item *item)
{
    struct kept *kept = (struct kept *)item;
    struct server *server = kept->server;
    server->kept_count--;
    remember(server, item);
    if (item->status != STORAGE_OK)
        server->counters.trouble++;
    kept->inquiry.status = item->status;
    kept->inquiry.row = item->row;
    if (kept->client != NULL) {
        pipeline_resume(&kept->inquiry);
        client_resume(kept->client, kept);
    }
    settings_release(kept->inquiry.settings);
    free(kept);
}

/* Copies the inquiry with the bytes that it points into, and hands it to the lane. */
static struct kept *ask_store(struct server *server, struct client *client, const struct inquiry *q,
                              int64_t deadline)
{
    struct text bytes = q->request.bytes;
    struct kept *kept = malloc(sizeof(*kept) + bytes.size);
    if (kept == NULL)
        return NULL;
    memset(&kept->item, 0, sizeof(kept->item));
    memcpy(kept->bytes, bytes.data, bytes.size);
    kept->inquiry = *q;
    if (q->rules == &q->own)
        kept->inquiry.rules = &kept->inquiry.own;
    request_rebase(&kept->inquiry.request, kept->bytes);
    kept->server = server;
    kept->client = client;
    kept->item.sighting = q->sighting;
    greylist_read(&kept->inquiry, kept->reading_memory, &kept->reading);
    kept->item.sighting.reading = &kept->reading;
    kept->item.deadline = deadline;
    kept->item.finish = finish;
    touches_tell(&server->touches, &q->sighting.key);
    if (!lane_submit(server->lane, &kept->item, true)) {
        free(kept);
        return NULL;
    }
    settings_hold(q->settings);
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
    prepare(&q->request, clock_wall(), server->boot->test_clock);
    if (q->request.now > server->newest_time)
        server->newest_time = q->request.now;
    q->settings = server->settings;
    q->instances = &server->instances;
    q->host = server->host;
    if (pipeline_run(q))
        return true;
    if (!recall(server, q)) {
        *kept = ask_store(server, client, q, deadline);
        if (*kept != NULL)
            return false;
        /* No memory, or a queue that is full: shed load at once rather than make all mail wait. */
        server->counters.trouble++;
        q->status = STORAGE_UNAVAILABLE;
    }
    pipeline_resume(q);
    return true;
}

void decide_note(struct server *server, struct inquiry *q)
{
    watch_decided(server, q);
    id_make(&server->ids, clock_wall(), q->verdict.id);
    logline_log((enum log_format)q->settings->log_format, &q->verdict, &q->request);
    if (q->settings->verbose >= 3)
        logline_log_talk(&q->verdict, &q->request);
}
