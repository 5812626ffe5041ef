/* test_metrics.c: numbers as Prometheus text: the lines of one metric of each sort, to the letter. What
 * holds for all of them, tests/lib/prometheus.py checks on the running daemon. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/server/metrics.h"

static const char *text_with(const struct metrics *m)
{
    static char memory[METRICS_TEXT_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    metrics_write(&w, m);
    assert_false(w.full);
    return writer_end(&w);
}

static void expect_line(const char *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    CHECK_ROW(strstr(text, wanted) != NULL, "%s", line);
}

static void each_sort_has_its_lines(void **state)
{
    static struct metrics m;
    (void)state;
    memset(&m, 0, sizeof(m));
    m.build[0] = 1;
    m.requests = UINT64_MAX;
    m.decided[0][0] = 7;
    m.decided[1][2] = 8;
    m.results[STORAGE_BUSY] = 3;
    m.lists_entries[KIND_BLACKLIST] = 4;
    m.process_cpu = 12034;
    const char *text = text_with(&m);
    assert_memory_equal(text, "# HELP mongrey_build_info ", 26);
    expect_line(text, "# TYPE mongrey_requests_total counter");
    expect_line(text, "mongrey_requests_total 18446744073709551615");
    expect_line(text, "mongrey_decisions_total{check=\"none\",action=\"pass\"} 7");
    expect_line(text, "mongrey_decisions_total{check=\"private\",action=\"reject\"} 8");
    expect_line(text, "mongrey_store_results_total{status=\"busy\"} 3");
    expect_line(text, "mongrey_lists_entries{kind=\"blacklist\"} 4");
    expect_line(text, "process_cpu_seconds_total 12.034");
    assert_null(strstr(text, "kind=\"user\""));
}

static void a_histogram_adds_up(void **state)
{
    static struct metrics m;
    (void)state;
    memset(&m, 0, sizeof(m));
    histogram_add(&m.latency, 0);
    histogram_add(&m.latency, 50000);
    histogram_add(&m.latency, 50001);
    histogram_add(&m.latency, 2500000);
    histogram_add(&m.latency, 5000000000);
    histogram_add(&m.latency, 5000000001);
    const char *text = text_with(&m);
    expect_line(text, "# TYPE mongrey_request_duration_seconds histogram");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"0.00005\"} 2");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"0.0001\"} 3");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"0.001\"} 3");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"0.0025\"} 4");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"1\"} 4");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"5\"} 5");
    expect_line(text, "mongrey_request_duration_seconds_bucket{le=\"+Inf\"} 6");
    expect_line(text, "mongrey_request_duration_seconds_sum 10.002600002");
    expect_line(text, "mongrey_request_duration_seconds_count 6");
}

static void all_numbers_at_their_greatest_fit(void **state)
{
    static struct metrics m;
    (void)state;
    memset(&m, 0xff, sizeof(m));
    assert_true(strlen(text_with(&m)) < METRICS_TEXT_MAX / 2);
}

static void bounds_rise(void **state)
{
    (void)state;
    assert_true(histogram_bounds[0] == 50000);
    assert_true(histogram_bounds[HISTOGRAM_BOUNDS - 1] == UINT64_C(5000000000));
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds[i] > histogram_bounds[i - 1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sort_has_its_lines),
        cmocka_unit_test(a_histogram_adds_up),
        cmocka_unit_test(all_numbers_at_their_greatest_fit),
        cmocka_unit_test(bounds_rise),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
