/*
 * saved.h: the lists as they were in the store, in a file, for a start without it. Text, a line a record:
 *
 *   mongrey lists 1
 *   store   <hash of the store's address, without its secret>
 *   time    <when they were read>
 *   kind    <kind>  <field> ...
 *   record  <id>    <value> ...      a value: empty for none, =text, #number
 *   end     <records>  <hash of all from the first kind to here>
 *
 * Blanks between the words are tabs; in a text \\, \t, \n and \0 are escaped. Whose hash is wrong, or in which
 * anything is not as written here, is refused whole: lists that are not all there would let through, or
 * reject, what nobody meant.
 */
#ifndef MONGREY_SAVED_H
#define MONGREY_SAVED_H

#include "core/base/text.h"
#include "core/store/records.h"

#define SAVED_FILE "lists.saved"
#define SAVED_MAX ((size_t)512 * 1024 * 1024) /* bytes; what is larger is not saved */

/* --- Writing ------------------------------------------------------------------------------------ */

struct saved;

/* Begins a file beside `path`. Nothing is said before saved_keep. `store` is the address. NULL: out of
 * memory. */
struct saved *saved_start(const char *path, const char *store, int64_t now);
/* The records that come are of this kind. */
void saved_kind(struct saved *saved, enum kind kind);
void saved_record(struct saved *saved, const struct storage_record *record);
/* Puts it in the place of the one before, unless they hold the same, and frees it. False: it could not be
 * written, and why says what was wrong; the one before stays. */
bool saved_keep(struct saved *saved, char *why, size_t size);
/* Forgets it. NULL is fine. */
void saved_drop(struct saved *saved);

/* --- Reading ------------------------------------------------------------------------------------ */

/* Takes a record, lent for the call. False: no more. */
typedef bool saved_each(void *context, enum kind kind, const struct storage_record *record);

/* Reads a file of this store; changes its memory. False: *why says what is wrong (records may have been
 * told before). *time: when the lists were read (ms). */
bool saved_read(char *memory, size_t size, const char *store, saved_each *each, void *context,
                int64_t *time, char *why, size_t why_size);

/* --- For both ----------------------------------------------------------------------------------- */

#define SAVED_HASH_TEXT 33
/* 32 hex digits. */
void saved_write_hash(char text[SAVED_HASH_TEXT], const uint8_t *hash);
/* The lines before `time`. */
void saved_write_head(struct writer *w, const char *store);

#endif
