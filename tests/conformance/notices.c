/*
 * notices.c: does the suite notice a driver that is wrong?
 *
 *   notices CONFORMANCE MEMORY.so
 *
 * Runs the conformance program once for each fault that the memory driver can make on purpose, and
 * wants a case that fails: one that was written for it, not only the random one, so that the reader
 * of a failure is told what is wrong. Ends with a line that counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../drivers/memory/breaks.h"

#define FAILED_MOST 256
#define NAME_SIZE 96

static const char *conformance;
static const char *driver;

static const char *const breaks[] = {
#define BREAK_NAME(symbol, text) text,
    MEMORY_BREAKS(BREAK_NAME)
#undef BREAK_NAME
};

struct outcome {
    int status; /* of the program, as waitpid() tells it */
    char failed[FAILED_MOST][NAME_SIZE];
    size_t failed_count;
};

/* --- Running the suite ------------------------------------------------------------------------ */

static _Noreturn void become_conformance(const char *url, int output)
{
    /* The variables that speak to this program are not for that one. */
    if (unsetenv("CMOCKA_MESSAGE_OUTPUT") != 0 || unsetenv("CMOCKA_XML_FILE") != 0 ||
        unsetenv("MONGREY_CASE") != 0 || setenv("MONGREY_STEPS", "500", 1) != 0 ||
        dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
        _exit(126);
    }
    (void)close(output);
    (void)execl(conformance, conformance, driver, url, (char *)NULL);
    _exit(127);
}

static void note_failed(struct outcome *outcome, const char *name)
{
    for (size_t i = 0; i < outcome->failed_count; i++) {
        if (strcmp(outcome->failed[i], name) == 0) {
            return;
        }
    }
    if (outcome->failed_count < FAILED_MOST) {
        (void)snprintf(outcome->failed[outcome->failed_count++], NAME_SIZE, "%.*s", NAME_SIZE - 1,
                       name);
    }
}

/* "[  FAILED  ] name"; at the end cmocka says how many in a line that begins in the same way. */
static void read_output(struct outcome *outcome, FILE *output)
{
    static const char mark[] = "[  FAILED  ] ";
    char line[1024];

    while (fgets(line, sizeof line, output) != NULL) {
        const char *name = line + sizeof mark - 1;
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, mark, sizeof mark - 1) == 0 && strchr(name, ' ') == NULL) {
            note_failed(outcome, name);
        }
    }
}

static void run_suite(const char *parameters, struct outcome *outcome)
{
    char url[128];
    FILE *output;
    int ends[2];
    pid_t child;

    memset(outcome, 0, sizeof *outcome);
    (void)snprintf(url, sizeof url, "memory:///%%s%s", parameters);
    assert_int_equal(pipe(ends), 0);
    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        become_conformance(url, ends[1]);
    }
    (void)close(ends[1]);
    output = fdopen(ends[0], "r");
    assert_non_null(output);
    read_output(outcome, output);
    (void)fclose(output);
    while (waitpid(child, &outcome->status, 0) < 0) {
        assert_int_equal(errno, EINTR);
    }
}

/* --- Judging ---------------------------------------------------------------------------------- */

static void tell_failed(const char *name, const struct outcome *outcome)
{
    print_message("%s: noticed by %zu:", name, outcome->failed_count);
    for (size_t i = 0; i < outcome->failed_count && i < 4; i++) {
        print_message(" %s", outcome->failed[i]);
    }
    print_message("%s\n", outcome->failed_count > 4 ? " ..." : "");
}

static void suite_passes_the_unbroken(void **state)
{
    static struct outcome outcome;

    (void)state;
    run_suite("", &outcome);
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != 0) {
        fail_msg("status %d, %zu failed, first %s", outcome.status, outcome.failed_count,
                 outcome.failed[0]);
    }
}

static void suite_notices(void **state)
{
    static struct outcome outcome;
    const char *name = *state;
    char parameters[64];
    size_t by_lot = 0;

    (void)snprintf(parameters, sizeof parameters, "?break=%s", name);
    run_suite(parameters, &outcome);
    tell_failed(name, &outcome);
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) == 0) {
        fail_msg("%s: status %d", name, outcome.status);
    }
    for (size_t i = 0; i < outcome.failed_count; i++) {
        by_lot += strncmp(outcome.failed[i], "random_", 7) == 0 ? 1 : 0;
    }
    if (outcome.failed_count == by_lot) {
        fail_msg("%s: noticed by no case that was written for it", name);
    }
}

/* A name that is mistyped must not look like a driver that is right, nor fail any case. */
static void unknown_break_is_refused(void **state)
{
    static struct outcome outcome;

    (void)state;
    run_suite("?break=no-such-break", &outcome);
    assert_true(WIFEXITED(outcome.status));
    assert_int_not_equal(WEXITSTATUS(outcome.status), 0);
}

#define BREAKS (sizeof breaks / sizeof *breaks)

int main(int argc, char **argv)
{
    static char names[BREAKS][NAME_SIZE];
    static struct CMUnitTest tests[BREAKS + 2];
    size_t count = 0;
    int failed;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: %s CONFORMANCE MEMORY.so\n", argv[0]);
        return 2;
    }
    conformance = argv[1];
    driver = argv[2];
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(suite_passes_the_unbroken);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(unknown_break_is_refused);
    for (size_t i = 0; i < BREAKS; i++) {
        (void)snprintf(names[i], NAME_SIZE, "suite_notices_%s", breaks[i]);
        tests[count++] = (struct CMUnitTest){
            .name = names[i],
            .test_func = suite_notices,
            .initial_state = (void *)(uintptr_t)breaks[i],
        };
    }
    failed = _cmocka_run_group_tests("conformance-notices", tests, count, NULL, NULL);
    if (failed < 0) {
        failed = (int)count;
    }
    (void)printf("%zu passed, %d failed, 0 skipped\n", count - (size_t)failed, failed);
    return failed == 0 ? 0 : 1;
}
