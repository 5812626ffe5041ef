/* gather.c: which keys a batch has to read, sorted and each once. Locks are taken in their order, so
 * that two batches never wait for each other in a circle. */
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/batch.h"

int key_order(const void *a, const void *b)
{
    return memcmp(a, b, STORAGE_KEY_SIZE);
}

/* Sorts what begins with a key and leaves one of each. */
static size_t sort_keys(void *list, size_t count, size_t size)
{
    uint8_t *at = list;
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(list, count, size, key_order);
    for (size_t i = 1; i < count; i++) {
        if (memcmp(at + kept * size, at + i * size, STORAGE_KEY_SIZE) != 0)
            memcpy(at + ++kept * size, at + i * size, size);
    }
    return kept + 1;
}

bool gather_read(struct batch *b)
{
    size_t others = 0;
    size_t exemptions = 0;
    for (size_t i = 0; i < b->count; i++) {
        bool grey = b->sightings[i].op == STORAGE_GREY;
        others += grey ? b->sightings[i].alternates_count : 0;
        exemptions += grey ? b->sightings[i].exemptions_count : 0;
        b->has_counters = b->has_counters || is_counter(&b->sightings[i]);
        b->has_entries = b->has_entries || !is_counter(&b->sightings[i]);
    }
    b->entries = b->has_entries && b->count > 0 ? calloc(b->count, sizeof(*b->entries)) : NULL;
    b->others = others > 0 ? calloc(others, sizeof(*b->others)) : NULL;
    b->peeked.list = exemptions > 0 ? calloc(exemptions, sizeof(*b->peeked.list)) : NULL;
    if ((b->has_entries && b->entries == NULL) || (others > 0 && b->others == NULL) ||
        (exemptions > 0 && b->peeked.list == NULL))
        return false;
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        for (uint8_t k = 0; b->others != NULL && s->op == STORAGE_GREY && k < s->alternates_count;
             k++)
            b->others[b->others_count++].key = s->alternate[k];
        for (uint8_t k = 0;
             b->peeked.list != NULL && s->op == STORAGE_GREY && k < s->exemptions_count; k++)
            b->peeked.list[b->peeked.count++].key = s->exemption[k].key;
    }
    b->others_count = sort_keys(b->others, b->others_count, sizeof(*b->others));
    b->peeked.count = sort_keys(b->peeked.list, b->peeked.count, sizeof(*b->peeked.list));
    return true;
}

bool gather_locked(struct batch *b)
{
    size_t most = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct entry *e = b->has_entries ? &b->entries[i] : NULL;
        most += is_counter(&b->sightings[i]);
        most += e != NULL && e->slides != NULL;
        most += e != NULL && e->first_pass ? b->sightings[i].on_pass_count : 0;
    }
    if (most == 0)
        return true;
    struct counters *c = &b->locked;
    c->list = calloc(most, sizeof(*c->list));
    if (c->list == NULL)
        return false;
    for (size_t i = 0; i < b->count; i++) {
        const struct storage_sighting *s = &b->sightings[i];
        const struct entry *e = b->has_entries ? &b->entries[i] : NULL;
        if (is_counter(s))
            c->list[c->count++].key = s->key;
        if (e != NULL && e->slides != NULL)
            c->list[c->count++].key = e->slides->key;
        for (uint8_t k = 0; e != NULL && e->first_pass && k < s->on_pass_count; k++)
            c->list[c->count++].key = s->on_pass[k].key;
    }
    c->count = sort_keys(c->list, c->count, sizeof(*c->list));
    return true;
}
