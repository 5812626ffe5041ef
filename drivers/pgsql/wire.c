/* wire.c: parameters and answers in PostgreSQL's binary form: numbers in network order, arrays with
 * a header of their own. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/pgsql/pgsql.h"

/* Types of pg_type.dat; they never change. */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25
#define OID_FLOAT8 701
#define OID_BYTEA_ARRAY 1001
#define OID_TEXT_ARRAY 1009
#define OID_INT8_ARRAY 1016
#define OID_UUID 2950
#define OID_UUID_ARRAY 2951

static const struct {
    Oid array;
    uint32_t element;
} elements[] = {
    [ELEMENT_KEY] = {OID_UUID_ARRAY, OID_UUID},
    [ELEMENT_INTEGER] = {OID_INT8_ARRAY, OID_INT8},
    [ELEMENT_TEXT] = {OID_TEXT_ARRAY, OID_TEXT},
    [ELEMENT_BYTES] = {OID_BYTEA_ARRAY, OID_BYTEA},
};

void params_free(struct params *p)
{
    free(p->data);
    memset(p, 0, sizeof(*p));
}

void params_reset(struct params *p)
{
    p->size = 0;
    p->count = 0;
    p->failed = false;
}

static bool make_room(struct params *p, size_t more)
{
    if (p->failed)
        return false;
    if (p->room - p->size >= more)
        return true;
    size_t room = (p->room + more) * 2 + 1024;
    char *data = realloc(p->data, room);
    if (data == NULL) {
        p->failed = true;
        return false;
    }
    p->data = data;
    p->room = room;
    return true;
}

static void put(struct params *p, const void *data, size_t size)
{
    if (size > 0 && make_room(p, size)) {
        memcpy(p->data + p->size, data, size);
        p->size += size;
    }
}

static void put32(struct params *p, uint32_t value)
{
    uint32_t big = htobe32(value);
    put(p, &big, sizeof(big));
}

static void put64(struct params *p, uint64_t value)
{
    uint64_t big = htobe64(value);
    put(p, &big, sizeof(big));
}

static void begin(struct params *p, Oid type)
{
    if (p->count >= PARAMETERS_MAX) {
        p->failed = true;
        return;
    }
    p->types[p->count] = type;
    p->nulls[p->count] = false;
    p->begins[p->count] = p->size;
}

static void end(struct params *p)
{
    /* libpq wants an address also for a text of no bytes. */
    if (!p->failed && make_room(p, 1))
        p->ends[p->count++] = p->size;
}

void params_integer(struct params *p, int64_t value)
{
    begin(p, OID_INT8);
    put64(p, (uint64_t)value);
    end(p);
}

void params_real(struct params *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    begin(p, OID_FLOAT8);
    put64(p, bits);
    end(p);
}

void params_text(struct params *p, struct storage_text text)
{
    begin(p, OID_TEXT);
    put(p, text.data, text.size);
    end(p);
}

void params_key(struct params *p, const struct storage_key *key)
{
    begin(p, OID_UUID);
    put(p, key->bytes, STORAGE_KEY_SIZE);
    end(p);
}

void params_value(struct params *p, enum storage_type type, const struct storage_value *value)
{
    bool null = value->type == STORAGE_NULL;
    if (type == STORAGE_TEXT)
        params_text(p, null ? (struct storage_text){NULL, 0} : value->text);
    else if (type == STORAGE_REAL)
        params_real(p, null ? 0.0 : value->real);
    else
        params_integer(p, null ? 0 : value->integer);
    if (null && !p->failed)
        p->nulls[p->count - 1] = true;
}

void params_array(struct params *p, enum element element, size_t count)
{
    begin(p, elements[element].array);
    put32(p, 1); /* dimensions */
    put32(p, 1); /* there may be NULL */
    put32(p, elements[element].element);
    put32(p, (uint32_t)count);
    put32(p, 1); /* the first one's number */
}

void element_integer(struct params *p, int64_t value)
{
    put32(p, sizeof(value));
    put64(p, (uint64_t)value);
}

void element_bytes(struct params *p, const void *data, size_t size)
{
    put32(p, (uint32_t)size);
    put(p, data, size);
}

void element_null(struct params *p)
{
    put32(p, UINT32_MAX);
}

void params_array_end(struct params *p)
{
    end(p);
}

static bool has(const PGresult *result, int row, int column, int size)
{
    return row < PQntuples(result) && column < PQnfields(result) &&
           PQgetisnull(result, row, column) == 0 && PQgetlength(result, row, column) == size;
}

bool read_integer(const PGresult *result, int row, int column, int64_t *value)
{
    uint64_t big;
    if (!has(result, row, column, sizeof(big)))
        return false;
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    *value = (int64_t)be64toh(big);
    return true;
}

bool read_number(const PGresult *result, int row, int column, uint32_t *value)
{
    int64_t wide;
    if (!read_integer(result, row, column, &wide))
        return false;
    *value = wide < 0 ? 0 : wide > UINT32_MAX ? UINT32_MAX : (uint32_t)wide;
    return true;
}

bool read_real(const PGresult *result, int row, int column, double *value)
{
    uint64_t bits;
    int64_t integer;
    if (!read_integer(result, row, column, &integer))
        return false;
    bits = (uint64_t)integer;
    memcpy(value, &bits, sizeof(*value));
    return true;
}

bool read_key(const PGresult *result, int row, int column, struct storage_key *key)
{
    if (!has(result, row, column, STORAGE_KEY_SIZE))
        return false;
    memcpy(key->bytes, PQgetvalue(result, row, column), STORAGE_KEY_SIZE);
    return true;
}
