/* data.h: files of records into the store by three-way merge, with a report in the log: the
 * fixtures at start and reload, and lists that others keep. */
#ifndef MONGREY_DATA_H
#define MONGREY_DATA_H

#include "core/policy/snapshot.h"
#include "core/store/store.h"

#define DATA_FIXTURES "/var/lib/mongrey/server-fixtures.yml"

/* The fixtures file: `named` where it is not empty, else the first that is there of DATA_FIXTURES
 * and mongrey/server-fixtures.yml in `home` (NULL: none), written to `memory`. NULL: there is none.
 */
const char *data_find_fixtures(const char *named, const char *home, char *memory, size_t size);

/*
 * Merges a file into the store: what is new in it is added, what has changed or gone is changed or
 * removed, but what was edited or deleted in the store stays so. Doing it again changes nothing.
 * `now` is when new records are created (ms). 0: fine; 1: something was refused or failed, which is
 * in the log. Takes some hundred bytes a record; blocks; one thread a line.
 */
int data_import_at_start(struct store_line *line, const char *path, int64_t now);
/* What a start and a reload do: merges a file of fixtures (NULL: none) as above, then reads the lists as
 * lists_load does. While the store is away neither is tried. */
struct lists_place;
struct snapshot *data_load(struct store_line *line, const char *fixtures, struct lists_place *place,
                           int64_t now, enum storage_status *status, struct storage_error *error);
/* A list file of postgrey's, into the white list. */
int data_import_list(struct store_line *line, const char *path, bool recipients, int64_t now);

#endif
