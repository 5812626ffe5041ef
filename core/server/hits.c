/* hits.c: tells the store how often the lists' entries were met, with sightings that nobody waits
 * for. */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/data/hits.h"
#include "core/server/server.h"

#define TELL_TIMEOUT 4000

/* One on its way. */
struct hit {
    struct lane_item item; /* first: finish() gets it */
    struct server *server;
};

/* Lost where the store did not take it: it is a statistic, and might be counted twice. */
static void finish(struct lane_item *item)
{
    struct hit *hit = (struct hit *)item;
    hit->server->counters.untold += item->status == STORAGE_OK ? 0 : item->sighting.count;
    free(hit);
}

static void tell(void *context, const struct storage_sighting *hit)
{
    struct server *server = context;
    struct hit *told = calloc(1, sizeof(*told));
    if (told != NULL) {
        told->server = server;
        told->item.sighting = *hit;
        told->item.deadline = clock_steady() + TELL_TIMEOUT;
        told->item.finish = finish;
        if (lane_submit(server->lane, &told->item, false))
            return;
    }
    server->counters.untold += hit->count;
    free(told);
}

void server_tell_hits(struct server *server)
{
    hits_take(server->snapshot, tell, server);
}
