/*
 * far.h: the far cache's thread: the loop never waits for the other side.
 *
 * What waits goes out in one exchange, as in the lane: an idle system asks at once, a busy one in
 * batches. No request waits for a connection: while the far cache is away, far_ask says so, and the
 * request goes to the store.
 */
#ifndef MONGREY_FAR_H
#define MONGREY_FAR_H

#include "core/base/histogram.h"
#include "core/policy/settings.h"
#include "core/server/sealed.h"
#include "core/store/store.h"

#define FAR_ASKED_MAX 32768 /* that may wait */
#define FAR_TOLD_MAX 8192   /* entries to be put or forgotten; then they are lost */

/* A question on its way; `far` has it from far_ask until finish(). */
struct far_item {
    uint8_t key[CACHE_KEY_SIZE];
    bool found; /* there is an entry of ours */
    struct sealed entry;
    void (*finish)(struct far_item *item); /* called by far_collect, on the loop thread */
    void *context;
    struct far_item *next;
};

struct far;

struct far_options {
    const struct cache_far_driver *driver;
    const struct settings *settings; /* of the start; held by the caller */
    struct store *store;             /* has the secret; outlives it */
    void (*wake)(void *context);     /* on its thread: the loop then calls far_collect */
    void *context;
};

/* Starts its thread (signals blocked). NULL when out of memory. */
struct far *far_start(const struct far_options *options);
/* Everything that was asked is answered first; collect it afterwards. far_stop(NULL) and far_free(NULL) do
 * nothing; so do all below. */
void far_stop(struct far *far);
void far_free(struct far *far);

/* Loop thread. False: ask the store. */
bool far_ask(struct far *far, struct far_item *item);
void far_collect(struct far *far);
/* Loop thread. Nobody waits for these. `keep`: ms after which nobody needs it there. */
void far_put(struct far *far, const uint8_t key[CACHE_KEY_SIZE], const struct sealed *entry,
             int64_t keep);
void far_forget(struct far *far, const uint8_t key[CACHE_KEY_SIZE]);

enum far_trouble { FAR_LOST, FAR_REFUSED, FAR_FOREIGN, FAR_DROPPED, FAR_TROUBLES };

struct far_counters {
    bool up;
    uint64_t asked;
    uint64_t puts;
    uint64_t exchanges;
    uint64_t trouble[FAR_TROUBLES];
    struct histogram latency; /* of exchanges */
};

struct far_counters far_counters(struct far *far);
const char *far_trouble_word(size_t trouble);

#endif
