/* prepare.h: what every check wants to know of a request, worked out once. */
#ifndef MONGREY_PREPARE_H
#define MONGREY_PREPARE_H

#include "core/policy/request.h"

/* `wall` is the time (ms); with `test_clock` a readable policy_test_time goes before it. */
void prepare(struct request *request, int64_t wall, bool test_clock);

#endif
