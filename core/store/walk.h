/* walk.h: all records that meet a query, page after page. */
#ifndef MONGREY_WALK_H
#define MONGREY_WALK_H

#include "core/store/store.h"

/*
 * Lends `each` every record of the query's kind that meets its conditions, sorted by id, in the direction
 * that it says; its order, start and limit are not looked at. Each page is a view of its own: what
 * changes meanwhile may be met or not, but no record comes twice and none that stays is left out.
 * `each` returns false to end it early, which is OK too; it must not call the store. Blocks.
 */
enum storage_status store_walk(struct store_line *line, const struct storage_query *query,
                               storage_each *each, void *context, struct storage_error *error);

#endif
