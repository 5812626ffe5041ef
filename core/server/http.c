/*
 * http.c: see http.h. The one file that knows libmicrohttpd.
 *
 * A daemon of the library for each address, with a thread each that polls its few connections. The library
 * ends those that are silent; one that sends a byte now and then would stay for ever, so that each is also
 * cut after HTTP_LIFE, by the loop: a shutdown(2), which the thread sees as the end.
 */
#include "core/server/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "core/server/exits.h"
#include "core/server/http_bind.h"
#include "core/server/process.h"

#define MEMORY 16384       /* bytes of a connection: its request and the heads of the answer */
#define STACK (256 * 1024) /* bytes of a thread's */
#define HEALTH_MAX 1024    /* bytes of the text of /healthz */

struct connection {
    int fd; /* -1: this place is free */
    int64_t since;
};

struct http {
    int fds[HTTP_LISTENERS]; /* -1: the library has it */
    size_t count;
    struct MHD_Daemon *daemons[HTTP_LISTENERS];
    pthread_mutex_t lock; /* of all below */
    struct http_facts facts;
    int64_t published; /* steady ms */
    struct connection connections[HTTP_LISTENERS * HTTP_CONNECTIONS];
};

/* --- What is answered ------------------------------------------------------------------------- */

static struct http_facts *read_facts(struct http *http, int64_t *age)
{
    struct http_facts *facts = malloc(sizeof(*facts));
    if (facts == NULL)
        return NULL;
    pthread_mutex_lock(&http->lock);
    *facts = http->facts;
    *age = clock_steady() - http->published;
    pthread_mutex_unlock(&http->lock);
    return facts;
}

static void add_process(struct metrics *m)
{
    struct process p;
    process_read(&p);
    m->process_cpu = p.cpu;
    m->process_fds = p.fds;
    m->process_most_fds = p.most_fds;
    m->process_resident = p.resident;
    m->process_virtual = p.virtual;
}

static unsigned write_metrics(struct http *http, struct writer *w)
{
    int64_t age;
    struct http_facts *facts = read_facts(http, &age);
    if (facts == NULL)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    add_process(&facts->metrics);
    metrics_write(w, &facts->metrics);
    free(facts);
    return w->full ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_OK;
}

bool http_health(struct writer *w, const struct http_facts *facts, int64_t age)
{
    const struct metrics *m = &facts->metrics;
    bool stale = age > HTTP_STALE;
    bool fine = !stale && !facts->stopping && m->store_up && m->lists_loaded && m->reload_fine;
    write_format(w, "{\"status\":\"%s\"", fine ? "ok" : "failing");
    write_format(w, ",\"store\":\"%s\"", m->store_up ? "ok" : "away");
    /* Its being away costs time, no mail: nobody is to be called for that. */
    write_format(w, ",\"redis\":\"%s\"", !m->far_set ? "not used" : m->far_up ? "ok" : "away");
    write_format(w, ",\"lists\":\"%s\"",
                 !m->lists_loaded     ? "not loaded yet"
                 : facts->lists_saved ? "as saved"
                                      : "loaded");
    write_format(w, ",\"settings\":\"%s\"",
                 m->reload_fine ? "ok" : "the last reload failed, the old ones are in force");
    write_format(w, ",\"loop\":\"%s\"",
                 stale             ? "stands still"
                 : facts->stopping ? "stopping"
                                   : "ok");
    write_literal(w, ",\"revision\":");
    write_number(w, (int64_t)m->lists_revision);
    write_literal(w, ",\"version\":");
    write_json(w, TEXT(MONGREY_VERSION), 64);
    write_literal(w, "}\n");
    return fine;
}

static unsigned write_health(struct http *http, struct writer *w)
{
    int64_t age;
    struct http_facts *facts = read_facts(http, &age);
    if (facts == NULL)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    bool fine = http_health(w, facts, age);
    free(facts);
    return fine ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* Takes the body over. One request each connection: then its life has a bound. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              char *body, size_t size, bool allow)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(body);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    if (allow)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result done = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    char *body = strdup(text);
    if (body == NULL)
        return MHD_NO;
    return answer(c, status, "text/plain; charset=utf-8", body, strlen(body),
                  status == MHD_HTTP_METHOD_NOT_ALLOWED);
}

