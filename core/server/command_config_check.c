/* command_config_check.c: `config-check`: what in settings, lists and policies cannot work or surely
 * isn't meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/data/file.h"
#include "core/data/fixtures.h"
#include "core/lint/gather.h"
#include "core/server/commands.h"
#include "core/server/exits.h"

#define CALL_TIMEOUT 30000
#define ODD_MAX ((size_t)1 << 20)

/* What settings_load had to say, which is before there is a lint to tell it to. */
struct odd {
    struct arena arena;
    const char **texts;
    size_t count;
};

static void keep_odd(void *context, const char *text)
{
    struct odd *odd = context;
    const char **more = reallocarray(odd->texts, odd->count + 1, sizeof(*more));
    const char *copy = arena_copy(&odd->arena, text_of(text));
    odd->texts = more != NULL ? more : odd->texts;
    if (more != NULL && copy != NULL)
        odd->texts[odd->count++] = copy;
}

static void put_finding(void *context, struct text line)
{
    (void)context;
    fwrite(line.data, 1, line.size, stdout);
    fputc('\n', stdout);
}

static int check_file(struct lint *l, const char *path)
{
    char why[160];
    size_t size;
    char *memory = file_read(path, FIXTURES_FILE_MAX, &size, why, sizeof(why));
    if (memory == NULL) {
        log_error("%s: %s", path, why);
        return EXIT_CONFIG;
    }
    bool fits = gather_file(l, (struct text){memory, size},
                            strcmp(path, "-") == 0 ? "standard input" : path, clock_wall());
    free(memory);
    return fits ? EXIT_FINE : EXIT_FAILED;
}

/* A store that is away is no fault of the configuration; one that refuses is. */
static int check_away(const struct store *store, enum storage_status status,
                      const struct storage_error *error, bool quiet)
{
    if (status == STORAGE_INVALID || status == STORAGE_SCHEMA || status == STORAGE_DENIED) {
        log_error("store %s: %s", store_masked(store), error->text);
        return EXIT_CONFIG;
    }
    if (!quiet)
        printf("note: store %s: %s; only the settings are checked\n", store_masked(store),
               error->text);
    return EXIT_FINE;
}

static int check_store(struct lint *l, const struct settings *settings, bool quiet)
{
    struct storage_error error = {0, ""};
    struct store_line line;
    struct store_options options = {
        .url = settings->db_url,
        .driver_path = settings->driver_path,
        .call_timeout = CALL_TIMEOUT,
        .read_only = true,
    };
    struct store *store = store_make(&options, &error);
    if (store == NULL) {
        log_error("%s", error.text);
        return EXIT_CONFIG;
    }
    int exit = EXIT_FINE;
    store_line_start(&line, store);
    enum storage_status status = store_open(store, &error);
    if (status == STORAGE_OK)
        status = gather_store(l, &line, &error);
    if (status != STORAGE_OK)
        exit = check_away(store, status, &error, quiet);
    else if (lint_tally(l).records == 0 && !quiet)
        printf("note: store %s: there are no lists, policies, domains or networks yet\n",
               store_masked(store));
    store_line_end(&line);
    store_free(store);
    return exit;
}

static int check_all(const struct options *options, const struct settings *settings,
                     const struct odd *odd)
{
    struct lint *l = lint_make(settings, clock_wall(), put_finding, NULL);
    if (l == NULL) {
        log_error("out of memory");
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < odd->count; i++)
        lint_setting_odd(l, odd->texts[i]);
    int exit = options->fixtures != NULL ? check_file(l, options->fixtures)
                                         : check_store(l, settings, options->quiet);
    if (exit == EXIT_FINE && !lint_run(l)) {
        log_error("out of memory: not everything was checked");
        exit = EXIT_FAILED;
    }
    struct lint_tally tally = lint_tally(l);
    if (exit == EXIT_FINE && tally.errors + tally.warnings > 0)
        exit = EXIT_FAILED;
    if (exit != EXIT_CONFIG && !options->quiet)
        printf("%zu errors, %zu warnings\n", tally.errors, tally.warnings);
    lint_free(l);
    if (fflush(stdout) != 0 && exit == EXIT_FINE)
        return EXIT_FAILED;
    return exit;
}

int command_config_check(const struct options *options, const struct settings_sources *sources)
{
    struct odd odd = {.arena = arena_make(ODD_MAX)};
    struct settings_sources with_odd = *sources;
    with_odd.warn = keep_odd;
    with_odd.context = &odd;
    struct settings *settings = command_settings(&with_odd);
    int exit = settings != NULL ? check_all(options, settings, &odd) : EXIT_CONFIG;
    if (settings != NULL)
        settings_release(settings);
    free(odd.texts);
    arena_free(&odd.arena);
    return exit;
}
