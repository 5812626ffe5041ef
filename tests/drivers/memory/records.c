/*
 * records.c: kinds, their fields, and the records of a kind; what may be done to them is in change.c.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* --- Kinds ------------------------------------------------------------------------------------ */

/* The texts of a record are the store's own, though a storage_value only ever lends them. */
static void record_free_values(struct storage_value *values, size_t count)
{
    for (size_t i = 0; values != NULL && i < count; i++) {
        free((void *)(uintptr_t)values[i].text.data);
    }
    free(values);
}

void memory_record_free(struct memory_record *record)
{
    record_free_values(record->values, record->values_count);
    *record = (struct memory_record){0};
}

void memory_kind_free(struct memory_kind *kind)
{
    for (size_t i = 0; i < kind->records_count; i++) {
        memory_record_free(&kind->records[i]);
    }
    free(kind->records);
    for (size_t i = 0; i < kind->fields_count; i++) {
        free(kind->fields[i]);
    }
    free(kind->fields);
    free(kind->name);
    free(kind);
}

/* NULL: it is not there and may not be made, or memory is out. */
static struct memory_kind *kind_find_or_make(struct memory_store *store, const char *name,
                                             bool make)
{
    struct memory_kind *kind = store->kinds;

    while (kind != NULL && strcmp(kind->name, name) != 0) {
        kind = kind->next;
    }
    if (kind != NULL || !make) {
        return kind;
    }
    kind = calloc(1, sizeof *kind);
    if (kind == NULL) {
        return NULL;
    }
    kind->name = strdup(name);
    if (kind->name == NULL) {
        free(kind);
        return NULL;
    }
    kind->next = store->kinds;
    store->kinds = kind;
    return kind;
}

/* The number of the field in the store. SIZE_MAX: as above. */
static size_t kind_field(struct memory_kind *kind, const char *name, bool make)
{
    char **fields;

    for (size_t i = 0; i < kind->fields_count; i++) {
        if (strcmp(kind->fields[i], name) == 0) {
            return i;
        }
    }
    if (!make) {
        return SIZE_MAX;
    }
    fields = realloc(kind->fields, (kind->fields_count + 1) * sizeof *fields);
    if (fields == NULL) {
        return SIZE_MAX;
    }
    kind->fields = fields;
    fields[kind->fields_count] = strdup(name);
    return fields[kind->fields_count] == NULL ? SIZE_MAX : kind->fields_count++;
}

enum storage_status memory_view_open(struct memory_store *store, const struct storage_kind *kind,
                                     bool read_only, struct memory_view *view,
                                     struct storage_error *error)
{
    bool entries = (kind->flags & STORAGE_ENTRIES) != 0;
    bool make = !read_only || memory_broken(store, MEMORY_BREAK_READ_ONLY_IGNORED);
    const char *missing = make ? "out of memory" : "the store was not made for this kind yet";

    if (kind->fields_count > STORAGE_FIELDS_MAX) {
        return memory_refuse(error, STORAGE_INVALID, "a kind has too many fields");
    }
    view->kind = kind;
    if (!entries) {
        view->stored = kind_find_or_make(store, kind->name, make);
        if (view->stored == NULL) {
            return memory_refuse(error, STORAGE_UNAVAILABLE, missing);
        }
    }
    for (size_t i = 0; i < kind->fields_count; i++) {
        const char *name = kind->fields[i].name;
        view->field[i] = entries ? memory_entry_column(name) : kind_field(view->stored, name, make);
        if (view->field[i] == SIZE_MAX) {
            return entries ? memory_refuse(error, STORAGE_INVALID, "entries have no such field")
                           : memory_refuse(error, STORAGE_UNAVAILABLE, missing);
        }
    }
    return STORAGE_OK;
}

/* --- Records ---------------------------------------------------------------------------------- */

size_t memory_record_place(const struct memory_kind *kind, const char *id, bool *there)
{
    size_t low = 0;
    size_t high = kind->records_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(kind->records[middle].id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *there = low < kind->records_count && strcmp(kind->records[low].id, id) == 0;
    return low;
}

static bool copy_value(const struct memory_store *store, struct storage_value *copy,
                       const struct storage_value *value)
{
    char *data;

    *copy = *value;
    copy->text = (struct storage_text){NULL, 0};
    if (value->type != STORAGE_TEXT) {
        return true;
    }
    if (value->text.size == 0 && memory_broken(store, MEMORY_BREAK_EMPTY_NULL)) {
        copy->type = STORAGE_NULL;
        return true;
    }
    data = malloc(value->text.size + 1);
    if (data == NULL) {
        return false;
    }
    if (value->text.size > 0) {
        memcpy(data, value->text.data, value->text.size);
    }
    copy->text = (struct storage_text){data, value->text.size};
    if (copy->text.size > 65535 && memory_broken(store, MEMORY_BREAK_TEXT_CUT)) {
        copy->text.size = 65535;
    }
    return true;
}

struct storage_value *memory_record_values(const struct memory_store *store,
                                           const struct memory_view *view,
                                           const struct memory_record *before,
                                           const struct storage_value *values)
{
    size_t count = view->stored->fields_count;
    struct storage_value *next = calloc(count + 1, sizeof *next);
    bool done = next != NULL;

    for (size_t i = 0; done && before != NULL && i < before->values_count; i++) {
        bool known = false;
        for (size_t j = 0; j < view->kind->fields_count; j++) {
            known = known || view->field[j] == i;
        }
        done = known || copy_value(store, &next[i], &before->values[i]);
    }
    for (size_t i = 0; done && i < view->kind->fields_count; i++) {
        done = copy_value(store, &next[view->field[i]], &values[i]);
    }
    if (!done) {
        record_free_values(next, count);
        return NULL;
    }
    return next;
}

bool memory_record_insert(struct memory_kind *kind, size_t place, const char *id)
{
    if (kind->records_count == kind->records_room) {
        size_t room = kind->records_room == 0 ? 16 : kind->records_room * 2;
        struct memory_record *records = realloc(kind->records, room * sizeof *records);
        if (records == NULL) {
            return false;
        }
        kind->records = records;
        kind->records_room = room;
    }
    memmove(&kind->records[place + 1], &kind->records[place],
            (kind->records_count - place) * sizeof *kind->records);
    kind->records_count++;
    kind->records[place] = (struct memory_record){0};
    memcpy(kind->records[place].id, id, strlen(id) + 1);
    return true;
}
