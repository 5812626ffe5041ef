/* secret.h: random bytes that all hosts of one store know, and nobody else. The first who asks for one of a
 * name makes it. */
#ifndef MONGREY_SECRET_H
#define MONGREY_SECRET_H

#include "core/base/hash.h"
#include "core/store/store.h"

/* Blocks. SCHEMA: what the store has under this name is none. */
enum storage_status secret_get(struct store_line *line, const char *name,
                               uint8_t secret[HASH_SECRET_SIZE], struct storage_error *error);

#endif
