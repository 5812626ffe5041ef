/* gather.h: where a lint's records come from: a store, or a file of fixtures. */
#ifndef MONGREY_LINT_GATHER_H
#define MONGREY_LINT_GATHER_H

#include "core/lint/lint.h"
#include "core/store/store.h"

/* All kinds that something is said of, a page after the other. Not OK: *error says why, and the
 * records are not all there. */
enum storage_status gather_store(struct lint *lint, struct store_line *line,
                                 struct storage_error *error);
/* A file's text, which `name` stands for; what is refused of it is told at once. False: out of
 * memory. The name outlives the lint. */
bool gather_file(struct lint *lint, struct text file, const char *name, int64_t now);

#endif
