/* reply.h: a verdict whose text is a template. */
#ifndef MONGREY_REPLY_H
#define MONGREY_REPLY_H

#include "include/check.h"

/* Sets the verdict; the values come from the inquiry. `value`: what of the request a list entry
 * met; empty elsewhere. */
void reply_set(struct inquiry *inquiry, enum outcome outcome, const char *reason,
               struct text pattern, struct text value);

/* Milliseconds that a greylisted request has still to wait, at least 1; 0 where it is none. */
int64_t reply_left(const struct inquiry *inquiry);

#endif
