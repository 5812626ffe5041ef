/* pgsql.h: what the files of this driver share. It knows libpq and the storage door, nothing else.
 *
 * All statements are unnamed and all settings end with their transaction, so that a pooler may give
 * each transaction another connection. A trip is one pipeline: some statements, one answer. */
#ifndef MONGREY_DRIVER_PGSQL_H
#define MONGREY_DRIVER_PGSQL_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "include/storage.h"

#define SCHEMA_VERSION 1
#define APPLICATION 0x4d475259 /* "MGRY" in the table `mongrey` */
#define HOSTS_MAX 16
#define KEYWORDS_MAX 64
#define STEPS_MAX (STORAGE_BATCH_MAX + 8) /* statements of one trip */
#define NO_COMMIT (-1)

/* libpq's keywords and values; the host of a connection is put in when it is made. */
struct address {
    char *texts; /* what the pointers below point into */
    size_t texts_size;
    size_t texts_used;
    size_t hosts_count;
    const char *hosts[HOSTS_MAX]; /* "": libpq's default */
    const char *ports[HOSTS_MAX];
    size_t count;
    const char *keywords[KEYWORDS_MAX];
    const char *values[KEYWORDS_MAX];
    const char *database;
    int64_t connect_timeout; /* ms */
};

struct storage_db {
    const struct storage_host *host;
    struct address address;
    char limit[64];    /* "SET LOCAL statement_timeout = ..." */
    atomic_bool wrote; /* a write was done once: where writing is refused now, this is a standby */
    atomic_bool warned;
};

struct storage_session {
    struct storage_db *db;
    PGconn *conn;
    int64_t deadline; /* steady ms: the end of the call under way */
    bool dead;
    bool committing; /* a commit is on its way */
    bool unsent;     /* libpq refused a statement of this trip */
    bool taken;      /* the last failure was a value of a unique index that is taken */
    int steps;
    PGresult *results[STEPS_MAX];
};

/* --- address.c --- */
enum storage_status address_make(struct address *address, const struct storage_host *host,
                                 const struct storage_url *url, struct storage_error *error);
void address_free(struct address *address);

/* --- connect.c --- */
enum storage_status session_connect(struct storage_session *session, struct storage_error *error);
int64_t steady_ms(void);
/* Waits for the socket until the deadline; false: it has passed. */
bool socket_wait(int socket, short events, int64_t deadline);

/* --- status.c --- */
enum storage_status pgsql_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What a failed statement's answer means; fills the error. */
enum storage_status pgsql_status(struct storage_session *session, const PGresult *result,
                                 struct storage_error *error);
/* Whether the server ended the session with it. */
bool pgsql_is_fatal(const PGresult *result);
/* What it means that a connection could not be made. */
enum storage_status connect_status(const struct storage_db *db, const PGconn *conn,
                                   struct storage_error *error);
/* libpq's message as one line. */
void one_line(char *out, size_t size, const char *message);

/* --- wire.c --- */
/* Parameters of one statement in PostgreSQL's binary form. */
#define PARAMETERS_MAX 96
struct params {
    char *data;
    size_t size;
    size_t room;
    bool failed; /* out of memory, or too many */
    int count;
    size_t array_at; /* where the array begins that is being filled */
    Oid types[PARAMETERS_MAX];
    size_t begins[PARAMETERS_MAX];
    size_t ends[PARAMETERS_MAX];
    bool nulls[PARAMETERS_MAX];
};

void params_free(struct params *p);
void params_reset(struct params *p);
void params_integer(struct params *p, int64_t value);
void params_real(struct params *p, double value);
void params_text(struct params *p, struct storage_text text);
void params_key(struct params *p, const struct storage_key *key);
void params_value(struct params *p, enum storage_type type, const struct storage_value *value);
enum element { ELEMENT_KEY, ELEMENT_INTEGER, ELEMENT_TEXT, ELEMENT_BYTES };
void params_array(struct params *p, enum element element, size_t count);
void element_integer(struct params *p, int64_t value);
void element_bytes(struct params *p, const void *data, size_t size);
void element_null(struct params *p);
void params_array_end(struct params *p);

/* Parts of an answer; false where they are not what was asked for. */
bool read_integer(const PGresult *result, int row, int column, int64_t *value);
bool read_number(const PGresult *result, int row, int column, uint32_t *value);
bool read_real(const PGresult *result, int row, int column, double *value);
bool read_key(const PGresult *result, int row, int column, struct storage_key *key);

/* --- session.c --- */
/* A call of the door begins: its time runs. */
enum storage_status session_begin(struct storage_session *session, struct storage_error *error);
/* Puts a statement into the trip; p may be NULL. */
void session_send(struct storage_session *session, const char *sql, struct params *p);
/* The usual beginnings of a transaction. */
void session_send_write(struct storage_session *session);
void session_send_read(struct storage_session *session);
/* Makes the trip; results[] are its answers until the next one begins. `commit` is the number of the
 * step that commits, or NO_COMMIT. Where a step failed, nothing is left of the transaction. */
enum storage_status session_trip(struct storage_session *session, int commit,
                                 struct storage_error *error);
/* Sends COMMIT behind what waits, and makes the trip. */
enum storage_status session_commit(struct storage_session *session, struct storage_error *error);
void session_rollback(struct storage_session *session);
/* An answer that is not what was asked for. */
enum storage_status session_garbled(struct storage_session *session, struct storage_error *error);
void session_clear(struct storage_session *session);
void session_close(struct storage_session *session);

/* --- schema.c --- */
enum storage_status schema_upgrade(struct storage_session *session, struct storage_error *error);

/* --- observe.c --- */
enum storage_status pgsql_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error);

/* --- records.c, search.c --- */
enum storage_status pgsql_change(struct storage_session *session, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error);
enum storage_status pgsql_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error);

/* --- upkeep.c --- */
enum storage_status pgsql_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error);
enum storage_status pgsql_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error);
enum storage_status pgsql_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error);

#endif
