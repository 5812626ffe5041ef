/* ring.h: kinds of which only the newest records are kept: their ids sort by time, so the oldest come
 * first. Blocks; a thread that may wait, with a line of its own. */
#ifndef MONGREY_RING_H
#define MONGREY_RING_H

#include "core/store/store.h"

/* How many records of the kind there are. */
enum storage_status ring_count(struct store_line *line, size_t kind, size_t *count,
                               struct storage_error *error);
/* Erases the oldest `excess`, at most RING_STEP of them. *removed: how many; 0 with OK where another
 * host was at the same ones. */
enum storage_status ring_trim(struct store_line *line, size_t kind, size_t excess, size_t *removed,
                              struct storage_error *error);

#define RING_STEP 256

#endif
