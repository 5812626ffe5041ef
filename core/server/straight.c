/* straight.c: see straight.h. */
#include "core/server/straight.h"

#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/policy/greylist.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"
#include "core/server/exits.h"

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
    enum storage_status status = store_open(s->store, &error);
    if (status == STORAGE_OK)
        return EXIT_FINE;
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

void straight_decide(struct straight *s, struct inquiry *q)
{
    char memory[GREYLIST_READING_MAX];
    struct storage_reading reading;
    struct storage_error error;
    q->settings = s->settings;
    q->instances = &s->instances;
    q->host = s->host;
    prepare(&q->request, clock_wall(), s->settings->test_clock);
    bool decided = pipeline_run(q);
    while (!decided && s->absent) {
        be_new(q);
        decided = pipeline_resume(q);
    }
    while (!decided) {
        greylist_read(q, memory, &reading);
        q->sighting.reading = &reading;
        q->sighting.look = s->look;
        q->status = store_observe(&s->line, &q->sighting, 1, &q->row,
                                  clock_steady() + s->settings->request_timeout, &error);
        decided = pipeline_resume(q);
    }
    id_make(&s->ids, clock_wall(), q->verdict.id);
}
