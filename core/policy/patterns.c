/* patterns.c: see patterns.h.
 *
 * A pattern is filed under the rarest trigram of its literals. A look-up takes each trigram of the
 * text, and where a pattern is filed under it compares the literal around it; what is left is what
 * PCRE2 has to do. */
#include "core/policy/patterns.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define LITERAL_MAX 32 /* of what is compared before the pattern is run */
#define BITS_MAX 20

struct patterns_entry {
    struct pattern *pattern;
    uint32_t number;
    uint32_t next;    /* in its chain */
    uint32_t literal; /* where in the pool */
    uint16_t size;    /* of the literal; before the seal of all literals */
    uint8_t at;       /* where in the literal the trigram is */
    uint8_t field;
};

/* The memory with room for `more` bytes (not 0) behind `used`, or NULL: then it is as it was. */
static void *grow(void *memory, size_t used, size_t more, size_t *room)
{
    size_t wanted = *room < 64 ? 64 : *room + *room / 2;
    if (used + more <= *room)
        return memory;
    if (wanted < used + more)
        wanted = used + more;
    memory = realloc(memory, wanted);
    if (memory != NULL)
        *room = wanted;
    return memory;
}

static bool make_room(struct patterns *p, size_t literals)
{
    size_t room = p->room * sizeof(*p->entries);
    void *memory = grow(p->entries, p->count * sizeof(*p->entries), sizeof(*p->entries), &room);
    if (memory == NULL)
        return false;
    p->entries = memory;
    p->room = (uint32_t)(room / sizeof(*p->entries));
    memory = grow(p->pool, p->pool_size, literals + 1, &p->pool_room);
    if (memory == NULL)
        return false;
    p->pool = memory;
    return true;
}

bool patterns_add(struct patterns *p, enum field field, struct text written, uint32_t number)
{
    char literals[PATTERN_LITERALS_ROOM];
    char why[PATTERN_WHY_MAX];
    size_t size = pattern_literals(written, literals);
    if (p->count == NONE - 1 || p->pool_size + size > UINT32_MAX || !make_room(p, size))
        return false;
    struct pattern *pattern = pattern_compile(written, why, sizeof(why));
    if (pattern == NULL)
        return false;
    if (size > 0)
        memcpy(p->pool + p->pool_size, literals, size);
    p->entries[p->count++] = (struct patterns_entry){
        pattern, number, NONE, (uint32_t)p->pool_size, (uint16_t)size, 0, (uint8_t)field,
    };
    p->pool_size += size;
    p->compiled_bytes += pattern_bytes(pattern);
    return true;
}

static uint32_t bucket_of(uint8_t field, uint32_t trigram, unsigned bits)
{
    uint64_t key = (uint64_t)field << 24 | trigram;
    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

static uint32_t trigram_at(const char *text)
{
    const unsigned char *t = (const unsigned char *)text;
    return (uint32_t)t[0] << 16 | (uint32_t)t[1] << 8 | t[2];
}

/* The buckets of an entry's trigrams; literals are parted by NUL, so a trigram with one is none. */
static void count_trigrams(const struct patterns *p, const struct patterns_entry *e,
                           uint32_t *counts)
{
    const char *literals = p->pool + e->literal;
    for (unsigned i = 0; i + 2 < e->size; i++) {
        if (memchr(literals + i, '\0', 3) == NULL)
            counts[bucket_of(e->field, trigram_at(literals + i), p->bits)]++;
    }
}

/* Leaves of the literals the one with the rarest trigram, or its part around that, at `to`. */
static size_t choose(struct patterns *p, struct patterns_entry *e, const uint32_t *counts,
                     size_t to)
{
    const char *literals = p->pool + e->literal;
    unsigned best = 0;
    uint32_t fewest = UINT32_MAX;
    for (unsigned i = 0; i + 2 < e->size; i++) {
        if (memchr(literals + i, '\0', 3) != NULL)
            continue;
        uint32_t count = counts[bucket_of(e->field, trigram_at(literals + i), p->bits)];
        if (count < fewest) {
            fewest = count;
            best = i;
        }
    }
    unsigned start = best;
    while (start > 0 && literals[start - 1] != '\0' && best - start < LITERAL_MAX / 2)
        start--;
    unsigned end = best + 3;
    while (literals[end] != '\0' && end - start < LITERAL_MAX)
        end++;
    memmove(p->pool + to, literals + start, end - start);
    e->literal = (uint32_t)to;
    e->size = (uint16_t)(end - start);
    e->at = (uint8_t)(best - start);
    return to + e->size;
}

static void file(struct patterns *p, uint32_t index)
{
    struct patterns_entry *e = p->entries + index;
    uint32_t *head = p->always + e->field;
    if (e->size > 0) {
        const char *trigram = p->pool + e->literal + e->at;
        head = p->buckets + bucket_of(e->field, trigram_at(trigram), p->bits);
        p->has_indexed[e->field] = true;
    }
    e->next = *head;
    *head = index;
}

bool patterns_seal(struct patterns *p)
{
    size_t to = 0;
    p->bits = 4;
    while (p->bits < BITS_MAX && (UINT32_C(1) << p->bits) < p->count + p->count / 2)
        p->bits++;
    size_t buckets = (size_t)1 << p->bits;
    for (unsigned i = 0; i < FIELDS; i++)
        p->always[i] = NONE;
    if (p->count == 0)
        return true;
    uint32_t *counts = calloc(buckets, sizeof(*counts));
    p->buckets = malloc(buckets * sizeof(*p->buckets));
    if (counts == NULL || p->buckets == NULL) {
        free(counts);
        return false;
    }
    memset(p->buckets, 0xff, buckets * sizeof(*p->buckets));
    for (uint32_t i = 0; i < p->count; i++)
        count_trigrams(p, p->entries + i, counts);
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->entries[i].size > 0)
            to = choose(p, p->entries + i, counts, to);
        file(p, i);
    }
    free(counts);
    p->pool_size = to;
    void *smaller = realloc(p->pool, to + 1);
    if (smaller != NULL) {
        p->pool = smaller;
        p->pool_room = to + 1;
    }
    smaller = realloc(p->entries, p->count * sizeof(*p->entries));
    if (smaller != NULL) {
        p->entries = smaller;
        p->room = p->count;
    }
    return true;
}

