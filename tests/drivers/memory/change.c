/*
 * change.c: change() and revision(). The changes of a call are done one after the other, with what
 * was there before put aside; where one does not go, all are undone from the last to the first.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* --- What may stand against a change ---------------------------------------------------------- */

/* Whether another record has this value in this field. NULL is no value. */
static bool is_taken(const struct memory_view *view, size_t field, const char *id,
                     const struct storage_value *value)
{
    size_t stored = view->field[field];

    for (size_t i = 0; i < view->stored->records_count; i++) {
        const struct memory_record *record = &view->stored->records[i];
        if (stored < record->values_count && strcmp(record->id, id) != 0 &&
            memory_value_compare(&record->values[stored], value) == 0) {
            return true;
        }
    }
    return false;
}

static bool breaks_unique(const struct memory_view *view, const char *id,
                          const struct storage_value *values)
{
    for (size_t i = 0; i < view->kind->fields_count; i++) {
        if ((view->kind->fields[i].flags & STORAGE_UNIQUE) != 0 && values[i].type != STORAGE_NULL &&
            is_taken(view, i, id, &values[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the record that is there, or not, stands against a change by `expected`. */
static enum storage_status check_version(const struct memory_store *store,
                                         const struct memory_record *record, int64_t expected,
                                         struct storage_error *error)
{
    if (expected == STORAGE_ANY_VERSION || memory_broken(store, MEMORY_BREAK_VERSION_IGNORED)) {
        return STORAGE_OK;
    }
    if (expected == 0) {
        return record == NULL
                   ? STORAGE_OK
                   : memory_refuse(error, STORAGE_CONFLICT, "the record is there already");
    }
    if (record == NULL) {
        return memory_refuse(error, STORAGE_NOT_FOUND, "the record is gone");
    }
    return record->version == expected
               ? STORAGE_OK
               : memory_refuse(error, STORAGE_CONFLICT, "the record was changed by another");
}

/* --- Records ---------------------------------------------------------------------------------- */

/* What was there before a change; with no version, nothing was. */
struct undo {
    struct memory_record before;
    const char *id;
};

static void remove_record(struct memory_kind *kind, size_t place)
{
    kind->records_count--;
    memmove(&kind->records[place], &kind->records[place + 1],
            (kind->records_count - place) * sizeof *kind->records);
}

static enum storage_status erase_record(struct memory_store *store, const struct memory_view *view,
                                        struct storage_change *change, struct undo *undo,
                                        struct storage_error *error)
{
    struct memory_kind *kind = view->stored;
    enum storage_status status;
    bool there;
    size_t place = memory_record_place(kind, change->id, &there);

    if (!there) {
        return memory_refuse(error, STORAGE_NOT_FOUND, "there is no such record");
    }
    status = check_version(store, &kind->records[place], change->expected, error);
    if (status == STORAGE_OK) {
        undo->before = kind->records[place];
        remove_record(kind, place);
        change->version = 0;
    }
    return status;
}

static enum storage_status write_record(struct memory_store *store, const struct memory_view *view,
                                        struct storage_change *change, struct undo *undo,
                                        struct storage_error *error)
{
    struct memory_kind *kind = view->stored;
    bool there;
    size_t place = memory_record_place(kind, change->id, &there);
    struct memory_record *record = there ? &kind->records[place] : NULL;
    enum storage_status status = check_version(store, record, change->expected, error);
    struct memory_record next = {.values_count = kind->fields_count};

    if (status != STORAGE_OK) {
        return status;
    }
    if (breaks_unique(view, change->id, change->values) &&
        !memory_broken(store, MEMORY_BREAK_UNIQUE_IGNORED)) {
        status =
            memory_broken(store, MEMORY_BREAK_UNIQUE_CONFLICT) ? STORAGE_CONFLICT : STORAGE_EXISTS;
        return memory_refuse(error, status, "another record has this value");
    }
    next.values = memory_record_values(store, view, record, change->values);
    if (next.values == NULL || (!there && !memory_record_insert(kind, place, change->id))) {
        memory_record_free(&next);
        return memory_refuse(error, STORAGE_BUSY, "out of memory");
    }
    record = &kind->records[place];
    undo->before = *record;
    record->values = next.values;
    record->values_count = next.values_count;
    record->version++;
    if (!memory_broken(store, MEMORY_BREAK_VERSION_UNTOLD)) {
        change->version = record->version;
    }
    return STORAGE_OK;
}

/* What was erased a moment ago has its room still: putting it back needs no memory. */
static void undo_change(struct memory_kind *kind, struct undo *undo)
{
    bool there;
    size_t place = memory_record_place(kind, undo->id, &there);

    if (there) {
        memory_record_free(&kind->records[place]);
        remove_record(kind, place);
    }
    if (undo->before.version > 0 && memory_record_insert(kind, place, undo->id)) {
        kind->records[place] = undo->before;
    }
}

static enum storage_status change_records(struct memory_store *store,
                                          const struct memory_view *view,
                                          struct storage_change *changes, size_t count,
                                          struct storage_error *error)
{
    struct undo *undo = calloc(count, sizeof *undo);
    enum storage_status status = STORAGE_OK;
    size_t done = 0;

    if (undo == NULL) {
        return memory_refuse(error, STORAGE_BUSY, "out of memory");
    }
    while (done < count && status == STORAGE_OK) {
        undo[done].id = changes[done].id;
        status = changes[done].values == NULL
                     ? erase_record(store, view, &changes[done], &undo[done], error)
                     : write_record(store, view, &changes[done], &undo[done], error);
        done += status == STORAGE_OK ? 1 : 0;
    }
    while (done > 0) {
        done--;
        if (status == STORAGE_OK || memory_broken(store, MEMORY_BREAK_CHANGE_HALF)) {
            memory_record_free(&undo[done].before);
        } else {
            undo_change(view->stored, &undo[done]);
        }
    }
    free(undo);
    return status;
}

/* --- Entries ---------------------------------------------------------------------------------- */

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool key_from_id(const char *id, struct storage_key *key)
{
    if (strlen(id) != (size_t)STORAGE_KEY_SIZE * 2) {
        return false;
    }
    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        int high = hex_digit(id[i * 2]);
        int low = hex_digit(id[i * 2 + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        key->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static enum storage_status erase_entries(struct memory_store *store, struct storage_change *changes,
                                         size_t count, struct storage_error *error)
{
    bool half = memory_broken(store, MEMORY_BREAK_CHANGE_HALF);
    struct storage_key key;

    for (size_t i = 0; i < count; i++) {
        if (!key_from_id(changes[i].id, &key) || memory_table_find(&store->entries, &key) == NULL) {
            return memory_refuse(error, STORAGE_NOT_FOUND, "there is no such entry");
        }
        if (half) {
            (void)memory_table_remove(&store->entries, &key);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (key_from_id(changes[i].id, &key)) {
            (void)memory_table_remove(&store->entries, &key);
        }
        changes[i].version = 0;
    }
    return STORAGE_OK;
}

/* --- The call --------------------------------------------------------------------------------- */

static void move_revision(struct memory_store *store, const struct storage_kind *kind, size_t step)
{
    if (memory_broken(store, MEMORY_BREAK_REVISION_STAYS)) {
        return;
    }
    if ((kind->flags & STORAGE_ENTRIES) != 0) {
        if (!memory_broken(store, MEMORY_BREAK_REVISION_ENTRY)) {
            store->revision += step;
        }
    } else if ((kind->flags & STORAGE_QUIET) == 0 ||
               memory_broken(store, MEMORY_BREAK_REVISION_QUIET)) {
        store->revision += step;
    }
}

enum storage_status memory_change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error)
{
    struct storage_db *db = session->db;
    struct memory_store *store = db->store;
    const struct memory_view *view;
    enum storage_status status;
    const char *wrong;

    if (kind >= db->host->kinds_count) {
        return memory_refuse(error, STORAGE_INVALID, "no such kind");
    }
    view = &db->views[kind];
    wrong = memory_check_changes(store, view->kind, changes, count);
    if (wrong != NULL) {
        return memory_refuse(error, STORAGE_INVALID, wrong);
    }
    if (memory_read_only(session)) {
        return memory_refuse(error, STORAGE_DENIED, "the store is open for reading only");
    }
    (void)pthread_mutex_lock(&store->lock);
    status = view->stored == NULL ? erase_entries(store, changes, count, error)
                                  : change_records(store, view, changes, count, error);
    if (status == STORAGE_OK) {
        move_revision(store, view->kind,
                      memory_broken(store, MEMORY_BREAK_REVISION_EACH) ? count : 1);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

enum storage_status memory_revision(struct storage_session *session, uint64_t *revision,
                                    struct storage_error *error)
{
    struct memory_store *store = session->db->store;

    (void)error;
    (void)pthread_mutex_lock(&store->lock);
    *revision = store->revision;
    (void)pthread_mutex_unlock(&store->lock);
    return STORAGE_OK;
}
