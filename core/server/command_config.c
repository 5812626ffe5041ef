/* command_config.c: `config` and `config-install`. */
#include <stdio.h>
#include <string.h>

#include "core/server/commands.h"
#include "core/server/exits.h"
#include "core/server/replace.h"

static void put_line(void *context, struct text line)
{
    FILE *f = context;
    fwrite(line.data, 1, line.size, f);
    fputc('\n', f);
}

int command_config(const struct options *options, const struct settings_sources *sources)
{
    (void)options;
    struct settings *settings = command_settings(sources);
    if (settings == NULL)
        return EXIT_CONFIG;
    printf("# settings file: %s\n", settings->file != NULL ? settings->file : "none");
    settings_write(settings, put_line, stdout);
    settings_release(settings);
    return fflush(stdout) == 0 ? EXIT_FINE : EXIT_FAILED;
}

/* Where to write: what is named, else the system's place. */
static const char *choose_path(const struct settings_sources *sources)
{
    if (sources->file != NULL)
        return sources->file;
    for (const char *const *e = sources->environ; *e != NULL; e++) {
        if (strncmp(*e, "MONGREY_SERVER_SETTINGS=", 24) == 0 && (*e)[24] != '\0')
            return *e + 24;
    }
    return "/etc/mongrey/server.yml";
}

static bool put_sample(void *context, FILE *f)
{
    (void)context;
    settings_write_sample(put_line, f);
    return true;
}

int command_config_install(const struct options *options, const struct settings_sources *sources)
{
    return replace_file(choose_path(sources), options->quiet, put_sample, NULL);
}
