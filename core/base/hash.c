/* hash.c: see hash.h. The only file that knows libsodium. */
#include "core/base/hash.h"

#include <sodium.h>
#include <stdlib.h>

static unsigned char table_key[crypto_shorthash_KEYBYTES];

_Bool hash_start(void)
{
    if (sodium_init() < 0)
        return 0;
    randombytes_buf(table_key, sizeof(table_key));
    return 1;
}

void hash_key(const void *data, size_t size, uint8_t key[HASH_KEY_SIZE])
{
    crypto_generichash(key, HASH_KEY_SIZE, data, size, NULL, 0);
}

struct hash_stream {
    crypto_generichash_state state;
};

struct hash_stream *hash_stream_start(void)
{
    size_t align = _Alignof(struct hash_stream);
    size_t size = (sizeof(struct hash_stream) + align - 1) / align * align;
    struct hash_stream *stream = aligned_alloc(align, size);
    if (stream != NULL)
        crypto_generichash_init(&stream->state, NULL, 0, HASH_KEY_SIZE);
    return stream;
}

void hash_stream_add(struct hash_stream *stream, const void *data, size_t size)
{
    crypto_generichash_update(&stream->state, data, size);
}

void hash_stream_end(struct hash_stream *stream, uint8_t *key)
{
    if (key != NULL)
        crypto_generichash_final(&stream->state, key, HASH_KEY_SIZE);
    free(stream);
}

uint64_t hash_table(const void *data, size_t size)
{
    union {
        unsigned char bytes[crypto_shorthash_BYTES];
        uint64_t number;
    } out;
    crypto_shorthash(out.bytes, data, size, table_key);
    return out.number;
}

void hash_seal(const uint8_t secret[HASH_SECRET_SIZE], const void *data, size_t size,
               uint8_t seal[HASH_KEY_SIZE])
{
    crypto_generichash(seal, HASH_KEY_SIZE, data, size, secret, HASH_SECRET_SIZE);
}

_Bool hash_same(const uint8_t a[HASH_KEY_SIZE], const uint8_t b[HASH_KEY_SIZE])
{
    return sodium_memcmp(a, b, HASH_KEY_SIZE) == 0;
}

void hash_random(void *memory, size_t size)
{
    randombytes_buf(memory, size);
}
