/*
 * histogram.h: latencies counted in log-linear buckets, so that a run of any length costs the same
 * memory and no allocation. Each power of two is cut in 64, so a value read back is at most 1.6 %
 * high. Knows nothing of sockets, requests or clocks: it is told nanoseconds.
 */
#ifndef MONGREY_BENCH_HISTOGRAM_H
#define MONGREY_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (64 - HISTOGRAM_STEP_BITS + 1))

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* The value that `share` (0 to 1) of what was added does not exceed; 0 where nothing was added. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

double histogram_mean(const struct histogram *histogram);

#endif
