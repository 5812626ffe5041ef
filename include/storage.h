/*
 * storage.h: the storage door. What a storage driver offers the core, and what it may rely on.
 *
 * This is the whole contract: the core includes no database's header, and a driver includes nothing
 * of the core but this file, which compiles alone. A driver is told what happened in the trade's
 * own words ("this key was seen now"), not in SQL, and answers with facts; what they mean is
 * decided in the core. tests/drivers/memory/ is the plain example, tests/conformance/ the proof: it
 * runs against any driver and URL.
 *
 * Loading. A driver NAME exports one symbol, `storage_driver_NAME`, a constant struct
 * storage_driver. It is opened with RTLD_NOW | RTLD_LOCAL and never closed.
 *
 * Handles. A storage_db is one store, shared by all threads. A storage_session is one connection to
 * it; one thread uses it at a time, and threads that want to work at once have a session each.
 *
 * Time is an argument. Times are milliseconds since 1970 UTC, durations milliseconds, 0 to
 * STORAGE_DURATION_MAX. No driver asks the database or the system what time it is.
 *
 * Text is UTF-8 without NUL, not terminated, at most STORAGE_TEXT_MAX bytes: the core escapes and
 * cuts what came from the network. Nothing allocated on one side is freed on the other: what is
 * passed in is lent for the call, rows and records handed out are lent for the callback.
 *
 * Changes to this file: a new ABI number where an old driver could not go on, an entry in the list.
 *   1  first version
 */
#ifndef MONGREY_STORAGE_H
#define MONGREY_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_ABI 1u

#define STORAGE_KEY_SIZE 16   /* bytes of a key: a hash made by the core, the same in every store */
#define STORAGE_ALTERNATES 3  /* weaker keys that one sighting may look under */
#define STORAGE_EXEMPTIONS 2  /* counters that may spare a sighting its row */
#define STORAGE_ON_PASS 4     /* counters that a first pass moves */
#define STORAGE_MARKS 4       /* different marks that a PAIR row keeps */
#define STORAGE_CONDITIONS 16 /* of one search */
#define STORAGE_BATCH_MAX 1024                      /* sightings in one observe() */
#define STORAGE_TEXT_MAX 255                        /* bytes of a text in a reading */
#define STORAGE_ID_MAX 40                           /* bytes of a record's id */
#define STORAGE_VALUE_MAX 65536                     /* bytes of a text in a record */
#define STORAGE_INDEXED_MAX 700                     /* the same, of a UNIQUE or INDEXED field */
#define STORAGE_DURATION_MAX INT64_C(3155760000000) /* a hundred years */

/*
 * What the caller is to do next. One bad sighting or change may fail its whole batch.
 * Doing an UNCERTAIN call again does little harm for GREY, TOUCH and LEARN (a try or pass too many)
 * and none for MERGE; it is wrong for COUNT and TAKE.
 */
enum storage_status {
    STORAGE_OK = 0,
    STORAGE_NOT_FOUND, /* there is no such row or record; nothing was changed */
    STORAGE_CONFLICT,  /* a record has another version; nothing was changed */
    STORAGE_EXISTS, /* a record with this value of a unique field is there; nothing was changed */
    STORAGE_BUSY,   /* certainly not done; the same call may work now (deadlock, lock) */
    STORAGE_UNAVAILABLE, /* certainly not done, and this session is dead: detach it, attach anew */
    STORAGE_UNCERTAIN,   /* may or may not have been done; never done again silently */
    STORAGE_INVALID,     /* the call's arguments; trying again does not help */
    STORAGE_SCHEMA,      /* the store is newer than this driver, or is not mongrey's */
    STORAGE_DENIED       /* this user, or writing, is refused; trying again does not help */
};

/* Filled by a call that does not return STORAGE_OK; no secret of the URL is ever in it. */
struct storage_error {
    int native;     /* the client library's own code, 0 where there is none */
    char text[256]; /* one terminated sentence for an administrator */
};

struct storage_text {
    const char *data;
    size_t size;
};

/* --- The address of a store ------------------------------------------------------------------ */

struct storage_parameter {
    const char *name;
    const char *value;
};

/*
 * MONGREY_DB, parsed once by the core (RFC 3986, with a comma-separated host list). All texts are
 * terminated, percent-decoded and never NULL; lent for the call of open().
 */
struct storage_url {
    const char *text;   /* as it was given, secret included, for libraries that take a URI */
    const char *scheme; /* lower case */
    const char *user;
    const char *password;
    const char *hosts; /* "host:port,host:port", brackets kept, as given */
    const char *path;  /* without its first '/' */
    const struct storage_parameter *parameters;
    size_t parameters_count;
};

