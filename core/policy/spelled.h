/* spelled.h: a request as people and logs write it: `client_address=192.0.2.1, sender=a@b.example`.
 */
#ifndef MONGREY_SPELLED_H
#define MONGREY_SPELLED_H

#include "core/base/text.h"

/*
 * Writes it in the protocol's form. Items are parted by blanks or commas; a value may hold blanks
 * (as in `reason=early-retry (5s missing)`) and ends where the next `name=` begins. Unknown names
 * are dropped, so that log lines can be taken as they are. False: there is no item, or too much.
 */
bool spelled_write(struct text line, struct writer *out);

#endif
