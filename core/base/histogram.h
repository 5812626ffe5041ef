/* histogram.h: how long things take, counted by size: nanoseconds in, bounds from 50 µs to 5 s. */
#ifndef MONGREY_HISTOGRAM_H
#define MONGREY_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 16

/* Of one thread, or under its owner's lock. */
struct histogram {
    uint64_t
        counts[HISTOGRAM_BOUNDS + 1]; /* each up to its bound and over the one before; the rest */
    uint64_t sum;                     /* ns */
};

/* ns, rising. */
extern const uint64_t histogram_bounds[HISTOGRAM_BOUNDS];

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

#endif
