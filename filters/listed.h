/* listed.h: what the black and the white list have in common. */
#ifndef MONGREY_FILTERS_LISTED_H
#define MONGREY_FILTERS_LISTED_H

#include "include/check.h"

/* Looks the request up, and counts a hit. False: no entry decides; one that would have is noted in
 * the inquiry as `would` (the outcome, and a text such as "blacklisted [VALUE]"). */
bool listed_find(struct inquiry *inquiry, enum snapshot_list list, struct list_met *met,
                 enum outcome would, const char *word);
/* What of the request an entry looks at. */
struct text listed_value(const struct inquiry *inquiry, enum field field);
void listed_tell(const struct inquiry *inquiry, enum snapshot_list list, struct writer *w);

#endif
