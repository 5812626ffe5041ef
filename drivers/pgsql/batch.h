/* batch.h: a batch of sightings under way: what was read under lock, and what is to be written. */
#ifndef MONGREY_DRIVER_PGSQL_BATCH_H
#define MONGREY_DRIVER_PGSQL_BATCH_H

#include "drivers/pgsql/pgsql.h"

#define MERGES_MAX 8   /* origins that an entry remembers, the last ones */
#define MERGE_SIZE 24u /* bytes of one: the origin, and the position in network order */

enum fate {
    FATE_NONE,
    FATE_NUMBERS, /* times and counts */
    FATE_MERGED,  /* those, and what was merged */
    FATE_ALL,     /* the texts too */
    FATE_INSERT,
};

struct entry {
    struct storage_row row;
    enum fate fate;
    bool there;
    bool alive;
    bool first_pass;
    const struct storage_exemption *slides; /* an exemption whose counter is to slide */
    size_t merged_size;
    uint8_t merged[MERGES_MAX * MERGE_SIZE];
};

/* What an alternate's key is known for. */
struct other {
    struct storage_key key;
    bool there;
    struct storage_row row;
};

struct counter {
    struct storage_key key;
    struct storage_row row;
    bool there;
    bool alive;
    bool changed;
    unsigned marks_count;
    uint64_t marks[STORAGE_MARKS];
};

struct counters {
    struct counter *list; /* sorted by key, each once */
    size_t count;
};

struct batch {
    struct storage_session *session;
    const struct storage_sighting *sightings;
    size_t count;
    struct storage_row *rows;
    bool reads; /* nothing is to be written */
    bool has_entries;
    bool has_counters;
    struct entry *entries; /* of sightings[i], where that is an entry's */
    struct other *others;  /* sorted by key, each once */
    size_t others_count;
    struct counters peeked; /* exemptions, as they were */
    struct counters locked; /* what is to be moved */
    struct params params;
};

static inline bool is_counter(const struct storage_sighting *s)
{
    return s->op == STORAGE_COUNT || s->op == STORAGE_PAIR || s->op == STORAGE_TAKE;
}

/* --- observe.c --- */
/* expires after a pass: left alone while late enough. */
int64_t slide(int64_t expires, int64_t now, int64_t keep);
/* Counts stay at their greatest number. */
uint32_t sum(uint32_t a, uint32_t b);
int key_order(const void *a, const void *b);

/* --- entries.c --- */
/* Answers the entries' sightings, and says in entries[] what becomes of their rows. */
void entries_step(struct batch *b);

/* --- counters.c --- */
void counters_row(struct storage_row *row, const struct counter *c);
struct counter *counters_find(const struct counters *counters, const struct storage_key *key);
void counters_unpack(struct counter *c, const uint8_t *marks, size_t size);
/* Answers the counters' sightings, and does what the entries' want of counters. */
void counters_step(struct batch *b);

/* --- gather.c --- */
/* Keys that are to be read; false: out of memory. */
bool gather_read(struct batch *b);
bool gather_locked(struct batch *b);

/* --- rows.c --- */
void rows_ask_entries(struct batch *b);
void rows_ask_others(struct batch *b);
void rows_ask_counters(struct batch *b, const struct counters *counters, bool lock);
bool rows_read_entries(struct batch *b, const PGresult *result);
bool rows_read_others(struct batch *b, const PGresult *result);
bool rows_read_counters(struct batch *b, struct counters *counters, const PGresult *result);
/* Sends what is to be written; false: there is nothing. */
bool rows_write(struct batch *b);

#endif
