/*
 * schema.c: the mark that says a store is mongrey's, and the catalog of kinds and their fields.
 *
 * A field's number is its place in the catalog and never changes, and a packed record names its
 * fields by number: so an older program can write a record and leave what it does not know, and a
 * newer one widens a kind without touching a record.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define MARK_KEY "store"
#define KIND_PREFIX "kind/"
#define ENTRIES_NAME "*"    /* no kind's name */
#define MARK_NAME "mongrey" /* 8 bytes with its end */

static const char *const database_names[DATABASES] = {"mongrey", "entries", "counters",
                                                      "expires", "records", "index"};

static const struct {
    const char *name;
    enum storage_type type;
} columns[COLUMNS] = {
    {"first_seen", STORAGE_TIME},     {"last_seen", STORAGE_TIME},   {"expires", STORAGE_TIME},
    {"waited", STORAGE_INTEGER},      {"tries", STORAGE_INTEGER},    {"passes", STORAGE_INTEGER},
    {"client_address", STORAGE_TEXT}, {"client_name", STORAGE_TEXT}, {"helo_name", STORAGE_TEXT},
    {"sender", STORAGE_TEXT},         {"recipient", STORAGE_TEXT},   {"country", STORAGE_TEXT},
    {"policy", STORAGE_TEXT},
};

int column_number(const char *name)
{
    for (int i = 0; i < COLUMNS; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static MDB_val text_value(const char *text)
{
    MDB_val value = {strlen(text), NULL};

    memcpy(&value.mv_data, &text, sizeof text); /* LMDB writes through no key it is given */
    return value;
}

enum storage_status mark_read(struct call *call)
{
    MDB_val key = text_value(MARK_KEY);
    MDB_val data;
    int code = mdb_get(call->txn, call->store->dbi[MARK], &key, &data);

    if (code == MDB_NOTFOUND || (code == 0 && data.mv_size < sizeof call->mark)) {
        return say(call->error, STORAGE_SCHEMA, code, "%.180s holds an LMDB store of another kind",
                   call->store->path);
    }
    if (code != 0) {
        return result(call, code, "cannot read the store's mark");
    }
    memcpy(&call->mark, data.mv_data, sizeof call->mark);
    if (memcmp(call->mark.name, MARK_NAME, sizeof call->mark.name) != 0) {
        return say(call->error, STORAGE_SCHEMA, 0, "%.180s holds an LMDB store of another kind",
                   call->store->path);
    }
    if (call->mark.schema > SCHEMA_NUMBER) {
        return say(call->error, STORAGE_SCHEMA, 0,
                   "the store in %.120s has schema %u, this driver knows %u: it is too old",
                   call->store->path, call->mark.schema, SCHEMA_NUMBER);
    }
    return STORAGE_OK;
}

enum storage_status mark_write(struct call *call)
{
    MDB_val key = text_value(MARK_KEY);
    MDB_val data = {sizeof call->mark, &call->mark};

    return result(call, mdb_put(call->txn, call->store->dbi[MARK], &key, &data, 0),
                  "cannot write the store's mark");
}

/* --- The catalog in memory --------------------------------------------------------------------- */

static void kind_clear(struct kind *kind)
{
    for (size_t i = 0; i < kind->count; i++) {
        free(kind->fields[i].name);
    }
    free(kind->fields);
    free(kind->name);
}

void catalog_clear(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++) {
        kind_clear(&catalog->kinds[i]);
    }
    free(catalog->kinds);
    free(catalog->mappings);
    memset(catalog, 0, sizeof *catalog);
}

static bool kind_add_field(struct kind *kind, const char *name, size_t size, enum storage_type type,
                           unsigned flags)
{
    struct field *fields = realloc(kind->fields, (kind->count + 1) * sizeof *fields);

    if (fields == NULL) {
        return false;
    }
    kind->fields = fields;
    fields[kind->count].name = strndup(name, size);
    fields[kind->count].type = type;
    fields[kind->count].flags = flags;
    if (fields[kind->count].name == NULL) {
        return false;
    }
    kind->count++;
    return true;
}

static struct kind *catalog_add(struct catalog *catalog, const char *name, size_t size,
                                unsigned number)
{
    struct kind *kinds = realloc(catalog->kinds, (catalog->count + 1) * sizeof *kinds);

    if (kinds == NULL) {
        return NULL;
    }
    catalog->kinds = kinds;
    memset(&kinds[catalog->count], 0, sizeof *kinds);
    kinds[catalog->count].name = strndup(name, size);
    kinds[catalog->count].number = number;
    if (kinds[catalog->count].name == NULL) {
        return NULL;
    }
    return &kinds[catalog->count++];
}

static struct kind *catalog_find(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->count; i++) {
        if (strcmp(catalog->kinds[i].name, name) == 0) {
            return &catalog->kinds[i];
        }
    }
    return NULL;
}

