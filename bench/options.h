/*
 * options.h: what the load generator is told on its command line.
 */
#ifndef MONGREY_BENCH_OPTIONS_H
#define MONGREY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { SILENCE_SECONDS = 20 }; /* without any answer before the server is given up */

enum mode { MODE_NEW, MODE_EARLY, MODE_KNOWN, MODE_MIX };

struct options {
    uint64_t port;
    uint64_t connections;
    uint64_t seconds;
    uint64_t requests; /* 0: as many as the seconds allow */
    uint64_t rate;     /* a second; 0: closed loop */
    uint64_t seed;
    uint64_t keys;
    uint64_t time;
    uint64_t delay;
    uint64_t known_share; /* of mode mix, in percent; the rest is half new, half early */
    enum mode mode;
    bool any;
    bool gate;
    bool hold;
    bool no_clock;
};

/* False, with the usage on standard error, where the command line makes no sense. */
bool options_parse(struct options *options, int argc, char **argv);

const char *options_mode_name(enum mode mode);

#endif
