/*
 * http.h: /metrics and /healthz, on threads of their own that never touch what belongs to the loop: the loop
 * hands over a copy of the numbers, they make text of it.
 */
#ifndef MONGREY_HTTP_H
#define MONGREY_HTTP_H

#include "core/policy/settings.h"
#include "core/server/metrics.h"

#define HTTP_PORT 9998      /* where metrics_listen names none */
#define HTTP_CONNECTIONS 16 /* at once, of each address */
#define HTTP_LISTENERS 8    /* addresses */
#define HTTP_TIMEOUT 5      /* s of silence */
#define HTTP_LIFE 6000      /* ms that a connection may last in all */
#define HTTP_STALE 10000    /* ms after which a loop that tells nothing is said to stand still */

/* What the loop tells. */
struct http_facts {
    struct metrics metrics;
    bool stopping;
    bool lists_saved; /* they are from a file, since the store is away */
};

struct http;

/* Binds all addresses, starts nothing. *http is NULL where `where` is empty. Returns the exit status; what
 * is wrong was logged. */
int http_bind(const struct settings_list *where, struct http **http);
/* Starts a thread for each address, signals blocked in them. Publish first. */
bool http_start(struct http *http);
/* Loop thread: from now on these are the facts. Also closes connections that last too long. */
void http_publish(struct http *http, const struct http_facts *facts);
/* Ends the threads and closes all. http_stop(NULL) does nothing. */
void http_stop(struct http *http);

/* The body of /healthz, where the facts are `age` ms old. Whether all is well. Pure. */
bool http_health(struct writer *w, const struct http_facts *facts, int64_t age);

#endif
