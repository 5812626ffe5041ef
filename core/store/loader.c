/* loader.c: see loader.h. */
#include "core/store/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MONGREY_DRIVER_DIR
#define MONGREY_DRIVER_DIR "/usr/lib/mongrey/drivers"
#endif

#define PATH_SIZE 4096

/* Schemes, the driver for each, and the package that holds it. */
static const struct {
    const char *scheme;
    const char *driver;
    const char *package;
} known[] = {
    {"sqlite", "sqlite", "mongrey-server-sqlite"},
    {"postgresql", "pgsql", "mongrey-server-pgsql"},
    {"postgres", "pgsql", "mongrey-server-pgsql"},
    {"pgsql", "pgsql", "mongrey-server-pgsql"},
    {"mysql", "mysql", "mongrey-server-mysql"},
    {"mariadb", "mysql", "mongrey-server-mysql"},
    {"mongodb", "mongo", "mongrey-server-mongo"},
    {"mongodb+srv", "mongo", "mongrey-server-mongo"},
    {NULL, NULL, NULL},
};

/* As it is installed, seen from the program in sbin/, wherever that tree stands. */
#define INSTALLED_BESIDE "/../lib/mongrey/drivers"

static const void *fail(struct storage_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const void *fail(struct storage_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    return NULL;
}

/* A third party's driver is named like its scheme. */
static bool find_name(const char *scheme, const char **driver, const char **package)
{
    *package = NULL;
    for (size_t i = 0; known[i].scheme != NULL; i++) {
        if (strcmp(known[i].scheme, scheme) == 0) {
            *driver = known[i].driver;
            *package = known[i].package;
            return true;
        }
    }
    *driver = scheme;
    return strspn(scheme, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(scheme) &&
           strlen(scheme) <= 32;
}

/* Where drivers are, and who else than root and the running user may own them. */
static void find_folder(struct text wanted, char folder[PATH_SIZE], uid_t *owner)
{
    char program[PATH_SIZE];
    struct stat s;
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    *owner = geteuid();
    if (size > 0) {
        program[size] = '\0';
        if (stat(program, &s) == 0)
            *owner = s.st_uid;
    }
    if (wanted.size > 0) {
        snprintf(folder, PATH_SIZE, "%.*s", (int)wanted.size, wanted.data);
        return;
    }
    char *slash = size > 0 ? strrchr(program, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
        static const char *const places[] = {"/drivers", INSTALLED_BESIDE};
        for (size_t i = 0; i < 2; i++) {
            int length = snprintf(folder, PATH_SIZE, "%s%s", program, places[i]);
            if (length > 0 && length < PATH_SIZE && stat(folder, &s) == 0 && S_ISDIR(s.st_mode))
                return;
        }
    }
    snprintf(folder, PATH_SIZE, "%s", MONGREY_DRIVER_DIR);
}

/* NULL: nothing is wrong with it. */
static const char *distrust(const struct stat *s, uid_t owner)
{
    if (s->st_uid != 0 && s->st_uid != geteuid() && s->st_uid != owner)
        return "belongs to another user: it must be root's, this user's or the program's owner's";
    if ((s->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "may be written by its group or by others: chmod go-w";
    return NULL;
}

static bool check_file(const char *folder, const char *path, uid_t owner, const char *package,
                       struct storage_error *error)
{
    struct stat s;
    if (lstat(path, &s) != 0 && errno == ENOENT) {
        if (package == NULL)
            return fail(error,
                        "there is no driver %.120s; mongrey's own schemes are sqlite, postgresql, "
                        "mysql and mongodb",
                        path) != NULL;
        return fail(error, "there is no driver %.120s: is the package %s installed?", path,
                    package) != NULL;
    }
    if (lstat(path, &s) != 0)
        return fail(error, "%.180s: %s", path, strerror(errno)) != NULL;
    if (!S_ISREG(s.st_mode))
        return fail(error, "%.180s is not a regular file", path) != NULL;
    const char *why = distrust(&s, owner);
    if (why != NULL)
        return fail(error, "%.120s %s", path, why) != NULL;
    if (stat(folder, &s) != 0)
        return fail(error, "%.180s: %s", folder, strerror(errno)) != NULL;
    why = distrust(&s, owner);
    return why == NULL || fail(error, "the folder %.120s %s", folder, why) != NULL;
}

static bool has_scheme(const struct storage_driver *driver, const char *scheme)
{
    for (const char *const *s = driver->schemes; *s != NULL; s++) {
        if (strcmp(*s, scheme) == 0)
            return true;
    }
    return false;
}

static const struct storage_driver *open_file(const char *path, const char *name,
                                              struct storage_error *error)
{
    char symbol[64];
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return fail(error, "%.240s", dlerror());
    snprintf(symbol, sizeof(symbol), "storage_driver_%s", name);
    const struct storage_driver *driver = dlsym(library, symbol);
    if (driver == NULL)
        return fail(error, "%.160s is no storage driver: it has no %s", path, symbol);
    if (driver->abi != STORAGE_ABI)
        return fail(error,
                    "%.120s has storage ABI %u, this program needs %u: install both from one "
                    "version",
                    path, driver->abi, STORAGE_ABI);
    if (driver->size < sizeof(struct storage_driver) || strcmp(driver->name, name) != 0)
        return fail(error, "%.160s does not hold the driver %s that its name promises", path, name);
    if (driver->batch < 1 || driver->batch > STORAGE_BATCH_MAX)
        return fail(error, "%.160s asks for impossible batches", path);
    return driver;
}

const struct storage_driver *loader_load(const char *scheme, struct text folder,
                                         struct storage_error *error)
{
    char where[PATH_SIZE];
    char path[PATH_SIZE];
    const char *name;
    const char *package;
    uid_t owner;
    if (!find_name(scheme, &name, &package))
        return fail(error, "no driver has a scheme of such a form");
    find_folder(folder, where, &owner);
    int length = snprintf(path, sizeof(path), "%s/%s.so", where, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return fail(error, "the path of the driver folder is too long");
    if (!check_file(where, path, owner, package, error))
        return NULL;
    const struct storage_driver *driver = open_file(path, name, error);
    if (driver != NULL && !has_scheme(driver, scheme))
        return fail(error, "the driver %s does not know %s://", name, scheme);
    return driver;
}

void loader_list(struct text folder, void (*each)(void *context, const char *line), void *context)
{
    char line[512];
    for (size_t i = 0; known[i].scheme != NULL; i++) {
        struct storage_error error;
        if (i > 0 && strcmp(known[i].driver, known[i - 1].driver) == 0)
            continue;
        const struct storage_driver *driver = loader_load(known[i].scheme, folder, &error);
        if (driver != NULL)
            snprintf(line, sizeof(line), "driver %s (%s)", driver->name, driver->library());
        else
            snprintf(line, sizeof(line), "no driver %s: %s", known[i].driver, error.text);
        each(context, line);
    }
}
