/* hits.c: tells the store how often the lists' entries were met, with sightings that nobody waits
 * for. */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/data/hits.h"
#include "core/server/server.h"

#define TELL_TIMEOUT 4000

static void finish(struct lane_item *item)
{
    free(item); /* lost where the store was away: it is a statistic */
}

static void tell(struct server *server, enum snapshot_list list, const struct list_entry *entry,
                 const struct list_hit *hit)
{
    struct lane_item *item = calloc(1, sizeof(*item));
    if (item == NULL)
        return;
    item->sighting = hits_sighting(list, entry->id, hit);
    item->deadline = clock_steady() + TELL_TIMEOUT;
    item->finish = finish;
    if (!lane_submit(server->lane, item, false))
        free(item);
}

void server_tell_hits(struct server *server)
{
    for (int i = 0; i < LISTS; i++) {
        struct list *l = &server->snapshot->lists[i];
        for (size_t n = 0; l->met && n < l->count; n++) {
            if (l->hits[n].count > 0)
                tell(server, (enum snapshot_list)i, &l->entries[n], &l->hits[n]);
            l->hits[n].count = 0;
        }
        l->met = false;
    }
}
