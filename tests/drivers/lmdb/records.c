/*
 * records.c: records as they lie in the store, and change().
 *
 * A packed record is its version and, of each field that is not NULL: number, type, size, bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define FIELD_HEAD 7 /* number (2), type (1), size (4) */

struct changing {
    size_t kind; /* of the host's */
    struct storage_change *changes;
    size_t count;
};

/* One change under way: the record as it is, as it is to be, and what holds them. */
struct editing {
    const struct kind *kind;
    const struct mapping *mapping;
    const struct storage_kind *host_kind;
    struct index_key key;
    MDB_val id;
    bool there;
    int64_t version;
    uint8_t *raw; /* a copy: what LMDB lends is good until the next write only */
    uint8_t *packed;
    struct storage_value *before;
    struct storage_value *after;
};

/* --- Packing ----------------------------------------------------------------------------------- */

void record_key(struct index_key *key, unsigned kind, const char *id, size_t size)
{
    const uint8_t number[] = {(uint8_t)(kind >> 8), (uint8_t)kind};

    key->size = 0;
    key->exact = true;
    index_append(key, number, sizeof number);
    index_append(key, id, size);
}

bool record_unpack(const MDB_val *data, int64_t *version, struct storage_value *values,
                   size_t count)
{
    const uint8_t *at = data->mv_data;
    const uint8_t *end = at + data->mv_size;

    memset(values, 0, count * sizeof *values);
    if (data->mv_size < sizeof *version) {
        return false;
    }
    memcpy(version, at, sizeof *version);
    at += sizeof *version;
    while (end - at >= FIELD_HEAD) {
        struct storage_value value = {.type = (enum storage_type)at[2]};
        uint16_t number = 0;
        uint32_t size = 0;

        memcpy(&number, at, sizeof number);
        memcpy(&size, at + 3, sizeof size);
        at += FIELD_HEAD;
        if ((size_t)(end - at) < size || (value.type != STORAGE_TEXT && size != 8)) {
            return false;
        }
        if (value.type == STORAGE_TEXT) {
            value.text.data = (const char *)at;
            value.text.size = size;
        } else if (value.type == STORAGE_REAL) {
            memcpy(&value.real, at, sizeof value.real);
        } else {
            memcpy(&value.integer, at, sizeof value.integer);
        }
        if (number < count) {
            values[number] = value;
        }
        at += size;
    }
    return at == end;
}

static size_t packed_size(const struct storage_value *value)
{
    if (value->type == STORAGE_NULL) {
        return 0;
    }
    return FIELD_HEAD + (value->type == STORAGE_TEXT ? value->text.size : 8);
}

static size_t record_pack(uint8_t *bytes, int64_t version, const struct storage_value *values,
                          size_t count)
{
    uint8_t *at = bytes;

    memcpy(at, &version, sizeof version);
    at += sizeof version;
    for (size_t i = 0; i < count; i++) {
        const struct storage_value *value = &values[i];
        uint16_t number = (uint16_t)i;
        uint32_t size = value->type == STORAGE_TEXT ? (uint32_t)value->text.size : 8;

        if (value->type == STORAGE_NULL) {
            continue;
        }
        memcpy(at, &number, sizeof number);
        at[2] = (uint8_t)value->type;
        memcpy(at + 3, &size, sizeof size);
        at += FIELD_HEAD;
        if (value->type != STORAGE_TEXT) {
            memcpy(at,
                   value->type == STORAGE_REAL ? (const void *)&value->real
                                               : (const void *)&value->integer,
                   8);
        } else if (size > 0) {
            memcpy(at, value->text.data, size);
        }
        at += size;
    }
    return (size_t)(at - bytes);
}

/* --- The ids of entries ------------------------------------------------------------------------ */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* True for a whole id; `digits` says how much of it could be read. */
bool key_of_id(const char *id, struct storage_key *key, size_t *digits)
{
    size_t i = 0;

    memset(key, 0, sizeof *key);
    while (i < 2 * (size_t)STORAGE_KEY_SIZE && digit(id[i]) >= 0) {
        key->bytes[i / 2] |= (uint8_t)(digit(id[i]) << (i % 2 == 0 ? 4 : 0));
        i++;
    }
    *digits = i;
    return i == 2 * (size_t)STORAGE_KEY_SIZE && id[i] == '\0';
}

