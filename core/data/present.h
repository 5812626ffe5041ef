/* present.h: a record of a file beside the one of the same key that the store has. */
#ifndef MONGREY_PRESENT_H
#define MONGREY_PRESENT_H

#include "core/store/records.h"
#include "core/store/store.h"

enum presence { PRESENT_NOT, PRESENT_SAME, PRESENT_DIFFERS };

struct present {
    char id[STORAGE_ID_MAX + 1];
    int64_t version;
};

/* When it was created and where it came from makes no difference. `present` is of the store's. NOT: it
 * is not there, or could not be read. Blocks. */
enum presence present_compare(struct store_line *line, enum kind kind,
                              const struct storage_value *values, struct present *present);

#endif
