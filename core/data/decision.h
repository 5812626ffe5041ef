/* decision.h: a decision as it is logged, and as it is kept in the store for `explain`. */
#ifndef MONGREY_DATA_DECISION_H
#define MONGREY_DATA_DECISION_H

#include "core/store/store.h"
#include "include/check.h"

struct decision {
    struct decision *next;
    char id[ID_SIZE + 1];
    struct storage_value *values; /* DECISION_FIELDS of them; all of it is one allocation */
};

/* Logs one that came to its verdict, in the form and at the length that its settings want. */
void decision_log(struct inquiry *inquiry);
/* Of an inquiry that came to its verdict; free() ends it. NULL when out of memory. */
struct decision *decision_make(const struct inquiry *inquiry);
/* Stores up to STORAGE_BATCH_MAX of them; those that are there already are left alone. */
enum storage_status decision_store(struct store_line *line, struct decision *first,
                                   struct storage_error *error);
/* Calls `each` with the stored decision of that id. NOT_FOUND: it is not there (any more). */
enum storage_status decision_find(struct store_line *line, struct text id, storage_each *each,
                                  void *context, struct storage_error *error);

#endif
