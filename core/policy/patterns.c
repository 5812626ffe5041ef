/* patterns.c: see patterns.h.
 *
 * A pattern is filed under a gram: 8, 5 or 3 bytes of its literals, the rarest there is. A look-up
 * takes each gram of the text, and where a pattern is filed under it compares the literal around
 * it; what is left is what PCRE2 has to do. (Three bytes alone are too few: a hundred thousand
 * patterns with numbers in them share a thousand.) */
#include "core/policy/patterns.h"

#include "core/base/clock.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define LITERAL_MAX 32 /* of what is compared before the pattern is run */
#define BITS_MAX 20
#define FILTER_BITS 3 /* bits of the filter for a bucket: 2^3 */
#define GRAMS 3

struct patterns_entry {
    struct pattern *pattern;
    uint32_t number;
    uint32_t next;    /* in its chain */
    uint32_t hash;    /* of the gram */
    uint32_t literal; /* where in the pool */
    uint16_t size;    /* of the literal; before the seal of all literals */
    uint8_t at;       /* where in the literal the gram is */
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
        pattern, number, NONE, 0, (uint32_t)p->pool_size, (uint16_t)size, 0, (uint8_t)field,
    };
    p->pool_size += size;
    p->compiled_bytes += pattern_bytes(pattern);
    return true;
}

static const unsigned gram_size[GRAMS] = {3, 5, 8};

