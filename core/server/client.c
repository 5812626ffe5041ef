/*
 * client.c: one connection and its states.
 *
 * A connection has one request under way; what comes meanwhile waits in its buffer, so that answers
 * keep the order of the requests: the next one is looked at (process) only when no request is with the
 * store and no answer is left to be written. An idle connection has no buffer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/server/server.h"

#define DRAIN_TIMEOUT 2000 /* ms for a peer to close after its last answer */

struct client {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct server *server;
    struct client *before; /* in the list of its state */
    struct client *after;
    int64_t since; /* steady ms: when it came into its state */
    uint64_t
        began; /* steady ns: when what it asks was looked at; one reading of the clock for each read */
    struct kept *kept;
    char *buffer; /* bytes not yet looked at, or of a request that is not whole */
    size_t used;
    size_t room;
    struct request_frame frame;
    enum client_state state;
    unsigned writes; /* answers that the peer did not take at once */
    bool surplus;    /* past max_clients: one answer, and out */
    bool ended;      /* the peer will send no more */
    bool paused;     /* not read from, for it sends more than may wait */
    bool last;       /* close when the answer is written */
};

struct late_write {
    uv_write_t request;
    struct client *client;
    char bytes[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);
static void process(struct client *c, const char *bytes, size_t size);

/* --- States ---------------------------------------------------------------------------------- */

static void unlink_client(struct client *c)
{
    struct client_list *list = &c->server->clients[c->state];
    if (c->before != NULL)
        c->before->after = c->after;
    else
        list->first = c->after;
    if (c->after != NULL)
        c->after->before = c->before;
    else
        list->last = c->before;
}

static void link_client(struct client *c, enum client_state state)
{
    struct client_list *list = &c->server->clients[state];
    c->state = state;
    c->since = clock_steady();
    c->before = list->last;
    c->after = NULL;
    if (list->last != NULL)
        list->last->after = c;
    else
        list->first = c;
    list->last = c;
}

static void client_move(struct client *c, enum client_state state)
{
    unlink_client(c);
    link_client(c, state);
}

static int64_t time_to_stay(const struct server *server, enum client_state state)
{
    const struct settings *s = server->settings;
    switch (state) {
    case CLIENT_IDLE:
        return s->idle_timeout;
    case CLIENT_WAITING:
        return s->request_timeout;
    case CLIENT_CLOSING:
        return DRAIN_TIMEOUT;
    default:
        return s->connection_timeout;
    }
}

/* --- The end --------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    unlink_client(c);
    c->server->clients_count--;
    free(c->buffer);
    free(c);
}

static void client_close(struct client *c)
{
    if (c->state == CLIENT_CLOSED)
        return;
    if (c->kept != NULL)
        c->kept->client = NULL; /* the store still gets to know; nobody is left to be told */
    c->kept = NULL;
    c->server->out.at = c->server->out.start; /* answers that it can no longer be given */
    client_move(c, CLIENT_CLOSED);
    uv_close(&c->u.handle, on_closed);
}

