/* arena.c: see arena.h. */
#include "core/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4096

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) char memory[];
};

struct arena arena_make(size_t limit)
{
    return (struct arena){NULL, 0, limit};
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t align = alignof(max_align_t);
    if (size > arena->limit)
        return NULL;
    size = (size + align - 1) / align * align;
    if (size > arena->limit - arena->used)
        return NULL;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = calloc(1, sizeof(*block) + room);
        if (block == NULL)
            return NULL;
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->memory + block->used;
    block->used += size;
    arena->used += size;
    return memory;
}

char *arena_copy(struct arena *arena, struct text t)
{
    char *copy = t.size < SIZE_MAX ? arena_take(arena, t.size + 1) : NULL;
    if (copy != NULL && t.size > 0)
        memcpy(copy, t.data, t.size);
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
