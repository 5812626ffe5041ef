/* lists.c: see lists.h. */
#include "core/data/lists.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/data/file.h"
#include "core/data/recorded.h"
#include "core/data/saved.h"
#include "core/store/walk.h"

#define SCRATCH_MAX ((size_t)1 << 20)
#define AGAIN_MAX 3 /* times that the revision may move while it is read */
#define COMPLAINTS_MAX 10

/* One kind on its way into a snapshot. */
struct loading {
    struct snapshot *snapshot;
    enum kind kind;
    struct saved *saved;  /* NULL: nowhere */
    struct arena scratch; /* of the record */
    size_t bad;
    bool fits;
};

/* What is out of memory ends the load; all else only skips the record. */
static void complain(struct loading *l, const struct storage_record *r,
                     const struct recorded_fault *fault)
{
    if (fault->field == NULL)
        l->fits = false;
    else if (l->bad++ < COMPLAINTS_MAX)
        log_warning("%s %s does not count: %s: %s", record_kinds[l->kind].name, r->id, fault->field,
                    fault->why);
}

static void load_entry(struct loading *l, const struct storage_record *r)
{
    struct recorded_fault fault;
    struct list_entry entry;
    struct value v;
    if (recorded_entry(r, &l->scratch, &entry, &v, &fault))
        l->fits = snapshot_add_entry(
            l->snapshot, l->kind == KIND_BLACKLIST ? LIST_BLACK : LIST_WHITE, &entry, &v);
    else
        complain(l, r, &fault);
}

static void load_policy(struct loading *l, const struct storage_record *r)
{
    struct recorded_fault fault;
    struct policy p;
    if (recorded_policy(r, &l->scratch, &l->snapshot->arena, &p, &fault))
        l->fits = snapshot_add_policy(l->snapshot, &p);
    else
        complain(l, r, &fault);
}

static void load_domain(struct loading *l, const struct storage_record *r)
{
    struct recorded_fault fault;
    struct text name;
    if (recorded_domain(r, &l->scratch, &name, &fault))
        l->fits = snapshot_add_domain(l->snapshot, name);
    else
        complain(l, r, &fault);
}

static void load_network(struct loading *l, const struct storage_record *r)
{
    struct recorded_fault fault;
    struct network network;
    if (recorded_network(r, &network, &fault))
        l->fits = snapshot_add_network(l->snapshot, &network);
    else
        complain(l, r, &fault);
}

static bool load_record(void *context, const struct storage_record *r)
{
    struct loading *l = context;
    if (l->saved != NULL)
        saved_record(l->saved, r);
    switch (l->kind) {
    case KIND_WHITELIST:
    case KIND_BLACKLIST:
        load_entry(l, r);
        break;
    case KIND_POLICY:
        load_policy(l, r);
        break;
    case KIND_DOMAIN:
        load_domain(l, r);
        break;
    case KIND_MYNETWORK:
        load_network(l, r);
        break;
    default:
        break;
    }
    arena_free(&l->scratch);
    return l->fits;
}

static void end_kind(struct loading *l)
{
    if (l->bad > COMPLAINTS_MAX)
        log_warning("%s: %zu more records that do not count", record_kinds[l->kind].name,
                    l->bad - COMPLAINTS_MAX);
    l->bad = 0;
}

static enum storage_status load_kind(struct store_line *line, struct loading *l,
                                     struct storage_error *error)
{
    struct storage_query query = {.kind = l->kind};
    if (l->saved != NULL)
        saved_kind(l->saved, l->kind);
    enum storage_status status = store_walk(line, &query, load_record, l, error);
    end_kind(l);
    if (status == STORAGE_OK && !l->fits) {
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        return STORAGE_UNAVAILABLE;
    }
    return status;
}

