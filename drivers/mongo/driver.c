/* driver.c: the driver's name plate, opening a store, and libmongoc's log. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mongo/mongo.h"

enum storage_status mongo_refuse(struct storage_error *error, enum storage_status status,
                                 const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    error->native = 0;
    return status;
}

/* --- The library's log: one for the whole process, so the store that was opened last has it. --- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static const struct storage_host *log_host;

static void take_log(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
    char line[512];
    enum storage_level meaning = level <= MONGOC_LOG_LEVEL_CRITICAL  ? STORAGE_ERROR
                                 : level == MONGOC_LOG_LEVEL_WARNING ? STORAGE_WARNING
                                 : level <= MONGOC_LOG_LEVEL_INFO    ? STORAGE_INFO
                                                                     : STORAGE_DEBUG;
    (void)data;
    if (level >= MONGOC_LOG_LEVEL_DEBUG)
        return;
    if (strstr(message, "endSessions") != NULL) /* a courtesy that FerretDB 1 does not know */
        meaning = STORAGE_DEBUG;
    snprintf(line, sizeof(line), "libmongoc (%s): %s", domain, message);
    pthread_mutex_lock(&log_mutex);
    if (log_host != NULL)
        log_host->log(log_host->log_context, meaning, line);
    pthread_mutex_unlock(&log_mutex);
}

void log_begin(const struct storage_host *host)
{
    pthread_mutex_lock(&log_mutex);
    log_host = host;
    pthread_mutex_unlock(&log_mutex);
}

void log_end(const struct storage_host *host)
{
    pthread_mutex_lock(&log_mutex);
    if (log_host == host)
        log_host = NULL;
    pthread_mutex_unlock(&log_mutex);
}

/* The driver is never unloaded: the library is never cleaned up. */
static void begin_library(void)
{
    mongoc_log_set_handler(take_log, NULL);
    mongoc_init();
}

/* --- The URL ---------------------------------------------------------------------------------- */

/* At most what the host allows; less where the URL says so. */
static void bound(mongoc_uri_t *uri, const char *option, int64_t most)
{
    int32_t limit = most > INT32_MAX ? INT32_MAX : most < 1 ? 1 : (int32_t)most;
    int32_t said = mongoc_uri_get_option_as_int32(uri, option, limit);
    mongoc_uri_set_option_as_int32(uri, option, said >= 1 && said < limit ? said : limit);
}

/* What was acknowledged survives the loss of the primary, unless the URL wants it otherwise. */
static bool settle_concerns(mongoc_uri_t *uri, int64_t patience)
{
    const mongoc_read_concern_t *reading = mongoc_uri_get_read_concern(uri);
    mongoc_write_concern_t *writing = mongoc_write_concern_copy(mongoc_uri_get_write_concern(uri));
    bool is_told = mongoc_write_concern_is_acknowledged(writing);
    if (mongoc_write_concern_is_default(writing) ||
        (mongoc_write_concern_get_w(writing) == MONGOC_WRITE_CONCERN_W_DEFAULT &&
         mongoc_write_concern_get_wtag(writing) == NULL))
        mongoc_write_concern_set_w(writing, MONGOC_WRITE_CONCERN_W_MAJORITY);
    if (!mongoc_write_concern_journal_is_set(writing))
        mongoc_write_concern_set_journal(writing, true);
    if (mongoc_write_concern_get_wtimeout_int64(writing) <= 0 ||
        mongoc_write_concern_get_wtimeout_int64(writing) > patience)
        mongoc_write_concern_set_wtimeout_int64(writing, patience);
    mongoc_uri_set_write_concern(uri, writing);
    mongoc_write_concern_destroy(writing);
    if (mongoc_read_concern_get_level(reading) == NULL) {
        mongoc_read_concern_t *majority = mongoc_read_concern_new();
        mongoc_read_concern_set_level(majority, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
        mongoc_uri_set_read_concern(uri, majority);
        mongoc_read_concern_destroy(majority);
    }
    return is_told;
}

/* A piece of a password with an @ in it was taken for a host: it must not get into an error. */
static bool has_strange_host(const mongoc_uri_t *uri)
{
    for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri); host != NULL;
         host = host->next) {
        if (strchr(host->host, '@') != NULL)
            return true;
    }
    return false;
}

