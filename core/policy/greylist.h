/* greylist.h: the greylist's key and what people want to read of a request beside it. */
#ifndef MONGREY_GREYLIST_H
#define MONGREY_GREYLIST_H

#include "include/check.h"

/*
 * The key under which a request is remembered: a hash of what `greylist_key` names. ASCII letters
 * count alike; the client is its network; the null sender is a class of its own under every key.
 * The form that is hashed is part of the stored data (docs/decisions/0003): a change to it makes
 * every sender a stranger.
 */
void greylist_key(const struct request *request, const struct rules *rules,
                  struct storage_key *key);

/* Room for what greylist_read may have to copy. */
#define GREYLIST_READING_MAX (6 * (STORAGE_TEXT_MAX + 1))

/* Fills the reading for a sighting that goes to the store: texts of at most STORAGE_TEXT_MAX bytes,
 * valid UTF-8 without NUL. They point into the request, or into `memory` where they had to be cut
 * or escaped. */
void greylist_read(const struct inquiry *inquiry, char memory[GREYLIST_READING_MAX],
                   struct storage_reading *reading);

#endif
