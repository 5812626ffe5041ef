/*
 * loadgen.c: asks a policy server as Postfix does, over many connections with one request under way
 * on each, checks every answer and counts latencies. One thread, no allocation per request.
 *
 * Three points of time, all of the test clock (policy_test_time), so that nothing has to sleep:
 * keys are first seen at T, seen again at T + delay + 1, and measured from T + delay + 2 on, from
 * where the clock runs on with the real one. Priming is checked like the rest, but not measured.
 *
 * Writes one JSON object to standard output, and to standard error what is wrong. Exit status: 0
 * all answers were what the mode must give, 1 some were not or the server went away, 2 wrong use.
 */
#include "answer.h"
#include "histogram.h"
#include "options.h"
#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

enum {
    ANSWER_MAX = 4096,
    EVENTS = 256,
};

struct connection {
    int fd;
    enum answer expected;
    size_t received;
    uint64_t intended; /* when the request should have been sent, or was */
    char answer[ANSWER_MAX];
};

/* What is sent in one phase: the question which key comes next, and when to stop. */
struct phase {
    bool measured;
    enum answer expected;
    uint64_t first_key;
    uint64_t limit;    /* requests to send; 0: until the deadline */
    uint64_t deadline; /* 0: none */
    uint64_t test_time;
    uint64_t interval; /* nanoseconds between two requests of an open loop; 0: closed loop */
    uint64_t started;
    uint64_t sent;
    uint64_t done;
};

struct load {
    struct options options;
    struct connection *connections;
    uint32_t *idle; /* stack of connections without a request under way (open loop) */
    uint32_t idle_count;
    int epoll;
    uint64_t random;
    uint64_t next_new;
    uint64_t next_message;
    uint64_t last_answer;
    uint64_t counts[ANSWER_KINDS];
    uint64_t wrong;
    bool broken;
    struct histogram latencies;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static uint64_t next_random(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

/* ---- Which key comes next. Known keys are numbered from 0, early ones follow, then new ones. ----
 */

static uint64_t pick_mixed(struct load *load, enum answer *expected)
{
    uint64_t keys = load->options.keys;
    uint64_t dice = next_random(load) % 200;
    uint64_t known = 2 * load->options.known_share;
    *expected = dice < known ? ANSWER_PASS : ANSWER_DEFER;
    if (dice < known) {
        return next_random(load) % keys;
    }
    if ((dice - known) * 2 < 200 - known) {
        return load->next_new++;
    }
    return keys + next_random(load) % keys;
}

static uint64_t pick_key(struct load *load, const struct phase *phase, enum answer *expected)
{
    *expected = phase->expected;
    if (!phase->measured) {
        return phase->first_key + phase->sent;
    }
    switch (load->options.mode) {
    case MODE_KNOWN:
        return next_random(load) % load->options.keys;
    case MODE_EARLY:
        return load->options.keys + next_random(load) % load->options.keys;
    case MODE_MIX:
        return pick_mixed(load, expected);
    case MODE_NEW:
    default:
        return load->next_new++;
    }
}

/* ---- One connection ---- */

static void break_off(struct load *load, const char *what, const char *detail)
{
    if (!load->broken) {
        fprintf(stderr, "loadgen: %s: %s\n", what, detail);
    }
    load->broken = true;
}

static void send_request(struct load *load, struct phase *phase, struct connection *connection,
                         uint64_t intended, uint64_t now)
{
    char request[TRAFFIC_REQUEST_MAX];
    uint64_t number = pick_key(load, phase, &connection->expected);
    uint64_t test_time = phase->test_time;
    if (phase->measured) {
        test_time += (now - phase->started) / SECOND;
    }
    size_t length = traffic_request(request, (uint32_t)load->options.seed, number,
                                    load->next_message++, load->options.no_clock ? 0 : test_time);
    connection->intended = intended;
    connection->received = 0;
    phase->sent++;
    /* The buffer is empty, since the last request was answered, so that it takes a request whole.
     */
    ssize_t sent = send(connection->fd, request, length, MSG_NOSIGNAL);
    if (sent != (ssize_t)length) {
        break_off(load, "send", sent < 0 ? strerror(errno) : "cut short");
    }
}

static void complain(struct load *load, const struct connection *connection, enum answer answer)
{
    if (load->wrong++ > 0) {
        return;
    }
    fprintf(stderr, "loadgen: wrong answer: expected %s, got %s: \"",
            load->options.any ? "any" : answer_name(connection->expected), answer_name(answer));
    for (size_t i = 0; i < connection->received && i < 400; i++) {
        char byte = connection->answer[i];
        if (byte == '\n') {
            fputs("\\n", stderr);
        } else {
            fputc(byte >= ' ' && byte <= '~' ? byte : '?', stderr);
        }
    }
    fputs("\"\n", stderr);
}

/* True once the answer is there whole. */
static bool receive(struct load *load, struct connection *connection, const struct phase *phase)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->received,
                       ANSWER_MAX - connection->received, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            break_off(load, "receive", got == 0 ? "connection closed" : strerror(errno));
        }
        return false;
    }
    connection->received += (size_t)got;
    enum answer answer = answer_judge(connection->answer, connection->received);
    if (answer == ANSWER_PARTIAL) {
        if (connection->received == ANSWER_MAX) {
            break_off(load, "receive", "an answer without an end");
        }
        return false;
    }
    if (answer == ANSWER_MALFORMED || (!load->options.any && answer != connection->expected)) {
        complain(load, connection, answer);
    }
    if (phase->measured) {
        load->counts[answer]++;
    }
    return true;
}

