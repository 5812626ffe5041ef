/*
 * null_server.c: answers `action=DUNNO` to every request without looking at it. It is the ceiling
 * for what a policy server can reach on this machine: one thread, epoll, two system calls a
 * request.
 *
 * With --journal FILE it is the ceiling for a server that may only answer what is on disk: the
 * bytes of every request are appended to FILE, and all requests that arrived in one round of epoll
 * share one write and one fdatasync before any of them is answered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 20000, /* descriptors, too: the tables below are indexed by them */
    EVENTS = 512,
    READ_MAX = 16384,
    LISTEN_QUEUE = 4096,
};

static const char answer[] = "action=DUNNO\n\n";

enum { ANSWER_LENGTH = sizeof(answer) - 1 };

struct round {
    int fds[EVENTS];
    unsigned answers[EVENTS]; /* how many requests of this descriptor ended in this round */
    size_t count;
    size_t bytes;
    char data[(size_t)EVENTS * READ_MAX];
};

struct server {
    int epoll;
    int listener;
    int journal;                         /* -1: none */
    bool after_newline[CONNECTIONS_MAX]; /* the last byte read was the end of a line */
    struct round round;
};

static void fail(const char *what)
{
    fprintf(stderr, "null_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* An empty line ends a request, also where the two line ends came in two reads. */
static unsigned count_requests(const char *bytes, size_t length, bool *after_newline)
{
    unsigned requests = 0;
    bool after = *after_newline;
    const char *at = bytes;
    const char *end = bytes + length;
    while (at < end) {
        if (*at == '\n') {
            requests += after;
            after = !after;
            at++;
            continue;
        }
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        after = newline != NULL;
        at = after ? newline + 1 : end;
    }
    *after_newline = after;
    return requests;
}

static void accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= CONNECTIONS_MAX || epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            continue;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        server->after_newline[fd] = false;
    }
}

static void read_one(struct server *server, int fd)
{
    struct round *round = &server->round;
    char *data = round->data + round->bytes;
    ssize_t got = recv(fd, data, READ_MAX, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(fd);
        }
        return;
    }
    unsigned requests = count_requests(data, (size_t)got, &server->after_newline[fd]);
    if (server->journal >= 0) {
        round->bytes += (size_t)got;
    }
    if (requests > 0) {
        round->fds[round->count] = fd;
        round->answers[round->count++] = requests;
    }
}

static void write_journal(struct server *server)
{
    struct round *round = &server->round;
    size_t written = 0;
    while (written < round->bytes) {
        ssize_t done = write(server->journal, round->data + written, round->bytes - written);
        if (done < 0) {
            fail("journal");
        }
        written += (size_t)done;
    }
    if (fdatasync(server->journal) != 0) {
        fail("fdatasync");
    }
}

/* A peer that has sent so much at once that its answers do not fit is no Postfix: it is closed. */
static void answer_one(int fd, unsigned answers)
{
    for (unsigned i = 0; i < answers; i++) {
        if (send(fd, answer, ANSWER_LENGTH, MSG_NOSIGNAL) != ANSWER_LENGTH) {
            close(fd);
            return;
        }
    }
}

static void run_round(struct server *server)
{
    struct epoll_event events[EVENTS];
    struct round *round = &server->round;
    int count = epoll_wait(server->epoll, events, EVENTS, -1);
    round->count = 0;
    round->bytes = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == server->listener) {
            accept_all(server);
        } else {
            size_t before = round->count;
            read_one(server, events[i].data.fd);
            if (server->journal < 0 && round->count > before) {
                answer_one(round->fds[before], round->answers[before]);
            }
        }
    }
    if (server->journal >= 0 && round->count > 0) {
        write_journal(server);
        for (size_t i = 0; i < round->count; i++) {
            answer_one(round->fds[i], round->answers[i]);
        }
    }
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, LISTEN_QUEUE) != 0) {
        fail("listen");
    }
    return fd;
}

static void set_up(struct server *server, unsigned port, const char *journal)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    server->journal = -1;
    if (journal != NULL) {
        server->journal = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (server->journal < 0) {
            fail(journal);
        }
    }
    server->listener = listen_on(port);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = server->listener};
    if (server->epoll < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) != 0) {
        fail("epoll");
    }
}

static bool parse_port(const char *text, unsigned *port)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value == 0 || value > 65535) {
        return false;
    }
    *port = (unsigned)value;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"port", required_argument, NULL, 'p'},
        {"journal", required_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    static struct server server;
    unsigned port = 0;
    const char *journal = NULL;
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'j') {
            journal = optarg;
        } else {
            good = good && option == 'p' && parse_port(optarg, &port);
        }
    }
    if (!good || port == 0 || optind != argc) {
        fputs("usage: null_server --port P [--journal FILE]\n", stderr);
        return 2;
    }
    set_up(&server, port, journal);
    for (;;) {
        run_round(&server);
    }
}