/* --- What the core lends a driver ------------------------------------------------------------ */

enum storage_level { STORAGE_DEBUG, STORAGE_INFO, STORAGE_WARNING, STORAGE_ERROR };

enum storage_type { STORAGE_NULL, STORAGE_INTEGER, STORAGE_REAL, STORAGE_TEXT, STORAGE_TIME };

enum storage_field_flags {
    STORAGE_UNIQUE = 1u << 0,  /* no two records have the same value */
    STORAGE_INDEXED = 1u << 1, /* searched or sorted by */
};

struct storage_field {
    const char *name; /* [a-z][a-z0-9_]*, never `id` or `version` */
    enum storage_type type;
    unsigned flags;
};

enum storage_kind_flags {
    STORAGE_ENTRIES = 1u << 0, /* this kind shows the rows of observe(): searched and erased only */
    STORAGE_QUIET = 1u << 1,   /* a change does not move the revision */
};

/*
 * A kind of record. A driver makes and widens a table from it; a field once there is never dropped.
 * The ENTRIES kind has no table of its own and names some of first_seen, last_seen, expires (TIME),
 * waited, tries, passes (INTEGER) and the texts of struct storage_reading; it shows rows that have
 * expired too, until they are purged.
 */
struct storage_kind {
    const char *name; /* [a-z][a-z0-9_]* */
    unsigned flags;
    const struct storage_field *fields;
    size_t fields_count; /* at most STORAGE_FIELDS_MAX */
};

#define STORAGE_FIELDS_MAX 64

/* Lives longer than the storage_db it was given to. log() may be called from any thread. */
struct storage_host {
    uint32_t abi;
    uint32_t size; /* of this struct: members are added at the end */
    const struct storage_kind *kinds;
    size_t kinds_count;
    uint32_t connect_timeout; /* ms; a driver keeps both by its library's own means */
    uint32_t call_timeout; /* ms; no call takes longer than the two together, if need be by giving
                              the connection up (but for what the system's resolver takes) */
    bool read_only;        /* make, upgrade and write nothing; a store that is not there is
                              UNAVAILABLE, an observe() that would write is DENIED */
    void (*log)(void *context, enum storage_level level, const char *text);
    void *log_context;
};

/* --- Sightings ------------------------------------------------------------------------------- */

struct storage_key {
    uint8_t bytes[STORAGE_KEY_SIZE];
};

/*
 * What may be seen. A row whose `expires` is not later than `now` counts as absent everywhere.
 * GREY, TOUCH and LEARN first of all take first_seen = min(first_seen, now) and last_seen =
 * max(last_seen, now): a clock that was set back makes nobody wait for longer than the step.
 * "slides" means: expires = now + keep + keep/64, but left alone while expires >= now + keep
 * (rewriting an index at each pass would cost more than all the rest).
 */
enum storage_op {
    /*
     * GREY. The key's own row, where it is live and has passed; else, of it and those of its
     * alternates, the best live one (passed before not passed, then the earliest first_seen, then
     * the order given): changed as below and written under the key. The alternates' rows are left
     * as they are; a view of them from before or after the batch's other sightings will do.
     *   absent                                first_seen = now, tries = count, expires = now + window
     *   passes = 0, now - first_seen < delay  tries + count
     *   passes = 0, now - first_seen >= delay passes = count, waited = now - first_seen, slides;
     *                                         the sightings of `on_pass` are done in the same
     *                                         transaction
     *   passes > 0                            passes + count, slides
     * But where a row of `exemption` is live and its count reaches at_least, that row alone slides
     * (by the exemption's keep) and answers, with `exempt` set; nothing is written under the key.
     */
    STORAGE_GREY = 1,
    /* TOUCH. A live row that has passed: passes + count, slides. Else NOT_FOUND: a pass that was
     * counted elsewhere must not make a forgotten sender new. */
    STORAGE_TOUCH,
    /* LEARN. The key has passed: absent, first_seen = now, passes = count; else passes + count;
     * waited stays; slides. */
    STORAGE_LEARN,
    /* MERGE. What another store or a journal knew (`merge`): the earliest first_seen and the latest
     * last_seen, expires and waited hold, tries and passes are added; a row that it makes keeps the
     * reading. NOT_FOUND, and nothing is changed, where merge->expires <= now, or where this
     * origin's position or a later one was merged into this live row before (of the last 8 origins
     * at least; an origin's positions come in rising order). Of the answer only the status counts. */
    STORAGE_MERGE,
    /* COUNT. A counter: absent, count = `count`, first_seen = last_seen = now; else count + `count`
     * if min_gap is 0 or now - last_seen >= min_gap, and then last_seen = now; slides either way.
     * With `count` 0 it only looks: OK or NOT_FOUND, and nothing is changed. */
    STORAGE_COUNT,
    /* PAIR. A counter of different things: `mark` is added, and last_seen = now, if the row is
     * absent, or holds fewer than STORAGE_MARKS marks, not this one, and min_gap is 0 or
     * now - last_seen >= min_gap. count is the number of marks. A new row has expires = now +
     * window where window is not 0; with window 0 it slides. */
    STORAGE_PAIR,
    /* TAKE. A counter whose count reaches `count` is removed and answered as it was; else
     * NOT_FOUND. Of two that take at once one gets it. */
    STORAGE_TAKE
};

