/*
 * keeper.h: a thread for what no request waits for: it reads the lists anew when they changed,
 * stores decisions, keeps the greylist's figures, and finds out when a store that was away is back.
 * It has a session of its own.
 */
#ifndef MONGREY_KEEPER_H
#define MONGREY_KEEPER_H

#include "core/policy/snapshot.h"
#include "core/store/store.h"

struct keeper;
struct decision;
struct lists_place;

/* Starts it (signals blocked). `place`, which is its own from now on, is where the lists are saved.
 * `wake` is called on its thread when there is a new snapshot. NULL when out of memory. */
struct keeper *keeper_start(struct store *store, struct lists_place *place,
                            void (*wake)(void *context), void *context);
/* Ends its thread; what was to be stored is stored first, if the store is there. */
void keeper_stop(struct keeper *keeper);
void keeper_free(struct keeper *keeper);

/* Loop thread: read the lists soon, and again until it works. */
void keeper_load(struct keeper *keeper);
/* The same, after a file of fixtures (NULL: none) was merged into the store. */
void keeper_reload(struct keeper *keeper, const char *fixtures);
/* Loop thread: the store is away; the keeper tries it when that is due. */
void keeper_look(struct keeper *keeper);
/* The snapshot that came last, to be released by the caller; NULL: none since the last call. */
struct snapshot *keeper_take(struct keeper *keeper);
/* Lets go of a snapshot. The keeper frees it if that was the last hold: the loop has no time for it. */
void keeper_let_go(struct keeper *keeper, struct snapshot *snapshot);
/* Whether one more decision may be stored now. Beyond a rate and a queue it is left to the log. */
bool keeper_wants(struct keeper *keeper);
/* A decision to be stored, after keeper_wants; taken over. */
void keeper_record(struct keeper *keeper, struct decision *decision, size_t keep_most);
/* Store a row of the greylist's figures, of this time (ms). */
void keeper_tally(struct keeper *keeper, int64_t now, int64_t interval);

struct keeper_counters {
    uint64_t decisions; /* stored */
    uint64_t dropped;
};

struct keeper_counters keeper_counters(struct keeper *keeper);

#endif
