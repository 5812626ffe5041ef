/*
 * sealed.h: what is written into a far cache, and what is believed of what is read there. Pure. Fuzzed.
 *
 * "This key had passed, and lasts until `expires`, in the store of this secret at this revision": 33
 * bytes, a format number, the revision, expires, and a seal over key and all of it. Who may write to
 * the cache but does not know the secret can make entries disappear or return; he cannot make one.
 */
#ifndef MONGREY_SEALED_H
#define MONGREY_SEALED_H

#include <stdbool.h>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "include/cache.h"

#define SEALED_SIZE 33

struct sealed {
    uint64_t revision;
    int64_t expires;
};

void sealed_write(const uint8_t secret[HASH_SECRET_SIZE], const uint8_t key[CACHE_KEY_SIZE],
                  const struct sealed *entry, uint8_t bytes[SEALED_SIZE]);
/* False: not one of ours, or not of this key. */
bool sealed_read(const uint8_t secret[HASH_SECRET_SIZE], const uint8_t key[CACHE_KEY_SIZE],
                 const uint8_t *bytes, size_t size, struct sealed *entry);
/* PREFIX:STORE: where the names of a store's entries begin with; those of two stores never meet. `name` has
 * room for CACHE_PREFIX_MAX + 1. */
void sealed_prefix(const uint8_t secret[HASH_SECRET_SIZE], struct text prefix, char *name);

#endif
