/* lists.h: from the store's records to a snapshot of all lists and policies. */
#ifndef MONGREY_DATA_LISTS_H
#define MONGREY_DATA_LISTS_H

#include "core/policy/snapshot.h"
#include "core/store/store.h"

/* Where the lists are saved for a start without the store. One thread at a time. */
struct lists_place {
    const char *path;
    const char *store; /* whose they are: the URL without its secret */
    bool complained;   /* that they could not be saved; not again before they could */
};

/*
 * Reads everything, and saves it in `place` (NULL: nowhere). What is bad in a record (somebody wrote it past mongrey) is logged, and that
 * record does not count. NULL: the store's status and *error say why; what was in force stays so.
 * The result has the revision that it was read at: where that moved meanwhile, it is read again.
 */
struct snapshot *lists_load(struct store_line *line, struct lists_place *place,
                            enum storage_status *status, struct storage_error *error);
/* The lists as they were saved last. NULL: there are none, or none of this store; a file that is there and
 * is not taken is logged. */
struct snapshot *lists_load_saved(const struct lists_place *place);

#endif
