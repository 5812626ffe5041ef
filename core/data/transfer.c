/* transfer.c: see transfer.h. */
#include "core/data/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/batch.h"
#include "core/data/fixtures.h"
#include "core/data/keys.h"
#include "core/data/present.h"

#define PAGE 500
#define DIFFERING_MOST 20 /* that are told of one by one */
#define IMPORT_ARENA_MAX ((size_t)64 * 1024 * 1024)

struct import {
    struct batch batch;
    struct arena arena;
    struct keys *there; /* of the kind at hand; NULL until one of them was there already */
    enum kind kind;
    bool replace; /* what is there and differs */
    size_t differing;
    const char *name;
    struct transfer_tally *tally;
    transfer_say *say;
    void *context;
};

static void count_error(struct import *im, unsigned line, const char *what)
{
    char text[900];
    snprintf(text, sizeof(text), "%s:%u: %s", im->name, line, what);
    im->tally->entries++;
    im->tally->error++;
    im->say(im->context, true, text);
}

/* Nothing of the reader's lies in the arena any more: all of it goes once what waits is written. */
static bool sweep(struct import *im, size_t most)
{
    if (im->arena.used <= most)
        return true;
    bool there = batch_write(&im->batch);
    arena_free(&im->arena);
    return there;
}

static void refused(void *context, unsigned line, const char *what)
{
    count_error(context, line, what);
    (void)sweep(context, IMPORT_ARENA_MAX / 4);
}

/* The tag is the line. */
static void told(void *context, size_t tag, enum storage_status status, const char *why)
{
    struct import *im = context;
    if (status == STORAGE_OK) {
        im->tally->success++;
    } else if (status == STORAGE_EXISTS) {
        im->tally->warn++; /* somebody else was quicker */
    } else {
        im->tally->entries--;
        count_error(im, (unsigned)tag, why);
    }
}

/* What the store had before this file. */
static bool is_there(struct import *im, enum kind kind, struct text key)
{
    if (im->there == NULL || im->kind != kind) {
        keys_free(im->there);
        im->there = keys_load(im->batch.line, kind);
        im->kind = kind;
    }
    return im->there != NULL && keys_have(im->there, key);
}

static void say_differs(struct import *im, enum kind kind, unsigned line, struct text key)
{
    char text[900];
    struct writer w = writer_on(text, sizeof(text));
    if (++im->differing > DIFFERING_MOST)
        return;
    write_format(&w, "%s:%u: %s ", im->name, line, record_kinds[kind].name);
    write_escaped(&w, key, "", 200);
    write_literal(&w, " is there already, and differs: it stays as it is (--replace)");
    im->say(im->context, false, writer_end(&w));
}

/* True: it is to be written over `present`. */
static bool is_to_replace(struct import *im, enum kind kind, unsigned line,
                          const struct storage_value *values, struct present *present)
{
    enum presence presence = present_compare(im->batch.line, kind, values, present);
    if (presence == PRESENT_DIFFERS && im->replace)
        return true;
    if (presence == PRESENT_DIFFERS)
        say_differs(im, kind, line, record_key(values));
    im->tally->entries++;
    im->tally->warn++;
    return false;
}

static bool take_record(void *context, enum kind kind, unsigned line,
                        const struct storage_value *values)
{
    struct import *im = context;
    size_t size = record_fields(kind) * sizeof(*values);
    struct present present;
    bool there = is_there(im, kind, record_key(values));
    if (there && !is_to_replace(im, kind, line, values, &present))
        return sweep(im, IMPORT_ARENA_MAX / 4);
    struct storage_value *kept = arena_take(&im->arena, size);
    if (kept == NULL) {
        count_error(im, line, "out of memory");
        return true;
    }
    memcpy(kept, values, size);
    im->tally->entries++;
    batch_add(&im->batch, kind, there ? present.id : NULL, there ? present.version : 0, kept, line);
    return sweep(im, im->batch.count == BATCH_MAX ? 0 : IMPORT_ARENA_MAX / 4) && !im->batch.lost;
}

