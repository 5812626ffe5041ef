/* mysql.h: what the files of this driver share. It knows libmariadb and the storage door, nothing
 * else. */
#ifndef MONGREY_DRIVER_MYSQL_H
#define MONGREY_DRIVER_MYSQL_H

#include <mysql.h>
#include <stdatomic.h>

#include "drivers/mysql/sql.h"
#include "include/steps.h"
#include "include/storage.h"

#define SCHEMA_VERSION 1

/* The server's numbers that more than one file asks for. */
#define CODE_CHANGED 1020
#define CODE_DUPLICATE 1062
#define CODE_NO_TABLE 1146
#define CODE_DEADLOCK 1213
#define CODE_NO_COLUMN 1054

enum tls { TLS_DISABLED, TLS_PREFERRED, TLS_REQUIRED, TLS_VERIFY_CA, TLS_VERIFY_FULL };

struct server {
    const char *host; /* a name or an address, without brackets */
    unsigned port;
};

struct storage_db {
    const struct storage_host *host;
    char *texts; /* all that is pointed to below */
    const char *user;
    const char *password;
    const char *name;   /* of the database */
    const char *socket; /* NULL: TCP */
    const char *ca;
    const char *certificate;
    const char *key;
    enum tls tls;
    struct server *servers;
    size_t servers_count;
    atomic_size_t server; /* the one that was reached last */
};

struct storage_session {
    struct storage_db *db;
    MYSQL *mysql;
    struct sql sql;   /* the statement that is sent next */
    int64_t deadline; /* of this call, in ms of the steady clock */
    size_t packet;    /* bytes that the server takes at once */
    bool dead;
    bool settled; /* it could write when it was attached */
    struct storage_error scratch;
};

/* --- driver.c --- */
/* Reaches one of the servers and sees to the schema. `opening`: a server that cannot be written to is for
 * the administrator; later it is one that has just lost that office. */
enum storage_status mysql_reach(struct storage_session *session, bool opening,
                                struct storage_error *error);

/* --- url.c --- */
enum storage_status url_read(struct storage_db *db, const struct storage_url *url,
                             struct storage_error *error);

/* --- status.c --- */
enum storage_status mysql_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What the last call's error means where nothing was committed by it; fills the error. */
enum storage_status status_of(struct storage_session *session, struct storage_error *error);
/* The same of an error that COMMIT was answered with. */
enum storage_status status_of_commit(struct storage_session *session, struct storage_error *error);
bool status_is_read_only(int code);

/* --- session.c --- */
int64_t clock_now(void);
enum storage_status session_connect(struct storage_session *session, const struct server *server,
                                    struct storage_error *error);
void session_close(struct storage_session *session);
/* A call of the door begins. */
void session_enter(struct storage_session *session);
/* Sends session->sql, or a command without variable parts. */
enum storage_status session_run(struct storage_session *session, struct storage_error *error);
enum storage_status session_command(struct storage_session *session, const char *text,
                                    struct storage_error *error);
/* Sends session->sql and stores what it gives; the caller frees it. */
enum storage_status session_ask(struct storage_session *session, unsigned columns,
                                MYSQL_RES **result, struct storage_error *error);
/* Begins session->sql as a SELECT that the server itself ends when the call's time is over (BUSY). */
void session_select(struct storage_session *session);
/* Ends a transaction: by COMMIT where status is OK and something was written, else by ROLLBACK. */
enum storage_status session_end(struct storage_session *session, enum storage_status status,
                                bool wrote, struct storage_error *error);
/* Whether a statement that grows should be sent now. */
bool session_is_full(const struct storage_session *session);

/* --- schema.c --- */
enum storage_status schema_upgrade(struct storage_session *session, bool opening,
                                   struct storage_error *error);

/* --- observe.c --- */
enum storage_status mysql_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error);
int key_order(const void *a, const void *b);
/* Sorts keys and drops what stands twice; returns how many are left. */
size_t keys_settle(struct storage_key *keys, size_t count);
/* Whether to begin anew at once after a race that was lost. Who has waited for a lock in vain leaves it to
 * the caller. */
bool worth_again(const struct storage_session *session, enum storage_status status,
                 const struct storage_error *error, int tries);

/* --- entries.c --- */
struct entry {
    const struct storage_sighting *sighting;
    struct storage_row *answer;
    uint64_t id;
    struct storage_row row; /* as it is stored */
    bool there;             /* stored, perhaps dead */
    bool alive;
    bool merged; /* this position of the origin, or a later one, was merged before */
    bool first;  /* this is the first pass */
    enum { WRITE_NOTHING, WRITE_NEW, WRITE_NUMBERS, WRITE_ALL } writing;
};

/* What is the best row among a GREY's alternates needs them all at hand. */
struct alternate {
    struct storage_key key;
    bool there;
    struct storage_row row;
};

/* Reads, works out and writes. Of the sightings only those that concern entries and have no `exempt` in
 * their rows. entries[] has room for count; *made of them are filled. */
enum storage_status entries_observe(struct storage_session *session,
                                    const struct storage_sighting *sightings, size_t count,
                                    struct storage_row *rows, struct entry *entries, size_t *made,
                                    struct storage_error *error);

/* --- entry_rows.c: greylist_entry and greylist_merge in SQL --- */
enum storage_status rows_lock(struct storage_session *session, struct entry *entries, size_t count,
                              struct storage_error *error);
enum storage_status rows_alternates(struct storage_session *session, struct alternate *alternates,
                                    size_t count, struct storage_error *error);
enum storage_status rows_merged(struct storage_session *session, struct entry *entries,
                                size_t count, struct storage_error *error);
enum storage_status rows_write(struct storage_session *session, const struct entry *entries,
                               size_t count, struct storage_error *error);

/* --- counters.c --- */
struct counter {
    struct storage_key key;
    bool stored; /* the table has the row, perhaps a dead one */
    bool there;
    bool changed;
    struct steps_counter now; /* as the batch leaves it */
};

struct counters {
    struct counter *list; /* sorted by key */
    size_t count;
};

/* What exemptions and looks read, without a lock. */
enum storage_status counters_view(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error);
/* COUNT, PAIR and TAKE, the on_pass of first passes, and the slides of exemptions. */
enum storage_status counters_observe(struct storage_session *session,
                                     const struct storage_sighting *sightings, size_t count,
                                     struct storage_row *rows, const struct entry *entries,
                                     size_t entries_count, struct storage_error *error);

/* --- counter_rows.c: greylist_counter in SQL --- */
/* Reads what of the keys is there, sorted and each once; `lock` keeps it so until the end. */
enum storage_status counters_read(struct storage_session *session, const struct storage_key *keys,
                                  size_t count, bool lock, struct counters *out,
                                  struct storage_error *error);
enum storage_status counters_write(struct storage_session *session, const struct counters *counters,
                                   struct storage_error *error);
struct counter *counters_find(const struct counters *counters, const struct storage_key *key);

/* --- records.c, search.c --- */
const struct storage_kind *find_kind(const struct storage_session *session, size_t kind);
bool hex_to_key(const char *hex, struct storage_key *key);
enum storage_status mysql_change(struct storage_session *session, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error);
enum storage_status mysql_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error);

/* --- upkeep.c --- */
enum storage_status mysql_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error);
enum storage_status mysql_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error);
enum storage_status mysql_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error);

#endif
