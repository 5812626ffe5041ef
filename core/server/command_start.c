/* command_start.c: `start`. */
#include "core/base/log.h"
#include "core/server/commands.h"
#include "core/server/daemon.h"
#include "core/server/exits.h"
#include "core/server/server.h"

struct settings *command_settings(const struct settings_sources *sources)
{
    struct settings_error error;
    struct settings *settings = settings_load(sources, &error);
    if (settings == NULL)
        log_error("%s", error.text);
    else if (settings->debug)
        log_set_level(LOG_LEVEL_DEBUG);
    return settings;
}

static bool bound(void *context)
{
    const struct options *o = context;
    if (o->pid != NULL && !daemon_write_pid(o->pid))
        return false;
    return o->user == NULL || daemon_become(o->user);
}

static bool started(void *context)
{
    const struct options *o = context;
    daemon_ready(!o->console);
    return true;
}

int command_start(const struct options *options, const struct settings_sources *sources)
{
    struct options own = *options;
    struct server_hooks hooks = {.bound = bound, .started = started, .context = &own};
    struct settings *settings = command_settings(sources);
    if (settings == NULL)
        return EXIT_CONFIG;
    if (options->daemon && !daemon_detach()) {
        settings_release(settings);
        return EXIT_FAILED;
    }
    int status = server_run(settings, sources, &hooks);
    daemon_remove_pid();
    settings_release(settings);
    return status;
}
