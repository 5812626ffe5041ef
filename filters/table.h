/* table.h: the names of all checks. */
#ifndef MONGREY_FILTERS_TABLE_H
#define MONGREY_FILTERS_TABLE_H

#include "include/check.h"

extern const struct check check_private;
extern const struct check check_exclude;
extern const struct check check_greylist; /* core/policy/greylist.c */

#endif
