/*
 * upkeep.c: purge() and tally().
 */
#include "store.h"

enum storage_status memory_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error)
{
    struct memory_store *store = session->db->store;
    int64_t until = memory_broken(store, MEMORY_BREAK_PURGE_LIVING) ? now + 1 : now;
    size_t most = memory_broken(store, MEMORY_BREAK_PURGE_UNBOUNDED) ? SIZE_MAX : limit;

    if (memory_read_only(session)) {
        return memory_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    }
    (void)pthread_mutex_lock(&store->lock);
    *removed = memory_table_purge(&store->entries, until, most);
    if (!memory_broken(store, MEMORY_BREAK_PURGE_ENTRIES_ONLY)) {
        *removed += memory_table_purge(&store->counters, until, most - *removed);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return STORAGE_OK;
}

static void add_to_tally(const struct memory_store *store, struct storage_tally *tally,
                         const struct memory_history *history, int64_t abandoned_before)
{
    tally->entries++;
    tally->accepted += history->passes;
    tally->rejected += history->tries;
    if (history->passes == 0) {
        tally->abandoned += history->first_seen < abandoned_before ? 1 : 0;
        if (!memory_broken(store, MEMORY_BREAK_TALLY_PENDING)) {
            return;
        }
    }
    if (history->waited > 0 || memory_broken(store, MEMORY_BREAK_TALLY_ALL_PASSED)) {
        tally->passed++;
        tally->waited += history->waited;
    }
}

enum storage_status memory_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error)
{
    struct memory_store *store = session->db->store;

    (void)error;
    *tally = (struct storage_tally){0};
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->entries.buckets_count; i++) {
        for (struct memory_row *row = store->entries.buckets[i]; row != NULL; row = row->next) {
            if (row->history.first_seen >= since) {
                add_to_tally(store, tally, &row->history, abandoned_before);
            }
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    return STORAGE_OK;
}
