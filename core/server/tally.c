/* tally.c: see tally.h. */
#include "core/server/tally.h"

#include "core/base/id.h"
#include "core/data/ring.h"
#include "core/store/records.h"

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define TRIM_EVERY 64 /* rows: to count them each time would cost more than they are worth */
#define STEPS 20      /* changes in one call */

void tally_id(int64_t now, int64_t interval, char id[17])
{
    /* The start of the interval, not its number: were the interval's length changed, numbers would sort
     * among older ones, and could be theirs. */
    uint64_t left = now < 0 ? 0 : (uint64_t)(now - now % interval);
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    for (int i = ID_SIZE - 1; i >= 0; i--) {
        id[i] = digits[left & 31];
        left >>= 5;
    }
    id[ID_SIZE] = '\0';
}

enum storage_status tally_trim(struct store_line *line, size_t most, struct storage_error *error)
{
    size_t count;
    size_t removed = 1;
    enum storage_status status = ring_count(line, KIND_METRIC, &count, error);
    for (int i = 0; i < STEPS && status == STORAGE_OK && count > most && removed > 0; i++) {
        status = ring_trim(line, KIND_METRIC, count - most, &removed, error);
        count -= removed;
    }
    return status;
}

/* --- Storing ---------------------------------------------------------------------------------- */

static struct storage_value integer(int64_t value)
{
    return (struct storage_value){.type = STORAGE_INTEGER, .integer = value};
}

static enum storage_status store_row(struct store_line *line, const struct storage_tally *t,
                                     int64_t now, const char *id, struct storage_error *error)
{
    struct storage_value values[METRIC_FIELDS] = {
        [METRIC_timestamp] = {.type = STORAGE_TIME, .integer = now},
        [METRIC_count] = integer(t->entries),
        [METRIC_accepted] = integer(t->accepted),
        [METRIC_rejected] = integer(t->rejected),
        [METRIC_requests] = integer(t->accepted + t->rejected),
        [METRIC_abandoned] = integer(t->abandoned),
        [METRIC_delay] = {.type = STORAGE_REAL,
                          .real =
                              t->passed > 0 ? (double)t->waited / 1000.0 / (double)t->passed : 0.0},
    };
    struct storage_change change = {.id = id, .expected = 0, .values = values};
    return store_change(line, KIND_METRIC, &change, 1, error);
}

enum storage_status tally_store(struct store_line *line, int64_t now, int64_t interval,
                                struct storage_error *error)
{
    char id[ID_SIZE + 1];
    struct storage_tally tally = {0};
    tally_id(now, interval, id);
    enum storage_status status = store_tally(line, now - DAY, now - HOUR, &tally, error);
    if (status == STORAGE_OK)
        status = store_row(line, &tally, now, id, error);
    if (status == STORAGE_CONFLICT || status == STORAGE_EXISTS)
        return STORAGE_OK;
    if (status == STORAGE_OK && now / interval % TRIM_EVERY == 0)
        status = tally_trim(line, TALLY_MOST - TRIM_EVERY, error);
    return status;
}
