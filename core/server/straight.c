/* straight.c: see straight.h. */
#include "core/server/straight.h"

#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/data/hits.h"
#include "core/data/lists.h"
#include "core/policy/greylist.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"
#include "core/server/exits.h"

#define REFRESH_INTERVAL 1000 /* ms */

/* The lists as they are in the store, looked at once a second at most. Those before stay where it
 * does not answer. */
static void refresh(struct straight *s)
{
    struct storage_error error = {0, ""};
    enum storage_status status;
    uint64_t revision = 0;
    int64_t now = clock_steady();
    if (s->absent || (s->looked_at != 0 && now - s->looked_at < REFRESH_INTERVAL))
        return;
    s->looked_at = now;
    status = store_revision(&s->line, &revision, &error);
    if (status == STORAGE_OK && s->snapshot->loaded && s->snapshot->revision == revision)
        return;
    struct snapshot *fresh =
        status == STORAGE_OK ? lists_load(&s->line, NULL, &status, &error) : NULL;
    if (fresh == NULL) {
        log_error("the lists were not read: %s", error.text);
        return;
    }
    snapshot_release(s->snapshot);
    s->snapshot = fresh;
}

int straight_start(struct straight *s, struct settings *settings, bool look)
{
    struct storage_error error = {0, ""};
    struct store_options options = {
        .url = settings->db_url,
        .driver_path = settings->driver_path,
        .call_timeout = 2000,
        .read_only = look,
    };
    memset(s, 0, sizeof(*s));
    s->settings = settings;
    s->look = look;
    id_start(&s->ids);
    if (gethostname(s->host, sizeof(s->host) - 1) != 0)
        memcpy(s->host, "localhost", sizeof("localhost"));
    s->store = store_make(&options, &error);
    if (s->store == NULL) {
        log_error("%s", error.text);
        return EXIT_CONFIG;
    }
    store_line_start(&s->line, s->store);
    s->snapshot = snapshot_make();
    if (s->snapshot == NULL || !snapshot_seal(s->snapshot)) {
        log_error("out of memory");
        return EXIT_FAILED;
    }
    enum storage_status status = store_open(s->store, &error);
    if (status == STORAGE_OK) {
        refresh(s);
        return EXIT_FINE;
    }
    if (look && status == STORAGE_UNAVAILABLE) {
        log_warning("store %s: %s; everybody is new", store_masked(s->store), error.text);
        s->absent = true;
        return EXIT_FINE;
    }
    log_error("store %s: %s", store_masked(s->store), error.text);
    bool config = status == STORAGE_INVALID || status == STORAGE_SCHEMA || status == STORAGE_DENIED;
    return config ? EXIT_CONFIG : EXIT_FAILED;
}

void straight_end(struct straight *s)
{
    snapshot_release(s->snapshot);
    store_line_end(&s->line);
    store_free(s->store);
    s->store = NULL;
}

/* A row as a first sight makes it. */
static void be_new(struct inquiry *q)
{
    q->status = STORAGE_OK;
    q->row = (struct storage_row){.first_seen = q->request.now, .tries = 1};
}

static void tell_hit(void *context, const struct storage_sighting *hit)
{
    struct straight *s = context;
    struct storage_error error;
    struct storage_row row;
    store_observe(&s->line, hit, 1, &row, clock_steady() + s->settings->request_timeout, &error);
}

void straight_decide(struct straight *s, struct inquiry *q)
{
    char memory[GREYLIST_READING_MAX];
    struct storage_reading reading;
    struct storage_error error;
    refresh(s);
    q->settings = s->settings;
    q->snapshot = s->snapshot;
    q->instances = &s->instances;
    q->host = s->host;
    q->costs = s->costs;
    prepare(&q->request, clock_wall(), s->settings->test_clock, s->canonical);
    id_make(&s->ids, clock_wall(), q->verdict.id);
    bool decided = pipeline_run(q);
    while (!decided && s->absent) {
        be_new(q);
        decided = pipeline_resume(q);
    }
    while (!decided) {
        uint64_t before = clock_nanoseconds();
        greylist_read(q, memory, &reading);
        q->sighting.reading = &reading;
        q->sighting.look = s->look;
        q->status = store_observe(&s->line, &q->sighting, 1, &q->row,
                                  clock_steady() + s->settings->request_timeout, &error);
        if (s->costs != NULL)
            s->costs[q->cursor] += clock_nanoseconds() - before;
        decided = pipeline_resume(q);
    }
    if (!s->look && !s->absent)
        hits_take(s->snapshot, tell_hit, s);
}
