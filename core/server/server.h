/*
 * server.h: what the files of the server share. Everything here belongs to the loop thread.
 *
 * The way of a request: listen.c accepts, client.c reads and frames, decide.c asks the checks, the
 * cache, through far.c the one that hosts share, and through lane.c the store; client.c writes the answer. At any moment one thread holds
 * it.
 */
#ifndef MONGREY_SERVER_H
#define MONGREY_SERVER_H

#include <uv.h>

#include "core/data/lists.h"
#include "core/policy/instances.h"
#include "core/policy/prepare.h"
#include "core/server/far.h"
#include "core/server/http.h"
#include "core/server/keeper.h"
#include "core/server/lane.h"
#include "core/server/touches.h"
#include "include/check.h"

#define READ_SIZE 65536 /* bytes of one read */
#define OUT_SIZE 65536  /* bytes of answers gathered before they are written */

struct client;

/* A list of clients in one state. All in it have the same time to stay, so the first is the next
 * whose time is up. */
struct client_list {
    struct client *first;
    struct client *last;
};

/* A client is in exactly one list; client_move in client.c is the only place where that changes. */
enum client_state {
    CLIENT_IDLE,    /* between two requests */
    CLIENT_READING, /* a request has begun */
    CLIENT_WAITING, /* its request is with the far cache or the store */
    CLIENT_WRITING, /* its peer does not take the answer */
    CLIENT_CLOSING, /* answered for the last time; what still comes is thrown away */
    CLIENT_CLOSED,  /* the handle is being closed */
    CLIENT_STATES
};

/* What would otherwise be said for each connection is said once in ten seconds. */
enum complaint {
    COMPLAINT_LATE,
    COMPLAINT_SURPLUS,
    COMPLAINT_ACCEPT,
    COMPLAINT_PATTERN,
    COMPLAINT_LENGTH,
    COMPLAINTS
};

struct counters {
    uint64_t connections;
    uint64_t refused; /* by allow_hosts */
    uint64_t surplus; /* past max_clients */
    uint64_t malformed;
    uint64_t timeouts;
    uint64_t requests;
    uint64_t outcome[4]; /* by enum outcome */
    uint64_t lookups;    /* in the cache */
    uint64_t cached;     /* answered from the cache */
    uint64_t far_cached; /* answered from the far cache */
    uint64_t trouble;    /* the store said no */
    uint64_t untold;     /* hits of lists that it could not be told */
    uint64_t decided[METRICS_CHECKS][METRICS_ACTIONS];
    struct histogram latency;
};

/* What those who watch are told of the lists. */
struct lists_state {
    bool loaded;
    bool saved; /* from a file, since the store is away */
    uint64_t revision;
    uint64_t bytes;
    uint64_t entries[KINDS];
};

/* What watch.c keeps. */
struct watch {
    struct http *http; /* NULL: metrics_listen is empty */
    uv_timer_t stats;
    int64_t start; /* wall ms */
    bool reload_failed;
    uint64_t requests; /* as of the last line of stats */
    uint64_t cpu;      /* ms */
    int64_t at;        /* steady ms */
};

struct server {
    uv_loop_t loop;
    struct settings *settings; /* in force; replaced by a reload */
    struct settings *boot;     /* those of the start, for what a reload cannot change */
    struct snapshot *snapshot; /* the lists in force; empty until they are loaded */
    struct keeper *keeper;
    const struct settings_sources *sources;
    struct store *store;
    struct lane *lane;
    const struct cache_driver *cache_driver;
    struct cache *cache; /* NULL: none */
    struct far *far;     /* NULL: none */
    uint64_t revision;   /* that the cache was filled under */
    struct touches touches;
    struct instances instances;
    struct id_maker ids;
    char host[256];
    int64_t clock_offset;  /* wall less steady ms, as of the last look */
    int64_t clock_stepped; /* steady ms: when that last changed; 0: never */
    int64_t newest_time;   /* with test_clock: the greatest request time seen */
    bool stopping;
    int64_t stop_by; /* steady ms */

