/* session.c: a connection, the steps of a call, and what the server's codes mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "drivers/mongo/mongo.h"

int64_t steady_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* xorshift128+: stamps need to differ, not to be secret. */
uint64_t session_draw(struct storage_session *session)
{
    uint64_t x = session->lot[0];
    uint64_t y = session->lot[1];
    session->lot[0] = y;
    x ^= x << 23;
    session->lot[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
    return session->lot[1] + y;
}

/* Longer with each round, and by chance: two that collide must not go on in step. */
void sleep_a_little(struct storage_session *session, unsigned round)
{
    uint64_t most = UINT64_C(500000) << (round < 6 ? round : 6); /* ns */
    struct timespec pause = {.tv_nsec = (long)(100000 + session_draw(session) % most)};
    nanosleep(&pause, NULL);
}

/* --- What went wrong -------------------------------------------------------------------------- */

enum meaning {
    MEANS_LOST,    /* the connection, or its server is no primary any more: unknown what was done */
    MEANS_REFUSED, /* the same, but certainly nothing was done */
    MEANS_DENIED,
    MEANS_CONFLICT, /* with other writers; certainly nothing was done */
    MEANS_SLOW,     /* ended by a limit of time */
    MEANS_INVALID
};

static enum meaning meaning_of_code(uint32_t code)
{
    switch (code) {
    case 13:   /* Unauthorized */
    case 18:   /* AuthenticationFailed */
    case 8000: /* the same of a hosted service */
        return MEANS_DENIED;
    case 10058: /* NotWritablePrimary, in its three numbers */
    case 10107:
    case 13435:
    case 13436: /* NotPrimaryOrSecondary */
        return MEANS_REFUSED;
    case 24:  /* LockTimeout */
    case 46:  /* LockBusy */
    case 112: /* WriteConflict */
        return MEANS_CONFLICT;
    case 50:    /* MaxTimeMSExpired */
    case 262:   /* ExceededTimeLimit */
    case 11601: /* Interrupted */
        return MEANS_SLOW;
    case 2:     /* BadValue */
    case 9:     /* FailedToParse */
    case 14:    /* TypeMismatch */
    case 22:    /* InvalidBSON */
    case 59:    /* CommandNotFound */
    case 67:    /* CannotCreateIndex */
    case 73:    /* InvalidNamespace */
    case 238:   /* NotImplemented */
    case 10334: /* BSONObjectTooLarge */
        return MEANS_INVALID;
    default:
        return MEANS_LOST;
    }
}

static enum meaning meaning_of(const bson_error_t *bson)
{
    switch (bson->domain) {
    case MONGOC_ERROR_CLIENT:
        return bson->code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? MEANS_DENIED
               : bson->code == MONGOC_ERROR_CLIENT_TOO_BIG    ? MEANS_INVALID
                                                              : MEANS_LOST;
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
        return MEANS_DENIED;
    case MONGOC_ERROR_SERVER_SELECTION:
        return MEANS_REFUSED;
    case MONGOC_ERROR_BSON:
    case MONGOC_ERROR_COMMAND:
    case MONGOC_ERROR_NAMESPACE:
        return MEANS_INVALID;
    case MONGOC_ERROR_SERVER:
        return meaning_of_code(bson->code);
    default:
        return MEANS_LOST;
    }
}

enum storage_status session_failed(struct storage_session *session, const bson_error_t *bson,
                                   bool written, struct storage_error *error)
{
    enum meaning meaning = meaning_of(bson);
    snprintf(error->text, sizeof(error->text), "MongoDB: %.200s (%u)", bson->message, bson->code);
    error->native = (int)bson->code;
    session->dead = session->dead || meaning == MEANS_LOST || meaning == MEANS_REFUSED;
    if (session->wrote || (written && (meaning == MEANS_LOST || meaning == MEANS_SLOW)))
        return STORAGE_UNCERTAIN;
    switch (meaning) {
    case MEANS_DENIED:
        return STORAGE_DENIED;
    case MEANS_CONFLICT:
    case MEANS_SLOW:
        return STORAGE_BUSY;
    case MEANS_INVALID:
        return STORAGE_INVALID;
    default:
        return STORAGE_UNAVAILABLE;
    }
}

/* --- A session -------------------------------------------------------------------------------- */

void session_close(struct storage_session *session)
{
    if (session == NULL)
        return;
    mongoc_read_prefs_destroy(session->primary);
    mongoc_client_destroy(session->client);
    free(session);
}

enum storage_status session_open(struct storage_db *db, struct storage_session **out,
                                 struct storage_error *error)
{
    bson_error_t wrong = {.message = ""};
    struct storage_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    session->db = db;
    if (getrandom(session->lot, sizeof(session->lot), 0) != (ssize_t)sizeof(session->lot)) {
        free(session);
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "the system gives no random numbers");
    }
    session->client = mongoc_client_new_from_uri_with_error(db->uri, &wrong);
    if (session->client == NULL) { /* mongodb+srv: the names are looked up here */
        free(session);
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "MongoDB: %.200s", wrong.message);
    }
    mongoc_client_set_error_api(session->client, MONGOC_ERROR_API_VERSION_2);
    session->primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    *out = session;
    return session_enter(session, error);
}

