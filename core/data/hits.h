/* hits.h: how often a list's entry was met. A counter of the store, not a field of the record: it is
 * right on many hosts, and does not make them read the lists anew. */
#ifndef MONGREY_DATA_HITS_H
#define MONGREY_DATA_HITS_H

#include "core/policy/snapshot.h"
#include "include/storage.h"

/* Calls `tell` for each entry that was met since the last time, with the COUNT that the store is to be
 * told, and forgets that. Loop thread. */
void hits_take(struct snapshot *snapshot,
               void (*tell)(void *context, const struct storage_sighting *hit), void *context);
/* The sighting that tells the store of `hit->count` hits; with a count of 0 it only looks (the row's
 * count, and last_seen for the last one). */
struct storage_sighting hits_sighting(enum snapshot_list list, struct text id,
                                      const struct list_hit *hit);

#endif
