/*
 * transaction.c: a call's transaction: waiting for one's turn within the time there is, beginning,
 * committing, and going again with a larger map.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "driver.h"

#define FOLDER_PAUSE_NS 200000 /* between two tries for the folder's lock */

int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t deadline_of(const struct storage_host *host)
{
    return clock_ms() + (int64_t)host->connect_timeout + (int64_t)host->call_timeout;
}

bool call_late(const struct call *call)
{
    return clock_ms() >= call->deadline;
}

/* False when the time is up. The condition goes by the monotonic clock. */
bool wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline)
{
    struct timespec until = {.tv_sec = (time_t)(deadline / 1000),
                             .tv_nsec = (long)(deadline % 1000) * 1000000};

    return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}

/*
 * LMDB's own lock waits for ever: for a writer that was stopped, for one whose disk hangs. So all
 * writers take the folder first, which can be tried; LMDB's lock is then free. The pause is short,
 * since another process under load lets go for a moment only.
 */
bool folder_lock(int folder, int64_t deadline)
{
    const struct timespec pause = {.tv_nsec = FOLDER_PAUSE_NS};

    while (flock(folder, LOCK_EX | LOCK_NB) != 0) {
        if (clock_ms() >= deadline) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

void folder_unlock(int folder)
{
    flock(folder, LOCK_UN);
}

void call_begin(struct call *call, struct storage_session *session, struct storage_error *error)
{
    memset(call, 0, sizeof *call);
    call->store = session->db->store;
    call->host = session->db->host;
    call->catalog = &session->catalog;
    call->error = error;
    call->deadline = deadline_of(call->host);
}

static enum storage_status late(struct call *call, const char *what)
{
    return say(call->error, STORAGE_BUSY, 0, "LMDB: no time left to wait for %s", what);
}

static enum storage_status given_up(struct call *call, int code)
{
    pthread_mutex_lock(&call->store->mutex);
    call->store->broken = true;
    pthread_mutex_unlock(&call->store->mutex);
    return say(call->error, STORAGE_UNAVAILABLE, code, "LMDB gave this store up: %s",
               mdb_strerror(code));
}

/* Readers and the writer count themselves, so that nobody moves the map under them. */
static enum storage_status enter(struct call *call)
{
    struct store *store = call->store;
    enum storage_status status = STORAGE_OK;

    pthread_mutex_lock(&store->mutex);
    while (store->resizing && status == STORAGE_OK) {
        if (!wait_until(&store->moved, &store->mutex, call->deadline)) {
            status = late(call, "the map to grow");
        }
    }
    if (status == STORAGE_OK && store->broken) {
        status = say(call->error, STORAGE_UNAVAILABLE, MDB_PANIC,
                     "LMDB gave this store up; it is opened anew");
    }
    if (status == STORAGE_OK) {
        store->active++;
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static void leave(struct call *call)
{
    struct store *store = call->store;

    pthread_mutex_lock(&store->mutex);
    store->active--;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mutex);
}

/* Another process has made the map larger (and this one takes its size), or this one has to. */
static enum storage_status resize(struct call *call, bool grow)
{
    struct store *store = call->store;
    MDB_envinfo info;
    size_t size = 0;
    bool waited = true;
    int code = 0;

    pthread_mutex_lock(&store->mutex);
    while (store->resizing && waited) {
        waited = wait_until(&store->moved, &store->mutex, call->deadline);
    }
    if (!waited) {
        pthread_mutex_unlock(&store->mutex);
        return late(call, "the map to grow");
    }
    store->resizing = true; /* from here on nobody enters */
    while (store->active > 0 && waited) {
        waited = wait_until(&store->moved, &store->mutex, call->deadline);
    }
    if (waited) {
        mdb_env_info(store->env, &info);
        if (grow) {
            size = info.me_mapsize > SIZE_MAX / 2 ? info.me_mapsize : info.me_mapsize * 2;
        }
        code = mdb_env_set_mapsize(store->env, size);
        store->broken = store->broken || code != 0; /* it may have no map at all now */
    }
    store->resizing = false;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mutex);
    return waited ? meaning(call->error, code, "the map cannot grow")
                  : late(call, "those who read, to let the map grow");
}

/* What is certain when a commit fails: without room nothing was written that counts; else pages or
 * the root of the tree may have reached the disk or not. */
static enum storage_status commit(struct call *call)
{
    int code = mdb_txn_commit(call->txn);

    call->txn = NULL;
    switch (code) {
    case 0:
        return STORAGE_OK;
    case MDB_MAP_FULL:
    case MDB_BAD_TXN:
    case MDB_TXN_FULL:
    case ENOMEM:
    case ENOSPC:
        return result(call, code, "the commit was refused");
    default:
        given_up(call, code);
        return say(call->error, STORAGE_UNCERTAIN, code, "the commit failed: %s",
                   mdb_strerror(code));
    }
}

static enum storage_status attempt(struct call *call, bool write, call_work *work, void *argument,
                                   bool *resized)
{
    int code = mdb_txn_begin(call->store->env, NULL, write ? 0u : MDB_RDONLY, &call->txn);

    *resized = code == MDB_MAP_RESIZED;
    if (code == MDB_PANIC) {
        return given_up(call, code);
    }
    if (code == MDB_READERS_FULL) { /* of processes that were killed, maybe: for the next call */
        mdb_reader_check(call->store->env, NULL);
    }
    if (code != 0) {
        return meaning(call->error, code, "no transaction could begin");
    }

    enum storage_status status = call->opening ? STORAGE_OK : mark_read(call);

    if (status == STORAGE_OK && !call->opening &&
        call->catalog->generation != call->mark.generation) {
        status = catalog_read(call);
    }
    if (status == STORAGE_OK) {
        status = work(call, argument);
    }
    if (write && status == STORAGE_OK) {
        status = commit(call);
    } else {
        mdb_txn_abort(call->txn);
    }
    call->txn = NULL;
    return status;
}

static enum storage_status again(struct call *call, bool write, call_work *work, void *argument)
{
    for (;;) {
        bool resized = false;
        enum storage_status status = enter(call);

        if (status != STORAGE_OK) {
            return status;
        }
        call->full = false;
        status = attempt(call, write, work, argument, &resized);
        leave(call);
        if (!resized && !call->full) {
            return status;
        }
        status = resize(call, call->full);
        if (status != STORAGE_OK) {
            return status;
        }
    }
}

enum storage_status call_read(struct call *call, call_work *work, void *argument)
{
    return again(call, false, work, argument);
}

/* One writer: first among this process's threads, then among the processes. */
enum storage_status call_write(struct call *call, call_work *work, void *argument)
{
    struct store *store = call->store;
    enum storage_status status = STORAGE_OK;

    if (call->host->read_only) {
        return say(call->error, STORAGE_DENIED, 0, "the store is open for reading only");
    }
    if (store->refused) {
        return say(call->error, STORAGE_DENIED, 0, "%.180s may only be read by this user",
                   store->path);
    }
    pthread_mutex_lock(&store->mutex);
    while (store->writing && status == STORAGE_OK) {
        if (!wait_until(&store->moved, &store->mutex, call->deadline)) {
            status = late(call, "those who write");
        }
    }
    if (status == STORAGE_OK) {
        store->writing = true;
    }
    pthread_mutex_unlock(&store->mutex);
    if (status != STORAGE_OK) {
        return status;
    }

    if (call->locked || folder_lock(store->folder, call->deadline)) {
        status = again(call, true, work, argument);
        if (!call->locked) {
            folder_unlock(store->folder);
        }
    } else {
        status = late(call, "another process that writes");
    }
    pthread_mutex_lock(&store->mutex);
    store->writing = false;
    pthread_cond_broadcast(&store->moved);
    pthread_mutex_unlock(&store->mutex);
    return status;
}
