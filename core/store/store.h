/*
 * store.h: the one caller of a storage driver. Opens it, keeps sessions, runs again what certainly
 * failed, and tells each change of state (here, away) once.
 */
#ifndef MONGREY_STORE_H
#define MONGREY_STORE_H

#include "core/base/histogram.h"
#include "core/base/text.h"
#include "include/storage.h"

struct store;

struct store_options {
    struct text url;         /* MONGREY_DB */
    struct text driver_path; /* empty: where drivers usually are */
    uint32_t call_timeout;   /* ms */
    bool read_only;
};

/* Loads the driver and reads the URL; nothing is reached yet. NULL: the configuration is bad, and
 * error->text, which holds no secret, says why. */
struct store *store_make(const struct store_options *options, struct storage_error *error);
/* After the last session is gone. */
void store_free(struct store *store);
/* Opens the store if it is not open yet. Any thread. UNAVAILABLE and BUSY: try again later. Not OK: the
 * caller says so; the lines only log what changes then. */
enum storage_status store_open(struct store *store, struct storage_error *error);

const char *store_name(const struct store *store);   /* of the driver */
const char *store_masked(const struct store *store); /* the URL as it may be shown */
uint32_t store_writers(const struct store *store);
uint32_t store_batch(const struct store *store);

/* When somebody should try whether the store is back (steady ms); STORE_NEVER: it is not away. Any
 * thread. */
#define STORE_NEVER INT64_MAX
int64_t store_retry_at(struct store *store);
bool store_is_away(struct store *store);

/*
 * One thread's way to the store: a session that is made when it is needed, and made anew when it died.
 * While the store is away all its lines hear so at once, but for the one that tries, after pauses that
 * grow (breaker.h); a line that found it busy for too long pauses for itself.
 */
struct store_line {
    struct store *store;
    struct storage_session *session;
    bool
        waited_for; /* set by its owner: requests wait, and others find out when the store is back */
    bool fresh;     /* the session was made for the call under way */
    bool probes;    /* the call under way shows whether the store is back */
    int64_t retry_at; /* steady ms: not before */
    int64_t pause;    /* ms; 0: it was not busy since the last write */
    uint64_t began;   /* steady ns: the call under way; 0: the driver was not called */
};

void store_line_start(struct store_line *line, struct store *store);
void store_line_end(struct store_line *line);

/* As the driver's calls, on a session of the line's own. BUSY is run again until `deadline` (steady
 * ms); UNAVAILABLE at once where the store is known to be away. What certainly was not done because the
 * session had died is done once more on a new one; what is UNCERTAIN never is. */
enum storage_status store_observe(struct store_line *line, const struct storage_sighting *sightings,
                                  size_t count, struct storage_row *rows, int64_t deadline,
                                  struct storage_error *error);
/* Records. BUSY, CONFLICT and the like come back as they are. */
enum storage_status store_change(struct store_line *line, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error);
enum storage_status store_search(struct store_line *line, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error);
enum storage_status store_tally(struct store_line *line, int64_t since, int64_t abandoned_before,
                                struct storage_tally *tally, struct storage_error *error);
enum storage_status store_purge(struct store_line *line, int64_t now, size_t limit, size_t *removed,
                                struct storage_error *error);
enum storage_status store_revision(struct store_line *line, uint64_t *revision,
                                   struct storage_error *error);

/* --- What was called, and what came of it: any thread ----------------------------------------- */

enum store_call {
    STORE_OBSERVE,
    STORE_CHANGE,
    STORE_SEARCH,
    STORE_TALLY,
    STORE_PURGE,
    STORE_REVISION,
    STORE_CALLS
};

#define STORE_STATUSES (STORAGE_DENIED + 1)

struct store_counters {
    uint64_t calls[STORE_CALLS];      /* of the driver */
    uint64_t results[STORE_STATUSES]; /* UNAVAILABLE: also what was not tried since it is away */
    struct histogram latency;
};

void store_count(struct store *store, struct store_counters *counters);
/* Whether it does what it is told, as far as is known: the last call went, and no write of the last ten
 * seconds failed. */
bool store_is_well(struct store *store);
const char *store_call_word(size_t call);     /* of an enum store_call */
const char *store_status_word(size_t status); /* of an enum storage_status */

#endif