enum storage_status session_enter(struct storage_session *session, struct storage_error *error)
{
    const struct storage_host *host = session->db->host;
    session->wrote = false;
    session->last_start = steady_now() + host->connect_timeout + host->call_timeout / 2;
    if (session->dead)
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "this session's connection was lost");
    return STORAGE_OK;
}

bool session_is_late(const struct storage_session *session)
{
    return steady_now() > session->last_start;
}

enum storage_status session_step(const struct storage_session *session, struct storage_error *error)
{
    if (!session_is_late(session))
        return STORAGE_OK;
    return mongo_refuse(error, session->wrote ? STORAGE_UNCERTAIN : STORAGE_BUSY,
                        "the call took longer than it may");
}

mongoc_collection_t *session_collection(const struct storage_session *session, const char *name)
{
    return mongoc_client_get_collection(session->client, session->db->database, name);
}

enum storage_status session_find(struct storage_session *session, const struct finding *finding,
                                 struct storage_error *error)
{
    enum storage_status status = session_step(session, error);
    if (status != STORAGE_OK)
        return status;
    mongoc_collection_t *collection = session_collection(session, finding->collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(
        collection, finding->filter, finding->options, finding->anywhere ? NULL : session->primary);
    const bson_t *document;
    bson_error_t wrong;
    bool on = true;
    while (on && mongoc_cursor_next(cursor, &document))
        on = finding->each(finding->context, document);
    if (mongoc_cursor_error(cursor, &wrong))
        status = session_failed(session, &wrong, false, error);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return status;
}

/* --- Writing many ----------------------------------------------------------------------------- */

void bulk_begin(struct bulk *bulk, struct storage_session *session, const char *collection)
{
    bson_t options = BSON_INITIALIZER;
    memset(bulk, 0, sizeof(*bulk));
    bson_append_bool(&options, "ordered", -1, false);
    bulk->session = session;
    bulk->collection = session_collection(session, collection);
    bulk->operation = mongoc_collection_create_bulk_operation_with_opts(bulk->collection, &options);
    bson_destroy(&options);
}

static void noted(struct bulk *bulk, bool added, const bson_error_t *wrong)
{
    bulk->count++;
    if (!added && bulk->wrong.code == 0)
        bulk->wrong = *wrong;
}

void bulk_insert(struct bulk *bulk, const bson_t *document)
{
    bson_error_t wrong;
    noted(bulk, mongoc_bulk_operation_insert_with_opts(bulk->operation, document, NULL, &wrong),
          &wrong);
}

void bulk_update(struct bulk *bulk, const bson_t *selector, const bson_t *update)
{
    bson_error_t wrong;
    noted(
        bulk,
        mongoc_bulk_operation_update_one_with_opts(bulk->operation, selector, update, NULL, &wrong),
        &wrong);
}

void bulk_replace(struct bulk *bulk, const bson_t *selector, const bson_t *document)
{
    bson_error_t wrong;
    noted(bulk,
          mongoc_bulk_operation_replace_one_with_opts(bulk->operation, selector, document, NULL,
                                                      &wrong),
          &wrong);
}

void bulk_remove(struct bulk *bulk, const bson_t *selector)
{
    bson_error_t wrong;
    noted(bulk,
          mongoc_bulk_operation_remove_many_with_opts(bulk->operation, selector, NULL, &wrong),
          &wrong);
}

static bool has_elements(const bson_t *reply, const char *name, bson_iter_t *elements)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, name) && BSON_ITER_HOLDS_ARRAY(&iter) &&
           bson_iter_recurse(&iter, elements) && bson_iter_next(elements);
}

