/*
 * rows.c: entries and counters as they lie in the store, with their places in the indexes.
 */
#include <string.h>

#include "driver.h"

#define EXPIRES_KEY (8 + 1 + STORAGE_KEY_SIZE)

uint64_t big_endian(uint64_t number)
{
    uint8_t bytes[sizeof number];
    uint64_t turned = 0;

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    memcpy(&turned, bytes, sizeof turned);
    return turned;
}

int64_t expires_of(const MDB_val *expires_key)
{
    uint64_t number = 0;

    memcpy(&number, expires_key->mv_data, sizeof number);
    return (int64_t)(big_endian(number) ^ UINT64_C(1) << 63);
}

/* --- The index of expiry ----------------------------------------------------------------------- */

static void expires_key(uint8_t *bytes, int64_t expires, enum database table,
                        const struct storage_key *key)
{
    uint64_t number = big_endian((uint64_t)expires ^ UINT64_C(1) << 63);

    memcpy(bytes, &number, sizeof number);
    bytes[sizeof number] = (uint8_t)table;
    memcpy(bytes + sizeof number + 1, key->bytes, STORAGE_KEY_SIZE);
}

static enum storage_status expires_move(struct call *call, enum database table,
                                        const struct storage_key *key, const int64_t *before,
                                        const int64_t *after)
{
    MDB_dbi dbi = call->store->dbi[EXPIRES];
    uint8_t bytes[EXPIRES_KEY];
    MDB_val place = {sizeof bytes, bytes};
    MDB_val nothing = {0, NULL};
    int code = 0;

    if (before != NULL && after != NULL && *before == *after) {
        return STORAGE_OK;
    }
    if (before != NULL) {
        expires_key(bytes, *before, table, key);
        code = mdb_del(call->txn, dbi, &place, NULL);
        code = code == MDB_NOTFOUND ? 0 : code;
    }
    if (code == 0 && after != NULL) {
        expires_key(bytes, *after, table, key);
        code = mdb_put(call->txn, dbi, &place, &nothing, 0);
    }
    return result(call, code, "the order of expiry cannot be written");
}

static int row_get(struct call *call, enum database table, const struct storage_key *key,
                   MDB_val *data)
{
    struct storage_key copy = *key;
    MDB_val place = {sizeof copy, &copy};

    return mdb_get(call->txn, call->store->dbi[table], &place, data);
}

/* `data` NULL removes the row. */
static enum storage_status row_put(struct call *call, enum database table,
                                   const struct storage_key *key, MDB_val *data)
{
    struct storage_key copy = *key;
    MDB_val place = {sizeof copy, &copy};
    MDB_dbi dbi = call->store->dbi[table];

    return result(call,
                  data == NULL ? mdb_del(call->txn, dbi, &place, NULL)
                               : mdb_put(call->txn, dbi, &place, data, 0),
                  "a row cannot be written");
}

/* --- Entries ----------------------------------------------------------------------------------- */

static void give(uint8_t **at, const void *bytes, size_t size)
{
    memcpy(*at, bytes, size);
    *at += size;
}

static void take(const uint8_t **at, void *bytes, size_t size)
{
    memcpy(bytes, *at, size);
    *at += size;
}

static size_t entry_pack(const struct entry *entry, uint8_t *bytes)
{
    uint8_t *at = bytes;

    give(&at, &entry->first_seen, 8);
    give(&at, &entry->last_seen, 8);
    give(&at, &entry->expires, 8);
    give(&at, &entry->waited, 8);
    give(&at, &entry->tries, 4);
    give(&at, &entry->passes, 4);
    give(&at, &entry->origins_count, 1);
    give(&at, &entry->has_texts, 1);
    give(&at, entry->text_size, TEXTS);
    for (size_t i = 0; i < entry->origins_count; i++) {
        give(&at, entry->origins[i].name, STORAGE_KEY_SIZE);
        give(&at, &entry->origins[i].position, 8);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        give(&at, entry->text[i], entry->text_size[i]);
    }
    return (size_t)(at - bytes);
}

/* False where the row is not one of ours: a damaged store is not to lead outside of it. */
bool entry_unpack(struct entry *entry, const MDB_val *data)
{
    const uint8_t *at = data->mv_data;
    size_t size = ENTRY_FIXED;

    if (data->mv_size < size) {
        return false;
    }
    take(&at, &entry->first_seen, 8);
    take(&at, &entry->last_seen, 8);
    take(&at, &entry->expires, 8);
    take(&at, &entry->waited, 8);
    take(&at, &entry->tries, 4);
    take(&at, &entry->passes, 4);
    take(&at, &entry->origins_count, 1);
    take(&at, &entry->has_texts, 1);
    take(&at, entry->text_size, TEXTS);
    size += entry->origins_count * (size_t)(STORAGE_KEY_SIZE + 8);
    for (size_t i = 0; i < TEXTS; i++) {
        size += entry->text_size[i];
    }
    if (entry->origins_count > ORIGINS || data->mv_size != size) {
        return false;
    }
    for (size_t i = 0; i < entry->origins_count; i++) {
        take(&at, entry->origins[i].name, STORAGE_KEY_SIZE);
        take(&at, &entry->origins[i].position, 8);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        take(&at, entry->text[i], entry->text_size[i]);
    }
    return true;
}

