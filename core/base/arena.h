/* arena.h: memory that is given back all at once, with a stated maximum. One thread at a time. */
#ifndef MONGREY_ARENA_H
#define MONGREY_ARENA_H

#include <stddef.h>

#include "core/base/text.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used;
    size_t limit; /* bytes in all */
};

struct arena arena_make(size_t limit);
/* Zeroed, aligned for anything; NULL when out of memory or over the limit. */
void *arena_take(struct arena *arena, size_t size);
/* A terminated copy, or NULL. */
char *arena_copy(struct arena *arena, struct text t);
void arena_free(struct arena *arena);

#endif
