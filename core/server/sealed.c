/* sealed.c: see sealed.h. */
#include "core/server/sealed.h"

#include <string.h>

#define FORMAT 1
#define BODY (SEALED_SIZE - HASH_KEY_SIZE) /* what is before the seal */
#define STORE_DIGITS 16

_Static_assert(SEALED_SIZE <= CACHE_VALUE_MAX, "a far cache takes it");

static void put_number(uint8_t *bytes, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
}

static uint64_t get_number(const uint8_t *bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void seal(const uint8_t *secret, const uint8_t *key, const uint8_t *body, uint8_t *out)
{
    uint8_t all[1 + CACHE_KEY_SIZE + BODY] = {'E'};
    memcpy(all + 1, key, CACHE_KEY_SIZE);
    memcpy(all + 1 + CACHE_KEY_SIZE, body, BODY);
    hash_seal(secret, all, sizeof(all), out);
}

void sealed_write(const uint8_t secret[HASH_SECRET_SIZE], const uint8_t key[CACHE_KEY_SIZE],
                  const struct sealed *entry, uint8_t bytes[SEALED_SIZE])
{
    bytes[0] = FORMAT;
    put_number(bytes + 1, entry->revision);
    put_number(bytes + 9, (uint64_t)entry->expires);
    seal(secret, key, bytes, bytes + BODY);
}

bool sealed_read(const uint8_t secret[HASH_SECRET_SIZE], const uint8_t key[CACHE_KEY_SIZE],
                 const uint8_t *bytes, size_t size, struct sealed *entry)
{
    uint8_t wanted[HASH_KEY_SIZE];
    if (size != SEALED_SIZE || bytes[0] != FORMAT)
        return false;
    seal(secret, key, bytes, wanted);
    if (!hash_same(wanted, bytes + BODY))
        return false;
    entry->revision = get_number(bytes + 1);
    entry->expires = (int64_t)get_number(bytes + 9);
    return entry->revision > 0 && entry->expires > 0;
}

void sealed_prefix(const uint8_t secret[HASH_SECRET_SIZE], struct text prefix, char *name)
{
    uint8_t store[HASH_KEY_SIZE];
    struct writer w = writer_on(name, CACHE_PREFIX_MAX + 1);
    hash_seal(secret, "S", 1, store);
    write_text(&w, prefix);
    write_literal(&w, ":");
    for (size_t i = 0; i < STORE_DIGITS / 2; i++)
        write_format(&w, "%02x", store[i]);
    write_literal(&w, ":");
    writer_end(&w);
}
