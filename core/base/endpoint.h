/* endpoint.h: where to listen, as people write it: `127.0.0.1`, `mx:10023`, `[::1]:10023`,
 * `::1`, `unix:/path`. Fuzzed. */
#ifndef MONGREY_ENDPOINT_H
#define MONGREY_ENDPOINT_H

#include "core/base/text.h"

#define ENDPOINT_HOST_MAX 255
#define ENDPOINT_PATH_MAX 107 /* sun_path less its end */

struct endpoint {
    struct text path; /* of a Unix socket; empty: it is host and port */
    struct text host;
    int port; /* -1: none was given */
};

/* Pieces of `t`. False: *why is a clause without the text. */
bool endpoint_parse(struct text t, struct endpoint *endpoint, const char **why);

struct addrinfo;

/* The addresses to bind for a host and port (`port` where it has none), to be freed by freeaddrinfo.
 * False: *why says why there are none. Asks the system's resolver; any thread. */
bool endpoint_look_up(const struct endpoint *endpoint, int port, struct addrinfo **list,
                      const char **why);

#endif
