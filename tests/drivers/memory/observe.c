/*
 * observe.c: batches of sightings, and the rules that entries and counters have in common.
 */
#include "store.h"

struct memory_row *memory_live(const struct memory_store *store, const struct memory_table *table,
                               const struct storage_key *key, int64_t now)
{
    struct memory_row *row = memory_table_find(table, key);

    if (row == NULL) {
        return NULL;
    }
    if (memory_broken(store, MEMORY_BREAK_DEAD_LIVES) && row->history.expires == now) {
        return row;
    }
    if (memory_broken(store, MEMORY_BREAK_PENDING_FOREVER) && row->history.tries > 0 &&
        row->history.passes == 0) {
        return row;
    }
    return row->history.expires > now ? row : NULL;
}

void memory_slide(const struct memory_store *store, int64_t *expires, int64_t now, int64_t keep)
{
    if (memory_broken(store, MEMORY_BREAK_SLIDE_NEVER) && *expires > now) {
        return;
    }
    if (*expires < now + keep || memory_broken(store, MEMORY_BREAK_SLIDE_ALWAYS)) {
        *expires = now + keep + keep / 64;
    }
}

uint32_t memory_add(const struct memory_store *store, uint32_t count, uint32_t more)
{
    if (memory_broken(store, MEMORY_BREAK_COUNTS_WRAP)) {
        return count + more;
    }
    return more > UINT32_MAX - count ? UINT32_MAX : count + more;
}

struct storage_row memory_answer(const struct memory_history *history)
{
    return (struct storage_row){
        .status = STORAGE_OK,
        .first_seen = history->first_seen,
        .last_seen = history->last_seen,
        .expires = history->expires,
        .waited = history->waited,
        .tries = history->tries,
        .passes = history->passes,
        .count = history->count,
    };
}

bool memory_sighting_writes(const struct storage_sighting *sighting)
{
    return !sighting->look && (sighting->op != STORAGE_COUNT || sighting->count > 0);
}

static bool is_entry(enum storage_op op)
{
    return op == STORAGE_GREY || op == STORAGE_TOUCH || op == STORAGE_LEARN || op == STORAGE_MERGE;
}

static enum storage_status see(struct memory_store *store, const struct storage_sighting *sighting,
                               struct storage_row *row, struct storage_error *error)
{
    struct storage_sighting single = *sighting;
    bool done;

    if (memory_broken(store, MEMORY_BREAK_BATCH_HALF) && memory_check_sighting(sighting) != NULL) {
        return memory_refuse(error, STORAGE_INVALID, memory_check_sighting(sighting));
    }
    if (memory_broken(store, MEMORY_BREAK_COUNT_ONE) && single.count > 1) {
        single.count = 1;
    }
    done = is_entry(single.op) ? memory_see_entry(store, &single, row)
                               : memory_see_counter(store, &single, row);
    if (!done) {
        return memory_refuse(error, STORAGE_UNCERTAIN, "out of memory amid a batch");
    }
    return STORAGE_OK;
}

/* The sightings are done one after the other, so each sees what those before it did. */
enum storage_status memory_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error)
{
    struct memory_store *store = session->db->store;
    const char *wrong = memory_check_sightings(store, sightings, count);
    enum storage_status status = STORAGE_OK;

    if (wrong != NULL) {
        return memory_refuse(error, STORAGE_INVALID, wrong);
    }
    for (size_t i = 0; i < count && memory_read_only(session); i++) {
        if (memory_sighting_writes(&sightings[i])) {
            return memory_refuse(error, STORAGE_DENIED, "the store is open for reading only");
        }
    }
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < count && status == STORAGE_OK; i++) {
        status = see(store, &sightings[i], &rows[i], error);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}
