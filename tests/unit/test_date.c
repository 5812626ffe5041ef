/* test_date.c: moments as people write them. */
#include "tests/unit/unit.h"

#include "core/base/date.h"

static void what_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.001Z", 1},
        {"2000-02-29T23:59:59Z", INT64_C(951868799000)},
        {"2026-01-31T12:00:00Z", INT64_C(1769860800000)},
        {"2026-01-31T12:00:00.120Z", INT64_C(1769860800120)},
        {"2100-02-28T00:00:00Z", INT64_C(4107456000000)},
        {"9999-12-31T23:59:59.999Z", DATE_MAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char memory[DATE_TEXT_MAX];
        struct writer w = writer_on(memory, sizeof(memory));
        int64_t ms = -1;
        CHECK_ROW(date_parse(text_of(rows[i].text), &ms), "%s", rows[i].text);
        CHECK_ROW(ms == rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
        date_write(&w, rows[i].ms);
        CHECK_ROW(!w.full, "%s", rows[i].text);
        expect_text(writer_text(&w), rows[i].text);
    }
}

static void what_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00z",
        "2026-01-31T12:00:00Z ",
        "2026-01-31T12:00:00+00:00",
        "2026-1-31T12:00:00Z",
        "2026-00-31T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-00T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00.1Z",
        "2026-01-31T12:00:00.1234Z",
        "2026-01-31T12:00:00.Z",
        "1969-12-31T23:59:59Z",
        "-026-01-31T12:00:00Z",
        "2026-01-31T12:00:-1Z",
        "12026-01-31T12:00:00Z",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms;
        CHECK_ROW(!date_parse(text_of(rows[i]), &ms), "%s", rows[i]);
    }
}

/* Every day from 1970 to 2400, by a calendar that only counts. */
static void every_day_comes_back(void **state)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t ms = 0;
    (void)state;
    for (int year = 1970; year < 2400; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (int month = 0; month < 12; month++) {
            for (int day = 1; day <= lengths[month] + (leap && month == 1); day++) {
                char wanted[32];
                char memory[DATE_TEXT_MAX];
                struct writer w = writer_on(memory, sizeof(memory));
                int64_t read;
                snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT00:00:00Z", year, month + 1, day);
                date_write(&w, ms);
                expect_text(writer_text(&w), wanted);
                CHECK_ROW(date_parse(text_of(wanted), &read) && read == ms, "%s", wanted);
                ms += INT64_C(86400000);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(every_day_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
