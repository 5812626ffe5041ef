/*
 * url.h: addresses of stores and caches:
 * scheme://[user[:password]@][host[:port],...][/path][?a=b&c=d] (RFC 3986, with a list of hosts as
 * PostgreSQL and MongoDB take it). Fuzzed.
 */
#ifndef MONGREY_URL_H
#define MONGREY_URL_H

#include "core/base/arena.h"
#include "core/base/text.h"

#define URL_PARAMETERS_MAX 32
#define URL_MAX 2048 /* bytes of the whole */

struct url_parameter {
    const char *name;
    const char *value;
};

/* Terminated, percent-decoded (but for hosts and text), never NULL; they live as long as the arena.
 */
struct url {
    const char *text;
    const char *scheme; /* lower case */
    const char *user;
    const char *password;
    const char *hosts;
    const char *path; /* without its first '/' */
    size_t parameters_count;
    struct url_parameter parameters[URL_PARAMETERS_MAX];
};

/* False: *why is a clause such as "has no scheme (sqlite://...)" that quotes nothing of the URL. */
bool url_parse(struct arena *arena, struct text t, struct url *url, const char **why);
/* The URL as it may be shown: password and secret-looking parameters are "***". What cannot be
 * parsed is not shown at all. */
void url_write_masked(struct writer *w, struct text t);

#endif
