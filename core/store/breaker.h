/*
 * breaker.h: whether a store that is away is worth a try now. All lines of a store share it: one that has
 * waited for a time-out spares the others theirs. While it is open, one at a time tries, after pauses that
 * grow; when the store has answered, all go on. Any thread; times are steady ms.
 */
#ifndef MONGREY_BREAKER_H
#define MONGREY_BREAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BREAKER_NEVER INT64_MAX

struct breaker {
    pthread_mutex_t lock;
    bool open;    /* the store is away */
    bool probing; /* somebody is trying */
    int64_t pause;
    int64_t retry_at;
};

enum breaker_pause {
    BREAKER_SOON,   /* one call was lost; whether the store is away nobody knows: try at once */
    BREAKER_AWAY,   /* up to two seconds */
    BREAKER_REFUSED /* somebody must act: ten, so that nobody is locked out for it */
};

void breaker_start(struct breaker *breaker);
void breaker_end(struct breaker *breaker);

/* Whether a call may be made now. Where the store is away, only by one who `may_probe`; *probes: he does,
 * and must say breaker_answered or breaker_failed afterwards. */
bool breaker_lets(struct breaker *breaker, int64_t now, bool may_probe, bool *probes);
/* The store has answered, whatever it said. */
void breaker_answered(struct breaker *breaker, bool probed);
/* It has not, or would not have us. */
void breaker_failed(struct breaker *breaker, int64_t now, bool probed, enum breaker_pause pause);

/* When the next try is due; BREAKER_NEVER: the store is there. */
int64_t breaker_due(struct breaker *breaker, int64_t now);

#endif