bool transfer_import(struct store_line *line, struct text file, const char *name, int64_t now,
                     bool replace, struct transfer_tally *tally, transfer_say *say, void *context)
{
    struct import *im = calloc(1, sizeof(*im));
    *tally = (struct transfer_tally){0};
    if (im == NULL) {
        say(context, true, "out of memory");
        return false;
    }
    im->arena = arena_make(IMPORT_ARENA_MAX);
    im->name = name;
    im->replace = replace;
    im->tally = tally;
    im->say = say;
    im->context = context;
    batch_start(&im->batch, line, told, im);
    struct fixtures_sink sink = {
        .record = take_record, .refused = refused, .context = im, .arena = &im->arena};
    bool fine = fixtures_read(file, now, &sink);
    fine = batch_write(&im->batch) && fine && tally->error == 0;
    if (im->differing > DIFFERING_MOST) {
        char text[64];
        snprintf(text, sizeof(text), "%zu more differ", im->differing - DIFFERING_MOST);
        say(context, false, text);
    }
    keys_free(im->there);
    arena_free(&im->arena);
    free(im);
    return fine;
}

/* --- Export ------------------------------------------------------------------------------------- */

/* Where a page ended. */
struct mark {
    char id[STORAGE_ID_MAX + 1];
    char key[STORAGE_INDEXED_MAX];
    size_t key_size;
};

struct outgoing {
    FILE *out;
    char *memory;
    enum kind kind;
    size_t records;
    size_t page; /* records of this page */
    bool fine;
    struct mark last;
};

static void put(struct outgoing *ex, const struct writer *w)
{
    struct text t = writer_text(w);
    ex->fine = ex->fine && !w->full && fwrite(t.data, 1, t.size, ex->out) == t.size;
}

static bool put_record(void *context, const struct storage_record *record)
{
    struct outgoing *ex = context;
    struct writer w = writer_on(ex->memory, FIXTURES_RECORD_MAX);
    struct text key = record_key(record->values);
    if (ex->records == 0 && ex->page == 0)
        fixtures_write_kind(&w, ex->kind);
    fixtures_write_record(&w, ex->kind, record->values);
    put(ex, &w);
    struct mark *last = &ex->last;
    snprintf(last->id, sizeof(last->id), "%s", record->id);
    last->key_size = key.size < sizeof(last->key) ? key.size : sizeof(last->key);
    if (last->key_size > 0)
        memcpy(last->key, key.data, last->key_size);
    ex->page++;
    return ex->fine;
}

static enum storage_status put_kind(struct store_line *line, struct outgoing *ex,
                                    struct storage_error *error)
{
    enum storage_status status;
    ex->records = 0;
    do {
        struct storage_query query = {.kind = ex->kind, .order = 0, .limit = PAGE};
        struct mark from = ex->last; /* lent to the driver while the records move the other */
        if (ex->records > 0) {
            query.after_id = from.id;
            query.after_value =
                (struct storage_value){.type = STORAGE_TEXT, .text = {from.key, from.key_size}};
        }
        ex->page = 0;
        status = store_search(line, &query, put_record, ex, error);
        ex->records += ex->page;
    } while (status == STORAGE_OK && ex->fine && ex->page == PAGE);
    return status;
}

bool transfer_export(struct store_line *line, FILE *out, size_t *records,
                     struct storage_error *error)
{
    struct outgoing *ex = calloc(1, sizeof(*ex));
    char *memory = malloc(FIXTURES_RECORD_MAX);
    enum storage_status status = STORAGE_OK;
    bool fine = ex != NULL && memory != NULL;
    snprintf(error->text, sizeof(error->text), "out of memory");
    *records = 0;
    errno = 0;
    if (fine) {
        struct writer w = writer_on(memory, FIXTURES_RECORD_MAX);
        *ex = (struct outgoing){.out = out, .memory = memory, .fine = true};
        fixtures_write_head(&w);
        put(ex, &w);
    }
    for (size_t i = 0; fine && i < FIXTURES_KINDS; i++) {
        ex->kind = fixtures_kinds[i];
        status = put_kind(line, ex, error);
        *records += ex->records;
        fine = status == STORAGE_OK && ex->fine;
    }
    if (!fine && status == STORAGE_OK && ex != NULL && memory != NULL)
        snprintf(error->text, sizeof(error->text), "cannot write: %s",
                 errno != 0 ? strerror(errno) : "a record is too long");
    free(memory);
    free(ex);
    return fine;
}
