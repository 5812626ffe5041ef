/*
 * update.h: what an imported file says now, merged into the store: see merge.h for what that means.
 * The base lies in the store, a record of KIND_IMPORTED for each of the file's; `source` is the
 * file's name, and stands in every record that came from it.
 */
#ifndef MONGREY_UPDATE_H
#define MONGREY_UPDATE_H

#include "core/data/record.h"
#include "core/store/store.h"

struct update_tally {
    size_t added;
    size_t removed;
    size_t updated;
    size_t kept;    /* edited here, and so left as they are */
    size_t deleted; /* deleted here, and so not brought back */
    size_t present; /* were here before the file had them */
    size_t held;    /* gone from the file, and kept since it could not all be read */
    size_t failed;  /* refused by the store */
};

/* Takes a sentence; `line` is of the file, 0 where none is meant. */
typedef void update_say(void *context, unsigned line, const char *text);

struct update;

/* NULL: out of memory, or the source's name is too long (said). */
struct update *update_make(struct store_line *line, struct text source, update_say *say,
                           void *context);
void update_free(struct update *update);
/* Where the texts of the records to come must lie. */
struct arena *update_arena(struct update *update);
struct text update_source(const struct update *update);
/* One record of the file, as record_make made it; of two with one key the first counts. False: out
 * of memory (said). */
bool update_take(struct update *update, enum kind kind, unsigned line,
                 const struct storage_value *values);
/* Once all are taken. `whole`: the file could be read to its end and nothing in it was refused;
 * else nothing is removed, since what could not be read is not gone. False: the store failed, or
 * memory did (said); doing it all again is safe. */
bool update_run(struct update *update, bool whole, struct update_tally *tally);

#endif