/* ---- One phase ---- */

static bool may_send(const struct phase *phase, uint64_t now)
{
    if (phase->limit > 0 && phase->sent >= phase->limit) {
        return false;
    }
    return phase->deadline == 0 || now < phase->deadline;
}

/* Sends what is due by the clock, while a connection is free to carry it. */
static void send_due(struct load *load, struct phase *phase, uint64_t now)
{
    while (!load->broken && load->idle_count > 0) {
        uint64_t intended = phase->started + phase->sent * phase->interval;
        if (intended > now || !may_send(phase, intended)) {
            return;
        }
        struct connection *connection = &load->connections[load->idle[--load->idle_count]];
        send_request(load, phase, connection, intended, now);
    }
}

static void take_answer(struct load *load, struct phase *phase, uint32_t index)
{
    struct connection *connection = &load->connections[index];
    if (!receive(load, connection, phase)) {
        return;
    }
    uint64_t now = now_ns();
    load->last_answer = now;
    phase->done++;
    if (phase->measured) {
        histogram_add(&load->latencies, now - connection->intended);
    }
    if (phase->interval > 0) {
        load->idle[load->idle_count++] = index;
    } else if (may_send(phase, now)) {
        send_request(load, phase, connection, now, now);
    }
}

/* Waits for answers, in an open loop only until the next request is due: epoll_wait counts in
 * milliseconds, ppoll in nanoseconds. */
static int wait_events(struct load *load, const struct phase *phase, struct epoll_event *events)
{
    uint64_t now = now_ns();
    uint64_t next = phase->started + phase->sent * phase->interval;
    if (phase->interval == 0 || load->idle_count == 0 || !may_send(phase, next)) {
        return epoll_wait(load->epoll, events, EVENTS, 1000);
    }
    uint64_t wait = next > now ? next - now : 0;
    struct timespec timeout = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    struct pollfd readable = {load->epoll, POLLIN, 0};
    if (wait > 0 && ppoll(&readable, 1, &timeout, NULL) <= 0) {
        return 0;
    }
    return epoll_wait(load->epoll, events, EVENTS, 0);
}

static bool is_over(const struct load *load, const struct phase *phase)
{
    if (load->broken) {
        return true;
    }
    uint64_t next = phase->interval > 0 ? phase->started + phase->sent * phase->interval : now_ns();
    return phase->done == phase->sent && !may_send(phase, next);
}

static void start_phase(struct load *load, struct phase *phase)
{
    phase->started = now_ns();
    load->last_answer = phase->started;
    if (phase->measured) {
        phase->deadline =
            load->options.requests > 0 ? 0 : phase->started + load->options.seconds * SECOND;
    }
    load->idle_count = 0;
    for (uint64_t i = 0; i < load->options.connections; i++) {
        if (phase->interval > 0) {
            load->idle[load->idle_count++] = (uint32_t)i;
        } else if (may_send(phase, phase->started) && !load->broken) {
            send_request(load, phase, &load->connections[i], phase->started, phase->started);
        }
    }
}

static void run_phase(struct load *load, struct phase *phase)
{
    struct epoll_event events[EVENTS];
    start_phase(load, phase);
    while (!is_over(load, phase)) {
        if (phase->interval > 0) {
            send_due(load, phase, now_ns());
        }
        int count = wait_events(load, phase, events);
        for (int i = 0; i < count && !load->broken; i++) {
            take_answer(load, phase, events[i].data.u32);
        }
        if (count == 0 && phase->done < phase->sent &&
            now_ns() - load->last_answer > SILENCE_SECONDS * SECOND) {
            break_off(load, "no answer", "the server is silent");
        }
    }
}

