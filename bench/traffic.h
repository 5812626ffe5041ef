/*
 * traffic.h: the mail that the load generator pretends to have: numbered keys (a client, a sender
 * and a recipient) and the text of Postfix's request about one. Knows nothing of sockets and
 * clocks.
 *
 * A key is a number. The same seed and number give the same key, two numbers of one seed never
 * share a /24 network (until all 13 million are used up), a sender or a recipient, and no key of
 * one seed is one of another. Clients are public addresses, names are below .example.
 */
#ifndef MONGREY_BENCH_TRAFFIC_H
#define MONGREY_BENCH_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

enum {
    TRAFFIC_REQUEST_MAX = 2048, /* bytes that any request fits in */
    TRAFFIC_SEED_MAX = 0xffffff,
};

/* Writes the request about key `number` at state RCPT, with the closing empty line, and returns its
 * length. `message` tells deliveries apart (Postfix's `instance`). A `test_time` above 0 is sent as
 * policy_test_time. `out` has TRAFFIC_REQUEST_MAX bytes. */
size_t traffic_request(char *out, uint32_t seed, uint64_t number, uint64_t message,
                       uint64_t test_time);

#endif
