/* table.c: the order of the checks (docs/architecture.md has the whole list; those that are still
 * to come have their place between these). */
#include "filters/table.h"

const struct check *const checks[] = {
    &check_private,
    &check_exclude,
    &check_authenticated,
    &check_blacklist,
    &check_policy,
    &check_relay,
    &check_outgoing,
    &check_whitelist,
    &check_spoofing,
    &check_exempt,
    /* directory, rwl, rbl, spf, helo, dynamic */
    &check_greylist,
    NULL,
};
