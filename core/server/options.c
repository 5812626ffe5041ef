/* options.c: see options.h. */
#include "core/server/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/base/version.h"
#include "core/store/loader.h"

enum {
    OPTION_SETTINGS = 256,
    OPTION_PID,
    OPTION_USER,
    OPTION_REQUEST,
    OPTION_REQUEST_FILE,
    OPTION_SET,
    OPTION_DAEMON,
    OPTION_CONSOLE,
    OPTION_SYSLOG,
    OPTION_QUIET,
    OPTION_RECORD,
    OPTION_EXPLAIN,
    OPTION_FIXTURES,
    OPTION_RECIPIENTS,
    OPTION_REPLACE,
    OPTION_LOG_CONFIG
};

static const struct option table[] = {
    {"settings", required_argument, NULL, OPTION_SETTINGS},
    {"pid", required_argument, NULL, OPTION_PID},
    {"user", required_argument, NULL, OPTION_USER},
    {"request", required_argument, NULL, OPTION_REQUEST},
    {"request-file", required_argument, NULL, OPTION_REQUEST_FILE},
    {"set", required_argument, NULL, OPTION_SET},
    {"daemon", no_argument, NULL, OPTION_DAEMON},
    {"console", no_argument, NULL, OPTION_CONSOLE},
    {"syslog", no_argument, NULL, OPTION_SYSLOG},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"record", no_argument, NULL, OPTION_RECORD},
    {"explain", no_argument, NULL, OPTION_EXPLAIN},
    {"fixtures", required_argument, NULL, OPTION_FIXTURES},
    {"replace", no_argument, NULL, OPTION_REPLACE},
    {"recipients", no_argument, NULL, OPTION_RECIPIENTS},
    {"log-config", required_argument, NULL, OPTION_LOG_CONFIG},
    {"debug", no_argument, NULL, 'D'},
    {"version", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "mongrey-server [options] COMMAND\n"
    "\n"
    "  start                 run the policy daemon\n"
    "  check                 answer --request or --request-file without a server; changes nothing\n"
    "                        unless --record\n"
    "  policy                speak the policy protocol on standard input and output (spawn(8))\n"
    "  config                print the settings in force, and where each came from\n"
    "  config-check          what in settings, lists and policies cannot work or surely isn't "
    "meant\n"
    "  config-install        write a settings file with every setting in it, commented out\n"
    "                        (also: install)\n"
    "  explain ID [LOG...]   what was decided under that id, check by check\n"
    "  fixtures-import       read domains, mailboxes, networks, lists, pools and policies from "
    "YAML\n"
    "  fixtures-export       write them\n"
    "  import-whitelist FILE...\n"
    "                        read postgrey's lists into the white list, or what changed in them\n"
    "\n"
    "  --settings FILE       read this file; else $MONGREY_SERVER_SETTINGS, "
    "/etc/mongrey/server.yml,\n"
    "                        ~/mongrey/server.yml; config-install writes it\n"
    "  --set KEY=VALUE       one setting, before file and environment (may be repeated)\n"
    "  --pid FILE            write the process id\n"
    "  --daemon              detach once it listens; logs to syslog unless --console\n"
    "  --user NAME           run as this user after binding; imports and exports: from the start\n"
    "  --console, --syslog   where to log (default: standard error; for policy syslog, since\n"
    "                        spawn(8) connects standard error to Postfix)\n"
    "  --fixtures FILE       what fixtures-import and fixtures-export read and write; - is "
    "standard\n"
    "                        input or output; else $MONGREY_SERVER_FIXTURES,\n"
    "                        /var/lib/mongrey/server-fixtures.yml, ~/mongrey/server-fixtures.yml\n"
    "                        config-check: check its records, not the store's\n"
    "  --replace             fixtures-import: also what is there already and differs\n"
    "  --recipients          import-whitelist: the files list recipients (else only those do that\n"
    "                        have `recipients` in their name)\n"
    "  --quiet               config-install, fixtures-export: replace a file without asking;\n"
    "                        config-check: nothing but what was found\n"
    "  --request TEXT        \"client_address=192.0.2.1, sender=a@b.example, "
    "recipient=c@d.example\"\n"
    "  --request-file FILE   one such request a line; - is standard input\n"
    "  --record              check: record what it decides, as the server would\n"
    "  --explain             check: what each check looked at, found and cost\n"
    "  -D, --debug           log more\n"
    "  -v, --version         version, drivers, libraries\n"
    "  -h, --help            this\n"
    "\n"
    "Exit status: 0 fine, 1 it failed, 2 wrong use, 78 bad configuration.\n";

static void print_line(void *context, const char *line)
{
    (void)context;
    puts(line);
}

static bool add_set(struct options *o, const char *value)
{
    size_t count = 0;
    while (o->set[count] != NULL)
        count++;
    if (count == OPTIONS_SET_MAX) {
        fputs("mongrey-server: too many --set\n", stderr);
        return false;
    }
    o->set[count] = value;
    return true;
}

static bool take(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPTION_SETTINGS:
        o->settings = value;
        return true;
    case OPTION_PID:
        o->pid = value;
        return true;
    case OPTION_USER:
        o->user = value;
        return true;
    case OPTION_REQUEST:
        o->request = value;
        return true;
    case OPTION_REQUEST_FILE:
        o->request_file = value;
        return true;
    case OPTION_SET:
        return add_set(o, value);
    case OPTION_DAEMON:
        return o->daemon = true;
    case OPTION_CONSOLE:
        return o->console = true;
    case OPTION_SYSLOG:
        return o->syslog = true;
    case OPTION_QUIET:
        return o->quiet = true;
    case OPTION_RECORD:
        return o->record = true;
    case OPTION_EXPLAIN:
        return o->explain = true;
    case OPTION_FIXTURES:
        o->fixtures = value;
        return true;
    case OPTION_REPLACE:
        return o->replace = true;
    case OPTION_RECIPIENTS:
        return o->recipients = true;
    case OPTION_LOG_CONFIG:
        fputs("mongrey-server: --log-config has no meaning now; use --console, --syslog and "
              "log_format\n",
              stderr);
        return true;
    case 'D':
        return add_set(o, "debug=true");
    default:
        return false; /* getopt has said what is wrong */
    }
}

static bool takes_arguments(const char *command)
{
    return strcmp(command, "explain") == 0 || strcmp(command, "import-whitelist") == 0;
}

bool options_read(int argc, char **argv, struct options *o, bool *done)
{
    int option;
    memset(o, 0, sizeof(*o));
    *done = false;
    while ((option = getopt_long(argc, argv, "Dvh", table, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            *done = true;
            return false;
        }
        if (option == 'v') {
            puts("mongrey-" MONGREY_VERSION);
            loader_list((struct text){NULL, 0}, print_line, NULL);
            *done = true;
            return false;
        }
        if (!take(o, option, optarg)) {
            fputs("try: mongrey-server --help\n", stderr);
            return false;
        }
    }
    if (optind + 1 == argc || (optind < argc && takes_arguments(argv[optind]))) {
        o->command = argv[optind];
        o->arguments = (const char *const *)argv + optind + 1;
        return true;
    }
    if (optind == argc)
        fputs("mongrey-server: a command is missing; try: mongrey-server --help\n", stderr);
    else
        fprintf(
            stderr,
            "mongrey-server: one command at a time: `%s` is too much (a file goes with --fixtures, "
            "--settings or --request-file); try: mongrey-server --help\n",
            argv[optind + 1]);
    return false;
}
