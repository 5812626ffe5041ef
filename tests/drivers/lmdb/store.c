/*
 * store.c: the folder and the environment in it, one for all of the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

#ifndef MAP_FIRST
#define MAP_FIRST \
    ((size_t)64 << 20) /* bytes; address space, not disk. It doubles when it is full */
#endif
#define READERS 510
#define CLOSE_MS 2000 /* how long close() waits for the folder's lock */

/* The stores of this process. Who opens or closes has the list for as long as that takes. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    pthread_once_t once;
    bool taken;
    pid_t owner;
    struct store *first;
} list = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void list_init(void)
{
    condition_init(&list.moved);
}

static bool list_take(int64_t deadline)
{
    bool taken = true;

    pthread_once(&list.once, list_init);
    pthread_mutex_lock(&list.mutex);
    while (list.taken && list.owner == getpid() && taken) {
        taken = wait_until(&list.moved, &list.mutex, deadline);
    }
    if (taken) {
        list.taken = true;
        list.owner = getpid();
    }
    pthread_mutex_unlock(&list.mutex);
    return taken;
}

static void list_give(void)
{
    pthread_mutex_lock(&list.mutex);
    list.taken = false;
    pthread_cond_signal(&list.moved);
    pthread_mutex_unlock(&list.mutex);
}

/* Makes the folder and those above it. What is there already is none of our business. */
static int make_folder(const char *path)
{
    char above[PATH_MAX];
    size_t size = strlen(path);

    if (size >= sizeof above) {
        return ENAMETOOLONG;
    }
    for (size_t i = 1; i <= size; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(above, path, i);
            above[i] = '\0';
            if (mkdir(above, 0700) != 0 && errno != EEXIST) {
                int code = errno; /* of one above that may only be passed, what matters is below */
                struct stat status;

                if (stat(above, &status) != 0) {
                    return code;
                }
            }
        }
    }
    return 0;
}

static bool has_data(int folder)
{
    struct stat status;

    return fstatat(folder, "data.mdb", &status, 0) == 0 && status.st_size > 0;
}

static enum storage_status folder_trouble(struct storage_error *error, const char *path, int code)
{
    if (code == ENOTDIR || code == EEXIST || code == ENAMETOOLONG || code == ELOOP) {
        return say(error, STORAGE_INVALID, code,
                   "%.180s: %s; the URL names a folder: lmdb:///folder", path, strerror(code));
    }
    return say(error,
               code == EACCES || code == EPERM || code == EROFS ? STORAGE_DENIED
                                                                : STORAGE_UNAVAILABLE,
               code, "%.180s: %s", path, strerror(code));
}

static enum storage_status folder_open(const char *path, bool read_only, int *folder,
                                       struct storage_error *error)
{
    int code = read_only ? 0 : make_folder(path);

    if (code != 0) {
        return folder_trouble(error, path, code);
    }
    *folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) {
        return folder_trouble(error, path, errno);
    }
    return STORAGE_OK;
}

/*
 * Without MDB_RDONLY even for a host that only reads: another open() of this process may want to
 * write, and opening a store that is there writes nothing. Whom the system lets only read gets it
 * for reading. MDB_NOTLS: a session may be used by one thread after the other.
 */
static int environment_open(struct store *store)
{
    int code = mdb_env_create(&store->env);

    store->refused = false;
    for (unsigned flags = MDB_NOTLS; code == 0; flags |= MDB_RDONLY) {
        mdb_env_set_maxdbs(store->env, DATABASES);
        mdb_env_set_maxreaders(store->env, READERS);
        code = mdb_env_open(store->env, store->path, flags, 0600);
        if (code == 0) {
            break;
        }
        mdb_env_close(store->env); /* the only thing that may be done with it now */
        store->env = NULL;
        store->refused = true;
        if ((code != EACCES && code != EROFS) || (flags & MDB_RDONLY) != 0 ||
            !has_data(store->folder)) {
            break;
        }
        code = mdb_env_create(&store->env);
    }
    if (code == 0) {
        MDB_envinfo info;

        mdb_env_info(store->env, &info);
        if (info.me_mapsize < MAP_FIRST) {
            code = mdb_env_set_mapsize(store->env, MAP_FIRST);
        }
        mdb_reader_check(store->env, NULL);
    }
    return code;
}

static void environment_close(struct store *store)
{
    if (store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
}

/* The folder is locked: LMDB's own opening and closing do not stand being done at once. */
static enum storage_status environment_ready(struct store *store, const struct storage_host *host,
                                             struct storage_error *error)
{
    if (host->read_only && !has_data(store->folder)) {
        return say(error, STORAGE_UNAVAILABLE, ENOENT, "there is no store in %.180s", store->path);
    }

    int code = environment_open(store);

    if (code != 0) {
        char doing[200];

        snprintf(doing, sizeof doing, "cannot open the LMDB store in %.160s", store->path);
        return meaning(error, code, doing);
    }

    enum storage_status status = schema_open(store, host, error);

    if (status == STORAGE_OK && !store->refused) {
        fsync(store->folder); /* the files' names: LMDB sees to what is in them */
    }
    return status;
}

static void store_free(struct store *store)
{
    environment_close(store);
    if (store->folder >= 0) {
        close(store->folder);
    }
    pthread_cond_destroy(&store->moved);
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    free(store);
}

static struct store *store_new(const char *path, int folder, const struct stat *status)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return NULL;
    }
    store->folder = folder;
    store->device = status->st_dev;
    store->inode = status->st_ino;
    store->owner = getpid();
    store->path = realpath(path, NULL);
    pthread_mutex_init(&store->mutex, NULL);
    condition_init(&store->moved);
    if (store->path == NULL) {
        store->folder = -1; /* stays the caller's */
        store_free(store);
        return NULL;
    }
    return store;
}

