/* test_log.c: lines on standard error: whole, in order, at once where it matters. Standard error is
 * a pipe here, so that what was written can be read. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/log.h"

#define PIPE_SIZE (1 << 20)

static int old_stderr;
static int reader;
static char found[PIPE_SIZE];

static int catch_stderr(void **state)
{
    int ends[2];
    (void)state;
    if (pipe(ends) != 0)
        return -1;
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    (void)fflush(stderr);
    old_stderr = dup(STDERR_FILENO);
    reader = ends[0];
    if (old_stderr < 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return -1;
    (void)close(ends[1]);
    log_start(LOG_TO_CONSOLE, LOG_LEVEL_INFO);
    return 0;
}

static int give_stderr_back(void **state)
{
    (void)state;
    (void)dup2(old_stderr, STDERR_FILENO);
    (void)close(old_stderr);
    (void)close(reader);
    return 0;
}

static const char *written(void)
{
    size_t used = 0;
    ssize_t n;
    while (used < sizeof(found) - 1 &&
           (n = read(reader, found + used, sizeof(found) - 1 - used)) > 0)
        used += (size_t)n;
    found[used] = '\0';
    return found;
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* What stands behind "DATE TIME mongrey[PID]: ". */
static const char *behind_prefix(const char *line)
{
    const char *end = strstr(line, "]: ");
    assert_non_null(end);
    return end + 3;
}

static void a_line_waits_for_the_flush_and_a_warning_does_not(void **state)
{
    (void)state;
    log_info("one");
    assert_string_equal(written(), "");
    log_flush();
    assert_string_equal(behind_prefix(written()), "one\n");
    log_info("two");
    log_warning("three");
    const char *text = written();
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "]: two\n"));
    assert_non_null(strstr(text, "]: warning: three\n"));
    log_error("four %d", 4);
    assert_string_equal(behind_prefix(written()), "error: four 4\n");
    log_flush();
    assert_string_equal(written(), "");
}

static void a_prefix_names_time_and_process(void **state)
{
    char wanted[64];
    int year, month, day, hour, minute, second, end = 0;
    (void)state;
    log_info("x");
    log_flush();
    const char *text = written();
    int count = sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d %n", &year, &month, &day, &hour, &minute,
                       &second, &end);
    assert_int_equal(count, 6);
    snprintf(wanted, sizeof(wanted), "mongrey[%d]: x\n", (int)getpid());
    assert_string_equal(text + end, wanted);
}

static void a_bare_line_has_nothing_before_it(void **state)
{
    (void)state;
    log_bare(LOG_LEVEL_INFO, TEXT("{\"a\":1}"));
    log_info("b");
    log_flush();
    const char *text = written();
    assert_memory_equal(text, "{\"a\":1}\n", 8);
    assert_string_equal(behind_prefix(text), "b\n");
    log_bare(LOG_LEVEL_DEBUG, TEXT("hidden"));
    log_flush();
    assert_string_equal(written(), "");
}

static void levels_below_the_lowest_are_not_written(void **state)
{
    (void)state;
    assert_false(log_wants(LOG_LEVEL_DEBUG));
    log_debug("hidden");
    log_set_level(LOG_LEVEL_DEBUG);
    assert_true(log_wants(LOG_LEVEL_DEBUG));
    log_debug("shown");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("hidden");
    log_flush();
    assert_string_equal(behind_prefix(written()), "debug: shown\n");
    log_set_level(LOG_LEVEL_INFO);
}

static void what_waits_is_written_when_it_is_much(void **state)
{
    char line[1000];
    (void)state;
    memset(line, 'x', sizeof(line));
    for (int i = 0; i < 100; i++)
        log_line(LOG_LEVEL_INFO, (struct text){line, sizeof(line)});
    size_t before = count_lines(written());
    assert_true(before >= 31 && before < 100);
    log_flush();
    assert_int_equal(before + count_lines(written()), 100);
}

/* The last line before the flush is the longest there is: nothing runs over, nothing is lost. */
static void the_longest_line_behind_a_full_buffer_is_whole(void **state)
{
    static char line[5000];
    (void)state;
    memset(line, 'y', sizeof(line));
    for (size_t first = 0; first < 120; first++) {
        for (int i = 0; i < 7; i++)
            log_line(LOG_LEVEL_INFO, (struct text){line, 3900});
        log_line(LOG_LEVEL_INFO, (struct text){line, 3900 - 8 * 51 - 60 + first});
        log_line(LOG_LEVEL_INFO, (struct text){line, sizeof(line)});
        log_flush();
        const char *text = written();
        assert_int_equal(count_lines(text), 9);
        assert_int_equal(text[strlen(text) - 1], '\n');
        const char *last = strrchr(text, ']');
        assert_int_equal(strlen(last), 3 + 3900 + 1);
    }
}

static void a_format_that_is_too_long_is_cut_and_stays_a_line(void **state)
{
    static char line[3000];
    (void)state;
    memset(line, 'z', sizeof(line) - 1);
    log_info("%s", line);
    log_flush();
    const char *text = written();
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(strlen(behind_prefix(text)), 2047 + 1);
}

/* A driver's message may be of several lines; in the log it must not look like several of ours. */
static void a_message_with_a_line_end_stays_one_line(void **state)
{
    (void)state;
    log_error("store x: %s", "it failed\n2026-01-01 00:00:00 mongrey[1]: action=pass\n");
    assert_int_equal(count_lines(written()), 1);
}

#define THREADS 4
#define LINES 500

static void *write_lines(void *argument)
{
    const char *name = argument;
    for (int i = 0; i < LINES; i++)
        log_info("thread %s line %d end", name, i);
    return NULL;
}

static void lines_of_many_threads_are_never_mixed(void **state)
{
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    int next[THREADS] = {0};
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_flush();
    struct text rest = text_of(written());
    struct text line;
    while (text_split(&rest, '\n', &line) && line.size > 0) {
        char copy[256];
        char name;
        int number;
        int end = 0;
        assert_true(line.size < sizeof(copy));
        memcpy(copy, line.data, line.size);
        copy[line.size] = '\0';
        assert_int_equal(
            sscanf(behind_prefix(copy), "thread %c line %d end%n", &name, &number, &end), 2);
        assert_true(end > 0 && name >= 'a' && name < 'a' + THREADS);
        assert_int_equal(number, next[name - 'a']++);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_waits_for_the_flush_and_a_warning_does_not,
                                        catch_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(a_prefix_names_time_and_process, catch_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(a_bare_line_has_nothing_before_it, catch_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(levels_below_the_lowest_are_not_written, catch_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(what_waits_is_written_when_it_is_much, catch_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(the_longest_line_behind_a_full_buffer_is_whole,
                                        catch_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(a_format_that_is_too_long_is_cut_and_stays_a_line,
                                        catch_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(a_message_with_a_line_end_stays_one_line, catch_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(lines_of_many_threads_are_never_mixed, catch_stderr,
                                        give_stderr_back),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
