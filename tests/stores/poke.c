/*
 * poke.c: a driver by hand, for tests of faults. Any driver, any URL.
 *
 *   poke DRIVER.so URL CONNECT_MS CALL_MS [ro]
 *
 * Reads a command a line, answers each with one line: STATUS MILLISECONDS NUMBER TEXT.
 *
 *   open | attach | detach | close     once each, in this order
 *   count KEY N      COUNT by N (0: only looks); NUMBER is the count
 *   batch KEY N      one observe(): COUNT by 1 of each of the N keys from KEY on; NUMBER is N
 *   grey KEY N       one observe(): GREY of N keys; NUMBER is how many of them are new
 *   put ID           a record of the kind `thing`, new or not
 *   search | revision | purge | tally
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/url.h"
#include "include/storage.h"

#define NOW INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const struct storage_field thing_fields[] = {
    {"label", STORAGE_TEXT, STORAGE_INDEXED},
    {"rank", STORAGE_INTEGER, 0},
};
static const struct storage_field entry_fields[] = {{"first_seen", STORAGE_TIME, STORAGE_INDEXED}};
static const struct storage_kind kinds[] = {
    {"greylist_entry", STORAGE_ENTRIES, entry_fields, 1},
    {"thing", 0, thing_fields, 2},
};

static const struct storage_driver *driver;
static struct storage_host host;
static struct storage_url url;
static struct storage_db *db;
static struct storage_session *session;
static struct storage_error error;
static struct storage_sighting sightings[STORAGE_BATCH_MAX];
static struct storage_row rows[STORAGE_BATCH_MAX];
static long long number;

static void log_line(void *context, enum storage_level level, const char *text)
{
    (void)context;
    fprintf(stderr, "log %d %s\n", (int)level, text);
}

static bool load(const char *file)
{
    char symbol[128];
    const char *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    snprintf(symbol, sizeof(symbol), "storage_driver_%.*s", (int)strcspn(name, "."), name);
    if (library == NULL) {
        fprintf(stderr, "poke: %s\n", dlerror());
        return false;
    }
    driver = dlsym(library, symbol);
    return driver != NULL && driver->abi == STORAGE_ABI;
}

static bool read_url(const char *text)
{
    static struct storage_parameter parameters[URL_PARAMETERS_MAX];
    static struct url parsed;
    const char *why = NULL;
    static struct arena arena; /* lives as long as the process */
    arena = arena_make(65536);
    if (!url_parse(&arena, (struct text){text, strlen(text)}, &parsed, &why)) {
        fprintf(stderr, "poke: the URL %s\n", why != NULL ? why : "?");
        return false;
    }
    for (size_t i = 0; i < parsed.parameters_count; i++)
        parameters[i] =
            (struct storage_parameter){parsed.parameters[i].name, parsed.parameters[i].value};
    url = (struct storage_url){parsed.text,  parsed.scheme, parsed.user, parsed.password,
                               parsed.hosts, parsed.path,   parameters,  parsed.parameters_count};
    return true;
}

static enum storage_status observe(enum storage_op op, uint32_t first, size_t count, uint32_t by)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t key = first + (uint32_t)i;
        sightings[i] = (struct storage_sighting){
            .op = op, .count = by, .now = NOW, .delay = 1000, .window = DAY, .keep = 30 * DAY};
        for (size_t k = 0; k < 4; k++)
            sightings[i].key.bytes[k] = (uint8_t)(key >> (24 - 8 * k));
    }
    return driver->observe(session, sightings, count, rows, &error);
}

static bool count_record(void *context, const struct storage_record *record)
{
    (void)context;
    (void)record;
    number++;
    return true;
}

static enum storage_status put(const char *id)
{
    struct storage_value values[2] = {{.type = STORAGE_NULL}, {.type = STORAGE_INTEGER}};
    struct storage_change change = {.id = id, .expected = STORAGE_ANY_VERSION, .values = values};
    enum storage_status status = driver->change(session, 1, &change, 1, &error);
    number = change.version;
    return status;
}

