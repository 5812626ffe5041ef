/*
 * driver.h: what the files of the LMDB driver share.
 *
 * One store is a folder with an LMDB environment in it. LMDB has one writer at a time among all
 * processes, readers see a snapshot, and a commit is durable: so every op is "read, work out, write"
 * in one write transaction, and nothing has to be locked row by row.
 *
 * Databases in the environment:
 *   mongrey   "store" the mark, the schema's number, the revision; "kind/NAME" the fields of a kind
 *   entries   key (16 bytes) -> packed row
 *   counters  key (16 bytes) -> packed row
 *   expires   expires, table, key -> nothing; in the order in which purge() wants them
 *   records   kind, id -> packed record
 *   index     kind, field, value (its first bytes), id -> id
 */
#ifndef MONGREY_LMDB_DRIVER_H
#define MONGREY_LMDB_DRIVER_H

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

#include "storage.h"

#pragma GCC visibility push(hidden)

#define SCHEMA_NUMBER 1u
#define COLUMNS 13          /* what an ENTRIES kind can name */
#define COLUMN_TEXTS 6      /* the first of the seven texts of a reading */
#define TEXTS 7             /* of a reading */
#define ORIGINS 8           /* of which a row remembers what was merged */
#define ENTRIES_KIND 0u     /* number of the entries in the index; record kinds begin at 1 */
#define NO_FIELD UINT16_MAX /* the store does not have this field (yet) */
#define KEY_MAX 511         /* LMDB's limit as it is usually built */

enum database { MARK, ENTRIES, COUNTERS, EXPIRES, RECORDS, INDEX, DATABASES };

/* --- store.c: the environment, shared by all of a process -------------------------------------- */

/*
 * LMDB must not have one environment open twice in a process (closing the one drops the file locks
 * of the other), so every open() of a folder gets the same struct store.
 */
struct store {
    struct store *next;
    dev_t device; /* of the folder, by which it is known again */
    ino_t inode;
    pid_t owner; /* an environment is of no use behind a fork() */
    char *path;
    int folder; /* flock()ed while somebody writes, opens or closes */
    size_t users;
    size_t sessions; /* guarded, as users and next, by the list's lock */
    bool refused;    /* LMDB could only be opened for reading */
    MDB_env *env;
    MDB_dbi dbi[DATABASES];

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t moved;
    size_t active; /* transactions of this process: none may be there while the map is moved */
    bool writing;
    bool resizing;
    bool broken; /* LMDB gave the environment up; it is opened anew once all sessions are gone */
};

struct field {
    char *name;
    enum storage_type type;
    unsigned flags;
};

/* A kind as the store has it; the place of a field in it is the field's number for ever. */
struct kind {
    unsigned number;
    char *name;
    struct field *fields;
    size_t count;
};

/* Where the fields of one of the host's kinds are in the store. */
struct mapping {
    const struct kind *kind; /* NULL: the store does not have it (yet) */
    uint16_t field[STORAGE_FIELDS_MAX];
};

struct catalog {
    uint32_t generation; /* 0: not read yet */
    struct kind *kinds;
    size_t count;
    struct mapping *mappings; /* one for each of the host's kinds */
};

struct mark {
    char name[8];
    uint32_t schema;
    uint32_t generation; /* grows with each change of the catalog */
    uint64_t revision;
};

struct storage_db {
    const struct storage_host *host;
    struct store *store;
};

struct storage_session {
    struct storage_db *db;
    struct catalog catalog;
};

/* One call of the core, from start to end. */
struct call {
    struct store *store;
    const struct storage_host *host;
    struct catalog *catalog;
    struct storage_error *error;
    int64_t deadline;
    MDB_txn *txn;
    struct mark mark;
    bool full;    /* the map was too small: the same again with a larger one */
    bool opening; /* the catalog is not to be read by itself */
    bool locked;  /* the folder is locked for all of open() */
};

typedef enum storage_status call_work(struct call *call, void *argument);

int64_t clock_ms(void);
int64_t deadline_of(const struct storage_host *host);
enum storage_status store_use(const struct storage_host *host, const char *path,
                              struct store **store, struct storage_error *error);
void store_leave(struct store *store);
enum storage_status store_session(struct store *store, const struct storage_host *host,
                                  struct storage_error *error);
void store_session_end(struct store *store);

/* --- transaction.c ----------------------------------------------------------------------------- */

void call_begin(struct call *call, struct storage_session *session, struct storage_error *error);
/* Does `work` in a transaction, again where the map had to grow. */
enum storage_status call_read(struct call *call, call_work *work, void *argument);
enum storage_status call_write(struct call *call, call_work *work, void *argument);
bool call_late(const struct call *call);
bool folder_lock(int folder, int64_t deadline);
void folder_unlock(int folder);
bool wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline);

/* --- driver.c: what LMDB's codes mean ---------------------------------------------------------- */