void id_of_key(const void *key, char *id)
{
    const uint8_t *bytes = key;

    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* --- change() ---------------------------------------------------------------------------------- */

static void editing_end(struct editing *editing)
{
    free(editing->raw);
    free(editing->packed);
    free(editing->before);
    free(editing->after);
}

static enum storage_status editing_begin(struct call *call, struct editing *editing, const char *id)
{
    size_t count = editing->kind->count;
    size_t size = strlen(id);
    MDB_val data;

    record_key(&editing->key, editing->kind->number, id, size);
    editing->id = (MDB_val){size, editing->key.bytes + editing->key.size - size};
    editing->before = calloc(count + 1, sizeof *editing->before);
    editing->after = calloc(count + 1, sizeof *editing->after);
    if (editing->before == NULL || editing->after == NULL) {
        return meaning(call->error, ENOMEM, "change");
    }

    MDB_val key = {editing->key.size, editing->key.bytes};
    int code = mdb_get(call->txn, call->store->dbi[RECORDS], &key, &data);

    editing->there = code == 0;
    if (code != 0) {
        return code == MDB_NOTFOUND ? STORAGE_OK : result(call, code, "a record cannot be read");
    }
    editing->raw = malloc(data.mv_size);
    if (editing->raw == NULL) {
        return meaning(call->error, ENOMEM, "change");
    }
    memcpy(editing->raw, data.mv_data, data.mv_size);
    data.mv_data = editing->raw;
    if (!record_unpack(&data, &editing->version, editing->before, count)) {
        return result(call, MDB_CORRUPTED, "a record cannot be read");
    }
    memcpy(editing->after, editing->before, count * sizeof *editing->after);
    return STORAGE_OK;
}

static enum storage_status check_version(struct call *call, const struct editing *editing,
                                         const struct storage_change *change)
{
    const char *kind = editing->kind->name;

    if (editing->there) {
        return change->expected == STORAGE_ANY_VERSION || change->expected == editing->version
                   ? STORAGE_OK
                   : say(call->error, STORAGE_CONFLICT, 0, "%.60s %.40s has another version", kind,
                         change->id);
    }
    return change->values == NULL || change->expected > 0
               ? say(call->error, STORAGE_NOT_FOUND, 0, "%.60s %.40s is not there", kind,
                     change->id)
               : STORAGE_OK;
}

/* Another record with this value. The index has a long text's beginning only: then its row tells. */
static enum storage_status check_unique(struct call *call, const struct editing *editing,
                                        unsigned field)
{
    const struct kind *kind = editing->kind;
    const struct storage_value *value = &editing->after[field];
    struct index_key begin;
    MDB_cursor *cursor = NULL;
    MDB_val id;
    enum storage_status status = STORAGE_OK;
    int code = mdb_cursor_open(call->txn, call->store->dbi[INDEX], &cursor);

    index_value(&begin, kind->number, field, value);

    MDB_val key = {begin.size, begin.bytes};
    struct storage_value *values = calloc(kind->count + 1, sizeof *values);

    for (code = code != 0 ? code : mdb_cursor_get(cursor, &key, &id, MDB_SET_RANGE);
         code == 0 && status == STORAGE_OK && values != NULL;
         code = mdb_cursor_get(cursor, &key, &id, MDB_NEXT)) {
        struct index_key at;
        MDB_val data;
        int64_t version = 0;

        if (key.mv_size < begin.size || memcmp(key.mv_data, begin.bytes, begin.size) != 0) {
            break;
        }
        if (id.mv_size == editing->id.mv_size &&
            memcmp(id.mv_data, editing->id.mv_data, id.mv_size) == 0) {
            continue;
        }
        record_key(&at, kind->number, id.mv_data, id.mv_size);

        MDB_val place = {at.size, at.bytes};

        if (begin.exact || (mdb_get(call->txn, call->store->dbi[RECORDS], &place, &data) == 0 &&
                            record_unpack(&data, &version, values, kind->count) &&
                            value_compare(&values[field], value) == 0)) {
            status = say(call->error, STORAGE_EXISTS, 0, "a %.60s with this %.60s is there",
                         kind->name, kind->fields[field].name);
        }
    }
    mdb_cursor_close(cursor);
    if (values == NULL) {
        return meaning(call->error, ENOMEM, "change");
    }
    free(values);
    if (status == STORAGE_OK && code != 0 && code != MDB_NOTFOUND) {
        status = result(call, code, "the index cannot be read");
    }
    return status;
}

static enum storage_status move_indexes(struct call *call, const struct editing *editing,
                                        bool erase)
{
    const struct kind *kind = editing->kind;
    enum storage_status status = STORAGE_OK;

    for (unsigned i = 0; i < kind->count && status == STORAGE_OK && !erase; i++) {
        if ((kind->fields[i].flags & STORAGE_UNIQUE) != 0 &&
            editing->after[i].type != STORAGE_NULL &&
            (!editing->there || value_compare(&editing->before[i], &editing->after[i]) != 0)) {
            status = check_unique(call, editing, i);
        }
    }
    for (unsigned i = 0; i < kind->count && status == STORAGE_OK; i++) {
        status =
            index_move(call, kind, i, &editing->id, editing->there ? &editing->before[i] : NULL,
                       erase ? NULL : &editing->after[i]);
    }
    return status;
}

static enum storage_status write_record(struct call *call, struct editing *editing,
                                        struct storage_change *change)
{
    size_t size = sizeof editing->version;
    MDB_val key = {editing->key.size, editing->key.bytes};
    MDB_val data;

    for (size_t i = 0; i < editing->kind->count; i++) {
        size += packed_size(&editing->after[i]);
    }
    editing->packed = malloc(size);
    if (editing->packed == NULL) {
        return meaning(call->error, ENOMEM, "change");
    }
    change->version = editing->there ? editing->version + 1 : 1;
    data.mv_size =
        record_pack(editing->packed, change->version, editing->after, editing->kind->count);
    data.mv_data = editing->packed;
    return result(call, mdb_put(call->txn, call->store->dbi[RECORDS], &key, &data, 0),
                  "a record cannot be written");
}

static enum storage_status edit(struct call *call, struct editing *editing,
                                struct storage_change *change)
{
    bool erase = change->values == NULL;
    enum storage_status status = editing_begin(call, editing, change->id);

    if (status == STORAGE_OK) {
        status = check_version(call, editing, change);
    }
    if (status != STORAGE_OK) {
        return status;
    }
    for (size_t i = 0; i < editing->host_kind->fields_count && !erase; i++) {
        if (editing->mapping->field[i] == NO_FIELD) {
            return say(call->error, STORAGE_SCHEMA, 0, "the store lacks the field %.60s.%.60s",
                       editing->kind->name, editing->host_kind->fields[i].name);
        }
        editing->after[editing->mapping->field[i]] = change->values[i];
    }
    status = move_indexes(call, editing, erase);
    if (status == STORAGE_OK && erase) {
        MDB_val key = {editing->key.size, editing->key.bytes};

        change->version = 0;
        return result(call, mdb_del(call->txn, call->store->dbi[RECORDS], &key, NULL),
                      "a record cannot be erased");
    }
    return status == STORAGE_OK ? write_record(call, editing, change) : status;
}

static enum storage_status erase_entry(struct call *call, struct storage_change *change)
{
    struct storage_key key;
    struct entry entry = {.there = false};
    size_t digits = 0;
    enum storage_status status = STORAGE_OK;

    if (key_of_id(change->id, &key, &digits)) {
        status = entry_load(call, &key, 0, &entry);
    }
    if (status == STORAGE_OK && !entry.there) {
        return say(call->error, STORAGE_NOT_FOUND, 0, "the entry %.40s is not there", change->id);
    }
    change->version = 0;
    return status == STORAGE_OK ? entry_save(call, &key, &entry, NULL) : status;
}

static enum storage_status change_all(struct call *call, void *argument)
{
    const struct changing *changing = argument;
    const struct storage_kind *host_kind = &call->host->kinds[changing->kind];
    bool entries = (host_kind->flags & STORAGE_ENTRIES) != 0;
    const struct mapping *mapping = &call->catalog->mappings[changing->kind];
    enum storage_status status = STORAGE_OK;

    if (mapping->kind == NULL) {
        return say(call->error, STORAGE_SCHEMA, 0, "the store lacks the kind %.60s",
                   host_kind->name);
    }
    for (size_t i = 0; i < changing->count && status == STORAGE_OK; i++) {
        if (entries) {
            status = erase_entry(call, &changing->changes[i]);
        } else {
            struct editing editing = {
                .kind = mapping->kind, .mapping = mapping, .host_kind = host_kind};

            status = edit(call, &editing, &changing->changes[i]);
            editing_end(&editing);
        }
    }
    if (status == STORAGE_OK && (entries || (host_kind->flags & STORAGE_QUIET) == 0)) {
        call->mark.revision = call->mark.revision < INT64_MAX ? call->mark.revision + 1 : 1;
        status = mark_write(call);
    }
    return status;
}

static bool value_is_sound(const struct storage_field *field, const struct storage_value *value)
{
    if (value->type == STORAGE_NULL) {
        return true;
    }
    return value->type == field->type &&
           (value->type != STORAGE_TEXT ||
            value->text.size <= (field->flags != 0 ? STORAGE_INDEXED_MAX : STORAGE_VALUE_MAX));
}

static bool change_is_sound(const struct storage_kind *kind, const struct storage_change *change)
{
    if (change->id == NULL || change->id[0] == '\0' || strlen(change->id) > STORAGE_ID_MAX ||
        change->expected < STORAGE_ANY_VERSION) {
        return false;
    }
    if ((kind->flags & STORAGE_ENTRIES) != 0) {
        return change->values == NULL && change->expected == STORAGE_ANY_VERSION;
    }
    for (size_t i = 0; i < kind->fields_count && change->values != NULL; i++) {
        if (!value_is_sound(&kind->fields[i], &change->values[i])) {
            return false;
        }
    }
    return true;
}

enum storage_status driver_change(struct storage_session *session, size_t kind,
                                  struct storage_change *changes, size_t count,
                                  struct storage_error *error)
{
    struct changing changing = {kind, changes, count};
    const struct storage_host *host = session->db->host;
    struct call call;

    if (kind >= host->kinds_count || count == 0 || count > STORAGE_BATCH_MAX) {
        return say(error, STORAGE_INVALID, 0, "no such kind, or no number of changes");
    }
    for (size_t i = 0; i < count; i++) {
        if (!change_is_sound(&host->kinds[kind], &changes[i])) {
            return say(error, STORAGE_INVALID, 0, "the change %zu of %.60s is not a sound one", i,
                       host->kinds[kind].name);
        }
    }
    call_begin(&call, session, error);
    return call_write(&call, change_all, &changing);
}
