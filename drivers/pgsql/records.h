/* records.h: what records.c and search.c share: SQL text, and the kinds. */
#ifndef MONGREY_DRIVER_PGSQL_RECORDS_H
#define MONGREY_DRIVER_PGSQL_RECORDS_H

#include "drivers/pgsql/pgsql.h"

struct sql_text {
    size_t size;
    bool full;
    char text[24576];
};

void sql_add(struct sql_text *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool hex_to_key(const char *hex, struct storage_key *key);
const struct storage_kind *find_kind(const struct storage_session *session, size_t kind);

#endif
