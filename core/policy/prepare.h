/* prepare.h: what every check wants to know of a request, worked out once. */
#ifndef MONGREY_PREPARE_H
#define MONGREY_PREPARE_H

#include "core/policy/request.h"

/* Room for the canonical texts of one request. */
#define PREPARE_MEMORY_MAX (24 * 1024)

/* `wall` is the time (ms); with `test_clock` a readable policy_test_time goes before it. The
 * canonical texts are written to `memory`, which lives as long as the request is used. */
void prepare(struct request *request, int64_t wall, bool test_clock,
             char memory[PREPARE_MEMORY_MAX]);

#endif