static void on_shut_down(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

/* Closing with bytes unread would send a reset, which can overtake the answer: tell the peer that
 * no more will come, and throw away what it sends until it closes too. */
static void client_drain(struct client *c)
{
    uv_shutdown_t *request = malloc(sizeof(*request));
    if (c->ended || request == NULL || uv_shutdown(request, &c->u.stream, on_shut_down) != 0) {
        free(request);
        client_close(c);
        return;
    }
    c->used = 0;
    client_move(c, CLIENT_CLOSING);
    if (c->paused)
        c->paused = uv_read_start(&c->u.stream, on_alloc, on_read) != 0;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* All answers are written: on to what comes next. */
static void go_on(struct client *c)
{
    if (c->last) {
        client_drain(c);
    } else if (c->kept != NULL) {
        client_move(c, CLIENT_WAITING);
    } else {
        client_move(c, CLIENT_IDLE);
        process(c, NULL, 0);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct late_write *late = (struct late_write *)request;
    struct client *c = late->client;
    free(late);
    c->writes--;
    if (c->state == CLIENT_CLOSED)
        return;
    if (status != 0)
        client_close(c);
    else if (c->writes == 0)
        go_on(c);
}

/* Queues what the peer would not take at once. */
static void write_late(struct client *c, const char *bytes, size_t size)
{
    struct late_write *late = malloc(sizeof(*late) + size);
    if (late == NULL) {
        client_close(c);
        return;
    }
    memcpy(late->bytes, bytes, size);
    late->client = c;
    uv_buf_t buf = uv_buf_init(late->bytes, (unsigned)size);
    client_move(c, CLIENT_WRITING);
    if (uv_write(&late->request, &c->u.stream, &buf, 1, on_written) != 0) {
        free(late);
        client_close(c);
        return;
    }
    c->writes++;
}

/* Writes the gathered answers. False: the connection has to wait for its peer, or is gone. */
static bool flush(struct client *c)
{
    struct writer *out = &c->server->out;
    size_t size = (size_t)(out->at - out->start);
    out->at = out->start;
    if (size == 0)
        return true;
    uv_buf_t buf = uv_buf_init(out->start, (unsigned)size);
    int done = uv_try_write(&c->u.stream, &buf, 1);
    if (done == (int)size)
        return true;
    if (done >= 0 || done == UV_EAGAIN) {
        size_t written = done > 0 ? (size_t)done : 0;
        write_late(c, out->start + written, size - written);
    } else {
        client_close(c);
    }
    return false;
}

static void put_reply(struct client *c, struct inquiry *q)
{
    decide_note(c->server, q);
    histogram_add(&c->server->counters.latency, clock_nanoseconds() - c->began);
    verdict_write_reply(&c->server->out, &q->verdict);
    c->last = c->last || c->server->settings->close_socket;
}

/* --- What is no request ---------------------------------------------------------------------- */

/* False: a TCP peer that has gone already. */
static bool peer_name(const struct client *c, char name[64])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    memcpy(name, "unix", 5);
    if (c->u.handle.type != UV_TCP)
        return true;
    memcpy(name, "gone", 5);
    return uv_tcp_getpeername(&c->u.tcp, (struct sockaddr *)&address, &size) == 0 &&
           uv_ip_name((struct sockaddr *)&address, name, 63) == 0;
}

/* The error action, one line in the log, and the end of this connection. */
static void refuse(struct client *c, const char *why)
{
    char peer[64];
    struct verdict verdict;
    peer_name(c, peer);
    c->server->counters.malformed++;
    log_warning("no request: %s, from %s", why, peer);
    verdict_set(&verdict, OUTCOME_ERROR, "malformed", c->server->settings->error_action);
    verdict_write_reply(&c->server->out, &verdict);
    c->last = true;
    c->used = 0;
    if (flush(c))
        client_drain(c);
}

/* --- Reading --------------------------------------------------------------------------------- */

/* Appends to what waits. False: it is too much, or out of memory. */
static bool append(struct client *c, const char *bytes, size_t size)
{
    if (size > c->room - c->used) {
        size_t room = c->room == 0 ? 2048 : c->room;
        while (room < c->used + size)
            room *= 2;
        char *buffer = realloc(c->buffer, room);
        if (buffer == NULL)
            return false;
        c->buffer = buffer;
        c->room = room;
    }
    if (size > 0)
        memcpy(c->buffer + c->used, bytes, size);
    c->used += size;
    return true;
}

/* Keeps the bytes from `done` on; they may be those of the buffer itself. */
static bool keep_rest(struct client *c, const char *bytes, size_t size, size_t done)
{
    if (bytes == c->buffer && c->buffer != NULL) {
        c->used = size - done;
        memmove(c->buffer, c->buffer + done, c->used);
    } else if (done < size) {
        c->used = 0;
        if (!append(c, bytes + done, size - done))
            return false;
    } else {
        c->used = 0;
    }
    if (c->used == 0) {
        free(c->buffer);
        c->buffer = NULL;
        c->room = 0;
    }
    return true;
}

enum next {
    NEXT_REQUEST, /* it was answered, another may follow */
    NEXT_LATER,   /* nothing more for now: it waits for the store, or was the last */
    NEXT_NEVER    /* the connection was refused: do not touch it any more */
};

/* One whole request. */
static enum next answer(struct client *c, struct text bytes)
{
    struct inquiry q;
    const char *why;
    int64_t deadline = (int64_t)(c->began / 1000000) + c->server->settings->request_timeout;
    if (c->surplus) {
        verdict_set(&q.verdict, OUTCOME_ERROR, "surplus", c->server->settings->error_action);
        verdict_write_reply(&c->server->out, &q.verdict);
        c->last = true;
        return NEXT_LATER;
    }
    assert(c->kept == NULL);
    bool decided = decide(c->server, c, bytes, deadline, &q, &c->kept, &why);
    if (why != NULL) {
        refuse(c, why);
        return NEXT_NEVER;
    }
    if (decided)
        put_reply(c, &q);
    return decided && !c->last ? NEXT_REQUEST : NEXT_LATER;
}

/* What the state is after all whole requests were answered; `progress`: there were any. */
static void settle(struct client *c, bool progress)
{
    if (!flush(c))
        return;
    if (c->last) {
        client_drain(c);
    } else if (c->kept != NULL) {
        client_move(c, CLIENT_WAITING);
    } else if (c->ended || c->server->stopping) {
        client_close(c);
    } else if (c->used > 0) {
        if (progress || c->state != CLIENT_READING) /* its time runs from its first byte */
            client_move(c, CLIENT_READING);
    } else {
        client_move(c, CLIENT_IDLE);
    }
}

static void resume_reading(struct client *c);

/* Looks at what waits and at `bytes` behind it, and answers what it can. */
static void process(struct client *c, const char *bytes, size_t size)
{
    c->began = clock_nanoseconds();
    if (c->used > 0 || size == 0) {
        if (!append(c, bytes, size)) {
            client_close(c);
            return;
        }
        bytes = c->buffer;
        size = c->used;
    }
    size_t done = 0;
    enum next next = NEXT_REQUEST;
    while (next == NEXT_REQUEST && done < size) {
        const char *why;
        size_t length;
        struct text rest = {bytes + done, size - done};
        enum request_status status = request_frame(&c->frame, rest, &length, &why);
        if (status == REQUEST_BAD) {
            refuse(c, why);
            return;
        }
        if (status == REQUEST_MORE)
            break;
        c->frame = (struct request_frame){0, 0};
        done += length;
        if (OUT_SIZE - (size_t)(c->server->out.at - c->server->out.start) < 1024) {
            /* A peer that pipelines faster than it reads is held up here. */
            if (!flush(c)) {
                done -= length;
                if (c->state != CLIENT_CLOSED && !keep_rest(c, bytes, size, done))
                    client_close(c);
                return;
            }
        }
        next = answer(c, (struct text){rest.data, length});
        if (next == NEXT_NEVER)
            return;
    }
    if (!keep_rest(c, bytes, size, done)) {
        client_close(c);
        return;
    }
    settle(c, done > 0);
    resume_reading(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->server->read_memory, READ_SIZE);
}

static void resume_reading(struct client *c)
{
    bool room = c->state == CLIENT_READING || c->used <= REQUEST_SIZE_MAX / 2;
    if (!c->paused || c->state == CLIENT_CLOSED || !room)
        return;
    c->paused = uv_read_start(&c->u.stream, on_alloc, on_read) != 0;
    if (c->paused)
        client_close(c);
}

static void on_end(struct client *c)
{
    c->ended = true;
    uv_read_stop(&c->u.stream);
    if (c->state != CLIENT_WAITING && c->state != CLIENT_WRITING)
        client_close(c);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    if (size == 0)
        return;
    if (size == UV_EOF) {
        on_end(c);
    } else if (size < 0) {
        client_close(c);
    } else if (c->state == CLIENT_WAITING || c->state == CLIENT_WRITING) {
        if (!append(c, buf->base, (size_t)size)) {
            client_close(c);
        } else if (c->used > REQUEST_SIZE_MAX) {
            uv_read_stop(&c->u.stream);
            c->paused = true;
        }
    } else if (c->state != CLIENT_CLOSING) {
        process(c, buf->base, (size_t)size);
    }
}

/* --- The doors ------------------------------------------------------------------------------- */

struct client *client_make(struct server *server, bool is_pipe)
{
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->server = server;
    int code = is_pipe ? uv_pipe_init(&server->loop, &c->u.pipe, 0)
                       : uv_tcp_init(&server->loop, &c->u.tcp);
    if (code != 0) {
        free(c);
        return NULL;
    }
    c->u.handle.data = c;
    link_client(c, CLIENT_IDLE);
    server->clients_count++;
    return c;
}

uv_stream_t *client_stream(struct client *c)
{
    return &c->u.stream;
}

/* TCP peers outside allow_hosts are closed at once, in the words that fail2ban looks for. */
static bool is_allowed(struct client *c)
{
    const struct settings *s = c->server->settings;
    char peer[64];
    struct addr addr;
    if (c->u.handle.type != UV_TCP || !s->security_by_host || s->allow_hosts.count == 0)
        return true;
    if (!peer_name(c, peer) || !addr_parse(text_of(peer), &addr))
        return false;
    for (size_t i = 0; i < s->allow_hosts.count; i++) {
        if (network_contains(&s->allow_hosts.items[i], &addr))
            return true;
    }
    c->server->counters.refused++;
    log_warning("reject host [%s]", peer);
    return false;
}

void client_accepted(struct client *c)
{
    struct server *server = c->server;
    server->counters.connections++;
    if (server->clients_count > server->clients_most) {
        server->counters.surplus++;
        server_complain(server, COMPLAINT_SURPLUS, "more connections than max_clients");
        c->surplus = true;
    }
    if (!is_allowed(c) || server->clients_count > server->clients_bound) {
        client_close(c);
        return;
    }
    if (c->u.handle.type == UV_TCP)
        uv_tcp_nodelay(&c->u.tcp, 1);
    if (log_wants(LOG_LEVEL_DEBUG)) {
        char peer[64];
        peer_name(c, peer);
        log_debug("connection from %s, %zu open", peer, server->clients_count);
    }
    if (uv_read_start(&c->u.stream, on_alloc, on_read) != 0)
        client_close(c);
}

void client_resume(struct client *c, struct kept *kept)
{
    c->kept = NULL;
    put_reply(c, &kept->inquiry);
    if (flush(c))
        go_on(c);
}

/* No answer in time: Postfix is told by policy, and the store may still finish. */
static void answer_late(struct client *c)
{
    struct kept *kept = c->kept;
    struct inquiry q = kept->inquiry;
    kept->client = NULL;
    q.status = STORAGE_UNAVAILABLE;
    checks[q.cursor]->resume(&q);
    c->server->counters.timeouts++;
    server_complain(c->server, COMPLAINT_LATE, "store: no answer within request_timeout");
    c->kept = NULL;
    put_reply(c, &q);
    if (flush(c))
        go_on(c);
}

static void time_is_up(struct client *c)
{
    static const char *const names[CLIENT_STATES] = {"idle",    "reading", "waiting",
                                                     "writing", "closing", "closed"};
    log_debug("a connection was %s for as long as it may", names[c->state]);
    switch (c->state) {
    case CLIENT_WAITING:
        answer_late(c);
        break;
    case CLIENT_READING:
        c->server->counters.timeouts++;
        refuse(c, "not whole within connection_timeout");
        break;
    default:
        client_close(c);
    }
}

void client_sweep(struct server *server)
{
    int64_t now = clock_steady();
    for (int state = 0; state < CLIENT_CLOSED; state++) {
        int64_t stay = time_to_stay(server, (enum client_state)state);
        for (;;) {
            struct client *c = server->clients[state].first;
            if (c == NULL || now - c->since < stay)
                break;
            time_is_up(c);
        }
    }
}

void client_cut(struct client *c)
{
    client_close(c);
}

void client_stop_all(struct server *server)
{
    static const enum client_state ends[] = {CLIENT_IDLE, CLIENT_READING, CLIENT_CLOSING};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        while (server->clients[ends[i]].first != NULL)
            client_close(server->clients[ends[i]].first);
    }
}
