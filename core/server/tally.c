/* tally.c: see tally.h. */
#include "core/server/tally.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/id.h"
#include "core/store/records.h"

#define DAY INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define TRIM_EVERY 64 /* rows: to count them each time would cost more than they are worth */
#define PAGE 2000     /* rows read in one search */
#define STEP 200      /* rows erased in one change */
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

/* --- Trimming --------------------------------------------------------------------------------- */

struct page {
    size_t count;
    size_t most; /* ids kept, from the first on */
    char last[STORAGE_ID_MAX + 1];
    char (*ids)[STORAGE_ID_MAX + 1]; /* NULL: only counted */
};

static bool each(void *context, const struct storage_record *record)
{
    struct page *page = context;
    size_t size = strnlen(record->id, STORAGE_ID_MAX);
    memcpy(page->last, record->id, size);
    page->last[size] = '\0';
    if (page->ids != NULL && page->count < page->most)
        memcpy(page->ids[page->count], page->last, size + 1);
    page->count++;
    return true;
}

static enum storage_status read_page(struct store_line *line, struct page *page, bool descending,
                                     size_t limit, struct storage_error *error)
{
    char after[STORAGE_ID_MAX + 1];
    struct storage_query query = {
        .kind = KIND_METRIC,
        .order = STORAGE_BY_ID,
        .descending = descending,
        .limit = limit,
    };
    memcpy(after, page->last, sizeof(after));
    if (after[0] != '\0')
        query.after_id = after;
    page->count = 0;
    return store_search(line, &query, each, page, error);
}

/* How many rows there are past the `most` newest, as far as `enough`. */
static enum storage_status count_surplus(struct store_line *line, size_t most, size_t enough,
                                         size_t *surplus, struct storage_error *error)
{
    struct page page = {.last = ""};
    size_t seen = 0;
    enum storage_status status;
    do {
        status = read_page(line, &page, true, PAGE, error);
        seen += page.count;
    } while (status == STORAGE_OK && page.count == PAGE && seen < most + enough);
    *surplus = seen > most ? seen - most : 0;
    if (*surplus > enough)
        *surplus = enough;
    return status;
}

static enum storage_status erase_oldest(struct store_line *line, size_t count,
                                        struct storage_error *error)
{
    char ids[STEP][STORAGE_ID_MAX + 1];
    struct storage_change changes[STEP];
    struct page page = {.most = STEP, .ids = ids, .last = ""};
    enum storage_status status = read_page(line, &page, false, count, error);
    if (status != STORAGE_OK || page.count == 0)
        return status;
    for (size_t i = 0; i < page.count; i++)
        changes[i] = (struct storage_change){.id = ids[i], .expected = STORAGE_ANY_VERSION};
    status = store_change(line, KIND_METRIC, changes, page.count, error);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status; /* another host was at it too */
}

enum storage_status tally_trim(struct store_line *line, size_t most, struct storage_error *error)
{
    size_t surplus = 0;
    enum storage_status status = count_surplus(line, most, (size_t)STEP * STEPS, &surplus, error);
    while (status == STORAGE_OK && surplus > 0) {
        size_t step = surplus < STEP ? surplus : STEP;
        status = erase_oldest(line, step, error);
        surplus -= step;
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
