/*
 * redis_url.h: where a Redis is: redis://[[user]:password@]host[:port][/database] and
 * unix://[[user]:password@]/path/of/socket[?db=N], each with ?timeout=100ms. Fuzzed.
 */
#ifndef MONGREY_REDIS_URL_H
#define MONGREY_REDIS_URL_H

#include "core/base/url.h"

#define REDIS_URL_PORT 6379
#define REDIS_URL_TIMEOUT 100 /* ms */

/* Terminated, never NULL; as long as the arena. */
struct redis_url {
    const char *host; /* empty: a Unix socket; an IPv6 address has no brackets */
    const char *path; /* of the socket */
    const char *user;
    const char *password;
    uint32_t timeout; /* ms */
    uint32_t database;
    uint16_t port;
};

/* Whether it is meant for Redis at all, going by its scheme. */
bool redis_url_is(struct text t);
/* False: *why is a clause that quotes nothing of the URL. */
bool redis_url_parse(struct arena *arena, struct text t, struct redis_url *url, const char **why);

#endif
