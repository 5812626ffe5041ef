/* driver.c: the driver's name plate, opening a store, and what SQLite's codes mean here. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/sqlite/sqlite.h"

enum storage_status sqlite_refuse(struct storage_error *error, enum storage_status status,
                                  const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    error->native = 0;
    return status;
}

enum storage_status sqlite_status(sqlite3 *sqlite, int code, struct storage_error *error)
{
    const char *message = sqlite != NULL ? sqlite3_errmsg(sqlite) : sqlite3_errstr(code);
    error->native = code;
    snprintf(error->text, sizeof(error->text), "SQLite: %s (%d)", message, code);
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return STORAGE_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return STORAGE_BUSY;
    case SQLITE_INTERRUPT: /* by session_hurry() */
        snprintf(error->text, sizeof(error->text), "it took too long; ask for less at once");
        return STORAGE_BUSY;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return STORAGE_DENIED;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_SCHEMA:
        return STORAGE_SCHEMA;
    case SQLITE_CONSTRAINT: /* the id is taken, or else the value of a unique field */
        return code == SQLITE_CONSTRAINT_PRIMARYKEY ? STORAGE_CONFLICT : STORAGE_EXISTS;
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
        return STORAGE_INVALID;
    default: /* full disk, I/O error, no memory, no such folder: perhaps later */
        return STORAGE_UNAVAILABLE;
    }
}

void session_enter(struct storage_session *session)
{
    if (session->db->memory != NULL)
        pthread_mutex_lock(&session->db->lock);
}

enum storage_status session_leave(struct storage_session *session, enum storage_status status)
{
    if (session->db->memory != NULL)
        pthread_mutex_unlock(&session->db->lock);
    return status;
}

/* Whether the folder of a path is there. */
static bool has_folder(const char *path)
{
    char folder[4096];
    struct stat s;
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return true;
    int size = slash == path ? 1 : (int)(slash - path);
    int length = snprintf(folder, sizeof(folder), "%.*s", size, path);
    return length > 0 && (size_t)length < sizeof(folder) && stat(folder, &s) == 0 &&
           S_ISDIR(s.st_mode);
}

/* sqlite:///a/b.db is relative; but the old manual writes sqlite:///var/lib/... and means /var/lib.
 */
static char *choose_path(const struct storage_host *host, const char *path)
{
    char rooted[4096];
    char line[512];
    int length = snprintf(rooted, sizeof(rooted), "/%s", path);
    if (path[0] != '/' && !has_folder(path) && (size_t)length < sizeof(rooted) &&
        has_folder(rooted)) {
        snprintf(line, sizeof(line),
                 "sqlite:///%.200s: there is no such folder here; taking %.200s, which is written "
                 "sqlite:////...",
                 path, rooted);
        host->log(host->log_context, STORAGE_WARNING, line);
        return strdup(rooted);
    }
    return strdup(path);
}

static enum storage_status check_url(const struct storage_url *url, struct storage_error *error)
{
    if (url->hosts[0] != '\0' || url->user[0] != '\0' || url->password[0] != '\0')
        return sqlite_refuse(error, STORAGE_INVALID,
                             "an SQLite store has no host or user: write sqlite:///relative.db or "
                             "sqlite:////absolute.db");
    if (url->path[0] == '\0' || url->path[strlen(url->path) - 1] == '/')
        return sqlite_refuse(error, STORAGE_INVALID, "the URL names no file");
    if (url->parameters_count > 0)
        return sqlite_refuse(error, STORAGE_INVALID, "SQLite takes no parameters");
    return STORAGE_OK;
}

static enum storage_status refuse_file(const char *path, struct storage_error *error)
{
    bool refused = errno == EACCES || errno == EPERM || errno == EROFS || errno == EISDIR;
    return sqlite_refuse(error, refused ? STORAGE_DENIED : STORAGE_UNAVAILABLE,
                         "cannot open %.150s: %s", path, strerror(errno));
}

/* The file is made before SQLite does it: what mail passes by is not for everyone to read. It is made
 * beside its place and closed before it gets its name. */
static enum storage_status make_file(const char *path, struct storage_error *error)
{
    char fresh[4200];
    int length = snprintf(fresh, sizeof(fresh), "%s.%ld-%lx.new", path, (long)getpid(),
                          (unsigned long)pthread_self());
    errno = ENAMETOOLONG;
    int fd = length < 0 || (size_t)length >= sizeof(fresh)
                 ? -1
                 : open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 && errno == ENOENT)
        return sqlite_refuse(error, STORAGE_INVALID,
                             "cannot make %.120s: its folder is not there; make it first", path);
    if (fd < 0)
        return refuse_file(path, error);
    close(fd);
    bool named = link(fresh, path) == 0 || errno == EEXIST; /* another was quicker */
    int why = errno;
    /* A file system without links: who else makes it at the same moment would lose it. */
    if (!named && (why == EPERM || why == EOPNOTSUPP || why == ENOSYS))
        return rename(fresh, path) == 0 ? STORAGE_OK : refuse_file(path, error);
    unlink(fresh);
    errno = why;
    return named ? STORAGE_OK : refuse_file(path, error);
}

