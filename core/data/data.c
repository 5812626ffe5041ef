/* data.c: see data.h. */
#include "core/data/data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/data/file.h"
#include "core/data/fixtures.h"
#include "core/data/listfile.h"
#include "core/data/lists.h"
#include "core/data/update.h"

/* One file on its way into the store. */
struct import {
    const char *path;
    struct update *update;
    int64_t now;
    size_t refused;
    size_t taken;
};

const char *data_find_fixtures(const char *named, const char *home, char *memory, size_t size)
{
    if (named != NULL && named[0] != '\0')
        return named;
    if (access(DATA_FIXTURES, F_OK) == 0)
        return DATA_FIXTURES;
    int length = home == NULL ? -1 : snprintf(memory, size, "%s/mongrey/server-fixtures.yml", home);
    bool fits = length > 0 && (size_t)length < size;
    return fits && access(memory, F_OK) == 0 ? memory : NULL;
}

static void refuse(void *context, unsigned line, const char *what)
{
    struct import *im = context;
    im->refused++;
    if (line > 0)
        log_error("%s:%u: %s", im->path, line, what);
    else
        log_error("%s: %s", im->path, what);
}

static void say_failed(void *context, unsigned line, const char *what)
{
    refuse(context, line, what);
    ((struct import *)context)->refused--; /* the tally has it */
}

/* Where a record came from is this file, whatever it says itself: by that a hand-made one that is
 * the same otherwise is told from it. */
static bool take_record(void *context, enum kind kind, unsigned line,
                        const struct storage_value *values)
{
    struct import *im = context;
    struct storage_value own[STORAGE_FIELDS_MAX];
    struct text source = update_source(im->update);
    size_t field;
    memcpy(own, values, record_fields(kind) * sizeof(*own));
    if (record_find_field(kind, TEXT("source"), &field))
        own[field] =
            (struct storage_value){.type = STORAGE_TEXT, .text = {source.data, source.size}};
    im->taken++;
    return update_take(im->update, kind, line, own);
}

static void take_entry(void *context, const struct listfile_entry *entry)
{
    struct import *im = context;
    struct text written[ENTRY_FIELDS] = {
        [ENTRY_field_name] = text_of(field_names[entry->field]),
        [ENTRY_value] = entry->value,
        [ENTRY_source] = update_source(im->update),
    };
    struct storage_value values[ENTRY_FIELDS];
    struct record_fault fault;
    if (entry->comments.size > 0)
        written[ENTRY_comments] = entry->comments;
    if (!record_make(KIND_WHITELIST, written, im->now, update_arena(im->update), values, &fault))
        refuse(im, entry->line, fault.text);
    else if (!update_take(im->update, KIND_WHITELIST, entry->line, values))
        im->refused++;
    im->taken++;
}

static void say_of_line(void *context, unsigned line, const char *what, bool refused)
{
    if (refused)
        refuse(context, line, what);
    else
        log_warning("%s:%u: %s", ((struct import *)context)->path, line, what);
}

static bool read_list(struct import *im, struct text file, bool recipients)
{
    struct listfile_sink sink = {
        .entry = take_entry, .said = say_of_line, .context = im, .arena = update_arena(im->update)};
    listfile_read(file, recipients, &sink);
    return im->refused == 0;
}

static bool read_fixtures(struct import *im, struct text file)
{
    struct fixtures_sink sink = {
        .record = take_record, .refused = refuse, .context = im, .arena = update_arena(im->update)};
    return fixtures_read(file, im->now, &sink);
}

static void report(const struct import *im, const struct update_tally *t)
{
    if (t->held > 0)
        log_warning("%s: %zu that the file has no more are kept until it can be read whole",
                    im->path, t->held);
    log_info("%s: %zu added, %zu removed, %zu updated, %zu kept because edited here, %zu stay "
             "deleted, %zu were here before, %zu refused",
             im->path, t->added, t->removed, t->updated, t->kept, t->deleted, t->present,
             im->refused + t->failed);
}

enum form { FORM_FIXTURES, FORM_CLIENTS, FORM_RECIPIENTS };

static bool merge(struct import *im, struct store_line *line, struct text file, enum form form)
{
    struct update_tally tally;
    im->update = update_make(line, text_of(im->path), say_failed, im);
    if (im->update == NULL)
        return false;
    bool whole = form == FORM_FIXTURES ? read_fixtures(im, file)
                                       : read_list(im, file, form == FORM_RECIPIENTS);
    /* A file that lost its content must not take the lists with it. */
    if (whole && im->taken == 0)
        log_warning("%s: there is no record in it, so nothing is removed", im->path);
    bool fine = update_run(im->update, whole && im->taken > 0, &tally);
    report(im, &tally);
    update_free(im->update);
    return fine && whole;
}

/* By its whole path, so that it is the same file the next time. */
static int import(struct store_line *line, const char *path, size_t most, enum form form,
                  int64_t now)
{
    char why[160];
    size_t size;
    char *absolute = realpath(path, NULL);
    if (absolute == NULL) {
        log_error("%s: %s", path, strerror(errno));
        return 1;
    }
    struct import im = {.path = absolute, .now = now};
    char *memory = file_read(absolute, most, &size, why, sizeof(why));
    bool fine = memory != NULL && merge(&im, line, (struct text){memory, size}, form);
    if (memory == NULL)
        log_error("%s: %s", absolute, why);
    free(memory);
    free(absolute);
    return fine ? 0 : 1;
}

int data_import_at_start(struct store_line *line, const char *path, int64_t now)
{
    return import(line, path, FIXTURES_FILE_MAX, FORM_FIXTURES, now);
}

struct snapshot *data_load(struct store_line *line, const char *fixtures, struct lists_place *place,
                           int64_t now, enum storage_status *status, struct storage_error *error)
{
    uint64_t revision;
    *status = store_revision(line, &revision, error);
    if (*status != STORAGE_OK)
        return NULL;
    if (fixtures != NULL)
        data_import_at_start(line, fixtures, now);
    return lists_load(line, place, status, error);
}

int data_import_list(struct store_line *line, const char *path, bool recipients, int64_t now)
{
    return import(line, path, LISTFILE_MAX, recipients ? FORM_RECIPIENTS : FORM_CLIENTS, now);
}
