/*
 * memory.c: the cache in the process's own memory.
 *
 * A table of buckets of eight slots that grows a bucket at a time (linear hashing), so that memory
 * follows the number of keys, no growth ever holds up a request, and a cached key costs some 85 bytes, 32
 * at the full size. In a bucket that is full the slot that was used least recently makes room.
 */
#include "include/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/hash.h"

#define SLOTS 8
/* Wanted on average. Buckets that were not yet split in a round of growing hold up to twice that, and
 * few of them overflow while there is room elsewhere. */
#define SLOTS_WANTED 3

struct slot {
    uint8_t key[CACHE_KEY_SIZE];
    int64_t expires; /* 0: empty */
    uint32_t used;   /* the tick of its last use */
    uint32_t generation;
};

struct bucket {
    struct slot slots[SLOTS];
};

struct cache {
    struct bucket *buckets; /* reserved for `most`; only what is in use takes memory */
    size_t most;
    size_t half;  /* a power of two: the buckets before this round of growing */
    size_t split; /* the next bucket to be split; half + split are in use */
    size_t held;
    uint32_t tick;
    uint32_t generation;
};

static struct cache *memory_open(size_t bytes)
{
    struct cache *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->most = bytes / sizeof(struct bucket);
    if (c->most < 16)
        c->most = 16;
    c->half = 8;
    void *memory = mmap(NULL, c->most * sizeof(struct bucket), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(c);
        return NULL;
    }
    c->buckets = memory;
    return c;
}

static void memory_close(struct cache *c)
{
    if (c == NULL)
        return;
    munmap(c->buckets, c->most * sizeof(struct bucket));
    free(c);
}

static size_t bucket_of(const struct cache *c, const uint8_t *key)
{
    uint64_t hash = hash_table(key, CACHE_KEY_SIZE);
    size_t index = hash & (c->half - 1);
    return index < c->split ? hash & (2 * c->half - 1) : index;
}

static struct slot *find(const struct cache *c, const uint8_t *key)
{
    struct bucket *b = &c->buckets[bucket_of(c, key)];
    for (int i = 0; i < SLOTS; i++) {
        if (b->slots[i].expires != 0 && memcmp(b->slots[i].key, key, CACHE_KEY_SIZE) == 0)
            return &b->slots[i];
    }
    return NULL;
}

static bool memory_get(struct cache *c, const uint8_t *key, int64_t now)
{
    struct slot *slot = find(c, key);
    if (slot == NULL || slot->generation != c->generation || slot->expires <= now)
        return false;
    slot->used = ++c->tick;
    return true;
}

/* An empty slot, else one that is void, else the one that was not used for longest. */
static struct slot *room_in(const struct cache *c, struct bucket *b)
{
    struct slot *best = &b->slots[0];
    uint32_t age = 0;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &b->slots[i];
        if (s->expires == 0)
            return s;
        uint32_t its = s->generation != c->generation ? UINT32_MAX : c->tick - s->used;
        if (its > age) {
            age = its;
            best = s;
        }
    }
    return best;
}

/* Gives the bucket at `split` a sister, and moves to it the keys that now belong there. */
static void grow(struct cache *c)
{
    struct bucket *from = &c->buckets[c->split];
    struct bucket *to = &c->buckets[c->half + c->split];
    int moved = 0;
    c->split++;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &from->slots[i];
        if (s->expires == 0 || &c->buckets[bucket_of(c, s->key)] == from)
            continue;
        to->slots[moved++] = *s;
        s->expires = 0;
    }
    if (c->split == c->half) {
        c->half *= 2;
        c->split = 0;
    }
}

static void memory_put(struct cache *c, const uint8_t *key, int64_t expires)
{
    if (expires <= 0)
        return;
    struct slot *slot = find(c, key);
    if (slot == NULL) {
        if (c->held >= SLOTS_WANTED * (c->half + c->split) && c->half + c->split < c->most)
            grow(c);
        slot = room_in(c, &c->buckets[bucket_of(c, key)]);
        c->held += slot->expires == 0;
        memcpy(slot->key, key, CACHE_KEY_SIZE);
    }
    slot->expires = expires;
    slot->generation = c->generation;
    slot->used = ++c->tick;
}

static void memory_forget(struct cache *c, const uint8_t *key)
{
    struct slot *slot = find(c, key);
    if (slot == NULL)
        return;
    slot->expires = 0;
    c->held--;
}

static void memory_clear(struct cache *c)
{
    c->generation++;
}

static size_t memory_count(const struct cache *c)
{
    return c->held;
}

const struct cache_driver cache_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .put = memory_put,
    .forget = memory_forget,
    .clear = memory_clear,
    .count = memory_count,
};
