/*
 * model.h: the tables of storage.h in plain C, to compare a driver with.
 *
 * Written from the header and from no driver: one array of entries, one of counters, a key's number
 * is its place. One sighting after the other, nothing clever, no error but a wrong key number.
 */
#ifndef MONGREY_CONFORMANCE_MODEL_H
#define MONGREY_CONFORMANCE_MODEL_H

#include "suite.h"

#define MODEL_KEYS 32
#define MODEL_ORIGINS 8

struct model_entry {
    bool there;
    int64_t first_seen, last_seen, expires, waited;
    uint32_t tries, passes;
    bool told; /* a reading is kept; else its texts are NULL */
    char text[ENTRY_TEXTS][STORAGE_TEXT_MAX + 1];
    bool merged[MODEL_ORIGINS];
    uint64_t position[MODEL_ORIGINS]; /* the origin's number is its first byte */
};

struct model_counter {
    bool there;
    int64_t first_seen, last_seen, expires;
    uint32_t count;
    uint64_t mark[STORAGE_MARKS];
};

struct model {
    struct model_entry entry[MODEL_KEYS];
    struct model_counter counter[MODEL_KEYS];
};

void model_see(struct model *model, const struct storage_sighting *sighting,
               struct storage_row *row);
size_t model_purge(struct model *model, int64_t now);
struct storage_tally model_tally(const struct model *model, int64_t since,
                                 int64_t abandoned_before);

#endif
