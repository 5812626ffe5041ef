/*
 * table.c: the hash table of rows. Knows nothing of what a row means, nor of time but to purge.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

static size_t bucket_of(const struct storage_key *key, size_t buckets_count)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        hash = hash * 31 + key->bytes[i];
    }
    return (size_t)hash & (buckets_count - 1);
}

static bool same_key(const struct storage_key *left, const struct storage_key *right)
{
    return memcmp(left->bytes, right->bytes, STORAGE_KEY_SIZE) == 0;
}

/* The link that points to the row, or the one at the chain's end. */
static struct memory_row **link_to(const struct memory_table *table, const struct storage_key *key)
{
    struct memory_row **link = &table->buckets[bucket_of(key, table->buckets_count)];

    while (*link != NULL && !same_key(&(*link)->key, key)) {
        link = &(*link)->next;
    }
    return link;
}

static bool grow(struct memory_table *table)
{
    size_t buckets_count = table->buckets_count == 0 ? BUCKETS_FIRST : table->buckets_count * 2;
    struct memory_row **buckets = calloc(buckets_count, sizeof *buckets);

    if (buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->buckets_count; i++) {
        struct memory_row *row = table->buckets[i];
        while (row != NULL) {
            struct memory_row *next = row->next;
            struct memory_row **head = &buckets[bucket_of(&row->key, buckets_count)];
            row->next = *head;
            *head = row;
            row = next;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->buckets_count = buckets_count;
    return true;
}

struct memory_row *memory_table_find(const struct memory_table *table,
                                     const struct storage_key *key)
{
    return table->buckets_count == 0 ? NULL : *link_to(table, key);
}

struct memory_row *memory_table_add(struct memory_table *table, const struct storage_key *key)
{
    struct memory_row **head;
    struct memory_row *row;

    if (table->rows_count >= table->buckets_count && !grow(table)) {
        return NULL;
    }
    row = calloc(1, sizeof *row);
    if (row == NULL) {
        return NULL;
    }
    head = &table->buckets[bucket_of(key, table->buckets_count)];
    row->key = *key;
    row->next = *head;
    *head = row;
    table->rows_count++;
    return row;
}

void memory_row_reset(struct memory_row *row)
{
    for (size_t i = 0; i < MEMORY_READINGS; i++) {
        free(row->reading[i]);
        row->reading[i] = NULL;
    }
    free(row->merged);
    row->merged = NULL;
    row->merged_count = 0;
    free(row->marks);
    row->marks = NULL;
    row->marks_count = 0;
    row->history = (struct memory_history){0};
}

static void remove_at(struct memory_table *table, struct memory_row **link)
{
    struct memory_row *row = *link;

    *link = row->next;
    memory_row_reset(row);
    free(row);
    table->rows_count--;
}

bool memory_table_remove(struct memory_table *table, const struct storage_key *key)
{
    struct memory_row **link;

    if (table->buckets_count == 0) {
        return false;
    }
    link = link_to(table, key);
    if (*link == NULL) {
        return false;
    }
    remove_at(table, link);
    return true;
}

size_t memory_table_purge(struct memory_table *table, int64_t now, size_t limit)
{
    size_t removed = 0;

    for (size_t i = 0; i < table->buckets_count; i++) {
        struct memory_row **link = &table->buckets[i];
        while (*link != NULL && removed < limit) {
            if ((*link)->history.expires <= now) {
                remove_at(table, link);
                removed++;
            } else {
                link = &(*link)->next;
            }
        }
    }
    return removed;
}

void memory_table_clear(struct memory_table *table)
{
    (void)memory_table_purge(table, INT64_MAX, SIZE_MAX);
    free(table->buckets);
    *table = (struct memory_table){0};
}
