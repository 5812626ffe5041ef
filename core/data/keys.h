/* keys.h: what records of a kind are there, to ask without the store: the import of a file that is
 * in the store already would else try each of its records in vain. */
#ifndef MONGREY_KEYS_H
#define MONGREY_KEYS_H

#include "core/base/text.h"
#include "core/store/store.h"

struct keys;

/* Those of now. NULL: out of memory, or the store failed; then one goes on without. */
struct keys *keys_load(struct store_line *line, size_t kind);
void keys_free(struct keys *keys);
bool keys_have(const struct keys *keys, struct text key);

#endif
