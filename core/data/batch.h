/*
 * batch.h: many changes of records, written a few hundred at a time. Where one of them does not go,
 * the others still do: the batch is halved until the one is alone.
 */
#ifndef MONGREY_BATCH_H
#define MONGREY_BATCH_H

#include "core/base/id.h"
#include "core/store/store.h"

#define BATCH_MAX 256

struct batch {
    struct store_line *line;
    struct id_maker ids;
    int64_t patience; /* ms that a busy or absent store is waited for, each time */
    /* What became of a change; `tag` is the caller's. `why` is the store's sentence where it is not
     * STORAGE_OK. */
    void (*told)(void *context, size_t tag, enum storage_status status, const char *why);
    void *context;
    bool lost; /* the store is away or refuses to be written: nothing more was tried */
    size_t kind;
    size_t count;
    struct storage_change changes[BATCH_MAX];
    char ids_text[BATCH_MAX][STORAGE_ID_MAX + 1];
    size_t tags[BATCH_MAX];
};

/* The batch is large: not for the stack of a small thread. The line stays the caller's. */
void batch_start(struct batch *batch, struct store_line *line,
                 void (*told)(void *context, size_t tag, enum storage_status status,
                              const char *why),
                 void *context);
/* Adds a change, and writes all of them where the batch is full or the kind is another one. `id`
 * NULL: a new record. `values` are lent until they are written: until batch_write() at the latest. */
void batch_add(struct batch *batch, size_t kind, const char *id, int64_t expected,
               const struct storage_value *values, size_t tag);
/* Writes what is waiting. False: the store is lost; all that was not done was told so. */
bool batch_write(struct batch *batch);

#endif