/* ---- All phases ---- */

static void prime(struct load *load, uint64_t first_key, enum answer expected, uint64_t test_time)
{
    struct phase phase = {
        .expected = expected,
        .first_key = first_key,
        .limit = load->options.keys,
        .test_time = test_time,
    };
    if (!load->broken) {
        run_phase(load, &phase);
    }
}

static void prime_keys(struct load *load)
{
    const struct options *options = &load->options;
    uint64_t again = options->time + options->delay + 1;
    bool known = options->mode == MODE_KNOWN || options->mode == MODE_MIX;
    bool early = options->mode == MODE_EARLY || options->mode == MODE_MIX;
    if (known) {
        prime(load, 0, ANSWER_DEFER, options->time);
        prime(load, 0, ANSWER_PASS, again);
    }
    if (early) {
        prime(load, options->keys, ANSWER_DEFER, again);
    }
    fprintf(stderr, "primed %" PRIu64 " keys\n", options->keys * (known + (uint64_t)early));
}

static void measure(struct load *load, struct phase *phase)
{
    const struct options *options = &load->options;
    phase->measured = true;
    phase->expected = options->mode == MODE_KNOWN ? ANSWER_PASS : ANSWER_DEFER;
    phase->limit = options->requests;
    phase->test_time = options->time + options->delay + 2;
    phase->interval = options->rate > 0 ? SECOND / options->rate : 0;
    if (!load->broken) {
        run_phase(load, phase);
    }
}

static void print_result(const struct load *load, const struct phase *phase, double cpu)
{
    const struct histogram *latencies = &load->latencies;
    double seconds = (double)(load->last_answer - phase->started) / 1e9;
    double done = (double)phase->done;
    printf("{\"mode\": \"%s\", \"connections\": %" PRIu64 ", \"requests\": %" PRIu64
           ", \"asked\": %" PRIu64 ", \"seconds\": %.4f, \"rate\": %.1f, \"offered_rate\": %" PRIu64
           ", ",
           options_mode_name(load->options.mode), load->options.connections, phase->done,
           load->next_message, seconds, seconds > 0 ? done / seconds : 0.0, load->options.rate);
    printf("\"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
           "\"max_us\": %.2f, ",
           histogram_mean(latencies) / 1e3, (double)histogram_quantile(latencies, 0.5) / 1e3,
           (double)histogram_quantile(latencies, 0.99) / 1e3,
           (double)histogram_quantile(latencies, 0.999) / 1e3, (double)latencies->max / 1e3);
    printf("\"pass\": %" PRIu64 ", \"defer\": %" PRIu64 ", \"other\": %" PRIu64
           ", \"malformed\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"broken\": %s, \"loadgen_cpu_us\": %.2f}\n",
           load->counts[ANSWER_PASS], load->counts[ANSWER_DEFER], load->counts[ANSWER_OTHER],
           load->counts[ANSWER_MALFORMED], load->wrong, load->broken ? "true" : "false",
           done > 0 ? cpu * 1e6 / done : 0.0);
    fflush(stdout);
}

/* ---- Setting up ---- */

static bool connect_one(struct load *load, uint32_t index)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)load->options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    load->connections[index].fd = fd;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return false;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool set_up(struct load *load)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* The kernel may be 50 us late by default, more than most answers take. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    load->random = (load->options.seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    load->next_new = 2 * load->options.keys;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = calloc(load->options.connections, sizeof(*load->connections));
    load->idle = calloc(load->options.connections, sizeof(*load->idle));
    if (load->epoll < 0 || load->connections == NULL || load->idle == NULL) {
        perror("loadgen");
        return false;
    }
    for (uint32_t index = 0; index < load->options.connections; index++) {
        if (!connect_one(load, index)) {
            perror("loadgen: connect");
            return false;
        }
    }
    return true;
}

static void wait_for_line(void)
{
    int byte;
    do {
        byte = getchar();
    } while (byte != '\n' && byte != EOF);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct phase phase = {0};
    if (!options_parse(&load.options, argc, argv)) {
        return 2;
    }
    if (!set_up(&load)) {
        return 1;
    }
    prime_keys(&load);
    if (load.options.gate) {
        wait_for_line();
    }
    double cpu = cpu_seconds();
    measure(&load, &phase);
    print_result(&load, &phase, cpu_seconds() - cpu);
    if (load.options.hold && !load.broken) {
        wait_for_line();
    }
    return load.wrong > 0 || load.broken ? 1 : 0;
}