const struct kind *catalog_entries(const struct catalog *catalog)
{
    return catalog_find(catalog, ENTRIES_NAME);
}

static const char *name_in_catalog(const struct storage_kind *kind)
{
    return (kind->flags & STORAGE_ENTRIES) != 0 ? ENTRIES_NAME : kind->name;
}

static size_t field_find(const struct kind *kind, const char *name)
{
    size_t i = 0;

    while (i < kind->count && strcmp(kind->fields[i].name, name) != 0) {
        i++;
    }
    return i;
}

/* --- The catalog in the store ------------------------------------------------------------------ */

/* A kind: its number (2 bytes), then for each field type, flags, the name's size and the name. */
static bool kind_unpack(struct catalog *catalog, const MDB_val *key, const MDB_val *data)
{
    const size_t prefix = sizeof KIND_PREFIX - 1;
    const char *at = data->mv_data;
    const char *end = at + data->mv_size;
    uint16_t number = 0;

    if (data->mv_size < sizeof number) {
        return false;
    }
    memcpy(&number, at, sizeof number);
    at += sizeof number;

    struct kind *kind =
        catalog_add(catalog, (const char *)key->mv_data + prefix, key->mv_size - prefix, number);

    while (kind != NULL && end - at >= 3) {
        size_t size = (uint8_t)at[2];

        if ((size_t)(end - at) < 3 + size ||
            !kind_add_field(kind, at + 3, size, (enum storage_type)at[0], (uint8_t)at[1])) {
            return false;
        }
        at += 3 + size;
    }
    return kind != NULL && at == end;
}

static enum storage_status kind_write(struct call *call, const struct kind *kind)
{
    char name[KEY_MAX + 1];
    uint16_t number = (uint16_t)kind->number;
    size_t size = sizeof number;

    for (size_t i = 0; i < kind->count; i++) {
        size += 3 + strlen(kind->fields[i].name);
    }
    snprintf(name, sizeof name, KIND_PREFIX "%s", kind->name);

    MDB_val key = text_value(name);
    MDB_val data = {size, NULL};
    int code = mdb_put(call->txn, call->store->dbi[MARK], &key, &data, MDB_RESERVE);

    if (code != 0) {
        return result(call, code, "cannot write the catalog");
    }

    char *at = data.mv_data;

    memcpy(at, &number, sizeof number);
    at += sizeof number;
    for (size_t i = 0; i < kind->count; i++) {
        size_t length = strlen(kind->fields[i].name);

        at[0] = (char)kind->fields[i].type;
        at[1] = (char)kind->fields[i].flags;
        at[2] = (char)length;
        memcpy(at + 3, kind->fields[i].name, length);
        at += 3 + length;
    }
    return STORAGE_OK;
}

static bool catalog_map(struct catalog *catalog, const struct storage_host *host)
{
    catalog->mappings = calloc(host->kinds_count + 1, sizeof *catalog->mappings);
    if (catalog->mappings == NULL) {
        return false;
    }
    for (size_t i = 0; i < host->kinds_count; i++) {
        struct mapping *mapping = &catalog->mappings[i];

        mapping->kind = catalog_find(catalog, name_in_catalog(&host->kinds[i]));
        for (size_t j = 0; mapping->kind != NULL && j < host->kinds[i].fields_count; j++) {
            size_t number = field_find(mapping->kind, host->kinds[i].fields[j].name);

            mapping->field[j] = number < mapping->kind->count ? (uint16_t)number : NO_FIELD;
        }
    }
    return true;
}

enum storage_status catalog_read(struct call *call)
{
    const size_t prefix = sizeof KIND_PREFIX - 1;
    struct catalog *catalog = call->catalog;
    MDB_val key = text_value(KIND_PREFIX);
    MDB_val data;
    MDB_cursor *cursor = NULL;
    bool sound = true;
    int code = mdb_cursor_open(call->txn, call->store->dbi[MARK], &cursor);