/* The gram at `text`; seeing to it that there is one is the caller's part. */
static uint64_t hash_gram(const char *text, unsigned gram, uint8_t field)
{
    uint64_t word = 0;
    if (gram == 0)
        memcpy(&word, text, 3);
    else if (gram == 1)
        memcpy(&word, text, 5);
    else
        memcpy(&word, text, 8);
    word = (word ^ (uint64_t)(field * GRAMS + gram + 1) << 57) * UINT64_C(0x9e3779b97f4a7c15);
    return (word ^ word >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static uint32_t bucket_of(const struct patterns *p, uint64_t hash)
{
    return (uint32_t)(hash >> (64 - p->bits));
}

static uint32_t filter_of(const struct patterns *p, uint64_t hash)
{
    return (uint32_t)(hash >> (64 - p->bits - FILTER_BITS));
}

/* The longest gram that a literal of this size has. */
static unsigned gram_for(size_t size)
{
    return size >= gram_size[2] ? 2 : size >= gram_size[1] ? 1 : 0;
}

typedef void visit_gram(void *context, const char *literal, size_t at, unsigned gram,
                        uint64_t hash);

static void each_gram(const struct patterns *p, const struct patterns_entry *e, visit_gram *visit,
                      void *context)
{
    const char *literal = p->pool + e->literal;
    const char *end = literal + e->size;
    for (size_t size; literal < end; literal += size + 1) {
        size = strlen(literal);
        unsigned gram = gram_for(size);
        for (size_t at = 0; at + gram_size[gram] <= size; at++)
            visit(context, literal, at, gram, hash_gram(literal + at, gram, e->field));
    }
}

/* How often each gram occurs, nearly (at most 255). */
struct counts {
    const struct patterns *p;
    uint8_t *of;
};

static void count_gram(void *context, const char *literal, size_t at, unsigned gram, uint64_t hash)
{
    struct counts *counts = context;
    uint8_t *count = counts->of + filter_of(counts->p, hash);
    (void)literal;
    (void)at;
    (void)gram;
    *count = (uint8_t)(*count + (*count < UINT8_MAX));
}

struct choice {
    const struct counts *counts;
    const char *literal;
    size_t at;
    unsigned gram;
    unsigned cost;
    uint64_t hash;
};

static void weigh_gram(void *context, const char *literal, size_t at, unsigned gram, uint64_t hash)
{
    struct choice *c = context;
    /* Of equally rare ones the longer: less of the text hits it by chance. */
    unsigned count = c->counts->of[filter_of(c->counts->p, hash)];
    unsigned cost = count * GRAMS + (GRAMS - 1 - gram);
    if (cost >= c->cost)
        return;
    *c = (struct choice){c->counts, literal, at, gram, cost, hash};
}

/* Leaves of the literals the one with the rarest gram, or its part around that, at `to`. */
static size_t choose(struct patterns *p, struct patterns_entry *e, const struct counts *counts,
                     size_t to)
{
    struct choice c = {.counts = counts, .literal = p->pool + e->literal, .cost = UINT_MAX};
    each_gram(p, e, weigh_gram, &c);
    size_t size = strlen(c.literal);
    size_t start = c.at > LITERAL_MAX / 2 ? c.at - LITERAL_MAX / 2 : 0;
    size = size - start < LITERAL_MAX ? size - start : LITERAL_MAX;
    memmove(p->pool + to, c.literal + start, size);
    e->literal = (uint32_t)to;
    e->size = (uint16_t)size;
    e->at = (uint8_t)(c.at - start);
    e->hash = (uint32_t)c.hash;
    p->grams[e->field] |= (uint8_t)(1U << c.gram);
    p->filter[filter_of(p, c.hash) / 64] |= UINT64_C(1) << filter_of(p, c.hash) % 64;
    uint32_t *head = p->buckets + bucket_of(p, c.hash);
    e->next = *head;
    *head = (uint32_t)(e - p->entries);
    return to + size;
}

static void shrink(struct patterns *p)
{
    void *smaller = realloc(p->pool, p->pool_size + 1);
    if (smaller != NULL) {
        p->pool = smaller;
        p->pool_room = p->pool_size + 1;
    }
    smaller = realloc(p->entries, p->count * sizeof(*p->entries));
    if (smaller != NULL) {
        p->entries = smaller;
        p->room = p->count;
    }
}

/* Literals move towards the pool's start, in the order in which they lie there. */
static void file_all(struct patterns *p, const struct counts *counts)
{
    size_t to = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct patterns_entry *e = p->entries + i;
        if (e->size > 0) {
            to = choose(p, e, counts, to);
            continue;
        }
        e->next = p->always[e->field];
        p->always[e->field] = i;
    }
    p->pool_size = to;
}

bool patterns_seal(struct patterns *p)
{
    memset(p->always, 0xff, sizeof(p->always));
    p->bits = 6;
    while (p->bits < BITS_MAX && (UINT32_C(1) << p->bits) < p->count + p->count / 2)
        p->bits++;
    if (p->count == 0)
        return true;
    size_t buckets = (size_t)1 << p->bits;
    size_t filter = (buckets << FILTER_BITS) / 8;
    struct counts counts = {p, calloc(buckets << FILTER_BITS, 1)};
    p->buckets = malloc(buckets * sizeof(*p->buckets));
    p->filter = calloc(filter, 1);
    bool fine = counts.of != NULL && p->buckets != NULL && p->filter != NULL;
    if (fine) {
        memset(p->buckets, 0xff, buckets * sizeof(*p->buckets));
        for (uint32_t i = 0; i < p->count; i++)
            each_gram(p, p->entries + i, count_gram, &counts);
        file_all(p, &counts);
        shrink(p);
    }
    free(counts.of);
    return fine;
}

void patterns_free(struct patterns *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        pattern_free(p->entries[i].pattern);
    free(p->entries);
    free(p->pool);
    free(p->buckets);
    free(p->filter);
}

size_t patterns_bytes(const struct patterns *p)
{
    /* 16: what malloc keeps beside each compiled pattern. */
    size_t buckets = p->buckets == NULL
                         ? 0
                         : (sizeof(*p->buckets) << p->bits) + ((1U << p->bits << FILTER_BITS) / 8);
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

static void note_gave_up(struct match_run *run, uint32_t number)
{
    if (run->gave_up < MATCH_GAVE_UP_MAX)
        run->gave_up_numbers[run->gave_up] = number;
    run->gave_up++;
}

/* The clock also counts what others had of the CPU meanwhile; that must not hide a pattern, so what it
 * says is too much is held against the thread's own time. */
static bool is_spent(struct match_cost *cost)
{
    if (cost->spent < MATCH_PATTERNS_NS)
        return false;
    uint64_t own = clock_thread_nanoseconds() - cost->began;
    if (own < cost->spent)
        cost->spent = own;
    return cost->spent >= MATCH_PATTERNS_NS;
}

/* One pattern costs a fraction of a millisecond at most; a great many that each cost nearly that are
 * bounded by the clock. */
static void try(const struct hunt *h, const struct patterns_entry *e, struct match_cost *cost)
{
    if (cost->gave_up >= MATCH_GAVE_UP_MAX || is_spent(cost)) {
        note_gave_up(h->run, e->number);
        return;
    }
    if (cost->began == 0)
        cost->began = clock_thread_nanoseconds();
    uint64_t before = clock_nanoseconds();
    enum pattern_answer answer = pattern_match(e->pattern, h->text, h->run->room);
    cost->spent += clock_nanoseconds() - before;
    if (answer == PATTERN_YES)
        h->found(h->context, h->field, e->number);
    if (answer == PATTERN_GAVE_UP) {
        cost->gave_up++;
        note_gave_up(h->run, e->number);
    }
}

/* The patterns filed under the gram at `at`, whose literal is around it here for the first time (so
 * that each is tried once). */
static void try_filed(const struct patterns *p, const struct hunt *h, struct text folded, size_t at,
                      uint64_t hash)
{
    for (uint32_t i = p->buckets[bucket_of(p, hash)]; i != NONE;) {
        const struct patterns_entry *e = p->entries + i;
        i = e->next;
        if (e->hash != (uint32_t)hash || e->field != (uint8_t)h->field || at < e->at ||
            folded.size - (at - e->at) < e->size)
            continue;
        const char *here = folded.data + (at - e->at);
        const char *literal = p->pool + e->literal;
        if (memcmp(here, literal, e->size) == 0 &&
            memmem(folded.data, folded.size, literal, e->size) == here)
            try(h, e, &h->run->filed);
    }
}

static void try_grams(const struct patterns *p, const struct hunt *h, struct text folded,
                      unsigned gram)
{
    for (size_t i = 0; i + gram_size[gram] <= folded.size; i++) {
        uint64_t hash = hash_gram(folded.data + i, gram, (uint8_t)h->field);
        uint32_t bit = filter_of(p, hash);
        if ((p->filter[bit / 64] >> bit % 64 & 1) != 0)
            try_filed(p, h, folded, i, hash);
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
    if (p->grams[field] != 0) {
        struct text folded = {memory, pattern_fold(text, memory)};
        for (unsigned gram = 0; gram < GRAMS; gram++) {
            if ((p->grams[field] >> gram & 1) != 0)
                try_grams(p, &h, folded, gram);
        }
    }
    /* Last: what a sender does to those that are always run must not keep the others from it. */
    for (uint32_t i = p->always[field]; i != NONE; i = p->entries[i].next)
        try(&h, p->entries + i, &run->always);
}
