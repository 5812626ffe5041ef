/* update.c: see update.h. */
#include "core/data/update.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/data/batch.h"
#include "core/data/fixtures.h"
#include "core/data/merge.h"
#include "core/store/walk.h"

#define ARENA_MAX ((size_t)1024 * 1024 * 1024)
/* A content that is longer is kept as its hash: it is only ever compared. */
#define CONTENT_MAX 16384
#define SLUG_SIZE (2 * HASH_KEY_SIZE)

/* What the store has of a record, or the base of one: beside its item, at the same place. */
struct known {
    char id[STORAGE_ID_MAX + 1];
    int64_t version;
    int64_t created;
};

/* One of theirs. */
struct incoming {
    enum kind kind;
    unsigned line;
    struct storage_value *values;
};

struct side {
    struct merge_item *items;
    size_t count;
    size_t room;
};

struct update {
    struct store_line *line;
    struct text source;
    update_say *say;
    void *context;
    struct arena arena;
    char *scratch;
    struct side theirs;
    struct side ours;
    struct side base;
    struct incoming *incoming; /* by theirs' `at` */
    size_t incoming_room;
    struct known *ours_known;
    struct known *base_known;
    bool kinds[KINDS]; /* that the file or the base have */
    bool memory;       /* there was enough */
    enum kind loading;
    struct merge_line *plan;
    size_t plan_count;
    enum storage_status *done; /* of each line of the plan */
    struct update_tally *tally;
    struct batch batch;
};

static struct text keep(struct update *u, struct text t)
{
    const char *copy = arena_copy(&u->arena, t);
    return (struct text){copy, copy == NULL ? 0 : t.size};
}

struct update *update_make(struct store_line *line, struct text source, update_say *say,
                           void *context)
{
    if (source.size > STORAGE_INDEXED_MAX || !text_is_printable(source)) {
        say(context, 0, "the file's path is longer than 700 bytes, or cannot be printed");
        return NULL;
    }
    struct update *u = calloc(1, sizeof(*u));
    char *scratch = malloc(FIXTURES_RECORD_MAX);
    if (u == NULL || scratch == NULL) {
        say(context, 0, "out of memory");
        free(scratch);
        free(u);
        return NULL;
    }
    u->line = line;
    u->say = say;
    u->context = context;
    u->arena = arena_make(ARENA_MAX);
    u->scratch = scratch;
    u->memory = true;
    u->source = keep(u, source);
    if (u->source.data != NULL)
        return u;
    update_free(u);
    return NULL;
}

void update_free(struct update *u)
{
    if (u == NULL)
        return;
    arena_free(&u->arena);
    free(u->scratch);
    free(u->theirs.items);
    free(u->ours.items);
    free(u->base.items);
    free(u->incoming);
    free(u->ours_known);
    free(u->base_known);
    free(u->plan);
    free(u->done);
    free(u);
}

struct arena *update_arena(struct update *u)
{
    return &u->arena;
}

struct text update_source(const struct update *u)
{
    return u->source;
}

static bool out_of_memory(struct update *u)
{
    if (u->memory)
        u->say(u->context, 0, "out of memory");
    u->memory = false;
    return false;
}

/* Room for one item more; *beside has as many of `size` bytes. */
static bool grow(struct side *side, void **beside, size_t size)
{
    if (side->count < side->room)
        return true;
    size_t room = side->room == 0 ? 256 : side->room * 2;
    struct merge_item *items = realloc(side->items, room * sizeof(*items));
    if (items != NULL)
        side->items = items;
    void *more = realloc(*beside, room * size);
    if (more != NULL)
        *beside = more;
    if (items == NULL || more == NULL)
        return false;
    side->room = room;
    return true;
}

/* The kind first, so that the sides of all kinds are one. */
static struct text make_key(struct update *u, enum kind kind, struct text key)
{
    struct writer w = writer_on(u->scratch, FIXTURES_RECORD_MAX);
    write_format(&w, "%c", 'A' + (char)kind);
    write_text(&w, key);
    return keep(u, writer_text(&w));
}

