/* fuzz_sealed.c: what a far cache hands out, as a value: nothing that was not sealed is believed. */
#include "tests/fuzz/fuzz.h"

#include "core/server/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[HASH_SECRET_SIZE] = "not known to who sends the bytes";
    uint8_t key[CACHE_KEY_SIZE] = {0};
    uint8_t again[SEALED_SIZE];
    struct sealed entry;
    memcpy(key, data, size < sizeof(key) ? size : sizeof(key));
    if (!sealed_read(secret, key, data, size, &entry))
        return 0;
    /* The fuzzer found a seal, or the corpus has one: then it is to the byte what we write. */
    HOLDS(size == SEALED_SIZE && entry.revision > 0 && entry.expires > 0);
    sealed_write(secret, key, &entry, again);
    HOLDS(memcmp(again, data, size) == 0);
    return 0;
}
