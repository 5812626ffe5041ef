/* commands.h: the commands of mongrey-server; each returns the exit status. */
#ifndef MONGREY_COMMANDS_H
#define MONGREY_COMMANDS_H

#include "core/policy/settings.h"
#include "core/server/options.h"

int command_start(const struct options *options, const struct settings_sources *sources);
int command_check(const struct options *options, const struct settings_sources *sources);
int command_policy(const struct options *options, const struct settings_sources *sources);
int command_config(const struct options *options, const struct settings_sources *sources);
int command_config_check(const struct options *options, const struct settings_sources *sources);
int command_config_install(const struct options *options, const struct settings_sources *sources);
int command_explain(const struct options *options, const struct settings_sources *sources);
int command_fixtures_import(const struct options *options, const struct settings_sources *sources);
int command_fixtures_export(const struct options *options, const struct settings_sources *sources);
int command_import_whitelist(const struct options *options, const struct settings_sources *sources);

/* The settings, or NULL after the fault was logged. */
struct settings *command_settings(const struct settings_sources *sources);

#endif