void entry_value(const struct entry *entry, unsigned column, struct storage_value *value)
{
    const int64_t numbers[COLUMN_TEXTS] = {entry->first_seen, entry->last_seen, entry->expires,
                                           entry->waited,     entry->tries,     entry->passes};

    memset(value, 0, sizeof *value);
    if (column < COLUMN_TEXTS) {
        value->type = column < 3 ? STORAGE_TIME : STORAGE_INTEGER;
        value->integer = numbers[column];
    } else if (entry->has_texts != 0) {
        value->type = STORAGE_TEXT;
        value->text.data = entry->text[column - COLUMN_TEXTS];
        value->text.size = entry->text_size[column - COLUMN_TEXTS];
    }
}

enum storage_status entry_load(struct call *call, const struct storage_key *key, int64_t now,
                               struct entry *entry)
{
    MDB_val data;
    int code = row_get(call, ENTRIES, key, &data);

    entry->there = code == 0;
    entry->live = false;
    if (code == MDB_NOTFOUND) {
        return STORAGE_OK;
    }
    if (code == 0 && !entry_unpack(entry, &data)) {
        code = MDB_CORRUPTED;
    }
    entry->live = code == 0 && entry->expires > now;
    return result(call, code, "an entry cannot be read");
}

static enum storage_status entry_index(struct call *call, const struct storage_key *key,
                                       const struct entry *before, const struct entry *after)
{
    const struct kind *kind = catalog_entries(call->catalog);
    struct storage_key copy = *key;
    MDB_val id = {sizeof copy, &copy};
    enum storage_status status = STORAGE_OK;

    for (unsigned i = 0; i < kind->count && i < COLUMNS && status == STORAGE_OK; i++) {
        struct storage_value old;
        struct storage_value new;

        if (kind->fields[i].flags == 0) {
            continue;
        }
        if (before != NULL) {
            entry_value(before, i, &old);
        }
        if (after != NULL) {
            entry_value(after, i, &new);
        }
        status = index_move(call, kind, i, &id, before != NULL ? &old : NULL,
                            after != NULL ? &new : NULL);
    }
    return status;
}

enum storage_status entry_save(struct call *call, const struct storage_key *key,
                               const struct entry *before, const struct entry *after)
{
    const struct entry *old = before != NULL && before->there ? before : NULL;
    uint8_t bytes[ENTRY_MAX];
    MDB_val data = {0, bytes};
    enum storage_status status;

    if (after != NULL) {
        data.mv_size = entry_pack(after, bytes);
    }
    status = row_put(call, ENTRIES, key, after != NULL ? &data : NULL);
    if (status == STORAGE_OK) {
        status = expires_move(call, ENTRIES, key, old != NULL ? &old->expires : NULL,
                              after != NULL ? &after->expires : NULL);
    }
    return status == STORAGE_OK ? entry_index(call, key, old, after) : status;
}

/* --- Counters ---------------------------------------------------------------------------------- */

#define COUNTER_FIXED (3 * 8 + 2 * 4)

enum storage_status counter_load(struct call *call, const struct storage_key *key, int64_t now,
                                 struct counter *counter)
{
    MDB_val data;
    int code = row_get(call, COUNTERS, key, &data);

    memset(counter, 0, sizeof *counter);
    if (code == MDB_NOTFOUND) {
        return STORAGE_OK;
    }
    if (code == 0 && data.mv_size < COUNTER_FIXED) {
        code = MDB_CORRUPTED;
    }
    if (code == 0) {
        const uint8_t *at = data.mv_data;

        take(&at, &counter->first_seen, 8);
        take(&at, &counter->last_seen, 8);
        take(&at, &counter->expires, 8);
        take(&at, &counter->count, 4);
        take(&at, &counter->marks_count, 4);
        if (counter->marks_count > STORAGE_MARKS ||
            data.mv_size != COUNTER_FIXED + 8 * counter->marks_count) {
            code = MDB_CORRUPTED;
        } else {
            take(&at, counter->marks, 8 * (size_t)counter->marks_count);
        }
    }
    counter->there = code == 0;
    counter->live = code == 0 && counter->expires > now;
    return result(call, code, "a counter cannot be read");
}

enum storage_status counter_save(struct call *call, const struct storage_key *key,
                                 const struct counter *before, const struct counter *after)
{
    uint8_t bytes[sizeof(struct counter)];
    uint8_t *at = bytes;
    MDB_val data = {0, bytes};
    enum storage_status status;

    if (after != NULL) {
        give(&at, &after->first_seen, 8);
        give(&at, &after->last_seen, 8);
        give(&at, &after->expires, 8);
        give(&at, &after->count, 4);
        give(&at, &after->marks_count, 4);
        give(&at, after->marks, 8 * (size_t)after->marks_count);
        data.mv_size = (size_t)(at - bytes);
    }
    status = row_put(call, COUNTERS, key, after != NULL ? &data : NULL);
    if (status == STORAGE_OK) {
        status = expires_move(call, COUNTERS, key, before->there ? &before->expires : NULL,
                              after != NULL ? &after->expires : NULL);
    }
    return status;
}

/* Removes the row that a place in the order of expiry speaks of. */
enum storage_status row_expired(struct call *call, const MDB_val *place)
{
    const uint8_t *bytes = place->mv_data;
    struct storage_key key;
    enum storage_status status;

    if (place->mv_size != EXPIRES_KEY) {
        return result(call, MDB_CORRUPTED, "the order of expiry");
    }
    memcpy(key.bytes, bytes + 9, sizeof key.bytes);
    if (bytes[8] == ENTRIES) {
        struct entry entry;

        status = entry_load(call, &key, 0, &entry);
        return status == STORAGE_OK ? entry_save(call, &key, &entry, NULL) : status;
    }

    struct counter counter;

    status = counter_load(call, &key, 0, &counter);
    return status == STORAGE_OK ? counter_save(call, &key, &counter, NULL) : status;
}
