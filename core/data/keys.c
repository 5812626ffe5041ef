/* keys.c: see keys.h. A table of hashes that nobody can make collide. */
#include "core/data/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"

#define PAGE 1000
#define FIRST 4096

/* All zero: free. */
struct slot {
    uint64_t half[2];
};

struct keys {
    struct slot *slots;
    size_t room; /* a power of two */
    size_t count;
    size_t page;
    bool full; /* out of memory */
    char last_id[STORAGE_ID_MAX + 1];
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
    snprintf(keys->last_id, sizeof(keys->last_id), "%s", record->id);
    keys->page++;
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
    struct storage_query query = {.kind = kind, .order = STORAGE_BY_ID, .limit = PAGE};
    struct storage_error error = {0, ""};
    struct keys *keys = calloc(1, sizeof(*keys));
    char from[STORAGE_ID_MAX + 1]; /* lent to the driver while the records move the other */
    enum storage_status status;
    if (keys == NULL)
        return NULL;
    keys->room = FIRST;
    keys->slots = calloc(FIRST, sizeof(*keys->slots));
    keys->full = keys->slots == NULL;
    do {
        keys->page = 0;
        status = keys->full ? STORAGE_BUSY : store_search(line, &query, take, keys, &error);
        memcpy(from, keys->last_id, sizeof(from));
        query.after_id = from;
    } while (status == STORAGE_OK && keys->page == PAGE && !keys->full);
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
