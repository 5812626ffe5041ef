/* fixtures_old.h: what a file of 0.4.4 means, in the words of today. For fixtures.c only. */
#ifndef MONGREY_FIXTURES_OLD_H
#define MONGREY_FIXTURES_OLD_H

#include "core/data/record.h"

/*
 * Rewrites what was written of one record: patterns become anchored ones, plain values exact ones,
 * and a policy gets 0.4.4's defaults for what it does not name, since there it inherited nothing.
 * False: `why` (of `size` bytes) names the field and says what is wrong.
 */
bool fixtures_old_read(enum kind kind, struct text *written, struct arena *arena, char *why,
                       size_t size);

#endif
