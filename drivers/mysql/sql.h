/* sql.h: a statement's text as it grows, and the reading of what a server answered. Knows no connection. */
#ifndef MONGREY_DRIVER_MYSQL_SQL_H
#define MONGREY_DRIVER_MYSQL_SQL_H

#include "include/storage.h"

struct sql {
    char *data;
    size_t size;
    size_t room;
    bool failed; /* no memory: what is there is not the whole text */
};

void sql_free(struct sql *sql);
/* Begins anew. */
void sql_begin(struct sql *sql, const char *text);
void sql_put(struct sql *sql, const char *text);
void sql_add(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sql_number(struct sql *sql, int64_t number);
/* A literal of bytes: no charset has a say in it. */
void sql_bytes(struct sql *sql, const char *data, size_t size);
void sql_key(struct sql *sql, const uint8_t *key);
void sql_value(struct sql *sql, const struct storage_value *value);
/* "(x'..', x'..')" */
void sql_keys(struct sql *sql, const struct storage_key *keys, size_t count);

/* What stands in a column; false: it is NULL or no such thing. */
bool read_key(const char *column, unsigned long size, struct storage_key *key);
bool read_integer(const char *column, int64_t *number);
bool read_unsigned(const char *column, uint64_t *number);
bool read_count(const char *column, uint32_t *number);
/* first_seen, last_seen, expires in a row's columns. */
bool read_times(char **columns, struct storage_row *row);

#endif
