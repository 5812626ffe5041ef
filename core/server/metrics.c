/* metrics.c: see metrics.h. */
#include "core/server/metrics.h"

#include <inttypes.h>

#include "core/base/version.h"
#include "include/check.h"

/* --- The words of labels: a bounded set each -------------------------------------------------- */

static const char *version_word(size_t i)
{
    (void)i;
    return MONGREY_VERSION;
}

static const char *check_word(size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (checks[k] == NULL)
            return NULL;
    }
    return i == 0 ? "none" : checks[i - 1]->name;
}

static const char *action_word(size_t i)
{
    static const char *const words[METRICS_ACTIONS] = {"pass", "greylist", "reject", "error"};
    return words[i];
}

static const char *queue_word(size_t i)
{
    return i == 0 ? "urgent" : "riding";
}

static const char *list_word(size_t i)
{
    return i >= KIND_DOMAIN && i <= KIND_POOL ? record_kinds[i].name : NULL;
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* In help texts a backslash and a line's end are escaped, in labels the quote too. */
static void write_quoted(struct writer *w, const char *text, bool label)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            write_bytes(w, "\\n", 2);
            continue;
        }
        if (*text == '\\' || (label && *text == '"'))
            write_bytes(w, "\\", 1);
        write_bytes(w, text, 1);
    }
}

static void write_head(struct writer *w, const char *type, const char *name, const char *help)
{
    write_format(w, "# HELP %s ", name);
    write_quoted(w, help, false);
    write_format(w, "\n# TYPE %s %s\n", name, type);
}

enum unit { ONE = 1, MILLI = 1000, NANO = 1000000000 };

static void write_value(struct writer *w, uint64_t value, enum unit unit)
{
    write_format(w, " %" PRIu64, value / unit);
    if (unit == MILLI)
        write_format(w, ".%03" PRIu64, value % MILLI);
    else if (unit == NANO)
        write_format(w, ".%09" PRIu64, value % NANO);
    write_bytes(w, "\n", 1);
}

static void write_label(struct writer *w, const char *label, const char *value)
{
    write_format(w, "%s=\"", label);
    write_quoted(w, value, true);
    write_bytes(w, "\"", 1);
}

typedef const char *word_of(size_t i);

static void write_each(struct writer *w, const char *name, const uint64_t *values, size_t size,
                       const char *label, word_of *word)
{
    for (size_t i = 0; i < size; i++) {
        const char *value = word(i);
        if (value == NULL)
            continue;
        write_format(w, "%s{", name);
        write_label(w, label, value);
        write_bytes(w, "}", 1);
        write_value(w, values[i], ONE);
    }
}

struct axis {
    size_t size;
    const char *label;
    word_of *word;
};

static void write_table(struct writer *w, const char *name, const uint64_t *values,
                        const struct axis *rows, const struct axis *columns)
{
    for (size_t i = 0; i < rows->size * columns->size; i++) {
        const char *row = rows->word(i / columns->size);
        const char *column = columns->word(i % columns->size);
        if (row == NULL || column == NULL)
            continue;
        write_format(w, "%s{", name);
        write_label(w, rows->label, row);
        write_bytes(w, ",", 1);
        write_label(w, columns->label, column);
        write_bytes(w, "}", 1);
        write_value(w, values[i], ONE);
    }
}

/* A bound in seconds, without the zeros at its end: 0.00005, 2.5, 1. */
static void write_bound(struct writer *w, uint64_t nanoseconds)
{
    write_format(w, "%" PRIu64, nanoseconds / NANO);
    uint64_t rest = nanoseconds % NANO;
    for (uint64_t place = NANO / 10; rest > 0; place /= 10) {
        if (place == NANO / 10)
            write_bytes(w, ".", 1);
        write_format(w, "%" PRIu64, rest / place);
        rest %= place;
    }
}

static void write_histogram(struct writer *w, const char *name, const struct histogram *h)
{
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += h->counts[i];
        write_format(w, "%s_bucket{le=\"", name);
        write_bound(w, histogram_bounds[i]);
        write_format(w, "\"} %" PRIu64 "\n", count);
    }
    count += h->counts[HISTOGRAM_BOUNDS];
    write_format(w, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum", name, count, name);
    write_value(w, h->sum, NANO);
    write_format(w, "%s_count %" PRIu64 "\n", name, count);
}

void metrics_write(struct writer *w, const struct metrics *m)
{
#define METRIC(type, unit, member, name, help) \
    write_head(w, #type, name, help);          \
    write_literal(w, name);                    \
    write_value(w, m->member, unit);
#define METRIC_EACH(type, member, size, label, word, name, help) \
    write_head(w, #type, name, help);                            \
    write_each(w, name, m->member, size, label, word);
#define METRIC_TABLE(type, member, rows, row_label, row_word, columns, column_label, column_word, \
                     name, help)                                                                  \
    write_head(w, #type, name, help);                                                             \
    write_table(w, name, m->member[0], &(struct axis){rows, row_label, row_word},                 \
                &(struct axis){columns, column_label, column_word});
#define METRIC_HISTOGRAM(member, name, help) \
    write_head(w, "histogram", name, help);  \
    write_histogram(w, name, &m->member);
#include "core/server/metrics.def"
#undef METRIC
#undef METRIC_EACH
#undef METRIC_TABLE
#undef METRIC_HISTOGRAM
}
