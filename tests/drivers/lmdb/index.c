/*
 * index.c: keys of the index, and how values compare.
 *
 * A key is kind, field, 0 for NULL or 1 and the value, an end, the id. Bytes compare as values do:
 * numbers are big endian with the sign turned, text has no NUL and ends with one. LMDB's keys are
 * short, so of a long text only the beginning is there; who walks the index then looks at the row.
 */
#include <string.h>

#include "driver.h"

#define VALUE_MAX 400 /* bytes of a value in a key; with the rest it stays below KEY_MAX */
#define VALUE_AT 5

/* A number whose order among unsigned numbers is the value's. */
static uint64_t sortable(const struct storage_value *value)
{
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t bits = 0;

    if (value->type != STORAGE_REAL) {
        memcpy(&bits, &value->integer, sizeof bits);
        return bits ^ sign;
    }

    double real = value->real + 0.0; /* -0 is 0 */

    memcpy(&bits, &real, sizeof bits);
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

int value_compare(const struct storage_value *a, const struct storage_value *b)
{
    if (a->type == STORAGE_NULL || b->type == STORAGE_NULL) {
        return (a->type != STORAGE_NULL) - (b->type != STORAGE_NULL);
    }
    if (a->type == STORAGE_TEXT) {
        size_t size = a->text.size < b->text.size ? a->text.size : b->text.size;
        int order = size == 0 ? 0 : memcmp(a->text.data, b->text.data, size);

        return order != 0 ? order : (a->text.size > b->text.size) - (a->text.size < b->text.size);
    }

    uint64_t x = sortable(a);
    uint64_t y = sortable(b);

    return (x > y) - (x < y);
}

void index_append(struct index_key *key, const void *bytes, size_t size)
{
    if (size > KEY_MAX - key->size) {
        size = KEY_MAX - key->size;
    }
    if (size > 0) {
        memcpy(key->bytes + key->size, bytes, size);
    }
    key->size += size;
}

void index_prefix(struct index_key *key, unsigned kind, unsigned field)
{
    const uint8_t bytes[] = {(uint8_t)(kind >> 8), (uint8_t)kind, (uint8_t)(field >> 8),
                             (uint8_t)field};

    key->size = 0;
    key->exact = false;
    index_append(key, bytes, sizeof bytes);
}

/* Up to the value's end; of a value that does not fit, what all that begin like it have. */
void index_value(struct index_key *key, unsigned kind, unsigned field,
                 const struct storage_value *value)
{
    uint64_t number = 0;

    index_prefix(key, kind, field);
    key->exact = true;
    index_append(key, value->type == STORAGE_NULL ? "\0" : "\1", 1);
    if (value->type == STORAGE_TEXT) {
        key->exact = value->text.size < VALUE_MAX;
        index_append(key, value->text.data, key->exact ? value->text.size : VALUE_MAX);
    } else if (value->type != STORAGE_NULL) {
        number = big_endian(sortable(value));
        index_append(key, &number, sizeof number);
    }
    if (key->exact) {
        index_append(key, "\0", 1);
    }
}

/* Whether a key that was found has its value whole: then the index's order is the value's. */
bool index_exact(size_t key_size, size_t id_size, enum storage_type type)
{
    return type != STORAGE_TEXT || key_size < VALUE_AT + VALUE_MAX + 1 + id_size;
}

static void full_key(struct index_key *key, const struct kind *kind, unsigned field,
                     const struct storage_value *value, const MDB_val *id)
{
    index_value(key, kind->number, field, value);
    if (!key->exact) {
        index_append(key, "\0", 1);
    }
    index_append(key, id->mv_data, id->mv_size);
}

static bool same(const struct storage_value *before, const struct storage_value *after)
{
    return before != NULL && after != NULL && value_compare(before, after) == 0;
}

enum storage_status index_move(struct call *call, const struct kind *kind, unsigned field,
                               const MDB_val *id, const struct storage_value *before,
                               const struct storage_value *after)
{
    MDB_dbi index = call->store->dbi[INDEX];
    struct index_key key;
    int code = 0;

    if (kind->fields[field].flags == 0 || same(before, after)) {
        return STORAGE_OK;
    }
    if (before != NULL) {
        full_key(&key, kind, field, before, id);

        MDB_val old = {key.size, key.bytes};

        code = mdb_del(call->txn, index, &old, NULL);
        code = code == MDB_NOTFOUND ? 0 : code;
    }
    if (code == 0 && after != NULL) {
        full_key(&key, kind, field, after, id);

        MDB_val made = {key.size, key.bytes};
        MDB_val data = *id;

        code = mdb_put(call->txn, index, &made, &data, 0);
    }
    return result(call, code, "the index cannot be written");
}
