/* gather.c: see gather.h. */
#include "core/lint/gather.h"

#include <stdio.h>

#include "core/data/fixtures.h"
#include "core/store/walk.h"

/* Domains and networks before what is held against them is only for the reader: the order in which
 * findings come. */
static const enum kind kinds[] = {KIND_DOMAIN,    KIND_MAILBOX,   KIND_MYNETWORK,
                                  KIND_BLACKLIST, KIND_WHITELIST, KIND_POLICY};

struct gathering {
    struct lint *lint;
    enum kind kind;
    bool fits;
    struct arena arena; /* of a file's records */
};

static bool take(void *context, const struct storage_record *r)
{
    struct gathering *g = context;
    g->fits = lint_take(g->lint, g->kind, r, 0);
    return g->fits;
}

enum storage_status gather_store(struct lint *l, struct store_line *line,
                                 struct storage_error *error)
{
    struct gathering g = {.lint = l, .fits = true};
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; status == STORAGE_OK && g.fits && i < sizeof(kinds) / sizeof(kinds[0]);
         i++) {
        g.kind = kinds[i];
        struct storage_query query = {.kind = g.kind};
        status = store_walk(line, &query, take, &g, error);
    }
    if (status == STORAGE_OK && !g.fits) {
        snprintf(error->text, sizeof(error->text), "out of memory for the records");
        return STORAGE_INVALID;
    }
    if (status == STORAGE_OK)
        lint_taken_all(l);
    return status;
}

static bool take_from_file(void *context, enum kind kind, unsigned line,
                           const struct storage_value *values)
{
    struct gathering *g = context;
    struct storage_record r = {.id = "", .version = 1, .values = values};
    g->fits = lint_take(g->lint, kind, &r, line);
    arena_free(&g->arena);
    return g->fits;
}

static void refused(void *context, unsigned line, const char *what)
{
    struct gathering *g = context;
    lint_refused(g->lint, line, what);
    arena_free(&g->arena);
}

bool gather_file(struct lint *l, struct text file, const char *name, int64_t now)
{
    struct gathering g = {.lint = l, .fits = true, .arena = arena_make((size_t)64 << 20)};
    struct fixtures_sink sink = {take_from_file, refused, &g, &g.arena};
    lint_from_file(l, name);
    (void)fixtures_read(file, now, &sink);
    arena_free(&g.arena);
    lint_taken_all(l);
    return g.fits;
}
