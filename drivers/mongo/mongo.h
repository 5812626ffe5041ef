/* mongo.h: what the files of this driver share. It knows libmongoc and the storage door, nothing else. */
#ifndef MONGREY_DRIVER_MONGO_H
#define MONGREY_DRIVER_MONGO_H

#include <mongoc/mongoc.h>
#include <pthread.h>

#include "include/storage.h"

#define SCHEMA_VERSION 1
#define APPLICATION "mongrey"

#define COLLECTION_OWN "mongrey"            /* schema, revision, the writer's lock */
#define COLLECTION_INTENTS "mongrey_intent" /* what a change of several records is about to do */
#define COLLECTION_ENTRIES "greylist_entry"
#define COLLECTION_COUNTERS "greylist_counter"

#define ID_SCHEMA "schema"
#define ID_REVISION "revision"
#define ID_WRITER "writer"

#define OWNER_SIZE 33 /* 32 hex digits and the end */
#define HEX_SIZE (2 * STORAGE_KEY_SIZE)

/* What was last seen of the writer's lock, by our own steady clock. */
struct lock_seen {
    pthread_mutex_t mutex;
    char owner[OWNER_SIZE];
    int64_t since;
};

struct storage_db {
    const struct storage_host *host;
    mongoc_uri_t *uri;
    char *database;
    struct lock_seen lock;
};

struct storage_session {
    struct storage_db *db;
    mongoc_client_t *client;
    mongoc_read_prefs_t *primary;
    uint64_t lot[2];        /* where stamps and owners come from */
    int64_t last_start;     /* of the call under way: when a step of it may begin at the latest */
    bool wrote;             /* this call has, or may have, changed something */
    bool dead;              /* its connection failed: every further call is UNAVAILABLE */
    char owner[OWNER_SIZE]; /* under which this call has the writer's lock */
};

/* --- driver.c --- */
enum storage_status mongo_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_begin(const struct storage_host *host);
void log_end(const struct storage_host *host);

/* --- session.c --- */
int64_t steady_now(void);
void sleep_a_little(struct storage_session *session, unsigned round);
uint64_t session_draw(struct storage_session *session);
enum storage_status session_open(struct storage_db *db, struct storage_session **session,
                                 struct storage_error *error);
void session_close(struct storage_session *session);
/* Begins a call of the door: its time runs from here. */
enum storage_status session_enter(struct storage_session *session, struct storage_error *error);
/* Whether another step may begin. If not, BUSY, or UNCERTAIN once something was written. */
enum storage_status session_step(const struct storage_session *session,
                                 struct storage_error *error);
bool session_is_late(const struct storage_session *session);
mongoc_collection_t *session_collection(const struct storage_session *session, const char *name);
/* What an error means: of a read, or of a step after which it is open whether it was done. */
enum storage_status session_failed(struct storage_session *session, const bson_error_t *bson,
                                   bool written, struct storage_error *error);

/* Each document that a find answers; false ends it. */
typedef bool found_document(void *context, const bson_t *document);
struct finding {
    const char *collection;
    const bson_t *filter;
    const bson_t *options; /* NULL: none */
    bool anywhere;         /* where the URL's readPreference says; else at the primary */
    found_document *each;
    void *context;
};
enum storage_status session_find(struct storage_session *session, const struct finding *finding,
                                 struct storage_error *error);

/* The writes of one kind that go to one collection at once, in no order. */
struct bulk {
    struct storage_session *session;
    mongoc_collection_t *collection;
    mongoc_bulk_operation_t *operation;
    size_t count;
    bson_error_t wrong; /* what could not be added */
};
enum bulk_refusal { BULK_DUPLICATE, BULK_CONFLICT };
/* An operation that was refused because of what others wrote; the rest were done. */
typedef void bulk_refused(void *context, size_t index, enum bulk_refusal why);

void bulk_begin(struct bulk *bulk, struct storage_session *session, const char *collection);
void bulk_insert(struct bulk *bulk, const bson_t *document);
void bulk_update(struct bulk *bulk, const bson_t *selector, const bson_t *update);
void bulk_replace(struct bulk *bulk, const bson_t *selector, const bson_t *document);
void bulk_remove(struct bulk *bulk, const bson_t *selector);
/* Does it and ends it. *done: how many were inserted, matched or removed. With another status
 * than OK what was done is not known, or nothing was. */
enum storage_status bulk_end(struct bulk *bulk, bulk_refused *refused, void *context, int64_t *done,
                             struct storage_error *error);

/* --- bson.c --- */
/* An integer of any numeric BSON type; `otherwise` where it is none. */
int64_t bson_integer(const bson_iter_t *iter, int64_t otherwise);
int64_t bson_get_integer(const bson_t *document, const char *name, int64_t otherwise);
/* A text member into room that ends with NUL; false where it is none or too long. */
bool bson_get_text(const bson_t *document, const char *name, char *text, size_t room);
void key_to_hex(const struct storage_key *key, char hex[HEX_SIZE + 1]);
bool hex_to_key(const char *hex, size_t size, struct storage_key *key);
void bson_add_text(bson_t *document, const char *name, struct storage_text text);
void bson_add_value(bson_t *document, const char *name, const struct storage_value *value);
/* A member as a value of this type; NULL where it is of another. Lent like the document. */
void bson_take_value(const bson_iter_t *iter, enum storage_type type, struct storage_value *value);
/* The array's next element. */
void bson_push_text(bson_t *array, uint32_t index, const char *text);
const char *array_name(uint32_t index, const char **name, char room[16]);

/* --- schema.c --- */
enum storage_status schema_check(struct storage_session *session, bool upgrade,
                                 struct storage_error *error);

/* --- observe.c --- */
enum storage_status mongo_observe(struct storage_session *session,
                                  const struct storage_sighting *sightings, size_t count,
                                  struct storage_row *rows, struct storage_error *error);

/* --- records.c, search.c --- */
enum storage_status mongo_change(struct storage_session *session, size_t kind,
                                 struct storage_change *changes, size_t count,
                                 struct storage_error *error);
enum storage_status mongo_search(struct storage_session *session, const struct storage_query *query,
                                 storage_each *each, void *context, struct storage_error *error);
const struct storage_kind *find_kind(const struct storage_session *session, size_t kind);
/* The collection of a kind. */
const char *kind_collection(const struct storage_kind *kind);

/* --- upkeep.c --- */
enum storage_status mongo_revision(struct storage_session *session, uint64_t *revision,
                                   struct storage_error *error);
enum storage_status mongo_purge(struct storage_session *session, int64_t now, size_t limit,
                                size_t *removed, struct storage_error *error);
enum storage_status mongo_tally(struct storage_session *session, int64_t since,
                                int64_t abandoned_before, struct storage_tally *tally,
                                struct storage_error *error);

#endif
