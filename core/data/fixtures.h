/*
 * fixtures.h: records as a YAML file, the format of 0.4.4 extended. `version: 1` says that values
 * and policies mean what they mean now; a file without it is one of 0.4.4, and is read as 0.4.4
 * meant it (fixtures_old.h).
 */
#ifndef MONGREY_FIXTURES_H
#define MONGREY_FIXTURES_H

#include "core/data/record.h"

#define FIXTURES_VERSION 1
#define FIXTURES_FILE_MAX (64u * 1024 * 1024)
#define FIXTURES_KINDS 7

/* In the order in which they are imported and exported. */
extern const enum kind fixtures_kinds[FIXTURES_KINDS];

/* Whom the reader tells. */
struct fixtures_sink {
    /* Takes a record, whose values lie in *arena, which it may empty. False: no more of them. */
    bool (*record)(void *context, enum kind kind, unsigned line,
                   const struct storage_value *values);
    /* Something of the file is refused; `what` is a sentence without the place. */
    void (*refused)(void *context, unsigned line, const char *what);
    void *context;
    struct arena *arena;
};

/* False: nothing, or not all, could be read, which `refused` or `record` knows of. A record that is
 * refused stops none behind it. `now` is when records are created that do not say so. */
bool fixtures_read(struct text file, int64_t now, const struct fixtures_sink *sink);

/* What comes before all records, before those of a kind, and one of them. */
void fixtures_write_head(struct writer *w);
void fixtures_write_kind(struct writer *w, enum kind kind);
void fixtures_write_record(struct writer *w, enum kind kind, const struct storage_value *values);

/* More than any record takes. */
#define FIXTURES_RECORD_MAX (2u * 1024 * 1024)

#endif
