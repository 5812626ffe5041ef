/* pattern.h: regular expressions that cannot stall: bounded when compiled and when matched.
 *
 * Perl's syntax, letter case never counts, found anywhere in the text unless anchored. */
#ifndef MONGREY_PATTERN_H
#define MONGREY_PATTERN_H

#include <stdbool.h>

#include "core/base/text.h"

#define PATTERN_MAX 512        /* bytes of a pattern as written */
#define PATTERN_TEXT_MAX 512   /* of a text to match; RFC 5321 ends a path at 256 */
#define PATTERN_BYTES_MAX 8192 /* of a pattern as compiled */
#define PATTERN_LITERAL_MIN 3
#define PATTERN_LITERALS_ROOM (PATTERN_MAX + 1)
#define PATTERN_WHY_MAX 192

/* Compiled; immutable, used by any number of threads at once. */
struct pattern;
/* What a match needs to work in (about 20 KiB, 512 at most): one for each thread. */
struct pattern_room;

enum pattern_answer { PATTERN_NO, PATTERN_YES, PATTERN_GAVE_UP };

/* NULL: *why (terminated, cut at why_size) says what is wrong with it and where, in words that
 * follow the pattern's name ("has ... at byte 3"). Freed with pattern_free. */
struct pattern *pattern_compile(struct text written, char *why, size_t why_size);
void pattern_free(struct pattern *pattern);
/* What it takes in memory. */
size_t pattern_bytes(const struct pattern *pattern);

/* NULL when out of memory. */
struct pattern_room *pattern_room_make(void);
void pattern_room_free(struct pattern_room *room);

/*
 * Costs some 0.2 ms at most on what can be an address (a pattern made to be slow, of many loops in
 * a row, a few times that). What goes beyond, a text over PATTERN_TEXT_MAX, and one over 256 bytes
 * that would be tried from nearly everywhere are PATTERN_GAVE_UP: the same every time, by counting
 * and not by the clock. Bytes that are no UTF-8 are matched by nothing.
 */
enum pattern_answer pattern_match(const struct pattern *pattern, struct text text,
                                  struct pattern_room *room);

/* Whether it matches whatever is not empty, so far as a handful of odd texts tells. */
bool pattern_matches_all(const struct pattern *pattern, struct pattern_room *room);

/*
 * The literals that stand, folded by pattern_fold, in every text that the pattern matches: each of
 * PATTERN_LITERAL_MIN bytes or more, each ended by a NUL. Returns the bytes written, 0 where no
 * literal is certain. The pattern must be one that compiles.
 */
size_t pattern_literals(struct text written, char literals[PATTERN_LITERALS_ROOM]);

/* The text as literals are looked for in it: ASCII letters in lower case, and the two characters
 * that Unicode holds for the same letter as an ASCII one (U+017F, U+212A) as that. Writes at most
 * text.size bytes; returns how many. */
size_t pattern_fold(struct text text, char *folded);

#endif
