/*
 * fill.c: fills a store with greylist rows through its driver, and measures it at that size.
 *
 *   fill --drivers DIR --url URL --rows N [--batch N] [--measure N] [--pages] [--beside CALL]
 *
 * --rows: that many are there in the end; what is there already is kept, so a larger size goes on
 * from a smaller one. --measure: N batches of known keys, then of new ones. --pages: what the
 * greylist's page asks. --beside tally, purge or pages: a second session does that all the time
 * while --measure runs. A quarter of the rows come a second time and pass.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/pages.h"
#include "bench/rows.h"
#include "bench/samples.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/records.h"
#include "core/store/store.h"

#define TIMEOUT 600000 /* ms: what is slow is to be measured, not refused */
#define REPORT 1000000 /* rows */

struct bench {
    const char *drivers;
    const char *url;
    const char *beside;
    uint64_t rows;
    uint64_t measure;
    size_t batch;
    uint32_t timeout;
    bool pages;
    struct store *store;
    struct store_line line;
    uint64_t count; /* rows in the store */
};

struct batch {
    size_t count;
    struct storage_sighting sightings[STORAGE_BATCH_MAX];
    struct row_texts texts[STORAGE_BATCH_MAX];
    struct storage_row rows[STORAGE_BATCH_MAX];
};

static int stop(const char *what, const struct storage_error *error)
{
    fprintf(stderr, "fill: %s: %s\n", what, error->text);
    exit(1);
}

static void add(struct batch *b, uint64_t number, int64_t now, int64_t delay)
{
    struct storage_sighting *s = &b->sightings[b->count];
    struct row_texts *t = &b->texts[b->count];
    *s = (struct storage_sighting){
        .op = STORAGE_GREY,
        .count = 1,
        .now = now,
        .delay = delay,
        .window = ROWS_WINDOW,
        .keep = ROWS_KEEP,
        .reading = &t->reading,
    };
    rows_key(number, &s->key);
    rows_read(number, t);
    b->count++;
}

static int by_key(const void *a, const void *b)
{
    const struct storage_sighting *x = a;
    const struct storage_sighting *y = b;
    return memcmp(x->key.bytes, y->key.bytes, STORAGE_KEY_SIZE);
}

/* Returns ns. */
static uint64_t observe(struct bench *bench, struct batch *b)
{
    struct storage_error error = {0, ""};
    qsort(b->sightings, b->count, sizeof(b->sightings[0]), by_key);
    uint64_t began = clock_nanoseconds();
    enum storage_status status = store_observe(&bench->line, b->sightings, b->count, b->rows,
                                               clock_steady() + TIMEOUT, &error);
    uint64_t took = clock_nanoseconds() - began;
    if (status != STORAGE_OK)
        stop("observe", &error);
    b->count = 0;
    return took;
}

static void fill(struct bench *bench, struct batch *b)
{
    uint64_t from = bench->count;
    uint64_t began = clock_nanoseconds();
    uint64_t last = began;
    size_t fresh = STORAGE_BATCH_MAX * 4 / 5;
    while (bench->count < bench->rows) {
        uint64_t first = bench->count;
        uint64_t end = first + fresh < bench->rows ? first + fresh : bench->rows;
        int64_t now = rows_time(end);
        for (uint64_t n = first; n < end; n++)
            add(b, n, rows_time(n), ROWS_WINDOW);
        for (uint64_t n = first > fresh ? first - fresh : first; n < first; n += 4)
            add(b, n, now, 0);
        observe(bench, b);
        bench->count = end;
        if (end / REPORT != first / REPORT) {
            uint64_t t = clock_nanoseconds();
            printf("%llu rows, %.0f new rows/s of late\n", (unsigned long long)end,
                   REPORT / ((double)(t - last) / 1e9));
            fflush(stdout);
            last = t;
        }
    }
    if (bench->count > from)
        printf("filled %llu rows, %.0f new rows/s\n", (unsigned long long)(bench->count - from),
               (double)(bench->count - from) / ((double)(clock_nanoseconds() - began) / 1e9));
}

static void known_batch(struct bench *bench, struct batch *b, uint64_t number)
{
    /* A stride that is prime to nearly every count: no row twice in a batch. */
    uint64_t start = rows_mix(number) % bench->count;
    uint64_t stride = bench->count / bench->batch;
    stride = stride == 0 ? 1 : stride;
    for (size_t i = 0; i < bench->batch && i < bench->count; i++)
        add(b, (start + i * stride) % bench->count, rows_time(bench->count), ROWS_WINDOW);
}

static void new_batch(struct bench *bench, struct batch *b)
{
    for (size_t i = 0; i < bench->batch; i++, bench->count++)
        add(b, bench->count, rows_time(bench->count), ROWS_WINDOW);
}

static void measure_one(struct bench *bench, struct batch *b, const char *what, bool known)
{
    struct samples *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return;
    for (uint64_t i = 0; i < bench->measure; i++) {
        if (known)
            known_batch(bench, b, i);
        else
            new_batch(bench, b);
        samples_add(s, observe(bench, b));
    }
    printf("%s, batches of %zu: ", what, bench->batch);
    samples_print(s);
    printf(", %.0f rows/s\n", (double)(bench->measure * bench->batch) / ((double)s->sum / 1e9));
    free(s);
}

