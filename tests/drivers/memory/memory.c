/*
 * memory.c: the memory driver: its face, its handles, and which stores there are.
 *
 * The reference for the semantics of storage.h, and a store for tests; nothing outlives the
 * process.
 *   memory:///NAME  one store for all that open this name, kept until the process ends
 *   memory:///      a store of its own
 *   ?break=NAME     makes one fault on purpose, see breaks.h
 */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory_store *stores; /* the named ones */

bool memory_broken(const struct memory_store *store, enum memory_break what)
{
    return store->broken == what;
}

bool memory_read_only(const struct storage_session *session)
{
    const struct storage_db *db = session->db;

    return db->host->read_only && !memory_broken(db->store, MEMORY_BREAK_READ_ONLY_IGNORED);
}

enum storage_status memory_refuse(struct storage_error *error, enum storage_status status,
                                  const char *text)
{
    error->native = 0;
    (void)snprintf(error->text, sizeof error->text, "memory: %s", text);
    return status;
}

static enum memory_break break_by_name(const char *name)
{
    static const char *const names[] = {
#define MEMORY_BREAK_NAME(symbol, text) text,
        MEMORY_BREAKS(MEMORY_BREAK_NAME)
#undef MEMORY_BREAK_NAME
    };

    for (size_t i = 0; i < MEMORY_BREAKS_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum memory_break)i;
        }
    }
    return MEMORY_BREAK_NONE;
}

/* The fault that the URL asks for. False: a parameter that is not known here. */
static bool read_parameters(const struct storage_url *url, enum memory_break *broken)
{
    *broken = MEMORY_BREAK_NONE;
    for (size_t i = 0; i < url->parameters_count; i++) {
        if (strcmp(url->parameters[i].name, "break") != 0) {
            return false;
        }
        *broken = break_by_name(url->parameters[i].value);
        if (*broken == MEMORY_BREAK_NONE) {
            return false;
        }
    }
    return true;
}

static struct memory_store *store_new(const char *name, enum memory_break broken)
{
    struct memory_store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return NULL;
    }
    if (*name != '\0') {
        store->name = strdup(name);
        if (store->name == NULL) {
            free(store);
            return NULL;
        }
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store->name);
        free(store);
        return NULL;
    }
    store->broken = broken;
    store->revision = 1;
    return store;
}

static void store_empty(struct memory_store *store)
{
    memory_table_clear(&store->entries);
    memory_table_clear(&store->counters);
    while (store->kinds != NULL) {
        struct memory_kind *kind = store->kinds;
        store->kinds = kind->next;
        memory_kind_free(kind);
    }
    store->revision = 1;
}

/* Finds the store of this name, or makes it if it may; with stores_lock held. */
static struct memory_store *store_take(const char *name, enum memory_break broken, bool make)
{
    struct memory_store *store = *name == '\0' ? NULL : stores;

    while (store != NULL && strcmp(store->name, name) != 0) {
        store = store->next;
    }
    if (store == NULL) {
        store = make ? store_new(name, broken) : NULL;
        if (store == NULL) {
            return NULL;
        }
        if (store->name != NULL) {
            store->next = stores;
            stores = store;
        }
    }
    store->opened++;
    return store;
}

static void store_give_back(struct memory_store *store)
{
    (void)pthread_mutex_lock(&stores_lock);
    store->opened--;
    if (store->opened == 0) {
        if (store->name == NULL || memory_broken(store, MEMORY_BREAK_REOPEN_EMPTY)) {
            store_empty(store);
        }
        if (store->name == NULL) {
            (void)pthread_mutex_destroy(&store->lock);
            free(store);
        }
    }
    (void)pthread_mutex_unlock(&stores_lock);
}

static enum storage_status open_views(struct storage_db *db, struct storage_error *error)
{
    const struct storage_host *host = db->host;
    enum storage_status status = STORAGE_OK;

    (void)pthread_mutex_lock(&db->store->lock);
    for (size_t i = 0; i < host->kinds_count && status == STORAGE_OK; i++) {
        status =
            memory_view_open(db->store, &host->kinds[i], host->read_only, &db->views[i], error);
    }
    (void)pthread_mutex_unlock(&db->store->lock);
    return status;
}

static void memory_close(struct storage_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->store != NULL) {
        store_give_back(db->store);
    }
    free(db->views);
    free(db);
}

static enum storage_status memory_open(const struct storage_host *host,
                                       const struct storage_url *url, struct storage_db **db,
                                       struct storage_error *error)
{
    enum storage_status status = STORAGE_UNAVAILABLE;
    enum memory_break broken;
    struct storage_db *made;
    bool make;

    *db = NULL;
    if (host->abi != STORAGE_ABI || host->size < sizeof *host) {
        return memory_refuse(error, STORAGE_INVALID, "the program speaks another ABI");
    }
    if (!read_parameters(url, &broken) || *url->hosts != '\0' || *url->user != '\0') {
        return memory_refuse(error, STORAGE_INVALID, "the address is memory:///NAME, not more");
    }
    made = calloc(1, sizeof *made);
    if (made == NULL) {
        return memory_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    }
    made->host = host;
    made->views = calloc(host->kinds_count + 1, sizeof *made->views);
    make = !host->read_only || broken == MEMORY_BREAK_READ_ONLY_IGNORED;
    (void)pthread_mutex_lock(&stores_lock);
    made->store = store_take(url->path, broken, make);
    (void)pthread_mutex_unlock(&stores_lock);
    if (made->views == NULL || made->store == NULL) {
        (void)memory_refuse(error, status, make ? "out of memory" : "there is no such store");
    } else {
        status = open_views(made, error);
    }
    if (status != STORAGE_OK) {
        memory_close(made);
        return status;
    }
    *db = made;
    return STORAGE_OK;
}

static enum storage_status memory_attach(struct storage_db *db, struct storage_session **session,
                                         struct storage_error *error)
{
    *session = calloc(1, sizeof **session);
    if (*session == NULL) {
        return memory_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    }
    (*session)->db = db;
    return STORAGE_OK;
}

static void memory_detach(struct storage_session *session)
{
    free(session);
}

static const char *memory_library(void)
{
    return "none";
}

static const char *const memory_schemes[] = {"memory", NULL};

extern const struct storage_driver storage_driver_memory;

__attribute__((visibility("default"))) const struct storage_driver storage_driver_memory = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "memory",
    .schemes = memory_schemes,
    .writers = 1,
    .batch = 64,
    .library = memory_library,
    .open = memory_open,
    .close = memory_close,
    .attach = memory_attach,
    .detach = memory_detach,
    .observe = memory_observe,
    .change = memory_change,
    .search = memory_search,
    .revision = memory_revision,
    .purge = memory_purge,
    .tally = memory_tally,
};
