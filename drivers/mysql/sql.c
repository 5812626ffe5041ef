/* sql.c: see sql.h. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mysql/sql.h"

void sql_free(struct sql *sql)
{
    free(sql->data);
    *sql = (struct sql){.data = NULL};
}

/* Room for so many bytes more, and a final 0. */
static char *grow(struct sql *sql, size_t more)
{
    if (sql->room - sql->size <= more) {
        size_t room =
            sql->room * 2 > sql->size + more + 4096 ? sql->room * 2 : sql->size + more + 4096;
        char *data = realloc(sql->data, room);
        if (data == NULL) {
            sql->failed = true;
            return NULL;
        }
        sql->data = data;
        sql->room = room;
    }
    return sql->data + sql->size;
}

static void put(struct sql *sql, const char *text, size_t size)
{
    char *to = grow(sql, size);
    if (to == NULL)
        return;
    memcpy(to, text, size);
    sql->size += size;
}

void sql_put(struct sql *sql, const char *text)
{
    put(sql, text, strlen(text));
}

void sql_begin(struct sql *sql, const char *text)
{
    sql->size = 0;
    sql->failed = false;
    sql_put(sql, text);
}

void sql_add(struct sql *sql, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= sizeof(text))
        sql->failed = true;
    else
        put(sql, text, (size_t)length);
}

void sql_number(struct sql *sql, int64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    put(sql, digits + at, sizeof(digits) - at);
}

/* The session's sql_mode leaves the backslash its meaning, and no byte of a longer UTF-8 character is
 * one of these. */
static char escaped(char c)
{
    switch (c) {
    case '\0':
        return '0';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\x1a':
        return 'Z';
    case '\'':
    case '"':
    case '\\':
        return c;
    default:
        return '\0';
    }
}

void sql_bytes(struct sql *sql, const char *data, size_t size)
{
    char *to = grow(sql, 2 * size + sizeof("_binary''"));
    if (to == NULL)
        return;
    memcpy(to, "_binary'", 8);
    to += 8;
    for (size_t i = 0; i < size; i++) {
        char letter = escaped(data[i]);
        if (letter != '\0')
            *to++ = '\\';
        *to++ = letter != '\0' ? letter : data[i];
    }
    *to++ = '\'';
    sql->size = (size_t)(to - sql->data);
}

void sql_key(struct sql *sql, const uint8_t *key)
{
    static const char digits[] = "0123456789abcdef";
    char text[STORAGE_KEY_SIZE * 2 + 3] = "x'";
    for (size_t i = 0; i < STORAGE_KEY_SIZE; i++) {
        text[2 + 2 * i] = digits[key[i] >> 4];
        text[3 + 2 * i] = digits[key[i] & 15];
    }
    text[STORAGE_KEY_SIZE * 2 + 2] = '\'';
    put(sql, text, sizeof(text));
}

void sql_value(struct sql *sql, const struct storage_value *value)
{
    switch (value->type) {
    case STORAGE_INTEGER:
    case STORAGE_TIME:
        /* The least number is no literal of its own: the minus counts for itself. */
        if (value->integer == INT64_MIN)
            sql_put(sql, "(-9223372036854775807 - 1)");
        else
            sql_number(sql, value->integer);
        break;
    case STORAGE_REAL:
        sql_add(sql, "%.17e", value->real);
        break;
    case STORAGE_TEXT:
        sql_bytes(sql, value->text.data, value->text.size);
        break;
    default:
        sql_put(sql, "NULL");
        break;
    }
}

void sql_keys(struct sql *sql, const struct storage_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sql_put(sql, i == 0 ? "(" : ",");
        sql_key(sql, keys[i].bytes);
    }
    sql_put(sql, ")");
}

bool read_key(const char *column, unsigned long size, struct storage_key *key)
{
    if (column == NULL || size != STORAGE_KEY_SIZE)
        return false;
    memcpy(key->bytes, column, STORAGE_KEY_SIZE);
    return true;
}

bool read_integer(const char *column, int64_t *number)
{
    char *end;
    if (column == NULL || *column == '\0')
        return false;
    errno = 0;
    *number = strtoll(column, &end, 10);
    return *end == '\0' && errno == 0;
}

bool read_unsigned(const char *column, uint64_t *number)
{
    char *end;
    if (column == NULL || *column < '0' || *column > '9')
        return false;
    errno = 0;
    *number = strtoull(column, &end, 10);
    return *end == '\0' && errno == 0;
}

bool read_count(const char *column, uint32_t *number)
{
    uint64_t wide;
    if (!read_unsigned(column, &wide) || wide > UINT32_MAX)
        return false;
    *number = (uint32_t)wide;
    return true;
}

bool read_times(char **columns, struct storage_row *row)
{
    return read_integer(columns[0], &row->first_seen) &&
           read_integer(columns[1], &row->last_seen) && read_integer(columns[2], &row->expires);
}
