/*
 * cache.h: the cache door. What a cache in front of the store must offer, and what it may rely on.
 *
 * A cache holds what may be repeated safely: keys that have passed, never pending ones, and never a
 * failure. Losing an entry costs a look at the store, keeping one too long would let mail pass that
 * should not; so every entry ends by itself at `expires`, and clear() voids all of them at once.
 *
 * Changes to this file: an entry in the list.
 *   1  first version
 */
#ifndef MONGREY_CACHE_H
#define MONGREY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_KEY_SIZE 16 /* as STORAGE_KEY_SIZE */

struct cache;

struct cache_driver {
    const char *name;
    /* A cache of at most `bytes` of memory. NULL when out of memory. */
    struct cache *(*open)(size_t bytes);
    /* close(NULL) does nothing. */
    void (*close)(struct cache *cache);
    /* Whether the key is held and does not end before or at `now` (ms since 1970). */
    bool (*get)(struct cache *cache, const uint8_t key[CACHE_KEY_SIZE], int64_t now);
    /* Holds a key until `expires`; what was used least recently makes room. */
    void (*put)(struct cache *cache, const uint8_t key[CACHE_KEY_SIZE], int64_t expires);
    void (*forget)(struct cache *cache, const uint8_t key[CACHE_KEY_SIZE]);
    /* Voids all that was put so far. */
    void (*clear)(struct cache *cache);
    /* Keys held, void ones included. */
    size_t (*count)(const struct cache *cache);
};

/* One thread at a time uses a cache: here the loop thread, since no call takes more than a microsecond. */
extern const struct cache_driver cache_memory;

#endif