static enum storage_status do_observe(const char *word, const char *argument, unsigned long many)
{
    uint32_t key = (uint32_t)strtoul(argument, NULL, 10);
    if (strcmp(word, "count") == 0) {
        enum storage_status status = observe(STORAGE_COUNT, key, 1, (uint32_t)many);
        number = status == STORAGE_OK && rows[0].status == STORAGE_OK ? rows[0].count : 0;
        return status;
    }
    enum storage_status status =
        observe(strcmp(word, "grey") == 0 ? STORAGE_GREY : STORAGE_COUNT, key, many, 1);
    for (size_t i = 0; status == STORAGE_OK && i < many; i++)
        number += strcmp(word, "batch") == 0 || (rows[i].passes == 0 && rows[i].tries == 1);
    return status;
}

static enum storage_status obey(const char *word, const char *argument, unsigned long many)
{
    static const struct storage_query all = {.kind = 1, .order = STORAGE_BY_ID, .limit = 100000};
    struct storage_tally tally = {0};
    enum storage_status status = STORAGE_INVALID;
    uint64_t revision = 0;
    size_t removed = 0;
    if (strcmp(word, "open") == 0)
        return driver->open(&host, &url, &db, &error);
    if (strcmp(word, "attach") == 0 && db != NULL)
        return driver->attach(db, &session, &error);
    if (strcmp(word, "detach") == 0 || strcmp(word, "close") == 0) {
        driver->detach(session);
        session = NULL;
        if (word[0] == 'c') {
            driver->close(db);
            db = NULL;
        }
        return STORAGE_OK;
    }
    if (session == NULL) {
        snprintf(error.text, sizeof(error.text), "poke: not attached, or no such command");
        return STORAGE_INVALID;
    }
    if (strcmp(word, "put") == 0)
        return put(argument);
    if (strcmp(word, "search") == 0)
        return driver->search(session, &all, count_record, NULL, &error);
    if (strcmp(word, "revision") == 0) {
        status = driver->revision(session, &revision, &error);
        number = (long long)revision;
    } else if (strcmp(word, "purge") == 0) {
        status = driver->purge(session, NOW + 365 * DAY, 1000, &removed, &error);
        number = (long long)removed;
    } else if (strcmp(word, "tally") == 0) {
        status = driver->tally(session, 0, 0, &tally, &error);
        number = tally.entries;
    } else if (many <= STORAGE_BATCH_MAX || strcmp(word, "count") == 0) {
        status = do_observe(word, argument, many);
    }
    return status;
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    static const char *const words[] = {"OK",          "NOT_FOUND", "CONFLICT", "EXISTS", "BUSY",
                                        "UNAVAILABLE", "UNCERTAIN", "INVALID",  "SCHEMA", "DENIED"};
    char line[256];
    if (argc < 5 || !load(argv[1]) || !read_url(argv[2])) {
        fprintf(stderr, "usage: poke DRIVER.so URL CONNECT_MS CALL_MS [ro]\n");
        return 2;
    }
    host = (struct storage_host){.abi = STORAGE_ABI,
                                 .size = sizeof(host),
                                 .kinds = kinds,
                                 .kinds_count = 2,
                                 .connect_timeout = (uint32_t)strtoul(argv[3], NULL, 10),
                                 .call_timeout = (uint32_t)strtoul(argv[4], NULL, 10),
                                 .read_only = argc > 5,
                                 .log = log_line};
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char word[32] = "";
        char argument[64] = "";
        unsigned long many = 1;
        if (sscanf(line, "%31s %63s %lu", word, argument, &many) < 1)
            continue;
        memset(&error, 0, sizeof(error));
        number = 0;
        double began = milliseconds();
        enum storage_status status = obey(word, argument, many);
        printf("%s %.0f %lld %s\n", words[status], milliseconds() - began, number,
               status == STORAGE_OK ? "" : error.text);
        fflush(stdout);
    }
    return 0;
}
