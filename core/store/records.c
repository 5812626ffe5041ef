/* records.c: see records.h. A new column is one line here. */
#include "core/store/records.h"

/* The rows of observe(): the driver keeps them in a table of its own. */
static const struct storage_field entry_fields[] = {
    {"first_seen", STORAGE_TIME, STORAGE_INDEXED},
    {"last_seen", STORAGE_TIME, 0},
    {"expires", STORAGE_TIME, 0},
    {"waited", STORAGE_INTEGER, 0},
    {"tries", STORAGE_INTEGER, 0},
    {"passes", STORAGE_INTEGER, 0},
    {"client_address", STORAGE_TEXT, 0},
    {"client_name", STORAGE_TEXT, 0},
    {"helo_name", STORAGE_TEXT, 0},
    {"sender", STORAGE_TEXT, 0},
    {"recipient", STORAGE_TEXT, 0},
    {"country", STORAGE_TEXT, 0},
    {"policy", STORAGE_TEXT, 0},
};

const struct storage_kind record_kinds[KINDS] = {
    [KIND_ENTRY] = {"greylist_entry", STORAGE_ENTRIES, entry_fields,
                    sizeof(entry_fields) / sizeof(entry_fields[0])},
};
