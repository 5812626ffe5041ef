/* page.h: a page of entries that meet a filter, however many entries there are, in the time there is. */
#ifndef MONGREY_PAGE_H
#define MONGREY_PAGE_H

#include "core/store/store.h"

/* Where a page ended: the next one's after_id and after_value. */
struct page_end {
    bool is_last; /* there is nothing behind */
    int64_t value;
    char id[STORAGE_ID_MAX + 1];
};

/*
 * Lends `each` the next query->limit entries that meet the conditions, sorted by an INDEXED field of
 * times. No text of an entry is indexed: a filter that few meet is looked for in slices of time, each
 * small enough for the store, until the page is full or the deadline (steady ms) has come. A page that
 * is short is therefore not yet the last: is_last says so, and `end` is where to go on, which may be
 * behind entries that were looked at and did not meet the filter. With anything but OK, `end` is where
 * the page began or later. Leaves one of STORAGE_CONDITIONS for itself. Blocks.
 */
enum storage_status page_search(struct store_line *line, const struct storage_query *query,
                                int64_t deadline, storage_each *each, void *context,
                                struct page_end *end, struct storage_error *error);

#endif
