/* way.h: a request's way through the checks as the unit tests make it, without a store: the test says
 * what the store would have answered. */
#ifndef MONGREY_WAY_H
#define MONGREY_WAY_H

#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/base/hash.h"
#include "core/policy/instances.h"
#include "core/policy/pipeline.h"
#include "core/policy/prepare.h"

#define T0 INT64_C(1700000000000)

struct way {
    struct settings *settings;
    struct instances instances;
    struct snapshot *snapshot; /* the test seals it */
    struct arena arena;
    struct inquiry q;
    char text[2048];
    char canonical[PREPARE_MEMORY_MAX];
};

static inline int way_start(void **state)
{
    struct way *way = calloc(1, sizeof(*way));
    *state = way;
    if (way == NULL || !hash_start())
        return -1;
    way->arena = arena_make(1 << 20);
    way->snapshot = snapshot_make();
    return way->snapshot != NULL ? 0 : -1;
}

static inline int way_stop(void **state)
{
    struct way *way = *state;
    settings_release(way->settings);
    snapshot_release(way->snapshot);
    arena_free(&way->arena);
    free(way);
    return 0;
}

static inline void way_set(struct way *way, const char *file)
{
    struct settings_sources sources = {0};
    struct settings_error error;
    settings_release(way->settings);
    way->settings = settings_load_text(&sources, text_of(file), "m.yml", &error);
    if (way->settings == NULL)
        fail_msg("%s", error.text);
}

/* True: decided without the store. Every byte that the caller does not set is rubbish, as on the stack
 * of a busy daemon. */
static inline bool way_run(struct way *way, const char *lines, int64_t now)
{
    struct writer w = writer_on(way->text, sizeof(way->text));
    const char *why = "";
    if (way->settings == NULL)
        way_set(way, "");
    write_literal(&w, "request=smtpd_access_policy\n");
    write_literal(&w, lines);
    write_literal(&w, "\n");
    memset(&way->q, 0xa5, sizeof(way->q));
    assert_true(request_parse(writer_text(&w), &way->q.request, &why));
    prepare(&way->q.request, now, false, way->canonical);
    way->q.settings = way->settings;
    way->q.snapshot = way->snapshot;
    way->q.instances = &way->instances;
    way->q.host = "mx.example";
    way->q.costs = NULL;
    memcpy(way->q.verdict.id, "0123456789abc", sizeof("0123456789abc"));
    return pipeline_run(&way->q);
}

#endif
