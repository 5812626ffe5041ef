/* date.c: see date.h. */
#include "core/base/date.h"

#define DAY_MS INT64_C(86400000)

/* Days since 1970-01-01 of the proleptic Gregorian calendar; March is the first month, so that the
 * leap day is the last of its year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void day_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = days / 146097;
    int64_t of_era = days - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = years + era * 400 + (*month <= 2);
}

/* `count` digits, then the character that must follow them. */
static bool take(struct text *t, size_t count, char then, int64_t *number)
{
    if (t->size <= count || t->data[count] != then || t->data[0] == '-' ||
        !text_number((struct text){t->data, count}, number))
        return false;
    t->data += count + 1;
    t->size -= count + 1;
    return true;
}

bool date_parse(struct text t, int64_t *milliseconds)
{
    int64_t year, month, day, hour, minute, second;
    int64_t part = 0;
    int64_t y, m, d;
    if (!take(&t, 4, '-', &year) || !take(&t, 2, '-', &month) || !take(&t, 2, 'T', &day) ||
        !take(&t, 2, ':', &hour) || !take(&t, 2, ':', &minute))
        return false;
    if (!take(&t, 2, 'Z', &second) && (!take(&t, 2, '.', &second) || !take(&t, 3, 'Z', &part)))
        return false;
    if (t.size > 0 || year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 ||
        second > 59)
        return false;
    int64_t days = days_of(year, month, day);
    day_of(days, &y, &m, &d);
    if (y != year || m != month || d != day)
        return false;
    *milliseconds = days * DAY_MS + hour * 3600000 + minute * 60000 + second * 1000 + part;
    return true;
}

void date_write(struct writer *w, int64_t milliseconds)
{
    int64_t year, month, day;
    int64_t at = milliseconds < 0 ? 0 : milliseconds > DATE_MAX ? DATE_MAX : milliseconds;
    day_of(at / DAY_MS, &year, &month, &day);
    int64_t rest = at % DAY_MS;
    write_format(w, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, (int)month, (int)day,
                 (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60));
    if (rest % 1000 != 0)
        write_format(w, ".%03d", (int)(rest % 1000));
    write_literal(w, "Z");
}
