/*
 * histogram.c: see histogram.h.
 */
#include "histogram.h"

#include <stddef.h>

/* Below 64 a bucket holds one value; above, the leading bit picks the group and the next six bits
 * the bucket in it. */
static size_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) {
        return (size_t)value;
    }
    unsigned leading = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = leading - HISTOGRAM_STEP_BITS;
    return (size_t)(shift + 1) * HISTOGRAM_STEPS + (size_t)(value >> shift) - HISTOGRAM_STEPS;
}

static uint64_t highest_in(size_t bucket)
{
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return (step << shift) + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
    histogram->count++;
    histogram->sum += nanoseconds;
    if (nanoseconds > histogram->max) {
        histogram->max = nanoseconds;
    }
    histogram->buckets[bucket_of(nanoseconds)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t value = highest_in(bucket);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0.0 : (double)histogram->sum / (double)histogram->count;
}
