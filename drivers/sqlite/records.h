/* records.h: what records.c and search.c share: SQL text, and values by type. */
#ifndef MONGREY_DRIVER_SQLITE_RECORDS_H
#define MONGREY_DRIVER_SQLITE_RECORDS_H

#include "drivers/sqlite/sqlite.h"

struct sql_text {
    size_t size;
    bool full;
    char text[12288];
};

void sql_add(struct sql_text *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum storage_status sql_prepare(struct storage_session *session, const struct sql_text *sql,
                                sqlite3_stmt **statement, struct storage_error *error);
int bind_value(sqlite3_stmt *statement, int index, const struct storage_value *value);
bool hex_to_key(const char *hex, struct storage_key *key);
const struct storage_kind *find_kind(const struct storage_session *session, size_t kind);

#endif
