/*
 * bulk.c: how many new keys a second a store takes: GREY of absent keys, in batches, on N sessions.
 *
 *   bulk DRIVER.so URL ROWS BATCH SESSIONS
 *
 * Prints rows/s. The database must be there; what it holds stays.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/url.h"
#include "include/storage.h"

#define SESSIONS_MAX 16
#define NOW INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const struct storage_field fields[] = {{"first_seen", STORAGE_TIME, STORAGE_INDEXED}};
static const struct storage_kind kind = {"greylist_entry", STORAGE_ENTRIES, fields, 1};

struct worker {
    pthread_t thread;
    struct storage_session *session;
    const struct storage_driver *driver;
    uint64_t seed;
    size_t rows;
    size_t batch;
    bool failed;
    struct storage_sighting sightings[STORAGE_BATCH_MAX];
    struct storage_reading readings[STORAGE_BATCH_MAX];
    char texts[STORAGE_BATCH_MAX][4][48];
    struct storage_row answers[STORAGE_BATCH_MAX];
};

static void log_line(void *context, enum storage_level level, const char *text)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int key_order(const void *a, const void *b)
{
    const struct storage_sighting *one = a;
    const struct storage_sighting *other = b;
    return memcmp(one->key.bytes, other->key.bytes, STORAGE_KEY_SIZE);
}

static struct storage_text reading(const char *terminated)
{
    return (struct storage_text){terminated, strlen(terminated)};
}

static void make_batch(struct worker *w, int64_t now)
{
    for (size_t i = 0; i < w->batch; i++) {
        uint64_t a = next(&w->seed);
        uint64_t b = next(&w->seed);
        char(*t)[48] = w->texts[i];
        snprintf(t[0], sizeof(t[0]), "%u.%u.%u.%u", (unsigned)(a & 255), (unsigned)(a >> 8 & 255),
                 (unsigned)(a >> 16 & 255), (unsigned)(b & 255));
        snprintf(t[1], sizeof(t[1]), "mail%u.example.com", (unsigned)(a & 0xffff));
        snprintf(t[2], sizeof(t[2]), "sender%u@example.org", (unsigned)(b & 0xfffff));
        snprintf(t[3], sizeof(t[3]), "user%u@example.net", (unsigned)(b >> 32 & 0xffff));
        w->readings[i] = (struct storage_reading){.client_address = reading(t[0]),
                                                  .client_name = reading(t[1]),
                                                  .helo_name = reading(t[1]),
                                                  .sender = reading(t[2]),
                                                  .recipient = reading(t[3])};
        w->sightings[i] = (struct storage_sighting){.op = STORAGE_GREY,
                                                    .count = 1,
                                                    .now = now + (int64_t)i,
                                                    .delay = 60000,
                                                    .window = 2 * DAY,
                                                    .keep = 30 * DAY,
                                                    .reading = &w->readings[i]};
        memcpy(w->sightings[i].key.bytes, &a, 8);
        memcpy(w->sightings[i].key.bytes + 8, &b, 8);
    }
    qsort(w->sightings, w->batch, sizeof(w->sightings[0]), key_order);
}

static void *work(void *context)
{
    struct worker *w = context;
    struct storage_error error = {.native = 0};
    for (size_t done = 0; done < w->rows; done += w->batch) {
        make_batch(w, NOW + (int64_t)done);
        if (w->driver->observe(w->session, w->sightings, w->batch, w->answers, &error) !=
            STORAGE_OK) {
            fprintf(stderr, "bulk: %s\n", error.text);
            w->failed = true;
            return NULL;
        }
    }
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const struct storage_driver *load(const char *file)
{
    char symbol[128];
    const char *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    snprintf(symbol, sizeof(symbol), "storage_driver_%.*s", (int)strcspn(name, "."), name);
    return library != NULL ? dlsym(library, symbol) : NULL;
}

static bool run(struct worker *workers, size_t count, size_t rows)
{
    bool failed = false;
    double began = seconds();
    for (size_t i = 0; i < count; i++)
        failed |= pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0;
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        failed |= workers[i].failed;
    }
    printf("%.0f rows/s\n", (double)rows / (seconds() - began));
    return !failed;
}

int main(int argc, char **argv)
{
    static struct url u;
    static struct storage_parameter parameters[URL_PARAMETERS_MAX];
    const char *why = NULL;
    struct storage_db *db = NULL;
    struct storage_error error = {.native = 0};
    struct storage_host host = {.abi = STORAGE_ABI,
                                .size = sizeof(host),
                                .kinds = &kind,
                                .kinds_count = 1,
                                .connect_timeout = 10000,
                                .call_timeout = 60000,
                                .log = log_line};
    const struct storage_driver *driver = argc == 6 ? load(argv[1]) : NULL;
    size_t rows = argc == 6 ? strtoul(argv[3], NULL, 10) : 0;
    size_t batch = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
    size_t count = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;
    struct arena arena = arena_make(65536);
    if (driver == NULL || batch < 1 || batch > STORAGE_BATCH_MAX || count < 1 ||
        count > SESSIONS_MAX ||
        !url_parse(&arena, (struct text){argv[2], strlen(argv[2])}, &u, &why)) {
        fprintf(stderr, "usage: bulk DRIVER.so URL ROWS BATCH SESSIONS\n");
        return 2;
    }
    for (size_t i = 0; i < u.parameters_count; i++)
        parameters[i] = (struct storage_parameter){u.parameters[i].name, u.parameters[i].value};
    struct storage_url url = {u.text,  u.scheme, u.user,     u.password,
                              u.hosts, u.path,   parameters, u.parameters_count};
    struct worker *workers = calloc(count, sizeof(*workers));
    bool well = workers != NULL && driver->open(&host, &url, &db, &error) == STORAGE_OK;
    for (size_t i = 0; well && i < count; i++) {
        workers[i].driver = driver;
        workers[i].rows = rows / count;
        workers[i].batch = batch;
        workers[i].seed = ((uint64_t)time(NULL) << 20 ^ (uint64_t)clock()) * 2 + i * 7919 + 1;
        well = driver->attach(db, &workers[i].session, &error) == STORAGE_OK;
    }
    if (!well)
        fprintf(stderr, "bulk: %s\n", error.text);
    well = well && run(workers, count, rows / count * count);
    for (size_t i = 0; workers != NULL && i < count; i++)
        driver->detach(workers[i].session);
    driver->close(db);
    free(workers);
    arena_free(&arena);
    return well ? 0 : 1;
}