    catalog_clear(catalog);
    if (code != 0) {
        return result(call, code, "cannot read the catalog");
    }
    for (code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE); code == 0 && sound;
         code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        if (key.mv_size <= prefix || memcmp(key.mv_data, KIND_PREFIX, prefix) != 0) {
            break;
        }
        sound = kind_unpack(catalog, &key, &data);
    }
    mdb_cursor_close(cursor);
    if (!sound || !catalog_map(catalog, call->host) || catalog_entries(catalog) == NULL) {
        catalog_clear(catalog);
        return say(call->error, STORAGE_SCHEMA, 0, "the catalog of %.180s is damaged",
                   call->store->path);
    }
    if (code != 0 && code != MDB_NOTFOUND) {
        catalog_clear(catalog);
        return result(call, code, "cannot read the catalog");
    }
    catalog->generation = call->mark.generation;
    return STORAGE_OK;
}

/* --- Making and widening ----------------------------------------------------------------------- */

static int databases_open(struct call *call, unsigned flags)
{
    int code = 0;

    for (size_t i = 0; i < DATABASES && code == 0; i++) {
        code = mdb_dbi_open(call->txn, database_names[i], flags, &call->store->dbi[i]);
    }
    return code;
}

static enum storage_status make(struct call *call, void *argument)
{
    struct catalog catalog = {0};
    enum storage_status status = result(call, databases_open(call, MDB_CREATE), "cannot be made");

    (void)argument;
    call->mark =
        (struct mark){.name = MARK_NAME, .schema = SCHEMA_NUMBER, .generation = 1, .revision = 1};
    if (status == STORAGE_OK) {
        status = mark_write(call);
    }

    struct kind *entries = catalog_add(&catalog, ENTRIES_NAME, 1, ENTRIES_KIND);
    bool enough = entries != NULL;

    for (size_t i = 0; i < COLUMNS && enough; i++) {
        enough =
            kind_add_field(entries, columns[i].name, strlen(columns[i].name), columns[i].type, 0);
    }
    if (!enough) {
        status = meaning(call->error, ENOMEM, "cannot be made");
    }
    if (status == STORAGE_OK) {
        status = kind_write(call, entries);
    }
    catalog_clear(&catalog);
    return status;
}

/* Empty, mongrey's, or somebody else's. */
static enum storage_status look(struct call *call, bool *empty)
{
    MDB_dbi unnamed;
    MDB_stat stat;
    int code = mdb_dbi_open(call->txn, NULL, 0, &unnamed);

    if (code == 0) {
        code = mdb_stat(call->txn, unnamed, &stat);
    }
    if (code != 0) {
        return result(call, code, "cannot look into the store");
    }
    *empty = stat.ms_entries == 0;
    if (*empty) {
        return STORAGE_OK;
    }
    code = mdb_dbi_open(call->txn, database_names[MARK], 0, &call->store->dbi[MARK]);
    if (code != 0) {
        return say(call->error, STORAGE_SCHEMA, code, "%.180s holds an LMDB store of another kind",
                   call->store->path);
    }

    enum storage_status status = mark_read(call);

    if (status == STORAGE_OK) {
        status = result(call, databases_open(call, 0), "the store lacks something");
    }
    return status;
}

enum storage_status schema_open(struct store *store, const struct storage_host *host,
                                struct storage_error *error)
{
    struct call call = {.store = store, .host = host, .error = error};
    bool empty = false;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &call.txn);

    if (code != 0) {
        return meaning(error, code, "cannot look into the store");
    }

    enum storage_status status = look(&call, &empty);

    if (status != STORAGE_OK) {
        mdb_txn_abort(call.txn);
        return status;
    }
    if (!empty) { /* a commit, of nothing: the databases' handles go with an abort */
        return meaning(error, mdb_txn_commit(call.txn), "cannot look into the store");
    }
    mdb_txn_abort(call.txn);
    if (host->read_only || store->refused) {
        return say(error, STORAGE_UNAVAILABLE, 0, "there is no store in %.180s yet", store->path);
    }
    code = mdb_txn_begin(store->env, NULL, 0, &call.txn);
    if (code != 0) {
        return meaning(error, code, "the store cannot be made");
    }
    status = make(&call, NULL);
    if (status != STORAGE_OK) {
        mdb_txn_abort(call.txn);
        return status;
    }
    return meaning(error, mdb_txn_commit(call.txn), "the store cannot be made");
}