static enum MHD_Result answer_written(struct http *http, struct MHD_Connection *c, const char *type,
                                      size_t most,
                                      unsigned (*write)(struct http *, struct writer *))
{
    char *body = malloc(most);
    if (body == NULL)
        return MHD_NO;
    struct writer w = writer_on(body, most);
    unsigned status = write(http, &w);
    return answer(c, status, type, body, (size_t)(w.at - w.start), false);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct http *http = context;
    bool metrics = strcmp(url, "/metrics") == 0;
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)state;
    if (!metrics && strcmp(url, "/healthz") != 0)
        return answer_text(c, MHD_HTTP_NOT_FOUND, "/metrics and /healthz are what there is\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD are what is taken\n");
    if (metrics)
        return answer_written(http, c, "text/plain; version=0.0.4; charset=utf-8", METRICS_TEXT_MAX,
                              write_metrics);
    return answer_written(http, c, "application/json", HEALTH_MAX, write_health);
}

/* --- Connections ------------------------------------------------------------------------------ */

static void on_connection(void *context, struct MHD_Connection *c, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    pthread_mutex_lock(&http->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED && info != NULL) {
        for (size_t i = 0; i < HTTP_LISTENERS * HTTP_CONNECTIONS; i++) {
            if (http->connections[i].fd >= 0)
                continue;
            http->connections[i] = (struct connection){info->connect_fd, clock_steady()};
            *state = &http->connections[i];
            break;
        }
    } else if (code == MHD_CONNECTION_NOTIFY_CLOSED && *state != NULL) {
        ((struct connection *)*state)->fd = -1; /* before the library closes it */
        *state = NULL;
    }
    pthread_mutex_unlock(&http->lock);
}

/* Lock held, so that no descriptor is another's by now. */
static void cut_old(struct http *http, int64_t now)
{
    for (size_t i = 0; i < HTTP_LISTENERS * HTTP_CONNECTIONS; i++) {
        struct connection *c = &http->connections[i];
        if (c->fd >= 0 && now - c->since >= HTTP_LIFE)
            (void)shutdown(c->fd, SHUT_RDWR);
    }
}

void http_publish(struct http *http, const struct http_facts *facts)
{
    int64_t now = clock_steady();
    pthread_mutex_lock(&http->lock);
    http->facts = *facts;
    http->published = now;
    cut_old(http, now);
    pthread_mutex_unlock(&http->lock);
}

/* Paths are taken as they are written: two spellings of one path are two. */
static size_t keep_escapes(void *context, struct MHD_Connection *c, char *text)
{
    (void)context;
    (void)c;
    return strlen(text);
}

/* --- Start and stop --------------------------------------------------------------------------- */

int http_bind(const struct settings_list *where, struct http **result)
{
    *result = NULL;
    if (where->count == 0)
        return EXIT_FINE;
    struct http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        log_error("out of memory for metrics_listen");
        return EXIT_FAILED;
    }
    pthread_mutex_init(&http->lock, NULL);
    for (size_t i = 0; i < HTTP_LISTENERS * HTTP_CONNECTIONS; i++)
        http->connections[i].fd = -1;
    *result = http;
    return http_bind_all(where, http->fds, HTTP_LISTENERS, &http->count);
}

static struct MHD_Daemon *start_one(struct http *http, int fd)
{
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, on_request,
        http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
}

bool http_start(struct http *http)
{
    sigset_t all;
    sigset_t before;
    bool fine = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; fine && i < http->count; i++) {
        http->daemons[i] = start_one(http, http->fds[i]);
        fine = http->daemons[i] != NULL;
        if (fine)
            http->fds[i] = -1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!fine)
        log_error("metrics_listen: cannot start its thread");
    return fine;
}

void http_stop(struct http *http)
{
    if (http == NULL)
        return;
    for (size_t i = 0; i < http->count; i++) {
        if (http->daemons[i] != NULL)
            MHD_stop_daemon(http->daemons[i]);
        else
            close(http->fds[i]);
    }
    pthread_mutex_destroy(&http->lock);
    free(http);
}
