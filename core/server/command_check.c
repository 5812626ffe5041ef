/* command_check.c: `check`: answers requests written as on a log line, without a server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/policy/pipeline.h"
#include "core/policy/spelled.h"
#include "core/server/commands.h"
#include "core/server/exits.h"
#include "core/server/straight.h"

#define CHECKS_MAX 32 /* in the table, at most */

struct told {
    const uint64_t *costs;
    size_t number;
};

static void tell_check(void *context, const char *check, struct text found)
{
    struct told *told = context;
    bool asked = !text_equal(found, TEXT("not asked"));
    printf("  %-14s %.*s", check, (int)found.size, found.data);
    if (asked && told->number < CHECKS_MAX)
        printf(" (%.1f us)", (double)told->costs[told->number] / 1000);
    putchar('\n');
    told->number++;
}

/* What each check looked at, in their order, and what came out. */
static void explain(const struct straight *s, const struct inquiry *q)
{
    struct told told = {.costs = s->costs};
    pipeline_tell(q, tell_check, &told);
    printf("  decided by %s: %s, reason %s", pipeline_decider(q), outcome_names[q->verdict.outcome],
           q->verdict.reason);
    if (q->verdict.policy != NULL)
        printf(", policy %s", q->verdict.policy);
    putchar('\n');
    if (q->would[0] != '\0')
        printf("  if all were enforced: %s, %s\n", outcome_names[q->would_outcome], q->would);
}

static bool check_one(struct straight *s, struct text line)
{
    char bytes[REQUEST_SIZE_MAX];
    struct writer w = writer_on(bytes, sizeof(bytes));
    struct inquiry q;
    const char *why;
    if (!spelled_write(line, &w) || !request_parse(writer_text(&w), &q.request, &why)) {
        char shown[256];
        struct writer e = writer_on(shown, sizeof(shown));
        write_escaped(&e, line, "", 200);
        log_error("no request in `%s`", writer_end(&e));
        return false;
    }
    straight_decide(s, &q);
    fwrite(line.data, 1, line.size, stdout);
    printf(", mongrey_action=%s\n", q.verdict.action);
    if (s->costs != NULL) {
        explain(s, &q);
        memset(s->costs, 0, CHECKS_MAX * sizeof(s->costs[0]));
    }
    return true;
}

static bool check_lines(struct straight *s, FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool fine = true;
    while ((size = getline(&line, &room, f)) >= 0) {
        struct text t = text_trim((struct text){line, (size_t)size});
        if (t.size > 0 && t.data[0] != '#')
            fine = check_one(s, t) && fine;
    }
    if (ferror(f) != 0) {
        log_error("cannot read the requests: %s", strerror(errno));
        fine = false;
    }
    free(line);
    return fine;
}

static bool check_file(struct straight *s, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (f == NULL) {
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    bool fine = check_lines(s, f);
    if (f != stdin)
        fclose(f);
    return fine;
}

int command_check(const struct options *options, const struct settings_sources *sources)
{
    if ((options->request == NULL) == (options->request_file == NULL)) {
        fputs("mongrey-server check: give --request or --request-file\n", stderr);
        return EXIT_WRONG_USE;
    }
    struct settings *settings = command_settings(sources);
    if (settings == NULL)
        return EXIT_CONFIG;
    struct straight straight;
    uint64_t costs[CHECKS_MAX] = {0};
    int status = straight_start(&straight, settings, !options->record);
    straight.costs = options->explain ? costs : NULL;
    if (status == EXIT_FINE) {
        bool fine = options->request != NULL
                        ? check_one(&straight, text_trim(text_of(options->request)))
                        : check_file(&straight, options->request_file);
        status = fine ? EXIT_FINE : EXIT_FAILED;
    }
    straight_end(&straight);
    settings_release(settings);
    if (fflush(stdout) != 0 && status == EXIT_FINE)
        status = EXIT_FAILED;
    return status;
}
