/* command_explain.c: `explain ID`: what was decided, check by check: from the store's ring of
 * decisions, else from logs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/log.h"
#include "core/data/decision.h"
#include "core/server/commands.h"
#include "core/server/exits.h"
#include "core/store/records.h"

static void print_time(int64_t ms)
{
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    if (gmtime_r(&seconds, &t) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &t) > 0)
        printf("at: %s\n", text);
}

static void print_field(const char *name, const struct storage_value *v)
{
    if (v->type == STORAGE_TEXT && v->text.size > 0)
        printf("%s: %.*s\n", name, (int)v->text.size, v->text.data);
    if (v->type == STORAGE_INTEGER)
        printf("%s: %lld\n", name, (long long)v->integer);
}

static bool print_record(void *context, const struct storage_record *r)
{
    const struct storage_kind *kind = &record_kinds[KIND_DECISION];
    (void)context;
    printf("id: %s\n", r->id);
    print_time(r->values[DECISION_at].integer);
    for (size_t i = DECISION_at + 1; i < DECISION_checks; i++)
        print_field(kind->fields[i].name, &r->values[i]);
    const struct storage_text *found = &r->values[DECISION_checks].text;
    struct text rest = {found->data, found->size};
    struct text line;
    puts("checks:");
    while (text_split(&rest, '\n', &line))
        printf("  %.*s\n", (int)line.size, line.data);
    return false;
}

static int ask_store(const struct settings *settings, struct text id)
{
    struct storage_error error = {0, ""};
    struct store_options options = {
        .url = settings->db_url,
        .driver_path = settings->driver_path,
        .call_timeout = 2000,
        .read_only = true,
    };
    struct store *store = store_make(&options, &error);
    if (store == NULL) {
        log_error("%s", error.text);
        return EXIT_CONFIG;
    }
    struct store_line line;
    store_line_start(&line, store);
    enum storage_status status = decision_find(&line, id, print_record, NULL, &error);
    if (status != STORAGE_OK && status != STORAGE_NOT_FOUND)
        log_warning("store %s: %s", store_masked(store), error.text);
    store_line_end(&line);
    store_free(store);
    return status == STORAGE_OK ? EXIT_FINE : EXIT_FAILED;
}

/* Whether that stands right in front. */
static bool stands_before(struct text line, const char *at, const char *mark)
{
    size_t size = strlen(mark);
    return (size_t)(at - line.data) >= size && memcmp(at - size, mark, size) == 0;
}

/* `id=ID`, or `"id":"ID"` in a line of JSON, and no other id that begins like it. */
static bool tells_of(struct text line, struct text id)
{
    const char *at = line.data;
    size_t left = line.size;
    while (left >= id.size && (at = memmem(at, left, id.data, id.size)) != NULL) {
        const char *behind = at + id.size;
        bool starts = stands_before(line, at, " id=") || stands_before(line, at, "\"id\":\"");
        bool ends = behind == line.data + line.size || strchr(",\" \r\n", *behind) != NULL;
        if (starts && ends)
            return true;
        at++;
        left = line.size - (size_t)(at - line.data);
    }
    return false;
}

static bool ask_log(const char *path, struct text id)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool found = false;
    if (f == NULL) {
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    while (!found && (size = getline(&line, &room, f)) >= 0) {
        struct text t = text_trim((struct text){line, (size_t)size});
        char shown[8192];
        struct writer w = writer_on(shown, sizeof(shown));
        found = tells_of(t, id);
        if (!found)
            continue;
        write_escaped(&w, t, "", sizeof(shown) - 1);
        puts(writer_end(&w));
    }
    free(line);
    if (f != stdin)
        fclose(f);
    return found;
}

int command_explain(const struct options *options, const struct settings_sources *sources)
{
    const char *const *arguments = options->arguments;
    if (arguments[0] == NULL || arguments[0][0] == '\0') {
        fputs("mongrey-server explain: give the id of a decision, and logs to look in if wanted\n",
              stderr);
        return EXIT_WRONG_USE;
    }
    struct settings *settings = command_settings(sources);
    if (settings == NULL)
        return EXIT_CONFIG;
    struct text id = text_of(arguments[0]);
    int status = ask_store(settings, id);
    settings_release(settings);
    for (size_t i = 1; status == EXIT_FAILED && arguments[i] != NULL; i++)
        status = ask_log(arguments[i], id) ? EXIT_FINE : EXIT_FAILED;
    if (status == EXIT_FAILED)
        log_error(
            "no decision %.40s: the store keeps the last decisions_max of what did not pass and "
            "of first passes; the log has the others, if it is given",
            arguments[0]);
    return status;
}
