/*
 * logline.h: the log line of a decision, in three forms. Pure: any thread, no clock, no allocation.
 *
 * No value can end its field, begin another one or begin another line: what could is escaped, and what is
 * long is cut, so that every line has all its fields.
 */
#ifndef MONGREY_LOGLINE_H
#define MONGREY_LOGLINE_H

#include "core/policy/settings.h"
#include "core/policy/verdict.h"

#define LOGLINE_MAX 3800 /* bytes; less than what log_line takes */

/*
 * FORMAT_TEXT: postgrey's. FORMAT_JSON: an object, for log_bare(), with the request's own time.
 * FORMAT_MONGREY: 0.4.4's to the letter, with its reasons.
 */
void logline_write(struct writer *w, enum log_format format, const struct verdict *verdict,
                   const struct request *request);
/* Writes the line, and gives it to the log. */
void logline_log(enum log_format format, const struct verdict *verdict,
                 const struct request *request);
/* For verbose >= 3: a line of what was asked (the known attributes that are not empty), and one of what was
 * answered. */
void logline_log_talk(const struct verdict *verdict, const struct request *request);

#endif
