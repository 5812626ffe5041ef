/* table.h: the names of all checks. */
#ifndef MONGREY_FILTERS_TABLE_H
#define MONGREY_FILTERS_TABLE_H

#include "include/check.h"

extern const struct check check_private;
extern const struct check check_exclude;
extern const struct check check_authenticated;
extern const struct check check_blacklist;
extern const struct check check_policy;
extern const struct check check_relay;
extern const struct check check_outgoing;
extern const struct check check_whitelist;
extern const struct check check_spoofing;
extern const struct check check_exempt;
extern const struct check check_greylist; /* core/policy/greylist.c */

/* Makes hold what would if the policies that are not enforced were (policy.c). */
void policy_rules_with_shadow(struct inquiry *inquiry);

#endif