void patterns_free(struct patterns *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        pattern_free(p->entries[i].pattern);
    free(p->entries);
    free(p->pool);
    free(p->buckets);
}

size_t patterns_bytes(const struct patterns *p)
{
    /* 16: what malloc keeps beside each compiled pattern. */
    size_t buckets = p->buckets == NULL ? 0 : sizeof(*p->buckets) << p->bits;
    return p->compiled_bytes + (size_t)p->count * 16 + p->room * sizeof(*p->entries) +
           p->pool_room + buckets;
}

/* --- Look-up --------------------------------------------------------------------------------------
 */

struct hunt {
    enum field field;
    struct text text;
    struct match_run *run;
    patterns_found *found;
    void *context;
};

static void try(const struct hunt *h, const struct patterns_entry *e)
{
    if (h->run->gave_up >= MATCH_GAVE_UP_MAX)
        return;
    enum pattern_answer answer = pattern_match(e->pattern, h->text, h->run->room);
    if (answer == PATTERN_YES)
        h->found(h->context, h->field, e->number);
    if (answer == PATTERN_GAVE_UP)
        h->run->gave_up_numbers[h->run->gave_up++] = e->number;
}

/* The patterns filed under the trigram at `at`, whose literal is around it here for the first time
 * (so that each is tried once). */
static void try_filed(const struct patterns *p, const struct hunt *h, struct text folded, size_t at,
                      uint32_t head)
{
    for (uint32_t i = head; i != NONE;) {
        const struct patterns_entry *e = p->entries + i;
        const char *literal = p->pool + e->literal;
        i = e->next;
        if (e->field != (uint8_t)h->field || at < e->at || folded.size - (at - e->at) < e->size)
            continue;
        const char *here = folded.data + (at - e->at);
        if (memcmp(here, literal, e->size) == 0 &&
            memmem(folded.data, folded.size, literal, e->size) == here)
            try(h, e);
    }
}

void patterns_find(const struct patterns *p, enum field field, struct text text,
                   struct match_run *run, patterns_found *found, void *context)
{
    char memory[PATTERN_TEXT_MAX];
    const struct hunt h = {field, text, run, found, context};
    if (run->room == NULL || text.size == 0)
        return;
    if (text.size > PATTERN_TEXT_MAX) {
        run->too_long = true;
        return;
    }
    for (uint32_t i = p->always[field]; i != NONE; i = p->entries[i].next)
        try(&h, p->entries + i);
    if (!p->has_indexed[field])
        return;
    struct text folded = {memory, pattern_fold(text, memory)};
    for (size_t i = 0; i + 2 < folded.size; i++) {
        uint32_t bucket = bucket_of((uint8_t)field, trigram_at(folded.data + i), p->bits);
        if (p->buckets[bucket] != NONE)
            try_filed(p, &h, folded, i, p->buckets[bucket]);
    }
}