/* Every row gets its place in an index that begins now, NULL too: an order shows all rows. */
static enum storage_status index_all(struct call *call, const struct kind *kind, unsigned field)
{
    bool entries = kind->number == ENTRIES_KIND;
    struct index_key start;
    struct storage_value *values = calloc(kind->count, sizeof *values);
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    enum storage_status status = STORAGE_OK;
    int code = mdb_cursor_open(call->txn, call->store->dbi[entries ? ENTRIES : RECORDS], &cursor);

    record_key(&start, kind->number, "", 0);
    key = (MDB_val){entries ? 0 : start.size, start.bytes};
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &data, entries ? MDB_FIRST : MDB_SET_RANGE);
    }
    while (code == 0 && status == STORAGE_OK && values != NULL) {
        struct entry entry;
        int64_t version = 0;
        MDB_val id = key;

        if (entries) {
            if (entry_unpack(&entry, &data)) {
                entry_value(&entry, field, &values[field]);
            }
        } else {
            if (key.mv_size < start.size || memcmp(key.mv_data, start.bytes, start.size) != 0) {
                break;
            }
            record_unpack(&data, &version, values, kind->count);
            id = (MDB_val){key.mv_size - start.size, (char *)key.mv_data + start.size};
        }
        status = index_move(call, kind, field, &id, NULL, &values[field]);
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    free(values);
    if (values == NULL) {
        return meaning(call->error, ENOMEM, "an index cannot be made");
    }
    if (status == STORAGE_OK && code != 0 && code != MDB_NOTFOUND) {
        status = result(call, code, "an index cannot be made");
    }
    return status;
}

static enum storage_status widen_field(struct call *call, struct kind *kind,
                                       const struct storage_field *field, bool *changed)
{
    const unsigned kept = STORAGE_UNIQUE | STORAGE_INDEXED;
    size_t i = field_find(kind, field->name);

    if (i == kind->count) {
        *changed = true;
        if (!kind_add_field(kind, field->name, strlen(field->name), field->type, 0)) {
            return meaning(call->error, ENOMEM, "the schema cannot be widened");
        }
    }
    if (kind->fields[i].type != field->type) {
        return say(call->error, STORAGE_SCHEMA, 0,
                   "the store's field %.60s.%.60s is of another type", kind->name, field->name);
    }

    unsigned had = kind->fields[i].flags;

    kind->fields[i].flags = had | (field->flags & kept);
    *changed = *changed || kind->fields[i].flags != had;
    return had == 0 && kind->fields[i].flags != 0 ? index_all(call, kind, (unsigned)i) : STORAGE_OK;
}

static enum storage_status widen_kind(struct call *call, const struct storage_kind *wanted,
                                      bool *any)
{
    const char *name = name_in_catalog(wanted);
    struct kind *kind = catalog_find(call->catalog, name);
    enum storage_status status = STORAGE_OK;
    bool changed = kind == NULL;

    if (kind == NULL) { /* the kinds' numbers are 0, 1, 2, ...: none ever goes */
        kind = catalog_add(call->catalog, name, strlen(name), (unsigned)call->catalog->count);
        if (kind == NULL) {
            return meaning(call->error, ENOMEM, "the schema cannot be widened");
        }
    }
    for (size_t i = 0; i < wanted->fields_count && status == STORAGE_OK; i++) {
        status = widen_field(call, kind, &wanted->fields[i], &changed);
    }
    if (status == STORAGE_OK && changed) {
        *any = true;
        status = kind_write(call, kind);
    }
    return status;
}

static enum storage_status widen(struct call *call, void *argument)
{
    bool changed = false;
    enum storage_status status = mark_read(call);

    (void)argument;
    if (status == STORAGE_OK) {
        status = catalog_read(call);
    }
    for (size_t i = 0; i < call->host->kinds_count && status == STORAGE_OK; i++) {
        status = widen_kind(call, &call->host->kinds[i], &changed);
    }
    if (status == STORAGE_OK && changed) {
        call->mark.generation++;
        status = mark_write(call);
    }
    return status;
}

enum storage_status schema_widen(struct store *store, const struct storage_host *host, bool locked,
                                 struct storage_error *error)
{
    struct catalog catalog = {0};
    struct call call = {.store = store,
                        .host = host,
                        .catalog = &catalog,
                        .error = error,
                        .deadline = deadline_of(host),
                        .opening = true,
                        .locked = locked};
    enum storage_status status = STORAGE_OK;

    if (!host->read_only) {
        status = call_write(&call, widen, NULL);
    }
    catalog_clear(&catalog);
    return status;
}
