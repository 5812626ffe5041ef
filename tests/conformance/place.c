/*
 * place.c: loads a driver by its file, names stores, and takes URLs apart.
 *
 * The URL is parsed here once more, in the plainest way, so that the suite runs against any driver
 * without the core.
 */
#include "suite.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARAMETERS_MAX 16

/* --- Loading ---------------------------------------------------------------------------------- */

/* "dir/NAME.so" is the driver NAME. */
static bool symbol_of(const char *file, char *symbol, size_t size)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    size_t length = strcspn(name, ".");
    int written = snprintf(symbol, size, "storage_driver_%.*s", (int)length, name);

    return length > 0 && written > 0 && (size_t)written < size;
}

bool place_load(struct place *place, const char *file, const char *url)
{
    char symbol[128];
    void *library;

    if (!symbol_of(file, symbol, sizeof symbol)) {
        (void)fprintf(stderr, "conformance: %s is no driver's file name\n", file);
        return false;
    }
    library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)fprintf(stderr, "conformance: %s\n", dlerror());
        return false;
    }
    place->driver = dlsym(library, symbol);
    if (place->driver == NULL || place->driver->abi != STORAGE_ABI) {
        (void)fprintf(stderr, "conformance: %s has no %s of ABI %u\n", file, symbol, STORAGE_ABI);
        return false;
    }
    place->url = url;
    return true;
}

/* Runs MONGREY_STORE_COMMAND with `make NAME` or `drop NAME`: for databases that no driver makes. */
static void order(const char *what, const char *name)
{
    const char *program = getenv("MONGREY_STORE_COMMAND");
    char *const arguments[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)what,
                               (char *)(uintptr_t)name, NULL};
    pid_t child;
    int status = -1;

    if (program == NULL) {
        return;
    }
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0) {
        fail_msg("%s %s %s: status %d", program, what, name, status);
    }
}

void place_name_store(const struct place *place, char *url, size_t size)
{
    static atomic_uint named;
    const char *blank = strstr(place->url, "%s");
    char name[64];
    int written;

    if (blank == NULL) {
        written = snprintf(url, size, "%s", place->url);
        assert_in_range(written, 1, size - 1);
        return;
    }
    (void)snprintf(name, sizeof name, "c%ld_%u", (long)getpid(), atomic_fetch_add(&named, 1));
    written =
        snprintf(url, size, "%.*s%s%s", (int)(blank - place->url), place->url, name, blank + 2);
    assert_in_range(written, 1, size - 1);
    order("make", name);
}

void place_drop_store(const struct place *place, const char *url)
{
    const char *blank = strstr(place->url, "%s");
    char name[64];

    if (blank != NULL) {
        const char *begin = url + (blank - place->url);
        size_t size = strlen(begin) - strlen(blank + 2);
        (void)snprintf(name, sizeof name, "%.*s", (int)size, begin);
        order("drop", name);
    }
}

/* --- Taking apart ----------------------------------------------------------------------------- */

/* The parts point into `buffer`, which is the URL cut to pieces. */
struct place_parts {
    char buffer[1024];
    struct storage_parameter parameters[PARAMETERS_MAX];
    struct storage_url url;
};

static int hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);

    if (found == NULL) {
        return -1;
    }
    return found - digits < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

/* Replaces %XX in place. */
static void decode(char *text)
{
    char *to = text;

    while (*text != '\0') {
        int high = *text == '%' ? hex_digit(text[1]) : -1;
        int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low >= 0) {
            *to++ = (char)(high * 16 + low);
            text += 3;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

/* Ends the text at the first `mark` and returns what follows it, or NULL if there is none. */
static char *cut(char *text, char mark)
{
    char *found = strchr(text, mark);

    if (found == NULL) {
        return NULL;
    }
    *found = '\0';
    return found + 1;
}

static void read_parameters(struct place_parts *parts, char *text)
{
    while (text != NULL && *text != '\0' && parts->url.parameters_count < PARAMETERS_MAX) {
        struct storage_parameter *parameter = &parts->parameters[parts->url.parameters_count++];
        char *next = cut(text, '&');
        char *value = cut(text, '=');
        if (value == NULL) {
            value = text + strlen(text);
        }
        decode(text);
        decode(value);
        *parameter = (struct storage_parameter){text, value};
        text = next;
    }
    parts->url.parameters = parts->parameters;
}

static void read_authority(struct place_parts *parts, char *text)
{
    char *at = strrchr(text, '@');
    char *password;

    parts->url.hosts = text;
    if (at == NULL) {
        return;
    }
    *at = '\0';
    parts->url.hosts = at + 1;
    password = cut(text, ':');
    decode(text);
    parts->url.user = text;
    if (password != NULL) {
        decode(password);
        parts->url.password = password;
    }
}

/* SCHEME://[USER[:PASSWORD]@]HOSTS/PATH[?NAME=VALUE&...] */
static bool take_apart(struct place_parts *parts, const char *url)
{
    int written = snprintf(parts->buffer, sizeof parts->buffer, "%s", url);
    char *authority = strstr(parts->buffer, "://");
    char *path;

    parts->url = (struct storage_url){
        .text = url, .scheme = parts->buffer, .user = "", .password = "", .path = ""};
    if (written < 0 || (size_t)written >= sizeof parts->buffer || authority == NULL) {
        return false;
    }
    *authority = '\0';
    authority += 3;
    read_parameters(parts, cut(authority, '?'));
    path = cut(authority, '/');
    if (path != NULL) {
        decode(path);
        parts->url.path = path;
    }
    read_authority(parts, authority);
    return true;
}

enum storage_status place_open(const struct place *place, const struct storage_host *host,
                               const char *url, struct storage_db **db, struct storage_error *error)
{
    struct place_parts parts;

    if (!take_apart(&parts, url)) {
        (void)snprintf(error->text, sizeof error->text, "the suite cannot read the URL");
        return STORAGE_INVALID;
    }
    return place->driver->open(host, &parts.url, db, error);
}