    struct client_list clients[CLIENT_STATES];
    size_t clients_count;
    size_t clients_most;            /* served; past it, one error answer each */
    size_t clients_bound;           /* taken at all */
    int64_t complained[COMPLAINTS]; /* steady ms: when last */
    size_t kept_count;              /* inquiries with the far cache or the store */
    struct counters counters;
    struct lists_state lists_state;
    struct lists_place lists_place;
    char lists_path[4096];
    struct watch watch;

    struct listener *listeners;
    uv_async_t wake;
    uv_timer_t sweep;
    uv_timer_t tell;
    uv_timer_t purge;
    uv_timer_t tally;
    uv_signal_t signals[4];

    char canonical[PREPARE_MEMORY_MAX]; /* of the request that is being decided */
    char read_memory[READ_SIZE];
    char out_memory[OUT_SIZE];
    struct writer out;
};

/* --- server.c --- */
struct server_hooks {
    /* All is bound, nothing else is open yet: the time to give up root. False: do not go on. */
    bool (*bound)(void *context);
    /* Requests are answered from now on. */
    bool (*started)(void *context);
    void *context;
};

/* Runs until a signal ends it. Returns the exit status. */
int server_run(struct settings *settings, const struct settings_sources *sources,
               const struct server_hooks *hooks);

/* --- lists.c --- */
void lists_use(struct server *server, struct snapshot *fresh);
/* The file to be merged at a start or reload, in `memory`; NULL: none. */
const char *lists_find_fixtures(const struct server *server, char memory[4096]);
/* Where the lists are saved; NULL: nowhere. */
struct lists_place *lists_place(struct server *server);
/* The first lists; NULL: no fixtures. */
void lists_start(struct server *server, const char *fixtures);

/* --- hits.c --- */
void server_tell_hits(struct server *server);

/* --- server.c, too --- */
void server_complain(struct server *server, enum complaint complaint, const char *text);

/* --- watch.c --- */
/* Binds what `metrics_listen` names. Returns the exit status. */
int watch_bind(struct server *server);
/* Root is given up, the lane runs: starts the threads of HTTP, if any, and the timer of stats. */
bool watch_start(struct server *server);
/* At each sweep: tells the threads of HTTP how things are. */
void watch_sweep(struct server *server);
/* After a reload that went, or did not. */
void watch_reloaded(struct server *server, bool fine);
void watch_stop(struct server *server);
/* Counts a verdict. */
void watch_decided(struct server *server, const struct inquiry *inquiry);

/* --- listen.c --- */
struct listener;
/* Binds all that `host` names. False: something cannot be bound, and was logged. */
bool listen_start(struct server *server);
void listen_stop(struct server *server);

/* --- client.c --- */
/* Takes over an accepted stream: its first bytes were not read yet. */
struct client *client_make(struct server *server, bool is_pipe);
uv_stream_t *client_stream(struct client *client);
void client_accepted(struct client *client);
void client_sweep(struct server *server);
/* Closes those that nothing is owed to. */
void client_stop_all(struct server *server);
/* Closes one, whatever it is at. */
void client_cut(struct client *client);

/* --- decide.c --- */
/* An inquiry that outlives its bytes: it waits for the far cache, then for the store. */
struct kept {
    struct lane_item item; /* first: finish() gets it */
    struct far_item far;
    struct inquiry inquiry;
    struct server *server;
    struct client *client; /* NULL: answered already, by time-out, or gone */
    struct storage_reading reading;
    char reading_memory[1544];
    char bytes[]; /* of the request, then its canonical texts */
};

/* Parses and asks. True: the verdict in `scratch` is set. False: it waits for the store; *kept is
 * the inquiry, and client_resume will be called with it. *why is set where it is no request. */
bool decide(struct server *server, struct client *client, struct text bytes, int64_t deadline,
            struct inquiry *scratch, struct kept **kept, const char **why);
/* Counts and logs a verdict; gives it its id. */
void decide_note(struct server *server, struct inquiry *inquiry);
/* client.c: the store has answered. Owns nothing. */
void client_resume(struct client *client, struct kept *kept);

#endif