static void write_hash(struct writer *w, struct text t)
{
    uint8_t key[HASH_KEY_SIZE];
    hash_key(t.data, t.size, key);
    for (size_t i = 0; i < sizeof(key); i++)
        write_format(w, "%02x", key[i]);
}

static struct text make_content(struct update *u, enum kind kind,
                                const struct storage_value *values)
{
    char memory[SLUG_SIZE + 8];
    struct writer w = writer_on(u->scratch, FIXTURES_RECORD_MAX);
    struct writer h = writer_on(memory, sizeof(memory));
    record_write_content(&w, kind, values);
    if (writer_text(&w).size <= CONTENT_MAX)
        return keep(u, writer_text(&w));
    write_literal(&h, "hash:");
    write_hash(&h, writer_text(&w));
    return keep(u, writer_text(&h));
}

static int64_t created_of(enum kind kind, const struct storage_value *values)
{
    size_t field;
    return record_find_field(kind, TEXT("created"), &field) ? values[field].integer : 0;
}

static bool add(struct update *u, struct side *side, struct text key, struct text content)
{
    if (key.data == NULL || content.data == NULL)
        return out_of_memory(u);
    side->items[side->count] = (struct merge_item){key, content, side->count};
    side->count++;
    return true;
}

bool update_take(struct update *u, enum kind kind, unsigned line,
                 const struct storage_value *values)
{
    size_t size = record_fields(kind) * sizeof(*values);
    struct storage_value *kept = arena_take(&u->arena, size);
    if (kept == NULL || !grow(&u->theirs, (void **)&u->incoming, sizeof(*u->incoming)))
        return out_of_memory(u);
    memcpy(kept, values, size);
    u->incoming[u->theirs.count] = (struct incoming){kind, line, kept};
    u->kinds[kind] = true;
    return add(u, &u->theirs, make_key(u, kind, record_key(kept)), make_content(u, kind, kept));
}

/* --- What the store has ------------------------------------------------------------------------- */

static bool take_ours(void *context, const struct storage_record *record)
{
    struct update *u = context;
    if (!grow(&u->ours, (void **)&u->ours_known, sizeof(*u->ours_known)))
        return out_of_memory(u);
    struct known *known = &u->ours_known[u->ours.count];
    known->version = record->version;
    known->created = created_of(u->loading, record->values);
    snprintf(known->id, sizeof(known->id), "%s", record->id);
    return add(u, &u->ours, make_key(u, u->loading, record_key(record->values)),
               make_content(u, u->loading, record->values));
}

static struct text text_at(const struct storage_value *values, size_t field)
{
    return (struct text){values[field].text.data, values[field].text.size};
}

static bool take_base(void *context, const struct storage_record *record)
{
    struct update *u = context;
    struct text name = text_at(record->values, IMPORTED_kind);
    for (size_t i = 0; i < FIXTURES_KINDS; i++) {
        enum kind kind = fixtures_kinds[i];
        if (!text_equal(name, text_of(record_kinds[kind].name)))
            continue;
        if (!grow(&u->base, (void **)&u->base_known, sizeof(*u->base_known)))
            return out_of_memory(u);
        struct known *known = &u->base_known[u->base.count];
        known->version = record->version;
        snprintf(known->id, sizeof(known->id), "%s", record->id);
        u->kinds[kind] = true;
        return add(u, &u->base, make_key(u, kind, text_at(record->values, IMPORTED_record)),
                   keep(u, text_at(record->values, IMPORTED_content)));
    }
    return true; /* a later version's */
}

static bool load(struct update *u, const struct storage_query *query, storage_each *each)
{
    struct storage_error error = {0, ""};
    enum storage_status status = store_walk(u->line, query, each, u, &error);
    if (status != STORAGE_OK)
        u->say(u->context, 0, error.text);
    return status == STORAGE_OK && u->memory;
}

