/* records.h: the kinds of records, and their fields, in one table: what a driver makes its tables
 * from. */
#ifndef MONGREY_RECORDS_H
#define MONGREY_RECORDS_H

#include "include/storage.h"

enum kind { KIND_ENTRY, KINDS };

extern const struct storage_kind record_kinds[KINDS];

#endif
