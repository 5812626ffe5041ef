/*
 * driver.c: the name plate, opening and attaching, and what LMDB's codes mean to the core.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum storage_status say(struct storage_error *error, enum storage_status status, int native,
                        const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
        error->native = native;
    }
    return status;
}

/* Of whatever fails before a commit is under way: LMDB has then changed nothing for certain. */
enum storage_status meaning(struct storage_error *error, int code, const char *doing)
{
    enum storage_status status = STORAGE_UNAVAILABLE;

    switch (code) {
    case 0:
        return STORAGE_OK;
    case MDB_NOTFOUND: /* where it could not be missing */
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        status = STORAGE_SCHEMA;
        break;
    case MDB_MAP_FULL:
    case MDB_MAP_RESIZED:
    case MDB_READERS_FULL:
        status = STORAGE_BUSY;
        break;
    case MDB_TXN_FULL: /* more pages in one change than a transaction holds */
    case MDB_BAD_VALSIZE:
        status = STORAGE_INVALID;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        status = STORAGE_DENIED;
        break;
    default:
        break;
    }
    return say(error, status, code, "%s: %s", doing, mdb_strerror(code));
}

enum storage_status result(struct call *call, int code, const char *doing)
{
    if (code == MDB_MAP_FULL) {
        call->full = true;
    }
    return meaning(call->error, code, doing);
}

static const char *library(void)
{
    static const char name[] = "LMDB ";
    static char text[32];
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    int major = 0;
    int minor = 0;
    int patch = 0;

    mdb_version(&major, &minor, &patch);
    pthread_mutex_lock(&mutex);
    if (text[0] == '\0') {
        snprintf(text, sizeof text, "%s%d.%d.%d", name, major, minor, patch);
    }
    pthread_mutex_unlock(&mutex);
    return text;
}

static enum storage_status check_url(const struct storage_url *url, struct storage_error *error)
{
    if (url->hosts[0] != '\0') {
        return say(error, STORAGE_INVALID, 0,
                   "an LMDB store is a folder and has no host: write lmdb:///relative/folder or "
                   "lmdb:////absolute/folder");
    }
    if (url->user[0] != '\0' || url->password[0] != '\0') {
        return say(error, STORAGE_INVALID, 0,
                   "an LMDB store has no user: write lmdb:///folder, and let the folder's owner "
                   "and mode say who may use it");
    }
    if (url->parameters_count != 0) {
        return say(error, STORAGE_INVALID, 0,
                   "an LMDB store has no parameter `%.60s`: write lmdb:///folder alone",
                   url->parameters[0].name);
    }
    if (url->path[0] == '\0') {
        return say(error, STORAGE_INVALID, 0,
                   "no folder: write lmdb:///relative/folder or lmdb:////absolute/folder");
    }
    return STORAGE_OK;
}

static enum storage_status check_kind(const struct storage_kind *kind, struct storage_error *error)
{
    if (kind->fields_count > STORAGE_FIELDS_MAX) {
        return say(error, STORAGE_INVALID, 0, "the kind `%.60s` has too many fields", kind->name);
    }
    if (strlen(kind->name) > KEY_MAX - sizeof "kind/") {
        return say(error, STORAGE_INVALID, 0, "the kind's name `%.60s` is too long", kind->name);
    }
    for (size_t i = 0; i < kind->fields_count; i++) {
        const char *name = kind->fields[i].name;

        if (strlen(name) > UINT8_MAX) {
            return say(error, STORAGE_INVALID, 0, "the field's name `%.60s` is too long", name);
        }
        if ((kind->flags & STORAGE_ENTRIES) != 0 && column_number(name) < 0) {
            return say(error, STORAGE_INVALID, 0, "entries have no field `%.60s`", name);
        }
    }
    return STORAGE_OK;
}

static enum storage_status check_host(const struct storage_host *host, struct storage_error *error)
{
    if (host->abi != STORAGE_ABI || host->size < sizeof *host) {
        return say(error, STORAGE_INVALID, 0, "this driver is made for storage ABI %u, not %u",
                   STORAGE_ABI, (unsigned)host->abi);
    }
    for (size_t i = 0; i < host->kinds_count; i++) {
        enum storage_status status = check_kind(&host->kinds[i], error);

        if (status != STORAGE_OK) {
            return status;
        }
    }
    return STORAGE_OK;
}

static enum storage_status db_open(const struct storage_host *host, const struct storage_url *url,
                                   struct storage_db **db, struct storage_error *error)
{
    enum storage_status status = check_url(url, error);

    *db = NULL;
    if (status == STORAGE_OK) {
        status = check_host(host, error);
    }
    if (status != STORAGE_OK) {
        return status;
    }

    struct storage_db *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return meaning(error, ENOMEM, "open");
    }
    made->host = host;
    status = store_use(host, url->path, &made->store, error);
    if (status != STORAGE_OK) {
        free(made);
        return status;
    }
    *db = made;
    return STORAGE_OK;
}

static void db_close(struct storage_db *db)
{
    if (db != NULL) {
        store_leave(db->store);
        free(db);
    }
}

static enum storage_status db_attach(struct storage_db *db, struct storage_session **session,
                                     struct storage_error *error)
{
    struct storage_session *made = calloc(1, sizeof *made);

    *session = NULL;
    if (made == NULL) {
        return meaning(error, ENOMEM, "attach");
    }
    made->db = db;

    enum storage_status status = store_session(db->store, db->host, error);

    if (status != STORAGE_OK) {
        free(made);
        return status;
    }
    *session = made;
    return STORAGE_OK;
}

/* Nothing outlives a call, so there is nothing to give up but memory. */
static void db_detach(struct storage_session *session)
{
    if (session != NULL) {
        store_session_end(session->db->store);
        catalog_clear(&session->catalog);
        free(session);
    }
}

static const char *const schemes[] = {"lmdb", NULL};

/* One writer at a time is LMDB's way; what makes it fast is many sightings for each commit. */
extern const struct storage_driver storage_driver_lmdb;
const struct storage_driver storage_driver_lmdb = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "lmdb",
    .schemes = schemes,
    .writers = 1,
    .batch = 256,
    .library = library,
    .open = db_open,
    .close = db_close,
    .attach = db_attach,
    .detach = db_detach,
    .observe = driver_observe,
    .change = driver_change,
    .search = driver_search,
    .revision = driver_revision,
    .purge = driver_purge,
    .tally = driver_tally,
};
