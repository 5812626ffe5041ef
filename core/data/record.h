/*
 * record.h: what people write of a record, made into what is stored: checked field by field, each
 * value in its one canonical form, so that two spellings of one thing are one record. The import,
 * the REST API and the migration all come through here. Knows nothing of files or of a store.
 *
 * Fields that nobody enters (those of entries, metrics, decisions, the audit and imports) are not
 * made here.
 */
#ifndef MONGREY_RECORD_H
#define MONGREY_RECORD_H

#include "core/base/arena.h"
#include "core/store/records.h"

#define RECORD_COMMENTS_MAX 255 /* characters */
#define RECORD_NAME_MAX 255     /* bytes: a policy's name goes into readings */
#define RECORD_SOURCE_MAX 4096
#define RECORD_LIST_MAX 60000 /* of a pool's networks or domains */
#define RECORD_PRIORITY 100
#define RECORD_PRIORITY_MOST 1000000

struct record_fault {
    size_t field;
    char text[512]; /* "field: what is wrong, and how it is written right" */
};

size_t record_fields(enum kind kind);
const char *record_field_name(enum kind kind, size_t field);
/* False: there is no such field. `slug` is one. */
bool record_find_field(enum kind kind, struct text name, size_t *field);
/* Whether it is a list, which people may write as one. */
bool record_is_list(enum kind kind, size_t field);

/*
 * `written` has a text for each field, in the order of the kind's enum; data NULL: not given, which
 * is the field's default. `values` takes as many; their texts live in the arena, or are constants.
 * `now` is when it is created, where that is not given. False: *fault says what is wrong.
 */
bool record_make(enum kind kind, const struct text *written, int64_t now, struct arena *arena,
                 struct storage_value *values, struct record_fault *fault);

/* A value as record_make reads it; nothing for NULL. */
void record_write(struct writer *w, enum kind kind, size_t field,
                  const struct storage_value *value);
/* Whether it stands in a file as it is, without quotes: a number, a truth value or a time. */
bool record_is_bare(enum kind kind, size_t field);

/* What identifies it among its kind: always the first field. */
static inline struct text record_key(const struct storage_value *values)
{
    return (struct text){values[0].text.data, values[0].text.size};
}

/* Everything that somebody could have edited (all but the first field, which is made of others or
 * is the key itself, and `created`), on one line. */
void record_write_content(struct writer *w, enum kind kind, const struct storage_value *values);

#endif
