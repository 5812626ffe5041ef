/*
 * cache.h: the cache door. What a cache in front of the store must offer, and what it may rely on.
 *
 * A cache holds what may be repeated safely: keys that have passed, never pending ones, and never a
 * failure. Losing an entry costs a look at the store, keeping one too long would let mail pass that
 * should not; so every entry ends by itself at `expires`, and clear() voids all of them at once.
 *
 * There are two sorts. A near cache is memory of this process and answers within a microsecond. A far
 * cache is another program that several hosts share: it may be slow, away, or lie. It keeps small
 * values that mean nothing to it; the core seals them, and knows by that what it did not write itself
 * (core/server/sealed.h). A far cache includes only this file and its client library.
 *
 * Changes to this file: an entry in the list.
 *   1  first version
 *   2  far caches
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

/* One thread at a time uses a near cache: here the loop thread, since no call takes more than a microsecond. */
extern const struct cache_driver cache_memory;

/* --- Far caches ------------------------------------------------------------------------------ */

#define CACHE_VALUE_MAX 64   /* bytes of a value */
#define CACHE_PREFIX_MAX 128 /* bytes before the key in a name */
#define CACHE_CALLS_MAX 1024 /* in one exchange */

/* Where it is. All texts are terminated, never NULL, and lent for the call of open(). */
struct cache_place {
    const char *host; /* empty: it is a Unix socket */
    const char *path; /* of the socket */
    const char *user;
    const char *password;
    const char *prefix; /* what each name begins with, at most CACHE_PREFIX_MAX */
    uint32_t timeout;   /* ms that an exchange may take in all */
    uint32_t database;
    uint16_t port;
};

enum cache_op { CACHE_GET, CACHE_PUT, CACHE_FORGET };

enum cache_result {
    CACHE_NONE,   /* GET: it has nothing under this key */
    CACHE_FOUND,  /* GET: `value`; size 0: what is there can be no value */
    CACHE_DONE,   /* PUT, FORGET */
    CACHE_REFUSED /* PUT, FORGET: it said no; the caller's `why` has its words */
};

struct cache_call {
    enum cache_op op;
    enum cache_result result; /* out */
    uint32_t keep;            /* PUT: ms after which it may throw it away */
    uint8_t size;             /* of the value; PUT: in, GET: out */
    uint8_t key[CACHE_KEY_SIZE];
    uint8_t value[CACHE_VALUE_MAX];
};

struct cache_far;

/*
 * One thread at a time uses a far cache; its calls wait. Where one fails, `why` (of `size` bytes) is
 * a terminated line for an administrator without a secret in it; what the other side said is escaped.
 */
struct cache_far_driver {
    const char *name;
    /* Reaches nothing yet. NULL when out of memory. */
    struct cache_far *(*open)(const struct cache_place *place);
    void (*close)(struct cache_far *far);
    /* Connects anew and hears that the other side answers; no longer than `patience` ms (but for what
     * the system's resolver takes). */
    bool (*connect)(struct cache_far *far, uint32_t patience, char *why, size_t size);
    /* Up to CACHE_CALLS_MAX calls, all sent before the first answer is read, within the time-out in
     * all. None: only asks whether it is there. False: it is away, and the connection is given up;
     * of the calls nothing is known. */
    bool (*exchange)(struct cache_far *far, struct cache_call *calls, size_t count, char *why,
                     size_t size);
};

extern const struct cache_far_driver cache_redis;

#endif
