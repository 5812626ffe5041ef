/* transfer.h: fixtures into a store, and out of it. */
#ifndef MONGREY_TRANSFER_H
#define MONGREY_TRANSFER_H

#include <stdio.h>

#include "core/store/store.h"

/* What became of the records of a file. */
struct transfer_tally {
    size_t entries;
    size_t success;
    size_t warn; /* were there already, and stay as they are: those that differ are said */
    size_t error;
};

/* Takes a sentence that names file and line; not `wrong`: only to be known. */
typedef void transfer_say(void *context, bool wrong, const char *text);

/* Writes the records of the file's text, which `name` stands for, that are not there yet; with
 * `replace` also over those that are there and differ. False: something was refused, or the store was
 * lost: each is said. */
bool transfer_import(struct store_line *line, struct text file, const char *name, int64_t now,
                     bool replace, struct transfer_tally *tally, transfer_say *say, void *context);

/* Writes all records, in a stable order. False: *error says what the store, or the file, had. */
bool transfer_export(struct store_line *line, FILE *out, size_t *records,
                     struct storage_error *error);

#endif
