/* straight.h: deciding one request after the other in one thread, without loop or cache: for
 * `check` and `policy`. */
#ifndef MONGREY_STRAIGHT_H
#define MONGREY_STRAIGHT_H

#include "core/policy/instances.h"
#include "core/policy/prepare.h"
#include "core/store/store.h"
#include "include/check.h"

struct straight {
    struct settings *settings;
    struct store *store;
    struct store_line line;
    struct snapshot *snapshot;
    int64_t looked_at; /* steady ms: when the lists were last seen to be those of the store */
    struct instances instances;
    struct id_maker ids;
    char host[256];
    bool look;       /* change nothing */
    uint64_t *costs; /* NULL, or what each check of the table cost, ns; added to */
    bool absent;     /* there is no store to look at: everybody is new */
    char canonical[PREPARE_MEMORY_MAX];
};

/* Opens the store; one that is not made yet is no fault where it is only looked at. Returns an exit
 * status; what is wrong was logged. The settings stay the caller's. */
int straight_start(struct straight *straight, struct settings *settings, bool look);
void straight_end(struct straight *straight);
/* Decides a parsed request, which is prepared here; gives the verdict its id. Valid until the next. */
void straight_decide(struct straight *straight, struct inquiry *inquiry);

#endif
