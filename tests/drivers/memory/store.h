/*
 * store.h: what the files of the memory driver know of each other.
 *
 * One store is two tables of rows (entries and counters), one list of records for each kind, and
 * the revision, all behind one mutex: every call of the door holds it from beginning to end, and so
 * each is atomic. Knows nothing of mongrey but storage.h.
 */
#ifndef MONGREY_MEMORY_STORE_H
#define MONGREY_MEMORY_STORE_H

#include "storage.h"

#include "breaks.h"

#include <pthread.h>

#pragma GCC visibility push(hidden)

/* --- Rows ------------------------------------------------------------------------------------- */

#define MEMORY_READINGS 7 /* the texts of struct storage_reading, in its order */

/* How far the journal or store `origin` was merged into a row. */
struct memory_merged {
    uint8_t origin[STORAGE_KEY_SIZE];
    uint64_t position;
};

/* What an answer tells of a row, and what GREY may carry from one row to another. */
struct memory_history {
    int64_t first_seen;
    int64_t last_seen;
    int64_t expires;
    int64_t waited;
    uint32_t tries;
    uint32_t passes;
    uint32_t count; /* of counters */
};

struct memory_row {
    struct memory_row *next; /* in the same bucket */
    struct storage_key key;
    struct memory_history history;
    char *reading[MEMORY_READINGS]; /* entries; NULL where nothing was kept */
    struct memory_merged *merged;   /* entries */
    size_t merged_count;
    uint64_t *marks; /* counters of PAIR */
    uint32_t marks_count;
};

/* A hash table with chains. The keys are hashes already, so their first bytes choose the bucket. */
struct memory_table {
    struct memory_row **buckets;
    size_t buckets_count; /* a power of two, or 0 */
    size_t rows_count;
};

struct memory_row *memory_table_find(const struct memory_table *table,
                                     const struct storage_key *key);
/* A zeroed row under `key`, which must not be there yet. NULL: out of memory. */
struct memory_row *memory_table_add(struct memory_table *table, const struct storage_key *key);
bool memory_table_remove(struct memory_table *table, const struct storage_key *key);
/* Frees the dead, up to `limit`; those with expires <= now. */
size_t memory_table_purge(struct memory_table *table, int64_t now, size_t limit);
void memory_table_clear(struct memory_table *table);
/* Makes the row what memory_table_add() gives, whatever it was. */
void memory_row_reset(struct memory_row *row);

/* --- Records ---------------------------------------------------------------------------------- */

struct memory_record {
    char id[STORAGE_ID_MAX + 1];
    int64_t version;
    struct storage_value *values; /* one for each field of the kind; their texts are its own */
    size_t values_count;          /* fewer than the kind has fields if it was widened since: NULL */
};

/* All that was ever put of one kind. Fields are known by name and never dropped. */
struct memory_kind {
    struct memory_kind *next;
    char *name;
    char **fields;
    size_t fields_count;
    struct memory_record *records; /* sorted by id */
    size_t records_count;
    size_t records_room;
};

struct memory_store {
    struct memory_store *next; /* in the list of named stores */
    char *name;                /* NULL: private to one storage_db */
    size_t opened;             /* how many storage_db share it */
    pthread_mutex_t lock;
    enum memory_break broken;
    struct memory_table entries;
    struct memory_table counters;
    struct memory_kind *kinds;
    uint64_t revision;
};

/* How one storage_db sees a kind: its host's fields may be fewer than the store's. */
struct memory_view {
    const struct storage_kind *kind;
    struct memory_kind *stored;       /* NULL for STORAGE_ENTRIES */
    size_t field[STORAGE_FIELDS_MAX]; /* of the store, or the number of an entry's column */
};

struct storage_db {
    const struct storage_host *host;
    struct memory_store *store;
    struct memory_view *views; /* one for each kind of the host */
};

struct storage_session {
    struct storage_db *db;
};

bool memory_broken(const struct memory_store *store, enum memory_break what);
bool memory_read_only(const struct storage_session *session);
/* Fills *error and returns `status`. */
enum storage_status memory_refuse(struct storage_error *error, enum storage_status status,
                                  const char *text);

/* Finds, makes or widens the store's table for a kind; what may not be made is UNAVAILABLE. */
enum storage_status memory_view_open(struct memory_store *store, const struct storage_kind *kind,
                                     bool read_only, struct memory_view *view,
                                     struct storage_error *error);
void memory_kind_free(struct memory_kind *kind);
void memory_record_free(struct memory_record *record);
/* Where the record of this id is, or would have to be. */
size_t memory_record_place(const struct memory_kind *kind, const char *id, bool *there);
/* Makes room for a record at its place, empty but for the id. False: out of memory. */
bool memory_record_insert(struct memory_kind *kind, size_t place, const char *id);
/* The record as it is to be: the host's fields from `values`, those that the host does not know as
 * they are in `before` (NULL: there is none). NULL: out of memory. */
struct storage_value *memory_record_values(const struct memory_store *store,
                                           const struct memory_view *view,
                                           const struct memory_record *before,
                                           const struct storage_value *values);
/* The number of an entry's column, or SIZE_MAX; `value` of an entry in it, lent. */
size_t memory_entry_column(const char *name);
struct storage_value memory_entry_value(const struct memory_row *row, size_t column,
                                        enum storage_type type);

/* The row of `table` that lives at `now`, or NULL. */
struct memory_row *memory_live(const struct memory_store *store, const struct memory_table *table,
                               const struct storage_key *key, int64_t now);
void memory_slide(const struct memory_store *store, int64_t *expires, int64_t now, int64_t keep);
/* `count` and what is added to it, at most UINT32_MAX. */
uint32_t memory_add(const struct memory_store *store, uint32_t count, uint32_t more);

/* Do one sighting of an entry or a counter, with the lock held. False: out of memory. */
bool memory_see_entry(struct memory_store *store, const struct storage_sighting *sighting,
                      struct storage_row *answer);
bool memory_see_counter(struct memory_store *store, const struct storage_sighting *sighting,
                        struct storage_row *answer);
struct storage_row memory_answer(const struct memory_history *history);

/* NULL, or a sentence on what is wrong with the argument. */
const char *memory_check_sightings(const struct memory_store *store,
                                   const struct storage_sighting *sightings, size_t count);
const char *memory_check_sighting(const struct storage_sighting *sighting);
bool memory_sighting_writes(const struct storage_sighting *sighting);
const char *memory_check_changes(const struct memory_store *store, const struct storage_kind *kind,
                                 const struct storage_change *changes, size_t count);
const char *memory_check_query(const struct storage_host *host, const struct storage_query *query);

/* Orders two values of one type, NULL lowest, texts by their bytes. */
int memory_value_compare(const struct storage_value *left, const struct storage_value *right);

/* --- The door --------------------------------------------------------------------------------- */

enum storage_status memory_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error);
enum storage_status memory_change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error);
enum storage_status memory_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error);
enum storage_status memory_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error);
enum storage_status memory_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error);
enum storage_status memory_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error);

#pragma GCC visibility pop

#endif