/* Goes through the operations that were refused. False: one of them for a reason that trying again
 * does not mend; *wrong tells it. */
static bool take_refusals(const struct bulk *bulk, bson_iter_t *elements, bulk_refused *refused,
                          void *context, bson_error_t *wrong)
{
    bool fine = true;
    do {
        bson_iter_t member;
        uint32_t code = 0;
        int64_t index = -1;
        const char *message = "";
        if (!BSON_ITER_HOLDS_DOCUMENT(elements) || !bson_iter_recurse(elements, &member))
            continue;
        while (bson_iter_next(&member)) {
            if (strcmp(bson_iter_key(&member), "index") == 0)
                index = bson_integer(&member, -1);
            else if (strcmp(bson_iter_key(&member), "code") == 0)
                code = (uint32_t)bson_integer(&member, 0);
            else if (strcmp(bson_iter_key(&member), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&member))
                message = bson_iter_utf8(&member, NULL);
        }
        bool double_key = code == 11000 || code == 11001;
        bool known = index >= 0 && (size_t)index < bulk->count && refused != NULL &&
                     (double_key || meaning_of_code(code) == MEANS_CONFLICT);
        if (known) {
            refused(context, (size_t)index, double_key ? BULK_DUPLICATE : BULK_CONFLICT);
        } else if (fine) {
            fine = false;
            bson_set_error(wrong, MONGOC_ERROR_SERVER, code, "%s", message);
        }
    } while (bson_iter_next(elements));
    return fine;
}

static int64_t sum_done(const bson_t *reply)
{
    return bson_get_integer(reply, "nInserted", 0) + bson_get_integer(reply, "nMatched", 0) +
           bson_get_integer(reply, "nRemoved", 0);
}

static enum storage_status execute(struct bulk *bulk, bulk_refused *refused, void *context,
                                   int64_t *done, struct storage_error *error)
{
    struct storage_session *session = bulk->session;
    enum storage_status status = STORAGE_OK;
    bson_error_t wrong = {.message = ""};
    bson_iter_t elements;
    bson_t reply;
    bool fine = mongoc_bulk_operation_execute(bulk->operation, &reply, &wrong) != 0;
    *done = sum_done(&reply);
    session->wrote = session->wrote || *done > 0;
    if (has_elements(&reply, "writeConcernErrors", &elements)) {
        session->wrote = true; /* done, but not as durably as it was wanted */
        status = session_failed(session, &wrong, true, error);
    } else if (has_elements(&reply, "writeErrors", &elements)) {
        if (!take_refusals(bulk, &elements, refused, context, &wrong))
            status = session_failed(session, &wrong, false, error);
    } else if (!fine && meaning_of(&wrong) == MEANS_CONFLICT && refused != NULL) {
        for (size_t i = 0; i < bulk->count; i++)
            refused(context, i, BULK_CONFLICT);
    } else if (!fine) {
        status = session_failed(session, &wrong, true, error);
    }
    bson_destroy(&reply);
    return status;
}

enum storage_status bulk_end(struct bulk *bulk, bulk_refused *refused, void *context, int64_t *done,
                             struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    int64_t ignored;
    if (bulk->wrong.code != 0)
        status = session_failed(bulk->session, &bulk->wrong, false, error);
    else
        status = session_step(bulk->session, error);
    if (status == STORAGE_OK && bulk->count > 0)
        status = execute(bulk, refused, context, done != NULL ? done : &ignored, error);
    else if (done != NULL)
        *done = 0;
    mongoc_bulk_operation_destroy(bulk->operation);
    mongoc_collection_destroy(bulk->collection);
    return status;
}