/* The file itself is never opened here: POSIX takes all locks of a process on a file away when any
 * descriptor of it is closed (fcntl(2)), also those that other sessions hold through SQLite, and another
 * process would then remove the write-ahead log under them. */
static enum storage_status look_at_file(const char *path, bool read_only,
                                        struct storage_error *error)
{
    struct stat s;
    if (stat(path, &s) != 0) {
        bool missing = errno == ENOENT;
        /* Not a link: another instance has just made the file. */
        if (missing && lstat(path, &s) == 0 && S_ISLNK(s.st_mode))
            return sqlite_refuse(error, STORAGE_DENIED,
                                 "%.150s is a link to a file that is not there", path);
        errno = missing ? ENOENT : errno;
        if (missing && !read_only)
            return make_file(path, error);
        return refuse_file(path, error);
    }
    if (!S_ISREG(s.st_mode))
        return sqlite_refuse(error, STORAGE_DENIED, "%.150s is no regular file", path);
    if (faccessat(AT_FDCWD, path, read_only ? R_OK : R_OK | W_OK, AT_EACCESS) != 0)
        return refuse_file(path, error);
    return STORAGE_OK;
}

/* A connection to a file that is there and has the schema. Each new session asks anew: the file may have
 * been removed, or replaced, since the last one. */
static enum storage_status reach(const struct storage_db *db, sqlite3 **sqlite,
                                 struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    if (db->path != NULL)
        status = look_at_file(db->path, db->host->read_only, error);
    if (status == STORAGE_OK)
        status = sqlite_connect(db, sqlite, error);
    if (status == STORAGE_OK)
        status = schema_upgrade(*sqlite, db->host, error);
    if (status != STORAGE_OK) {
        sqlite3_close(*sqlite);
        *sqlite = NULL;
    }
    return status;
}

static void db_close(struct storage_db *db)
{
    if (db == NULL)
        return;
    sqlite3_close(db->memory);
    pthread_mutex_destroy(&db->lock);
    free(db->path);
    free(db);
}

static enum storage_status db_open(const struct storage_host *host, const struct storage_url *url,
                                   struct storage_db **out, struct storage_error *error)
{
    sqlite3 *sqlite = NULL;
    enum storage_status status = check_url(url, error);
    if (status != STORAGE_OK)
        return status;
    struct storage_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return sqlite_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&db->lock, NULL);
    db->host = host;
    bool in_memory = strcmp(url->path, ":memory:") == 0;
    if (!in_memory) {
        db->path = choose_path(host, url->path);
        if (db->path == NULL)
            status = sqlite_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    }
    if (status == STORAGE_OK)
        status = reach(db, &sqlite, error);
    if (status == STORAGE_OK && in_memory)
        db->memory = sqlite;
    else
        sqlite3_close(sqlite);
    if (status == STORAGE_OK)
        *out = db;
    else
        db_close(db);
    return status;
}

static void db_detach(struct storage_session *session)
{
    if (session == NULL)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    if (session->db->memory == NULL)
        sqlite3_close(session->sqlite);
    free(session);
}

static enum storage_status db_attach(struct storage_db *db, struct storage_session **out,
                                     struct storage_error *error)
{
    enum storage_status status = STORAGE_OK;
    struct storage_session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return sqlite_refuse(error, STORAGE_UNAVAILABLE, "out of memory");
    session->db = db;
    session->sqlite = db->memory;
    if (db->memory == NULL)
        status = reach(db, &session->sqlite, error);
    session_enter(session);
    if (status == STORAGE_OK)
        status = session_prepare(session, error);
    session_leave(session, status);
    if (status == STORAGE_OK)
        *out = session;
    else
        db_detach(session);
    return status;
}

static const char *library(void)
{
    static char name[64];
    snprintf(name, sizeof(name), "SQLite %s", sqlite3_libversion());
    return name;
}

static const char *const schemes[] = {"sqlite", NULL};

extern const struct storage_driver storage_driver_sqlite;

const struct storage_driver storage_driver_sqlite = {
    .abi = STORAGE_ABI,
    .size = sizeof(struct storage_driver),
    .name = "sqlite",
    .schemes = schemes,
    .writers = 1,
    .batch = 256,
    .library = library,
    .open = db_open,
    .close = db_close,
    .attach = db_attach,
    .detach = db_detach,
    .observe = sqlite_observe,
    .change = sqlite_change,
    .search = sqlite_search,
    .revision = sqlite_revision,
    .purge = sqlite_purge,
    .tally = sqlite_tally,
};
