/* patterns.h: many patterns, of which a text is held only against those whose literal is in it. A
 * part of match.c, which has the rules of building and sharing. */
#ifndef MONGREY_PATTERNS_H
#define MONGREY_PATTERNS_H

#include "core/base/pattern.h"
#include "core/policy/match.h"
#include "core/policy/value.h"

struct patterns_entry;

struct patterns {
    struct patterns_entry *entries;
    uint32_t count;
    uint32_t room;
    char *pool; /* literals; until the seal all of a pattern, after it one */
    size_t pool_size;
    size_t pool_room;
    uint32_t *buckets; /* by gram: the first entry of each chain */
    uint64_t *filter;  /* a bit for the grams that are there */
    unsigned bits;     /* there are 2^bits buckets, and 2^(bits + 3) bits */
    uint32_t always[FIELDS];
    uint8_t grams[FIELDS]; /* a bit for each length that is there */
    size_t compiled_bytes;
};

/* False: out of memory, or no pattern. */
bool patterns_add(struct patterns *p, enum field field, struct text written, uint32_t number);
bool patterns_seal(struct patterns *p);
void patterns_free(struct patterns *p);
size_t patterns_bytes(const struct patterns *p);

typedef void patterns_found(void *context, enum field field, uint32_t number);

/* Calls found for each pattern of the field that matches, in no order. */
void patterns_find(const struct patterns *p, enum field field, struct text text,
                   struct match_run *run, patterns_found *found, void *context);

#endif
