/*
 * lane.h: where waiting is allowed. The storage threads, and the queue that the loop fills.
 *
 * Group commit comes by itself: a thread takes all that waits (up to the driver's batch), makes one
 * of doubles, sorts, and calls the store once; while that commits, the next batch gathers. An idle
 * system has batches of one and no added delay.
 */
#ifndef MONGREY_LANE_H
#define MONGREY_LANE_H

#include "core/store/store.h"

#define LANE_QUEUE_MAX 32768 /* items of each sort that may wait */

/* One sighting on its way. The lane has it from lane_submit until finish() is called; nobody else
 * touches it in between. */
struct lane_item {
    struct storage_sighting sighting;
    enum storage_status status;
    struct storage_row row;
    uint64_t
        revision; /* the last one read when it was submitted: what the row is at least as new as */
    int64_t deadline; /* steady ms: a store that is busy is asked again until then */
    void (*finish)(struct lane_item *item); /* called by lane_collect, on the loop thread */
    struct lane_item *next;
    size_t place;           /* in its batch, in the order of submission */
    struct lane_item *twin; /* the next double in its batch */
};

struct lane;

struct lane_calls {
    /* On a lane thread, when something is done: wake the loop, which then calls lane_collect. */
    void (*wake)(void *context);
    void *context;
    /* Somebody else finds out when a store that was away is back: no batch, for which requests wait, has
     * to wait for a time-out to see. */
    bool probed;
};

/* Starts its threads (signals blocked in them). NULL when out of memory. The store outlives it. */
struct lane *lane_start(struct store *store, const struct lane_calls *calls);
/* Everything that was submitted is done first; collect it afterwards. */
void lane_stop(struct lane *lane);
void lane_free(struct lane *lane);

/* Loop thread. `urgent`: a request waits for it; the rest rides along. Of one key, what was submitted
 * first as urgent is done first. False: the queue is full. */
bool lane_submit(struct lane *lane, struct lane_item *item, bool urgent);
/* Loop thread: calls finish() of each item done since the last time. */
void lane_collect(struct lane *lane);

/* Loop thread: remove what expired before `now`, in steps between batches. */
void lane_purge(struct lane *lane, int64_t now);
/* Loop thread: read the store's revision soon. */
void lane_refresh(struct lane *lane);
/* The last revision read; 0: none yet. */
uint64_t lane_revision(struct lane *lane);

struct lane_counters {
    uint64_t batches;
    uint64_t sightings;
    uint64_t purged;
    size_t urgent; /* that wait now */
    size_t riders;
};

struct lane_counters lane_counters(struct lane *lane);

#endif
