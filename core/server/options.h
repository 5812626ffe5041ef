/* options.h: the command line of mongrey-server. */
#ifndef MONGREY_OPTIONS_H
#define MONGREY_OPTIONS_H

#include <stdbool.h>

#define OPTIONS_SET_MAX 64

struct options {
    const char *settings;                 /* --settings */
    const char *fixtures;                 /* --fixtures */
    const char *pid;                      /* --pid */
    const char *user;                     /* --user */
    const char *request;                  /* --request */
    const char *request_file;             /* --request-file */
    const char *set[OPTIONS_SET_MAX + 2]; /* --set, and what -D means; ends with NULL */
    bool daemon;
    bool console;
    bool syslog;
    bool quiet;
    bool record;
    bool explain;
    bool replace;
    bool recipients;              /* --recipients */
    const char *const *arguments; /* behind the command, of those that take some; ends with NULL */
    const char *command;          /* NULL: --version or --help was all, and is done */
};

/* False: it was used wrongly, which was said on standard error; or (with *done) all is said. */
bool options_read(int argc, char **argv, struct options *options, bool *done);

#endif
