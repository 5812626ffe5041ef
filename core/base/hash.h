/*
 * hash.h: the hashes of the house, all from libsodium.
 *
 * hash_key is BLAKE2b (RFC 7693) cut to 16 bytes, unkeyed, so that the same key comes out on every
 * host, in every store and after a migration; to make two keys collide costs 2^64 work and gains
 * nothing. hash_table is SipHash-2-4 under a random key of this process, so that nobody can aim at
 * one bucket of a table. hash_seal is BLAKE2b under a secret: who does not know it cannot make one.
 */
#ifndef MONGREY_HASH_H
#define MONGREY_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_KEY_SIZE 16
#define HASH_SECRET_SIZE 32

/* Once, before all else here. False: the system gives no random bytes. */
_Bool hash_start(void);
void hash_key(const void *data, size_t size, uint8_t key[HASH_KEY_SIZE]);
uint64_t hash_table(const void *data, size_t size);
void hash_seal(const uint8_t secret[HASH_SECRET_SIZE], const void *data, size_t size,
               uint8_t seal[HASH_KEY_SIZE]);
/* Takes as long whatever differs. */
_Bool hash_same(const uint8_t a[HASH_KEY_SIZE], const uint8_t b[HASH_KEY_SIZE]);
/* hash_key of what comes in pieces. NULL: out of memory. hash_stream_end frees it; key NULL: unread. */
struct hash_stream *hash_stream_start(void);
void hash_stream_add(struct hash_stream *stream, const void *data, size_t size);
void hash_stream_end(struct hash_stream *stream, uint8_t *key);
void hash_random(void *memory, size_t size);

#endif
