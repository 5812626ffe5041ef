/* lists.c: see lists.h. */
#include "core/data/lists.h"

#include <stdio.h>

#include "core/base/log.h"
#include "core/data/recorded.h"
#include "core/store/walk.h"

#define SCRATCH_MAX ((size_t)1 << 20)
#define AGAIN_MAX 3 /* times that the revision may move while it is read */
#define COMPLAINTS_MAX 10

/* One kind on its way into a snapshot. */
struct loading {
    struct snapshot *snapshot;
    enum kind kind;
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

static enum storage_status load_kind(struct store_line *line, struct snapshot *s, enum kind kind,
                                     struct storage_error *error)
{
    struct loading l = {
        .snapshot = s, .kind = kind, .scratch = arena_make(SCRATCH_MAX), .fits = true};
    struct storage_query query = {.kind = kind};
    enum storage_status status = store_walk(line, &query, load_record, &l, error);
    if (l.bad > COMPLAINTS_MAX)
        log_warning("%s: %zu more records that do not count", record_kinds[kind].name,
                    l.bad - COMPLAINTS_MAX);
    if (status == STORAGE_OK && !l.fits) {
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        return STORAGE_UNAVAILABLE;
    }
    return status;
}

static enum storage_status load_all(struct store_line *line, struct snapshot *s,
                                    struct storage_error *error)
{
    static const enum kind kinds[] = {KIND_DOMAIN, KIND_MYNETWORK, KIND_POLICY, KIND_WHITELIST,
                                      KIND_BLACKLIST};
    enum storage_status status = store_revision(line, &s->revision, error);
    for (size_t i = 0; status == STORAGE_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        status = load_kind(line, s, kinds[i], error);
    return status;
}

struct snapshot *lists_load(struct store_line *line, enum storage_status *status,
                            struct storage_error *error)
{
    struct snapshot *s = NULL;
    uint64_t revision = 0;
    for (int i = 0; i < AGAIN_MAX; i++) {
        snapshot_release(s);
        s = snapshot_make();
        *status = STORAGE_UNAVAILABLE;
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
        if (s == NULL)
            return NULL;
        *status = load_all(line, s, error);
        if (*status == STORAGE_OK)
            *status = store_revision(line, &revision, error);
        /* Each page is a view of its own: what changed in between is read again. */
        if (*status != STORAGE_OK || revision == s->revision)
            break;
    }
    if (*status == STORAGE_OK && snapshot_seal(s)) {
        s->loaded = true;
        return s;
    }
    if (*status == STORAGE_OK)
        snprintf(error->text, sizeof(error->text), "out of memory for the lists");
    snapshot_release(s);
    return NULL;
}
