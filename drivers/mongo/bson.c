/* bson.c: BSON members that may be anything, read and written. */
#include <string.h>

#include "drivers/mongo/mongo.h"

int64_t bson_integer(const bson_iter_t *iter, int64_t otherwise)
{
    if (BSON_ITER_HOLDS_INT64(iter))
        return bson_iter_int64(iter);
    if (BSON_ITER_HOLDS_INT32(iter))
        return bson_iter_int32(iter);
    if (BSON_ITER_HOLDS_DOUBLE(iter)) {
        double number = bson_iter_double(iter);
        if (number >= -9.2e18 && number <= 9.2e18) /* not so of what is no number */
            return (int64_t)number;
    }
    return otherwise;
}

int64_t bson_get_integer(const bson_t *document, const char *name, int64_t otherwise)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, name) ? bson_integer(&iter, otherwise) : otherwise;
}

bool bson_get_text(const bson_t *document, const char *name, char *text, size_t room)
{
    bson_iter_t iter;
    uint32_t size = 0;
    text[0] = '\0';
    if (!bson_iter_init_find(&iter, document, name) || !BSON_ITER_HOLDS_UTF8(&iter))
        return false;
    const char *found = bson_iter_utf8(&iter, &size);
    if (size >= room || memchr(found, '\0', size) != NULL)
        return false;
    memcpy(text, found, size);
    text[size] = '\0';
    return true;
}

void key_to_hex(const struct storage_key *key, char hex[HEX_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        hex[2 * i] = digits[key->bytes[i] >> 4];
        hex[2 * i + 1] = digits[key->bytes[i] & 15];
    }
    hex[HEX_SIZE] = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_to_key(const char *hex, size_t size, struct storage_key *key)
{
    if (size != HEX_SIZE)
        return false;
    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        int high = digit(hex[2 * i]);
        int low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void bson_add_text(bson_t *document, const char *name, struct storage_text text)
{
    bson_append_utf8(document, name, -1, text.size > 0 ? text.data : "", (int)text.size);
}

void bson_add_value(bson_t *document, const char *name, const struct storage_value *value)
{
    switch (value->type) {
    case STORAGE_INTEGER:
    case STORAGE_TIME:
        bson_append_int64(document, name, -1, value->integer);
        break;
    case STORAGE_REAL:
        bson_append_double(document, name, -1, value->real);
        break;
    case STORAGE_TEXT:
        bson_add_text(document, name, value->text);
        break;
    default:
        bson_append_null(document, name, -1);
        break;
    }
}

void bson_take_value(const bson_iter_t *iter, enum storage_type type, struct storage_value *value)
{
    uint32_t size = 0;
    bool number = BSON_ITER_HOLDS_NUMBER(iter);
    memset(value, 0, sizeof(*value));
    if (type == STORAGE_TEXT && BSON_ITER_HOLDS_UTF8(iter)) {
        value->type = type;
        value->text.data = bson_iter_utf8(iter, &size);
        value->text.size = size;
    } else if (type == STORAGE_REAL && number) {
        value->type = type;
        value->real = bson_iter_as_double(iter);
    } else if ((type == STORAGE_INTEGER || type == STORAGE_TIME) && number) {
        value->type = type;
        value->integer = bson_integer(iter, 0);
    }
}

const char *array_name(uint32_t index, const char **name, char room[16])
{
    bson_uint32_to_string(index, name, room, 16);
    return *name;
}

void bson_push_text(bson_t *array, uint32_t index, const char *text)
{
    char room[16];
    const char *name;
    bson_append_utf8(array, array_name(index, &name, room), -1, text, -1);
}
