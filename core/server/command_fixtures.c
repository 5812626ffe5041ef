/* command_fixtures.c: `fixtures-import`, `fixtures-export` and `import-whitelist`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/data/data.h"
#include "core/data/file.h"
#include "core/data/fixtures.h"
#include "core/data/listfile.h"
#include "core/data/transfer.h"
#include "core/server/commands.h"
#include "core/server/daemon.h"
#include "core/server/exits.h"
#include "core/server/replace.h"

#define CALL_TIMEOUT 30000

/* A command's way to the store. */
struct way {
    struct settings *settings;
    struct store *store;
    struct store_line line;
};

static int way_open(struct way *way, const struct options *options,
                    const struct settings_sources *sources, bool read_only)
{
    struct storage_error error = {0, ""};
    memset(way, 0, sizeof(*way));
    way->settings = command_settings(sources);
    if (way->settings == NULL)
        return EXIT_CONFIG;
    struct store_options wanted = {
        .url = way->settings->db_url,
        .driver_path = way->settings->driver_path,
        .call_timeout = CALL_TIMEOUT,
        .read_only = read_only,
    };
    way->store = store_make(&wanted, &error);
    if (way->store == NULL) {
        log_error("%s", error.text);
        return EXIT_CONFIG;
    }
    if (options->user != NULL && !daemon_become(options->user))
        return EXIT_FAILED;
    store_line_start(&way->line, way->store);
    enum storage_status status = store_open(way->store, &error);
    if (status == STORAGE_OK)
        return EXIT_FINE;
    log_error("store %s: %s", store_masked(way->store), error.text);
    return status == STORAGE_INVALID || status == STORAGE_SCHEMA || status == STORAGE_DENIED
               ? EXIT_CONFIG
               : EXIT_FAILED;
}

static void way_close(struct way *way)
{
    store_line_end(&way->line);
    if (way->store != NULL)
        store_free(way->store);
    if (way->settings != NULL)
        settings_release(way->settings);
}

static const char *home_of(const struct settings_sources *sources)
{
    for (const char *const *e = sources->environ; *e != NULL; e++) {
        if (strncmp(*e, "HOME=", 5) == 0)
            return *e + 5;
    }
    return NULL;
}

/* What is named by the option, else by the settings, else what is there. */
static const char *choose_path(const struct way *way, const struct options *options,
                               const struct settings_sources *sources, char *memory, size_t size)
{
    const char *named = options->fixtures;
    if (named == NULL && way->settings->fixtures_path.size > 0)
        named = way->settings->fixtures_path.data; /* terminated: the settings' own copy */
    return data_find_fixtures(named, home_of(sources), memory, size);
}

static void say_line(void *context, bool wrong, const char *text)
{
    (void)context;
    if (wrong)
        log_error("%s", text);
    else
        log_warning("%s", text);
}

static int import_file(struct way *way, const char *path, bool replace)
{
    char why[160];
    size_t size;
    struct transfer_tally t;
    char *memory = file_read(path, FIXTURES_FILE_MAX, &size, why, sizeof(why));
    if (memory == NULL) {
        log_error("%s: %s", path, why);
        return EXIT_FAILED;
    }
    bool fine = transfer_import(&way->line, (struct text){memory, size},
                                strcmp(path, "-") == 0 ? "standard input" : path, clock_wall(),
                                replace, &t, say_line, NULL);
    log_info("IMPORT entries[%zu] - success[%zu] - warn[%zu] - error[%zu]", t.entries, t.success,
             t.warn, t.error);
    free(memory);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

int command_fixtures_import(const struct options *options, const struct settings_sources *sources)
{
    char memory[4096];
    struct way way;
    int status = way_open(&way, options, sources, false);
    if (status == EXIT_FINE) {
        const char *path = choose_path(&way, options, sources, memory, sizeof(memory));
        if (path != NULL)
            status = import_file(&way, path, options->replace);
        else {
            log_error("there is neither " DATA_FIXTURES
                      " nor ~/mongrey/server-fixtures.yml; name a file with --fixtures");
            status = EXIT_FAILED;
        }
    }
    way_close(&way);
    return status;
}

static bool put_records(void *context, FILE *f)
{
    struct storage_error error = {0, ""};
    struct way *way = context;
    size_t records;
    if (transfer_export(&way->line, f, &records, &error))
        return true;
    log_error("store %s: %s", store_masked(way->store), error.text);
    return false;
}

static int export_to(struct way *way, const char *path, bool quiet)
{
    if (strcmp(path, "-") != 0)
        return replace_file(path, quiet, put_records, way);
    return put_records(way, stdout) && fflush(stdout) == 0 ? EXIT_FINE : EXIT_FAILED;
}

int command_fixtures_export(const struct options *options, const struct settings_sources *sources)
{
    char memory[4096];
    struct way way;
    int status = way_open(&way, options, sources, true);
    if (status == EXIT_FINE) {
        const char *path = choose_path(&way, options, sources, memory, sizeof(memory));
        status = export_to(&way, path != NULL ? path : DATA_FIXTURES, options->quiet);
    }
    way_close(&way);
    return status;
}

int command_import_whitelist(const struct options *options, const struct settings_sources *sources)
{
    struct way way;
    if (options->arguments[0] == NULL) {
        fputs("mongrey-server import-whitelist: name a file of postgrey's, such as "
              "/etc/postgrey/whitelist_clients\n",
              stderr);
        return EXIT_WRONG_USE;
    }
    int status = way_open(&way, options, sources, false);
    if (status == EXIT_FINE) {
        for (const char *const *path = options->arguments; *path != NULL; path++) {
            bool recipients = options->recipients || listfile_has_recipients(*path);
            if (data_import_list(&way.line, *path, recipients, clock_wall()) != 0)
                status = EXIT_FAILED;
        }
    }
    way_close(&way);
    return status;
}