enum storage_status say(struct storage_error *error, enum storage_status status, int native,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
enum storage_status meaning(struct storage_error *error, int code, const char *doing);
/* The same within a transaction, where MDB_MAP_FULL asks for another go. 0 is OK. */
enum storage_status result(struct call *call, int code, const char *doing);

/* --- schema.c ---------------------------------------------------------------------------------- */

/* The caller is open(): `locked` says whether it holds the folder. */
enum storage_status schema_open(struct store *store, const struct storage_host *host,
                                struct storage_error *error);
enum storage_status schema_widen(struct store *store, const struct storage_host *host, bool locked,
                                 struct storage_error *error);
enum storage_status mark_read(struct call *call);
enum storage_status mark_write(struct call *call);
enum storage_status catalog_read(struct call *call);
void catalog_clear(struct catalog *catalog);
const struct kind *catalog_entries(const struct catalog *catalog);
int column_number(const char *name);

/* --- index.c ----------------------------------------------------------------------------------- */

struct index_key {
    uint8_t bytes[KEY_MAX + 1];
    size_t size;
    bool exact; /* the value is in it whole */
};

int value_compare(const struct storage_value *a, const struct storage_value *b);
void index_prefix(struct index_key *key, unsigned kind, unsigned field);
void index_value(struct index_key *key, unsigned kind, unsigned field,
                 const struct storage_value *value);
void index_append(struct index_key *key, const void *id, size_t size);
bool index_exact(size_t key_size, size_t id_size, enum storage_type type);
/* Brings the index of one field from one value to the next. NULL: there was or will be no row. */
enum storage_status index_move(struct call *call, const struct kind *kind, unsigned field,
                               const MDB_val *id, const struct storage_value *before,
                               const struct storage_value *after);

/* --- rows.c ------------------------------------------------------------------------------------ */

struct origin {
    uint8_t name[STORAGE_KEY_SIZE];
    uint64_t position;
};

#define ENTRY_FIXED (4 * 8 + 2 * 4 + 2 + TEXTS)
#define ENTRY_MAX (ENTRY_FIXED + ORIGINS * (STORAGE_KEY_SIZE + 8) + TEXTS * STORAGE_TEXT_MAX)

struct entry {
    bool there; /* a row lies in the store, dead or alive */
    bool live;
    int64_t first_seen;
    int64_t last_seen;
    int64_t expires;
    int64_t waited;
    uint32_t tries;
    uint32_t passes;
    uint8_t origins_count;
    struct origin origins[ORIGINS]; /* the one that was merged last is the last */
    uint8_t has_texts;              /* 0: there never was a reading, all texts are NULL */
    uint8_t text_size[TEXTS];
    char text[TEXTS][STORAGE_TEXT_MAX];
};

struct counter {
    bool there;
    bool live;
    int64_t first_seen;
    int64_t last_seen;
    int64_t expires;
    uint32_t count;
    uint32_t marks_count;
    uint64_t marks[STORAGE_MARKS];
};

bool entry_unpack(struct entry *entry, const MDB_val *data);
void entry_value(const struct entry *entry, unsigned column, struct storage_value *value);
enum storage_status entry_load(struct call *call, const struct storage_key *key, int64_t now,
                               struct entry *entry);
/* `before` is what entry_load() found; `after` NULL removes the row. */
enum storage_status entry_save(struct call *call, const struct storage_key *key,
                               const struct entry *before, const struct entry *after);
enum storage_status counter_load(struct call *call, const struct storage_key *key, int64_t now,
                                 struct counter *counter);
enum storage_status counter_save(struct call *call, const struct storage_key *key,
                                 const struct counter *before, const struct counter *after);
enum storage_status row_expired(struct call *call, const MDB_val *expires_key);
uint64_t big_endian(uint64_t number);
int64_t expires_of(const MDB_val *expires_key);

/* --- entries.c, counters.c: the transitions ---------------------------------------------------- */

uint32_t add(uint32_t a, uint32_t b);
int64_t slide(int64_t expires, bool live, int64_t now, int64_t keep);
enum storage_status entry_see(struct call *call, const struct storage_sighting *sighting,
                              struct storage_row *row);
enum storage_status counter_see(struct call *call, const struct storage_sighting *sighting,
                                struct storage_row *row);

/* --- records.c --------------------------------------------------------------------------------- */

/* Finds the fields of a packed record that the store's kind has, NULL where there is none. */
bool record_unpack(const MDB_val *data, int64_t *version, struct storage_value *values,
                   size_t count);
void record_key(struct index_key *key, unsigned kind, const char *id, size_t size);
bool key_of_id(const char *id, struct storage_key *key, size_t *digits);
void id_of_key(const void *key, char *id);

/* --- the driver's calls ------------------------------------------------------------------------ */

enum storage_status driver_observe(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error);
enum storage_status driver_change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error);
enum storage_status driver_search(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error);
enum storage_status driver_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error);
enum storage_status driver_purge(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error);
enum storage_status driver_tally(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error);

#pragma GCC visibility pop

#endif
