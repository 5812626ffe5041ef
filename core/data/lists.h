/* lists.h: from the store's records to a snapshot of all lists and policies. */
#ifndef MONGREY_DATA_LISTS_H
#define MONGREY_DATA_LISTS_H

#include "core/policy/snapshot.h"
#include "core/store/store.h"

/*
 * Reads everything. What is bad in a record (somebody wrote it past mongrey) is logged, and that
 * record does not count. NULL: the store's status and *error say why; what was in force stays so.
 * The result has the revision that it was read at: where that moved meanwhile, it is read again.
 */
struct snapshot *lists_load(struct store_line *line, enum storage_status *status,
                            struct storage_error *error);

#endif
