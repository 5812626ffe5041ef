/* batch.c: see batch.h. */
#include "core/data/batch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"

#define PATIENCE 20000
#define PAUSE 100

void batch_start(struct batch *b, struct store_line *line,
                 void (*told)(void *context, size_t tag, enum storage_status status,
                              const char *why),
                 void *context)
{
    memset(b, 0, sizeof(*b));
    b->line = line;
    b->told = told;
    b->context = context;
    b->patience = PATIENCE;
    id_start(&b->ids);
}

void batch_add(struct batch *b, size_t kind, const char *id, int64_t expected,
               const struct storage_value *values, size_t tag)
{
    if (b->count == BATCH_MAX || (b->count > 0 && b->kind != kind))
        (void)batch_write(b);
    size_t i = b->count++;
    b->kind = kind;
    b->tags[i] = tag;
    if (id != NULL)
        snprintf(b->ids_text[i], sizeof(b->ids_text[i]), "%s", id);
    else
        id_make(&b->ids, clock_wall(), b->ids_text[i]);
    b->changes[i] =
        (struct storage_change){.id = b->ids_text[i], .expected = expected, .values = values};
}

static enum storage_status change(struct batch *b, size_t from, size_t count,
                                  struct storage_error *error)
{
    static const struct timespec pause = {0, PAUSE * 1000000L};
    int64_t deadline = clock_steady() + b->patience;
    for (;;) {
        enum storage_status status =
            store_change(b->line, b->kind, b->changes + from, count, error);
        if ((status != STORAGE_BUSY && status != STORAGE_UNAVAILABLE) ||
            clock_steady() + PAUSE > deadline)
            return status;
        nanosleep(&pause, NULL);
    }
}

static bool is_lost(enum storage_status status)
{
    return status == STORAGE_BUSY || status == STORAGE_UNAVAILABLE || status == STORAGE_DENIED ||
           status == STORAGE_SCHEMA;
}

/* `doubtful`: an earlier try of these may have been done, so that a new record that is there
 * already is ours. */
static void write_some(struct batch *b, size_t from, size_t count, bool doubtful)
{
    struct storage_error error = {0, "the store is away"};
    enum storage_status status = STORAGE_UNAVAILABLE;
    if (!b->lost)
        status = change(b, from, count, &error);
    if (status == STORAGE_UNCERTAIN) {
        status = change(b, from, count, &error);
        doubtful = true;
    }
    b->lost = b->lost || is_lost(status);
    if (status != STORAGE_OK && !b->lost && count > 1) {
        write_some(b, from, count / 2, doubtful);
        write_some(b, from + count / 2, count - count / 2, doubtful);
        return;
    }
    for (size_t i = from; i < from + count; i++) {
        bool own = doubtful && b->changes[i].expected == 0 &&
                   (status == STORAGE_CONFLICT || status == STORAGE_EXISTS);
        b->told(b->context, b->tags[i], own ? STORAGE_OK : status, error.text);
    }
}

bool batch_write(struct batch *b)
{
    if (b->count > 0)
        write_some(b, 0, b->count, false);
    b->count = 0;
    return !b->lost;
}