static bool load_base(struct update *u)
{
    struct storage_condition condition = {
        .field = IMPORTED_source,
        .relation = STORAGE_EQ,
        .value = {.type = STORAGE_TEXT, .text = {u->source.data, u->source.size}},
    };
    struct storage_query query = {
        .kind = KIND_IMPORTED, .conditions = &condition, .conditions_count = 1};
    return load(u, &query, take_base);
}

static bool load_ours(struct update *u)
{
    for (size_t i = 0; i < FIXTURES_KINDS; i++) {
        u->loading = fixtures_kinds[i];
        struct storage_query query = {.kind = u->loading};
        if (u->kinds[u->loading] && !load(u, &query, take_ours))
            return false;
    }
    return true;
}

/* By key; of one key twice the first that came. */
static int compare(const void *a, const void *b)
{
    const struct merge_item *x = a;
    const struct merge_item *y = b;
    int order = merge_compare(x, y);
    return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

static void sort(struct side *side)
{
    size_t count = 0;
    if (side->count > 0)
        qsort(side->items, side->count, sizeof(*side->items), compare);
    for (size_t i = 0; i < side->count; i++) {
        if (count == 0 || merge_compare(&side->items[count - 1], &side->items[i]) != 0)
            side->items[count++] = side->items[i];
    }
    side->count = count;
}

static bool make_plan(struct update *u)
{
    size_t most = u->base.count + u->theirs.count;
    sort(&u->theirs);
    sort(&u->ours);
    sort(&u->base);
    u->plan = calloc(most + 1, sizeof(*u->plan));
    u->done = calloc(most + 1, sizeof(*u->done));
    if (u->plan == NULL || u->done == NULL)
        return out_of_memory(u);
    u->plan_count = merge_plan((struct merge_side){u->base.items, u->base.count},
                               (struct merge_side){u->theirs.items, u->theirs.count},
                               (struct merge_side){u->ours.items, u->ours.count}, u->plan);
    return true;
}

/* --- Carrying it out ---------------------------------------------------------------------------- */

static enum kind kind_of(const struct merge_line *l)
{
    const struct merge_item *item = l->theirs != NULL ? l->theirs : l->base;
    assert(item != NULL);
    return (enum kind)(item->key.data[0] - 'A');
}

/* Somebody was quicker than we: his edit stays, and the next merge sees it. */
static bool is_edited(enum storage_status status)
{
    return status == STORAGE_CONFLICT || status == STORAGE_EXISTS || status == STORAGE_NOT_FOUND;
}

static void told_record(void *context, size_t tag, enum storage_status status, const char *why)
{
    struct update *u = context;
    const struct merge_line *l = &u->plan[tag];
    u->done[tag] = status;
    if (status == STORAGE_OK) {
        u->tally->added += l->step == MERGE_ADD;
        u->tally->updated += l->step == MERGE_UPDATE;
        u->tally->removed += l->step == MERGE_REMOVE;
    } else if (is_edited(status)) {
        u->tally->kept++;
    } else {
        u->tally->failed++;
        u->say(u->context, l->theirs != NULL ? u->incoming[l->theirs->at].line : 0, why);
    }
}

/* What the file says now; when it was first entered stays. */
static const struct storage_value *updated_values(struct update *u, const struct merge_line *l)
{
    const struct incoming *in = &u->incoming[l->theirs->at];
    size_t field;
    if (l->ours != NULL && record_find_field(in->kind, TEXT("created"), &field))
        in->values[field].integer = u->ours_known[l->ours->at].created;
    return in->values;
}

/* Of a record that is here: another content, or (NULL) none. */
static void do_change(struct update *u, size_t i, const struct storage_value *values)
{
    const struct merge_line *l = &u->plan[i];
    assert(l->ours != NULL);
    const struct known *ours = &u->ours_known[l->ours->at];
    batch_add(&u->batch, kind_of(l), ours->id, ours->version, values, i);
}

static void do_step(struct update *u, size_t i, bool whole)
{
    const struct merge_line *l = &u->plan[i];
    switch (l->step) {
    case MERGE_ADD:
        batch_add(&u->batch, kind_of(l), NULL, 0, u->incoming[l->theirs->at].values, i);
        return;
    case MERGE_UPDATE:
        do_change(u, i, updated_values(u, l));
        return;
    case MERGE_REMOVE:
        if (whole)
            do_change(u, i, NULL);
        u->tally->held += !whole;
        return;
    case MERGE_KEPT:
        u->tally->kept++;
        return;
    case MERGE_DELETED:
        u->tally->deleted++;
        return;
    case MERGE_PRESENT:
        u->tally->present++;
        return;
    case MERGE_SAME:
    case MERGE_FORGOTTEN:
        return;
    }
}

static void told_base(void *context, size_t tag, enum storage_status status, const char *why)
{
    struct update *u = context;
    (void)tag;
    if (status != STORAGE_OK && status != STORAGE_NOT_FOUND) {
        u->tally->failed++;
        u->say(u->context, 0, why);
    }
}

static struct storage_value text_value(struct text t)
{
    return (struct storage_value){.type = STORAGE_TEXT, .text = {t.data, t.size}};
}

static const struct storage_value *base_values(struct update *u, const struct merge_line *l)
{
    const char *kind = record_kinds[kind_of(l)].name;
    struct text key = {l->theirs->key.data + 1, l->theirs->key.size - 1};
    struct storage_value *values = arena_take(&u->arena, IMPORTED_FIELDS * sizeof(*values));
    char memory[SLUG_SIZE];
    struct writer s = writer_on(memory, sizeof(memory));
    struct writer w = writer_on(u->scratch, FIXTURES_RECORD_MAX);
    if (values == NULL)
        return NULL;
    write_text(&w, u->source);
    write_bytes(&w, "", 1);
    write_bytes(&w, kind, strlen(kind) + 1);
    write_text(&w, key);
    write_hash(&s, writer_text(&w));
    values[IMPORTED_slug] = text_value(keep(u, writer_text(&s)));
    values[IMPORTED_source] = text_value(u->source);
    values[IMPORTED_kind] = text_value(text_of(kind));
    values[IMPORTED_record] = text_value(key);
    values[IMPORTED_content] = text_value(l->theirs->content);
    return values[IMPORTED_slug].text.data != NULL ? values : NULL;
}

static void do_base(struct update *u, size_t i, bool whole)
{
    const struct merge_line *l = &u->plan[i];
    const char *id = l->base != NULL ? u->base_known[l->base->at].id : NULL;
    /* What is only unread is not gone: the base goes on knowing it. */
    bool gone = l->after == MERGE_BASE_NONE && whole;
    if (u->done[i] != STORAGE_OK || (l->after != MERGE_BASE_THEIRS && !gone))
        return;
    const struct storage_value *values = gone ? NULL : base_values(u, l);
    if (!gone && values == NULL) {
        out_of_memory(u);
        return;
    }
    batch_add(&u->batch, KIND_IMPORTED, id, id == NULL ? 0 : STORAGE_ANY_VERSION, values, i);
}

bool update_run(struct update *u, bool whole, struct update_tally *tally)
{
    *tally = (struct update_tally){0};
    u->tally = tally;
    if (!u->memory || !load_base(u) || !load_ours(u) || !make_plan(u))
        return false;
    batch_start(&u->batch, u->line, told_record, u);
    for (size_t i = 0; i < u->plan_count; i++)
        do_step(u, i, whole);
    if (!batch_write(&u->batch))
        return false;
    u->batch.told = told_base;
    for (size_t i = 0; i < u->plan_count && u->memory; i++)
        do_base(u, i, whole);
    return batch_write(&u->batch) && u->memory && tally->failed == 0;
}