static struct store *store_known(const struct stat *status)
{
    for (struct store *store = list.first; store != NULL; store = store->next) {
        if (store->device == status->st_dev && store->inode == status->st_ino &&
            store->owner == getpid()) {
            return store;
        }
    }
    return NULL;
}

static enum storage_status store_first(const struct storage_host *host, struct store *store,
                                       int64_t deadline, struct storage_error *error)
{
    if (!folder_lock(store->folder, deadline)) {
        return say(error, STORAGE_UNAVAILABLE, 0, "another process is writing or opening %.180s",
                   store->path);
    }

    enum storage_status status = environment_ready(store, host, error);

    if (status == STORAGE_OK) {
        status = schema_widen(store, host, true, error);
    }
    if (status != STORAGE_OK) {
        environment_close(store);
    }
    folder_unlock(store->folder);
    return status;
}

static enum storage_status use_locked(const struct storage_host *host, const char *path,
                                      int64_t deadline, struct store **store,
                                      struct storage_error *error)
{
    struct stat stated;
    int folder = -1;
    enum storage_status status = folder_open(path, host->read_only, &folder, error);

    if (status != STORAGE_OK) {
        return status;
    }
    if (fstat(folder, &stated) != 0) {
        status = folder_trouble(error, path, errno);
        close(folder);
        return status;
    }

    struct store *known = store_known(&stated);

    if (known != NULL) {
        close(folder);
        status = schema_widen(known, host, false, error);
        *store = known;
    } else {
        known = store_new(path, folder, &stated);
        if (known == NULL) {
            close(folder);
            return folder_trouble(error, path, ENOMEM);
        }
        status = store_first(host, known, deadline, error);
        if (status != STORAGE_OK) {
            store_free(known);
            return status;
        }
        known->next = list.first;
        list.first = known;
        *store = known;
    }
    if (status == STORAGE_OK) {
        (*store)->users++;
    }
    return status;
}

enum storage_status store_use(const struct storage_host *host, const char *path,
                              struct store **store, struct storage_error *error)
{
    int64_t deadline = deadline_of(host);

    if (!list_take(deadline)) {
        return say(error, STORAGE_UNAVAILABLE, 0, "another thread is still opening a store");
    }

    enum storage_status status = use_locked(host, path, deadline, store, error);

    list_give();
    /* at open() there is no "the same call may work now" */
    return status == STORAGE_BUSY || status == STORAGE_UNCERTAIN ? STORAGE_UNAVAILABLE : status;
}

void store_leave(struct store *store)
{
    list_take(INT64_MAX / 2);
    if (--store->users == 0) {
        for (struct store **at = &list.first; *at != NULL; at = &(*at)->next) {
            if (*at == store) {
                *at = store->next;
                break;
            }
        }
        if (store->owner != getpid()) {
            store->env = NULL; /* the parent's: closing it would unregister its readers */
        }
        bool locked = folder_lock(store->folder, clock_ms() + CLOSE_MS);

        environment_close(store);
        if (locked) {
            folder_unlock(store->folder);
        }
        store_free(store);
    }
    list_give();
}

/* A session more; the first one after LMDB gave up opens the environment again. */
enum storage_status store_session(struct store *store, const struct storage_host *host,
                                  struct storage_error *error)
{
    int64_t deadline = deadline_of(host);
    enum storage_status status = STORAGE_OK;

    if (!list_take(deadline)) {
        return say(error, STORAGE_UNAVAILABLE, 0, "another thread is still opening a store");
    }
    pthread_mutex_lock(&store->mutex);
    bool broken = store->broken;
    pthread_mutex_unlock(&store->mutex);

    if (broken && store->sessions > 0) {
        status = say(error, STORAGE_UNAVAILABLE, MDB_PANIC,
                     "LMDB gave the store up, and other sessions still hold it");
    } else if (broken && !folder_lock(store->folder, deadline)) {
        status =
            say(error, STORAGE_UNAVAILABLE, 0, "another process is writing to %.180s", store->path);
    } else if (broken) {
        environment_close(store);
        status = environment_ready(store, host, error);
        if (status != STORAGE_OK) {
            environment_close(store);
        }
        folder_unlock(store->folder);
        pthread_mutex_lock(&store->mutex);
        store->broken = status != STORAGE_OK;
        pthread_mutex_unlock(&store->mutex);
    }
    if (status == STORAGE_OK) {
        store->sessions++;
    }
    list_give();
    return status == STORAGE_BUSY ? STORAGE_UNAVAILABLE : status;
}

void store_session_end(struct store *store)
{
    list_take(INT64_MAX / 2);
    store->sessions--;
    list_give();
}
