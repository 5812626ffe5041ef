/*
 * touches.h: passes that were answered from the cache, on their way to the store: counted up here
 * and told to it every two seconds, once a key, by sightings that nobody waits for. Loop thread.
 */
#ifndef MONGREY_TOUCHES_H
#define MONGREY_TOUCHES_H

#include "core/server/far.h"
#include "core/server/lane.h"
#include "include/cache.h"

#define TOUCHES_MAX 16384     /* keys; then they are told at once */
#define TOUCHES_INTERVAL 2000 /* ms */

struct touch;

struct touches {
    struct lane *lane;
    const struct cache_driver *driver;
    struct cache *cache;
    struct far *far;   /* NULL: none */
    uint64_t revision; /* of the cache: what was asked under an older one is not put there */
    size_t count;
    size_t on_their_way;
    uint64_t untold; /* passes that the store could not be told */
    struct touch *table[2 * TOUCHES_MAX];
};

/* A pass of the GREY sighting's key. */
void touches_note(struct touches *touches, const struct storage_sighting *grey);
void touches_flush(struct touches *touches);
/* Forgets those that were not told: at the very end. */
void touches_drop(struct touches *touches);
/* Tells those of one key at once, before the store is asked about it: else it would not know of passes
 * that kept the key alive. */
void touches_tell(struct touches *touches, const struct storage_key *key);

#endif
