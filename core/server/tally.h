/* tally.h: rows of greylist_metric: what the last day's entries came to, one row each interval. */
#ifndef MONGREY_TALLY_H
#define MONGREY_TALLY_H

#include "core/store/store.h"

#define TALLY_MOST 100000 /* rows kept */

/*
 * Sums up the entries first seen in the 24 hours before `now` and stores them as the row of this interval
 * (ms, 1 and up); where another host has stored that, all is fine too. Now and then erases the oldest rows
 * past TALLY_MOST, in bounded steps. A thread that may wait, with a line of its own. OK, or why not: the
 * next interval makes a row again, this one has none.
 */
enum storage_status tally_store(struct store_line *line, int64_t now, int64_t interval,
                                struct storage_error *error);
/* Erases rows past the `most` newest, oldest first: at most a few thousand at a call. */
enum storage_status tally_trim(struct store_line *line, size_t most, struct storage_error *error);
/* The id of the row of the interval that `now` is in: the same on every host, sorted by time. Terminated. */
void tally_id(int64_t now, int64_t interval, char id[17]);

#endif