static enum storage_status load_all(struct store_line *line, struct snapshot *s,
                                    struct saved *saved, struct storage_error *error)
{
    static const enum kind kinds[] = {KIND_DOMAIN, KIND_MYNETWORK, KIND_POLICY, KIND_WHITELIST,
                                      KIND_BLACKLIST};
    struct loading l = {
        .snapshot = s, .saved = saved, .scratch = arena_make(SCRATCH_MAX), .fits = true};
    enum storage_status status = store_revision(line, &s->revision, error);
    for (size_t i = 0; status == STORAGE_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        l.kind = kinds[i];
        status = load_kind(line, &l, error);
    }
    return status;
}

/* Lists that could not be saved are in force none the less. */
static void keep(struct saved *saved, struct lists_place *place)
{
    char why[160];
    bool fine = saved_keep(saved, why, sizeof(why));
    if (!fine && !place->complained)
        log_warning("the lists cannot be saved in %s: %s", place->path, why);
    place->complained = !fine;
}

static struct snapshot *done(struct snapshot *s, enum storage_status status, struct saved *saved,
                             struct lists_place *place, struct storage_error *error)
{
    if (status == STORAGE_OK && snapshot_seal(s)) {
        s->loaded = true;
        if (saved != NULL)
            keep(saved, place);
        return s;
    }
    if (status == STORAGE_OK)
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
    saved_drop(saved);
    snapshot_release(s);
    return NULL;
}

struct snapshot *lists_load(struct store_line *line, struct lists_place *place,
                            enum storage_status *status, struct storage_error *error)
{
    struct snapshot *s = NULL;
    struct saved *saved = NULL;
    uint64_t revision = 0;
    for (int i = 0; i < AGAIN_MAX; i++) {
        snapshot_release(s);
        saved_drop(saved);
        s = snapshot_make();
        *status = STORAGE_UNAVAILABLE;
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        if (s == NULL)
            return NULL;
        saved = place == NULL ? NULL : saved_start(place->path, place->store, clock_wall());
        *status = load_all(line, s, saved, error);
        if (*status == STORAGE_OK)
            *status = store_revision(line, &revision, error);
        /* Each page is a view of its own: what changed in between is read again. */
        if (*status != STORAGE_OK || revision == s->revision)
            break;
    }
    return done(s, *status, saved, place, error);
}

/* --- From a file ---------------------------------------------------------------------------------- */

static bool load_saved(void *context, enum kind kind, const struct storage_record *r)
{
    struct loading *l = context;
    if (l->kind != kind)
        end_kind(l);
    l->kind = kind;
    return load_record(l, r);
}

/* Of a pipe or a device one would wait for ever. */
static char *read_file(const char *path, size_t *size, char *why, size_t why_size)
{
    struct stat s;
    if (stat(path, &s) == 0 && !S_ISREG(s.st_mode)) {
        snprintf(why, why_size, "is no regular file");
        return NULL;
    }
    return file_read(path, SAVED_MAX, size, why, why_size);
}

struct snapshot *lists_load_saved(const struct lists_place *place)
{
    char why[160];
    size_t size;
    struct stat there;
    if (stat(place->path, &there) != 0 && errno == ENOENT)
        return NULL;
    char *memory = read_file(place->path, &size, why, sizeof(why));
    struct snapshot *s = memory != NULL ? snapshot_make() : NULL;
    struct loading l = {.snapshot = s, .scratch = arena_make(SCRATCH_MAX), .fits = true};
    bool fine = s != NULL && saved_read(memory, size, place->store, load_saved, &l, &s->saved_at,
                                        why, sizeof(why));
    end_kind(&l);
    if (memory != NULL && s == NULL)
        snprintf(why, sizeof(why), "out of memory");
    free(memory);
    if (fine && snapshot_seal(s)) {
        s->loaded = true;
        s->saved_at += s->saved_at == 0; /* 1970: any time says that they are from a file */
        return s;
    }
    log_warning("the saved lists in %s are not taken: %s", place->path,
                fine ? "out of memory" : why);
    snapshot_release(s);
    return NULL;
}
