/* rows.h: entries and counters as they were read, what is to be written, and how that is done without a
 * transaction: each document carries the stamp of its last writing, and is changed only as long as it has the
 * stamp that was read. */
#ifndef MONGREY_DRIVER_MONGO_ROWS_H
#define MONGREY_DRIVER_MONGO_ROWS_H

#include "drivers/mongo/mongo.h"

#define ORIGINS 8 /* of merges, that a row remembers */
#define PAST 7    /* of the stamps before, 32 bits of each: to know one's own writing again */

struct merged {
    uint8_t origin[STORAGE_KEY_SIZE];
    uint64_t position;
};

struct row {
    struct storage_key key;
    bool there; /* there is a document, dead or alive */
    int64_t stamp;
    uint32_t past[PAST];
    unsigned past_count;
    struct storage_row data;
    unsigned marks_count;
    uint64_t marks[STORAGE_MARKS];
    unsigned merged_count;
    struct merged merged[ORIGINS]; /* the one merged last is last */
};

/* Rows of one collection, sorted by key. */
struct rows {
    const char *collection;
    struct row *row;
    size_t count;
    size_t room;
};

enum { PUT_MERGED = 1, PUT_WHOLE = 2 };

/* One document to be written. */
struct put {
    const struct row *before;
    struct row after;
    const struct storage_reading *reading; /* NULL: stays as it is */
    unsigned flags;                        /* PUT_WHOLE: nothing of what was there stays */
    bool done;                             /* out: else somebody else was quicker */
};

bool rows_begin(struct rows *rows, const char *collection, size_t most);
void rows_end(struct rows *rows);
/* A key that is to be read; a key may be wanted often. */
void rows_want(struct rows *rows, const struct storage_key *key);
/* Reads all that is wanted. */
enum storage_status rows_read(struct rows *rows, struct storage_session *session,
                              struct storage_error *error);
/* Only of keys that were wanted. */
const struct row *rows_get(const struct rows *rows, const struct storage_key *key);

/* Writes what nobody else has written meanwhile; of the rest `done` is false. UNCERTAIN where it cannot be
 * told of one which it is. */
enum storage_status rows_write(struct storage_session *session, const char *collection,
                               struct put *const *puts, size_t count, struct storage_error *error);
/* Removes documents that still are as they were written by these puts. */
enum storage_status rows_remove(struct storage_session *session, const char *collection,
                                struct put *const *puts, size_t count, struct storage_error *error);

/* --- entries.c --- */
/* What a sighting of an entry comes to. */
struct entry_outcome {
    bool writes;
    bool first_pass;
    struct put put;
};
void entry_see(const struct storage_sighting *sighting, const struct rows *entries,
               const struct rows *counters, struct entry_outcome *outcome,
               struct storage_row *answer);
/* expires after a pass: left alone while late enough. */
int64_t slide(int64_t expires, int64_t now, int64_t keep);
/* Counts stay at their greatest number. */
uint32_t sum(uint32_t a, uint32_t b);

/* --- counters.c --- */
/* Something that is done to a counter: a sighting, or an exemption that slides. */
struct counter_op {
    const struct storage_key *key;
    const struct storage_sighting *sighting;   /* NULL: it slides */
    const struct storage_exemption *exemption; /* which one, and when */
    int64_t now;
    struct storage_row *answer; /* NULL: nobody asks */
};
/* Whether a counter spares a sighting its row; if so *answer is the counter as it will be. */
bool counter_exempts(const struct row *row, const struct storage_exemption *exemption, int64_t now,
                     struct storage_row *answer);
/* Does one operation to the row. True: it is to be written. */
bool counter_do(struct row *row, const struct counter_op *op);

#endif