/*
 * GREY, TOUCH, LEARN and MERGE speak of entries, the others of counters: two tables, two key
 * spaces. Within a batch there is no order between a counter's own sightings, the exemptions that
 * read it and the on_pass that move it. One counter may stand in several on_pass of a batch: they
 * may be done as one (with min_gap 0 they add up, else one of them counts). tries, passes and count
 * stay at UINT32_MAX.
 */

/* What people want to read of a request; kept with the entry as it was when the row was made, or
 * when it went from "not passed" to "passed" (by GREY or LEARN). */
struct storage_reading {
    struct storage_text client_address;
    struct storage_text client_name;
    struct storage_text helo_name;
    struct storage_text sender;
    struct storage_text recipient;
    struct storage_text country;
    struct storage_text policy;
};

struct storage_exemption {
    struct storage_key key;
    uint32_t at_least;
    int64_t keep;
};

struct storage_merge {
    uint8_t origin[STORAGE_KEY_SIZE]; /* the journal or store it comes from */
    uint64_t position;                /* grows within an origin; at most INT64_MAX */
    int64_t first_seen;
    int64_t last_seen;
    int64_t expires;
    int64_t waited;
    uint32_t tries;
    uint32_t passes;
};

struct storage_sighting {
    enum storage_op op;
    bool look; /* GREY, TOUCH, LEARN: answer as if it were done, and change nothing, in a store that
                  may be read only. All sightings of a batch look, or none. */
    uint8_t alternates_count;
    uint8_t exemptions_count;
    uint8_t on_pass_count; /* at most STORAGE_ON_PASS */
    uint32_t count;        /* 1; more: it stands for doubles too; 0: only for a COUNT that looks */
    struct storage_key key;
    struct storage_key alternate[STORAGE_ALTERNATES];
    struct storage_exemption exemption[STORAGE_EXEMPTIONS];
    const struct storage_sighting *on_pass; /* COUNT and PAIR only, themselves without on_pass */
    int64_t now;
    int64_t delay;
    int64_t window;
    int64_t keep;
    int64_t min_gap;
    uint64_t mark;
    const struct storage_reading *reading; /* NULL: what is kept stays as it is */
    const struct storage_merge *merge;     /* MERGE only */
};

/* The row as it is after the sighting. A GREY row with passes 0 and tries = count is new; passes 0,
 * too early; passes = count, just passed for the first time; more, known. */
struct storage_row {
    enum storage_status status; /* OK or NOT_FOUND */
    uint8_t exempt;             /* 0, or the number (from 1) of the exemption that answered */
    uint8_t origin;             /* 0 the key's own history, or the number of the alternate's */
    int64_t first_seen;
    int64_t last_seen;
    int64_t expires;
    int64_t waited; /* between the first sight and the first pass; 0 where it did not wait */
    uint32_t tries;
    uint32_t passes;
    uint32_t count; /* counters */
};

/* --- Records --------------------------------------------------------------------------------- */

struct storage_value {
    enum storage_type type; /* STORAGE_NULL, or the field's */
    int64_t integer;        /* INTEGER, TIME */
    double real;
    struct storage_text text; /* up to STORAGE_VALUE_MAX */
};

struct storage_record {
    const char *id;  /* made by the core, sortable; an entry's is its key, 32 hex digits */
    int64_t version; /* 1 at first, grows by one with every change; 0 for entries */
    const struct storage_value *values; /* in the order of the kind's fields */
};

/* Text is compared byte by byte, here, in UNIQUE fields and in the order; but STARTS and CONTAINS
 * take ASCII letters alike. EQ finds NULL; LT and GT do not. NULL never stands against a UNIQUE
 * field. */
enum storage_relation { STORAGE_EQ, STORAGE_LT, STORAGE_GT, STORAGE_STARTS, STORAGE_CONTAINS };

struct storage_condition {
    size_t field;
    enum storage_relation relation; /* STARTS and CONTAINS: of text fields only */
    struct storage_value value;
};

#define STORAGE_BY_ID SIZE_MAX

/* All conditions hold. Sorted by `order` and then id, both in one direction; NULL sorts lowest. A
 * page begins behind the record (after_id, after_value): both are what the last page ended on. */
