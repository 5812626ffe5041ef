/* main.c: introduces the parts to each other: options, settings, log, command. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/server/commands.h"
#include "core/server/exits.h"

extern char **environ;

static const struct {
    const char *name;
    int (*run)(const struct options *options, const struct settings_sources *sources);
} commands[] = {
    {"start", command_start},
    {"check", command_check},
    {"policy", command_policy},
    {"config", command_config},
    {"config-check", command_config_check},
    {"config-install", command_config_install},
    {"install", command_config_install},
    {"explain", command_explain},
    {"fixtures-import", command_fixtures_import},
    {"fixtures-export", command_fixtures_export},
    {"import-whitelist", command_import_whitelist},
};

static void warn(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

/* Under spawn(8) standard error is the connection to Postfix; a daemon's is the terminal of who started
 * it, until it detaches. */
static enum log_target choose_log(const struct options *o)
{
    if (o->console)
        return LOG_TO_CONSOLE;
    if (o->daemon)
        return LOG_TO_BOTH;
    return o->syslog || strcmp(o->command, "policy") == 0 ? LOG_TO_SYSLOG : LOG_TO_CONSOLE;
}

/* Where one of the standard descriptors is closed, what is opened next would take its place, and the log
 * or a terminal's end would go into it. */
static void open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* NULL: none is like it. */
static const char *nearest_command(const char *written)
{
    const char *nearest = NULL;
    unsigned best = 4;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        unsigned distance = text_distance(text_of(written), text_of(commands[i].name));
        if (distance < best) {
            best = distance;
            nearest = commands[i].name;
        }
    }
    return nearest;
}

int main(int argc, char **argv)
{
    struct options options;
    bool done;
    open_standard();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is the store's trouble, not the end */
    if (!options_read(argc, argv, &options, &done)) {
        bool printed = fflush(stdout) == 0;
        return !done ? EXIT_WRONG_USE : printed ? EXIT_FINE : EXIT_FAILED;
    }
    log_start(choose_log(&options), LOG_LEVEL_INFO);
    if (!hash_start()) {
        log_error("the system gives no random numbers");
        return EXIT_FAILED;
    }
    struct settings_sources sources = {
        .file = options.settings,
        .environ = (const char *const *)environ,
        .options = options.set,
        .warn = warn,
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, options.command) == 0) {
            int status = commands[i].run(&options, &sources);
            log_flush();
            return status;
        }
    }
    fprintf(stderr, "mongrey-server: there is no command %s", options.command);
    const char *nearest = nearest_command(options.command);
    if (nearest != NULL)
        fprintf(stderr, "; is %s meant?", nearest);
    fputs("; try: mongrey-server --help\n", stderr);
    return EXIT_WRONG_USE;
}