/* A call is several steps. One takes half of call_timeout at most, and none begins when the other
 * half and connect_timeout are over. */
static enum storage_status read_url(const struct storage_host *host, const struct storage_url *url,
                                    struct storage_db *db, struct storage_error *error)
{
    bson_error_t wrong = {.message = ""};
    bool secret = strchr(url->text, '@') != NULL; /* the library's words may hold a piece of it */
    db->uri = mongoc_uri_new_with_error(url->text, &wrong);
    if (db->uri == NULL)
        return mongo_refuse(error, STORAGE_INVALID,
                            "libmongoc does not understand this URL%s%.180s", secret ? "" : ": ",
                            secret ? "" : wrong.message);
    if (has_strange_host(db->uri))
        return mongo_refuse(error, STORAGE_INVALID,
                            "a @ in the URL's user or password is to be written %%40");
    const char *database = mongoc_uri_get_database(db->uri);
    if (database == NULL || database[0] == '\0')
        return mongo_refuse(error, STORAGE_INVALID,
                            "the URL names no database: write mongodb://host/mongrey");
    db->database = strdup(database);
    if (db->database == NULL)
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    bound(db->uri, MONGOC_URI_CONNECTTIMEOUTMS, host->connect_timeout);
    bound(db->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, host->connect_timeout);
    bound(db->uri, MONGOC_URI_SOCKETTIMEOUTMS, host->call_timeout / 2);
    mongoc_uri_set_option_as_bool(db->uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_uri_set_option_as_bool(db->uri, MONGOC_URI_RETRYREADS, false);
    if (mongoc_uri_get_appname(db->uri) == NULL)
        mongoc_uri_set_appname(db->uri, APPLICATION);
    if (!settle_concerns(db->uri, host->call_timeout / 2))
        return mongo_refuse(error, STORAGE_INVALID,
                            "w=0 in the URL: what is not acknowledged cannot be relied on");
    return STORAGE_OK;
}

/* --- The door --------------------------------------------------------------------------------- */

static void db_close(struct storage_db *db)
{
    if (db == NULL)
        return;
    log_end(db->host);
    mongoc_uri_destroy(db->uri);
    pthread_mutex_destroy(&db->lock.mutex);
    free(db->database);
    free(db);
}

static enum storage_status db_open(const struct storage_host *host, const struct storage_url *url,
                                   struct storage_db **out, struct storage_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct storage_session *session = NULL;
    pthread_once(&once, begin_library);
    struct storage_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return mongo_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    db->host = host;
    pthread_mutex_init(&db->lock.mutex, NULL);
    log_begin(host);
    enum storage_status status = read_url(host, url, db, error);
    if (status == STORAGE_OK)
        status = session_open(db, &session, error);
    if (status == STORAGE_OK)
        status = schema_check(session, !host->read_only, error);
    session_close(session);
    if (status == STORAGE_OK)
        *out = db;
    else
        db_close(db);
    return status;
}

static void db_detach(struct storage_session *session)
{
    session_close(session);
}

/* Each session asks what the store is: another may have been put in its place. */
static enum storage_status db_attach(struct storage_db *db, struct storage_session **out,
                                     struct storage_error *error)
{
    struct storage_session *session = NULL;
    enum storage_status status = session_open(db, &session, error);
    if (status == STORAGE_OK)
        status = schema_check(session, false, error);
    if (status == STORAGE_OK)
        *out = session;
    else
        session_close(session);
    return status;
}

static const char *library(void)
{
    static char name[64];
    snprintf(name, sizeof(name), "libmongoc %s", mongoc_get_version());
    return name;
}

static const char *const schemes[] = {"mongodb", "mongodb+srv", NULL};

extern const struct storage_driver storage_driver_mongo;

const struct storage_driver storage_driver_mongo = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "mongo",
    .schemes = schemes,
    .writers = 4,
    .batch = 256,
    .library = library,
    .open = db_open,
    .close = db_close,
    .attach = db_attach,
    .detach = db_detach,
    .observe = mongo_observe,
    .change = mongo_change,
    .search = mongo_search,
    .revision = mongo_revision,
    .purge = mongo_purge,
    .tally = mongo_tally,
};