/* --- What goes on beside it ------------------------------------------------------------------- */

struct beside {
    struct bench *bench;
    uint64_t count; /* rows when it began */
    atomic_bool over;
    struct samples samples;
    uint64_t failed;
    enum storage_status status;
};

static enum storage_status beside_step(struct beside *beside, struct store_line *line)
{
    struct storage_error error;
    struct storage_tally tally;
    size_t removed;
    int64_t now = rows_time(beside->count);
    if (strcmp(beside->bench->beside, "tally") == 0)
        return store_tally(line, now - 86400000, now - 3600000, &tally, &error);
    if (strcmp(beside->bench->beside, "purge") == 0)
        return store_purge(line, now + ROWS_KEEP / 2, 1000, &removed, &error);
    return pages_once(line, beside->count, &error);
}

static void *beside_run(void *argument)
{
    struct beside *beside = argument;
    struct store_line line;
    store_line_start(&line, beside->bench->store);
    while (!atomic_load(&beside->over)) {
        uint64_t began = clock_nanoseconds();
        enum storage_status status = beside_step(beside, &line);
        samples_add(&beside->samples, clock_nanoseconds() - began);
        if (status != STORAGE_OK) {
            beside->failed++;
            beside->status = status;
        }
    }
    store_line_end(&line);
    return NULL;
}

static void measure(struct bench *bench, struct batch *b)
{
    pthread_t thread;
    struct beside *beside = calloc(1, sizeof(*beside));
    bool started = false;
    if (beside == NULL)
        return;
    beside->bench = bench;
    beside->count = bench->count;
    if (bench->beside != NULL)
        started = pthread_create(&thread, NULL, beside_run, beside) == 0;
    measure_one(bench, b, "known", true);
    measure_one(bench, b, "new", false);
    atomic_store(&beside->over, true);
    if (started) {
        pthread_join(thread, NULL);
        printf("%s beside them, %zu times: ", bench->beside, beside->samples.count);
        samples_print(&beside->samples);
        printf(", %llu failed (%s)\n", (unsigned long long)beside->failed,
               store_status_word(beside->status));
    }
    free(beside);
}

/* --- Around it -------------------------------------------------------------------------------- */

static void print_size(const struct bench *bench)
{
    static const char scheme[] = "sqlite:///";
    struct stat s;
    if (strncmp(bench->url, scheme, sizeof(scheme) - 1) != 0 ||
        stat(bench->url + sizeof(scheme) - 1, &s) != 0)
        return;
    printf("file: %.1f MB, %.1f bytes a row\n", (double)s.st_size / 1e6,
           (double)s.st_size / (double)bench->count);
}

static bool read_options(struct bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--pages") == 0) {
            bench->pages = true;
            continue;
        }
        if (strcmp(argv[i], "--drivers") == 0)
            bench->drivers = value;
        else if (strcmp(argv[i], "--url") == 0)
            bench->url = value;
        else if (strcmp(argv[i], "--rows") == 0)
            bench->rows = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--batch") == 0)
            bench->batch = strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--measure") == 0)
            bench->measure = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--timeout") == 0)
            bench->timeout = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--beside") == 0)
            bench->beside = value;
        else
            return false;
        i++;
    }
    return bench->url != NULL && bench->batch >= 1 && bench->batch <= STORAGE_BATCH_MAX;
}

static void run(struct bench *bench)
{
    struct storage_error error = {0, ""};
    struct storage_tally tally;
    struct batch *b = calloc(1, sizeof(*b));
    uint64_t began = clock_nanoseconds();
    if (b == NULL || store_open(bench->store, &error) != STORAGE_OK)
        stop("open", &error);
    printf("opened in %.1f ms\n", (double)(clock_nanoseconds() - began) / 1e6);
    store_line_start(&bench->line, bench->store);
    began = clock_nanoseconds();
    if (store_tally(&bench->line, 0, 0, &tally, &error) != STORAGE_OK)
        stop("tally", &error);
    bench->count = (uint64_t)tally.entries;
    printf("%llu rows are there; tally of all: %.1f ms\n", (unsigned long long)bench->count,
           (double)(clock_nanoseconds() - began) / 1e6);
    fill(bench, b);
    if (bench->measure > 0 && bench->count > 0)
        measure(bench, b);
    if (bench->pages && bench->count > 0)
        pages_measure(&bench->line, bench->count);
    store_line_end(&bench->line);
    free(b);
}

int main(int argc, char **argv)
{
    struct bench bench = {.drivers = "build/drivers", .batch = 64, .timeout = TIMEOUT};
    struct storage_error error = {0, ""};
    if (!read_options(&bench, argc, argv)) {
        fprintf(stderr,
                "usage: %s --drivers DIR --url URL --rows N [--batch N] [--measure N]"
                " [--pages] [--beside tally|purge|pages] [--timeout MS]\n",
                argv[0]);
        return 2;
    }
    const struct store_options options = {
        .url = text_of(bench.url),
        .driver_path = text_of(bench.drivers),
        .call_timeout = bench.timeout,
    };
    bench.store = store_make(&options, &error);
    if (bench.store == NULL)
        stop("store", &error);
    run(&bench);
    store_free(bench.store);
    print_size(&bench);
    return 0;
}
