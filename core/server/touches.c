/* touches.c: see touches.h. */
#include "core/server/touches.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/hash.h"

#define TELL_TIMEOUT 4000

struct touch {
    struct lane_item item; /* first: finish() gets it */
    struct touches *owner;
};

static size_t place(const struct touches *t, const struct storage_key *key)
{
    size_t mask = 2 * TOUCHES_MAX - 1;
    size_t i = hash_table(key->bytes, STORAGE_KEY_SIZE) & mask;
    while (t->table[i] != NULL &&
           memcmp(t->table[i]->item.sighting.key.bytes, key->bytes, STORAGE_KEY_SIZE) != 0)
        i = (i + 1) & mask;
    return i;
}

static void finish(struct lane_item *item)
{
    struct touch *touch = (struct touch *)item;
    struct touches *t = touch->owner;
    const uint8_t *key = item->sighting.key.bytes;
    t->on_their_way--;
    t->untold += item->status == STORAGE_OK ? 0 : item->sighting.count;
    if (t->cache != NULL && item->status == STORAGE_OK) {
        /* A row that is gone was forgotten on purpose, or expired: it is not known any more. */
        if (item->row.status != STORAGE_OK) {
            t->driver->forget(t->cache, key);
            far_forget(t->far, key);
        } else if (item->revision == t->revision) {
            t->driver->put(t->cache, key, item->row.expires);
        }
    }
    free(touch);
}

void touches_note(struct touches *t, const struct storage_sighting *grey)
{
    size_t i = place(t, &grey->key);
    struct touch *touch = t->table[i];
    if (touch != NULL) {
        touch->item.sighting.count++;
        if (grey->now > touch->item.sighting.now)
            touch->item.sighting.now = grey->now;
        return;
    }
    touch = calloc(1, sizeof(*touch));
    if (touch == NULL) {
        t->untold++;
        return;
    }
    touch->owner = t;
    touch->item.finish = finish;
    touch->item.sighting = (struct storage_sighting){
        .op = STORAGE_TOUCH,
        .key = grey->key,
        .count = 1,
        .now = grey->now,
        .keep = grey->keep,
    };
    t->table[i] = touch;
    if (++t->count >= TOUCHES_MAX)
        touches_flush(t);
}

static void send_touch(struct touches *t, struct touch *touch, bool urgent)
{
    touch->item.deadline = clock_steady() + TELL_TIMEOUT;
    if (lane_submit(t->lane, &touch->item, urgent)) {
        t->on_their_way++;
        return;
    }
    t->untold +=
        touch->item.sighting.count; /* the store is far behind: counters give way to mail */
    free(touch);
}

/* Takes the touch at place i out of the table, moving up those that were put behind it for want of
 * their own place. */
static struct touch *take_out(struct touches *t, size_t i)
{
    size_t mask = 2 * TOUCHES_MAX - 1;
    struct touch *taken = t->table[i];
    t->table[i] = NULL;
    t->count--;
    for (size_t k = (i + 1) & mask; t->table[k] != NULL; k = (k + 1) & mask) {
        struct touch *moved = t->table[k];
        t->table[k] = NULL;
        t->table[place(t, &moved->item.sighting.key)] = moved;
    }
    return taken;
}

void touches_tell(struct touches *t, const struct storage_key *key)
{
    size_t i = place(t, key);
    if (t->count > 0 && t->table[i] != NULL)
        send_touch(t, take_out(t, i), true);
}

void touches_flush(struct touches *t)
{
    if (t->count == 0)
        return;
    for (size_t i = 0; i < 2 * TOUCHES_MAX; i++) {
        struct touch *touch = t->table[i];
        if (touch == NULL)
            continue;
        t->table[i] = NULL;
        send_touch(t, touch, false);
    }
    t->count = 0;
}

void touches_drop(struct touches *t)
{
    for (size_t i = 0; i < 2 * TOUCHES_MAX; i++) {
        free(t->table[i]);
        t->table[i] = NULL;
    }
    t->count = 0;
}
