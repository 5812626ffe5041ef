/* instances.h: the messages that already got a header, so that it comes once a message and not once a
 * recipient. The last 1024; one thread. */
#ifndef MONGREY_INSTANCES_H
#define MONGREY_INSTANCES_H

#include "core/base/text.h"

#define INSTANCES_MAX 1024

struct instances {
    uint64_t seen[INSTANCES_MAX]; /* hashes; 0: none */
    size_t next;
};

/* True the first time a message (`instance`, from this client and sender) is met. One without an
 * instance is always met for the first time. */
bool instances_first(struct instances *instances, struct text instance, struct text client,
                     struct text sender);

#endif
