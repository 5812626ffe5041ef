/* metrics.h: all that is counted, as one struct that is copied whole, and as Prometheus text (format 0.0.4).
 * Pure: any thread. */
#ifndef MONGREY_METRICS_H
#define MONGREY_METRICS_H

#include "core/base/histogram.h"
#include "core/base/text.h"
#include "core/server/far.h"
#include "core/store/records.h"
#include "core/store/store.h"

#define METRICS_CHECKS 33      /* "none", and the checks in their order */
#define METRICS_ACTIONS 4      /* enum outcome */
#define METRICS_QUEUES 2       /* urgent, riding */
#define METRICS_TEXT_MAX 65536 /* bytes of the whole text */

struct metrics {
#define METRIC(type, unit, member, ...) uint64_t member;
#define METRIC_EACH(type, member, size, ...) uint64_t member[size];
#define METRIC_TABLE(type, member, rows, row_label, row_word, columns, ...) \
    uint64_t member[rows][columns];
#define METRIC_HISTOGRAM(member, ...) struct histogram member;
#include "core/server/metrics.def"
#undef METRIC
#undef METRIC_EACH
#undef METRIC_TABLE
#undef METRIC_HISTOGRAM
};

void metrics_write(struct writer *w, const struct metrics *metrics);

#endif
