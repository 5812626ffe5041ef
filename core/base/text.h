/* text.h: pieces of text that somebody else owns, a bounded writer, and the numbers people write.
 */
#ifndef MONGREY_TEXT_H
#define MONGREY_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes lent by their owner, not terminated. data may be NULL where size is 0. */
struct text {
    const char *data;
    size_t size;
};

#define TEXT(literal) ((struct text){(literal), sizeof(literal) - 1})

struct text text_of(const char *terminated);
bool text_equal(struct text a, struct text b);
/* ASCII letters alike. */
bool text_equal_fold(struct text a, struct text b);
struct text text_trim(struct text t);
/* Whether one of the characters of `set` is in it. */
bool text_has(struct text t, const char *set);
/* Takes the part before `separator` off the front of *rest; the whole, if there is none.
 * False when nothing is left (a trailing separator gives one last empty part). */
bool text_split(struct text *rest, char separator, struct text *part);
char text_lower(char c);

/* Writes into memory that the caller owns, never past `end`; `full` says that something was cut. */
struct writer {
    char *start;
    char *at;
    char *end;
    bool full;
};

struct writer writer_on(char *memory, size_t size);
void write_bytes(struct writer *w, const char *data, size_t size);
void write_text(struct writer *w, struct text t);
void write_literal(struct writer *w, const char *terminated);
void write_number(struct writer *w, int64_t number);
void write_format(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What was written so far, terminated in place (cutting the last byte where the writer is full). */
const char *writer_end(struct writer *w);
struct text writer_text(const struct writer *w);

/*
 * Writes network text so that it cannot be taken for anything else: what isn't printable UTF-8
 * (controls, line separators, directional overrides, stray bytes) and the bytes in `also` become
 * \xHH, a backslash becomes \\. At most `limit` bytes are written, never a part of a character.
 */
void write_escaped(struct writer *w, struct text t, const char *also, size_t limit);

/* The length of the well-formed UTF-8 character at data (RFC 3629), 0 where there is none. */
size_t text_utf8(const char *data, size_t size, uint32_t *code);

/* Whether all of it is UTF-8 that stays on its line and moves or hides nothing beside it. */
bool text_is_printable(struct text t);

/* A whole decimal number; no sign but '-', no blanks, no overflow. */
bool text_number(struct text t, int64_t *number);
/* `20`, `20s`, `5m`, `3h`, `35d`, `2w`, `1.5h`, `200ms`, blank before the unit allowed ->
 * milliseconds. */
bool text_duration(struct text t, int64_t *milliseconds);
/* `4096`, `64k`, `64 MiB`, `1GB` (all binary) -> bytes. */
bool text_size(struct text t, int64_t *bytes);
/* 1/0, yes/no, true/false, on/off. */
bool text_bool(struct text t, bool *value);
/* How many edits apart (Levenshtein), for "did you mean"; texts over 63 bytes count as far apart.
 */
unsigned text_distance(struct text a, struct text b);

#endif