struct storage_query {
    size_t kind; /* index in the host's kinds */
    const struct storage_condition *conditions;
    size_t conditions_count;
    size_t order; /* a field, or STORAGE_BY_ID */
    bool descending;
    const char *after_id; /* NULL: the first page */
    struct storage_value after_value;
    size_t limit; /* 1 and up */
};

/* Return false to end the search early (it then returns STORAGE_OK). Must not call the driver. */
typedef bool storage_each(void *context, const struct storage_record *record);

#define STORAGE_ANY_VERSION (-1)

/* A record to be written whole, or erased. */
struct storage_change {
    const char *id;
    /* 0: it must be new (CONFLICT where the id is there); STORAGE_ANY_VERSION: new or not; else its
     * present version. */
    int64_t expected;
    const struct storage_value *values; /* as in storage_record; NULL: erase it */
    int64_t version;                    /* out: the record's version now; 0 where it was erased */
};

struct storage_tally {
    int64_t entries;   /* first seen in the period */
    int64_t accepted;  /* their passes */
    int64_t rejected;  /* their tries */
    int64_t abandoned; /* never passed, and first seen before `abandoned_before` */
    int64_t passed;    /* have waited and passed */
    int64_t waited;    /* ms that those waited, summed */
};

/* --- The driver ------------------------------------------------------------------------------ */

struct storage_db;
struct storage_session;

struct storage_driver {
    uint32_t abi;  /* STORAGE_ABI */
    uint32_t size; /* of this struct */
    const char *name;
    const char *const *schemes; /* ends with NULL */
    uint32_t writers;           /* sessions that can write at once; more gain nothing */
    uint32_t batch;             /* sightings that one observe() does best, 1 to STORAGE_BATCH_MAX */

    /* The client library and its version, for --version. Any thread. */
    const char *(*library)(void);

    /* Reaches the store, creates or upgrades its schema (one instance at a time, losing nothing),
     * which may take longer than the timeouts: an index of millions of rows is made here.
     * UNAVAILABLE: try again later. INVALID, SCHEMA, DENIED: the administrator must act. */
    enum storage_status (*open)(const struct storage_host *host, const struct storage_url *url,
                                struct storage_db **db, struct storage_error *error);
    /* After the last detach(). close(NULL) does nothing. */
    void (*close)(struct storage_db *db);

    /* A session; any thread. */
    enum storage_status (*attach)(struct storage_db *db, struct storage_session **session,
                                  struct storage_error *error);
    /* Any thread; gives up what is under way. detach(NULL) does nothing. */
    void (*detach)(struct storage_session *session);

    /* count sightings, 1 to STORAGE_BATCH_MAX; the entries among them sorted by key, none twice,
     * and so the counters (those of on_pass may repeat). With OK all of them were done, as durably
     * as the store makes it, and rows[i] answers sightings[i]; with anything else but UNCERTAIN
     * none was (a store without transactions may have done some: then UNCERTAIN). */
    enum storage_status (*observe)(struct storage_session *session,
                                   const struct storage_sighting *sightings, size_t count,
                                   struct storage_row *rows, struct storage_error *error);

    /* Writes and erases count records of one kind, 1 to STORAGE_BATCH_MAX: all of them or none.
     * Moves the revision once. CONFLICT, EXISTS and NOT_FOUND (a version was expected, or an erase,
     * where there is none) speak of the first change that does not go. Of an ENTRIES kind rows can
     * be erased (expected STORAGE_ANY_VERSION), which moves the revision, since caches must forget
     * them. */
    enum storage_status (*change)(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error);
    /* Lends each record of a page to `each`, from one moment's view of the store. BUSY: it took too
     * long; the caller asks for less. What was lent before that was right, and in order. */
    enum storage_status (*search)(struct storage_session *session,
                                  const struct storage_query *query, storage_each *each,
                                  void *context, struct storage_error *error);

    /* The change token: one cheap number that moves, in the same transaction, with every change of
     * a record of a kind that is not QUIET (in stores without transactions right after it: who goes
     * by it reads all anew now and then). 1 to INT64_MAX. */
    enum storage_status (*revision)(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error);
    /* Removes at most `limit` rows (entries and counters) whose expires is not later than now. */
    enum storage_status (*purge)(struct storage_session *session, int64_t now, size_t limit,
                                 size_t *removed, struct storage_error *error);
    /* Sums over entries with first_seen >= since, dead or alive. BUSY: it took too long. */
    enum storage_status (*tally)(struct storage_session *session, int64_t since,
                                 int64_t abandoned_before, struct storage_tally *tally,
                                 struct storage_error *error);
};

#endif
