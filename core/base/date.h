/* date.h: a moment as people write it: `2026-01-31T12:00:00Z`, with `.123` behind the seconds where
 * there is a part of one. Always UTC. */
#ifndef MONGREY_DATE_H
#define MONGREY_DATE_H

#include "core/base/text.h"

#define DATE_TEXT_MAX 25
#define DATE_MAX INT64_C(253402300799999) /* the last millisecond of the year 9999 */

/* Milliseconds since 1970; years 1970 to 9999, days that there are, nothing left out. */
bool date_parse(struct text t, int64_t *milliseconds);
/* As date_parse reads it; what is out of its range is written as the nearest that is in it. */
void date_write(struct writer *w, int64_t milliseconds);

#endif
