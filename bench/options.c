/*
 * options.c: see options.h.
 */
#include "options.h"

#include "traffic.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTIONS_MAX = 20000, KEYS_MAX = 4000000 };

static const char *const mode_names[] = {"new", "early", "known", "mix"};

static void usage(void)
{
    fputs("usage: loadgen --port P [options]\n"
          "  --connections C  connections, one request under way on each (50)\n"
          "  --seconds S      how long to measure (2), or\n"
          "  --requests N     how many requests to measure\n"
          "  --mode M         new, early, known or mix (new)\n"
          "  --keys K         known and early keys to prime (2000)\n"
          "  --known-share P  percent of known keys in mode mix (70); the rest is half new, "
          "half early\n"
          "  --seed X         another seed, other keys (1)\n"
          "  --time EPOCH     test clock at the start (now); --no-clock sends none\n"
          "  --delay D        the server's delay in seconds (300)\n"
          "  --rate R         open loop: R requests a second, latency from when each was due\n"
          "  --any            any well-formed answer will do (null server)\n"
          "  --gate           wait for a line on standard input between priming and measuring\n"
          "  --hold           keep the connections until standard input ends\n",
          stderr);
}

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-') {
        return false;
    }
    *number = value;
    return value >= least && value <= most;
}

static bool parse_mode(const char *text, enum mode *mode)
{
    for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (strcmp(text, mode_names[i]) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    }
    return false;
}

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"seconds", required_argument, NULL, 's'},
    {"requests", required_argument, NULL, 'n'},
    {"mode", required_argument, NULL, 'm'},
    {"keys", required_argument, NULL, 'k'},
    {"seed", required_argument, NULL, 'x'},
    {"time", required_argument, NULL, 't'},
    {"delay", required_argument, NULL, 'd'},
    {"rate", required_argument, NULL, 'r'},
    {"known-share", required_argument, NULL, 'P'},
    {"any", no_argument, NULL, 'a'},
    {"gate", no_argument, NULL, 'g'},
    {"hold", no_argument, NULL, 'h'},
    {"no-clock", no_argument, NULL, 'C'},
    {NULL, 0, NULL, 0},
};

static bool take_option(struct options *options, int option, const char *value)
{
    switch (option) {
    case 'p':
        return parse_number(value, 1, 65535, &options->port);
    case 'c':
        return parse_number(value, 1, CONNECTIONS_MAX, &options->connections);
    case 's':
        return parse_number(value, 1, 3600, &options->seconds);
    case 'n':
        return parse_number(value, 1, UINT64_C(1) << 32, &options->requests);
    case 'm':
        return parse_mode(value, &options->mode);
    case 'k':
        return parse_number(value, 1, KEYS_MAX, &options->keys);
    case 'x':
        return parse_number(value, 0, TRAFFIC_SEED_MAX, &options->seed);
    case 't':
        return parse_number(value, 1, UINT64_C(1) << 40, &options->time);
    case 'd':
        return parse_number(value, 1, 86400, &options->delay);
    case 'r':
        return parse_number(value, 1, 10000000, &options->rate);
    case 'P':
        return parse_number(value, 0, 100, &options->known_share);
    case 'a':
        return options->any = true;
    case 'g':
        return options->gate = true;
    case 'h':
        return options->hold = true;
    case 'C':
        return options->no_clock = true;
    default:
        return false;
    }
}

static bool parse_all(struct options *options, int argc, char **argv)
{
    *options = (struct options){
        .connections = 50,
        .seconds = 2,
        .keys = 2000,
        .seed = 1,
        .time = (uint64_t)time(NULL),
        .delay = 300,
        .known_share = 70,
    };
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(options, option, optarg)) {
            if (option != '?') {
                fprintf(stderr, "loadgen: bad value: %s\n", optarg);
            }
            return false;
        }
    }
    bool early = options->mode == MODE_EARLY || options->mode == MODE_MIX;
    if (early && options->seconds + SILENCE_SECONDS >= options->delay) {
        fputs("loadgen: early keys would come of age while they are measured\n", stderr);
        return false;
    }
    return optind == argc && options->port != 0;
}

bool options_parse(struct options *options, int argc, char **argv)
{
    if (!parse_all(options, argc, argv)) {
        usage();
        return false;
    }
    return true;
}

const char *options_mode_name(enum mode mode)
{
    return mode_names[mode];
}
