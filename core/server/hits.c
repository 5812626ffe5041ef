/* hits.c: tells the store how often the lists' entries were met, with sightings that nobody waits
 * for. */
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/data/hits.h"
#include "core/server/server.h"

#define TELL_TIMEOUT 4000

static void finish(struct lane_item *item)
{
    free(item); /* lost where the store was away: it is a statistic */
}

static void tell(void *context, const struct storage_sighting *hit)
{
    struct server *server = context;
    struct lane_item *item = calloc(1, sizeof(*item));
    if (item == NULL)
        return;
    item->sighting = *hit;
    item->deadline = clock_steady() + TELL_TIMEOUT;
    item->finish = finish;
    if (!lane_submit(server->lane, item, false))
        free(item);
}

void server_tell_hits(struct server *server)
{
    hits_take(server->snapshot, tell, server);
}
