/* test_options.c: the command line of mongrey-server. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "core/server/options.h"

#define WORDS_MAX 160

struct line {
    char *words[WORDS_MAX];
    int count;
    struct options options;
    bool done;
    bool fine;
};

/* What it says on standard output and error is not looked at here. */
static void read_line(struct line *line, const char *const *words)
{
    int keep[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    static char memory[WORDS_MAX][64];
    line->count = 0;
    for (; words[line->count] != NULL; line->count++) {
        snprintf(memory[line->count], sizeof(memory[0]), "%s", words[line->count]);
        line->words[line->count] = memory[line->count];
    }
    line->words[line->count] = NULL;
    optind = 0; /* GNU: begin anew */
    (void)fflush(NULL);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)dup2(nowhere, STDERR_FILENO);
    line->fine = options_read(line->count, line->words, &line->options, &line->done);
    (void)fflush(NULL);
    (void)dup2(keep[0], STDOUT_FILENO);
    (void)dup2(keep[1], STDERR_FILENO);
    (void)close(keep[0]);
    (void)close(keep[1]);
    (void)close(nowhere);
}

static void every_option_is_read(void **state)
{
    static const char *const words[] = {
        "m",         "--settings", "s.yml",   "--set",      "port=1",   "--set=debug=0",
        "--pid",     "p",          "--user",  "u",          "start",    "--daemon",
        "--console", "--syslog",   "--quiet", "--request",  "sender=a", "--request-file",
        "-",         "--record",   "-D",      "--fixtures", "f.yml",    "--recipients",
        NULL};
    struct line line;
    (void)state;
    read_line(&line, words);
    assert_true(line.fine);
    assert_false(line.done);
    const struct options *o = &line.options;
    assert_string_equal(o->fixtures, "f.yml");
    assert_true(o->recipients);
    assert_null(o->arguments[0]);
    assert_string_equal(o->command, "start");
    assert_string_equal(o->settings, "s.yml");
    assert_string_equal(o->pid, "p");
    assert_string_equal(o->user, "u");
    assert_string_equal(o->request, "sender=a");
    assert_string_equal(o->request_file, "-");
    assert_string_equal(o->set[0], "port=1");
    assert_string_equal(o->set[1], "debug=0");
    assert_string_equal(o->set[2], "debug=true");
    assert_null(o->set[3]);
    assert_true(o->daemon && o->console && o->syslog && o->quiet && o->record);
}

static void wrong_use_is_refused(void **state)
{
    static const char *const rows[][4] = {
        {"m", NULL},
        {"m", "start", "check", NULL},
        {"m", "--nonsense", "start", NULL},
        {"m", "start", "--settings", NULL},
        {"m", "-x", "start", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct line line;
        read_line(&line, rows[i]);
        CHECK_ROW(!line.fine && !line.done, "%zu", i);
    }
}

static void help_and_version_are_all(void **state)
{
    static const char *const rows[][4] = {{"m", "-h", NULL},
                                          {"m", "--help", "start", NULL},
                                          {"m", "-v", NULL},
                                          {"m", "--version", NULL}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct line line;
        read_line(&line, rows[i]);
        CHECK_ROW(!line.fine && line.done, "%zu", i);
    }
}

static void sixty_four_settings_and_one_more(void **state)
{
    const char *words[2 * OPTIONS_SET_MAX + 5] = {"m", "start"};
    struct line line;
    (void)state;
    for (size_t i = 0; i <= OPTIONS_SET_MAX; i++) {
        words[2 + 2 * i] = "--set";
        words[3 + 2 * i] = "port=1";
    }
    words[2 + 2 * OPTIONS_SET_MAX] = NULL;
    read_line(&line, words);
    assert_true(line.fine);
    assert_string_equal(line.options.set[OPTIONS_SET_MAX - 1], "port=1");
    assert_null(line.options.set[OPTIONS_SET_MAX]);
    words[2 + 2 * OPTIONS_SET_MAX] = "--set";
    read_line(&line, words);
    assert_false(line.fine);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(help_and_version_are_all),
        cmocka_unit_test(sixty_four_settings_and_one_more),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
