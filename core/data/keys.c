/* keys.c: see keys.h. A table of hashes that nobody can make collide. */
#include "core/data/keys.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/store/walk.h"

#define FIRST 4096

/* All zero: free. */
struct slot {
    uint64_t half[2];
};

struct keys {
    struct slot *slots;
    size_t room; /* a power of two */
    size_t count;
    bool full; /* out of memory */
};

static struct slot hash(struct text key)
{
    struct slot s;
    _Static_assert(sizeof(s) == HASH_KEY_SIZE, "a slot is a key's hash");
    hash_key(key.data, key.size, (uint8_t *)&s);
    return s;
}

static bool is_free(const struct slot *s)
{
    return s->half[0] == 0 && s->half[1] == 0;
}

static struct slot *place(const struct keys *keys, struct slot s)
{
    size_t at = (size_t)s.half[0] & (keys->room - 1);
    while (!is_free(&keys->slots[at]) &&
           (keys->slots[at].half[0] != s.half[0] || keys->slots[at].half[1] != s.half[1]))
        at = (at + 1) & (keys->room - 1);
    return &keys->slots[at];
}

static bool grow(struct keys *keys)
{
    struct keys larger = {.room = keys->room * 2};
    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < keys->room; i++) {
        if (!is_free(&keys->slots[i]))
            *place(&larger, keys->slots[i]) = keys->slots[i];
    }
    free(keys->slots);
    keys->slots = larger.slots;
    keys->room = larger.room;
    return true;
}

static bool take(void *context, const struct storage_record *record)
{
    struct keys *keys = context;
    struct text key = {record->values[0].text.data, record->values[0].text.size};
    if (keys->count * 2 >= keys->room && !grow(keys)) {
        keys->full = true;
        return false;
    }
    struct slot s = hash(key);
    *place(keys, s) = s;
    keys->count++;
    return true;
}

struct keys *keys_load(struct store_line *line, size_t kind)
{
    struct storage_query query = {.kind = kind};
    struct storage_error error = {0, ""};
    struct keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL)
        return NULL;
    keys->room = FIRST;
    keys->slots = calloc(FIRST, sizeof(*keys->slots));
    keys->full = keys->slots == NULL;
    enum storage_status status = STORAGE_OK;
    if (!keys->full)
        status = store_walk(line, &query, take, keys, &error);
    if (status == STORAGE_OK && !keys->full)
        return keys;
    keys_free(keys);
    return NULL;
}

void keys_free(struct keys *keys)
{
    if (keys == NULL)
        return;
    free(keys->slots);
    free(keys);
}

bool keys_have(const struct keys *keys, struct text key)
{
    return !is_free(place(keys, hash(key)));
}
