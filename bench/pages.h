/* pages.h: what the greylist's page of the web interface asks a store, and how long it takes. */
#ifndef MONGREY_BENCH_PAGES_H
#define MONGREY_BENCH_PAGES_H

#include "core/store/store.h"

/* One of the pages, another each time. */
enum storage_status pages_once(struct store_line *line, uint64_t rows, struct storage_error *error);
/* Prints a line for each sort of page. */
void pages_measure(struct store_line *line, uint64_t rows);

#endif
