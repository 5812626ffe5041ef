/* samples.h: how long each of many calls took. */
#ifndef MONGREY_BENCH_SAMPLES_H
#define MONGREY_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX 100000

struct samples {
    size_t count;
    uint64_t sum;
    uint64_t ns[SAMPLES_MAX];
};

void samples_add(struct samples *s, uint64_t ns);
/* Sorts them. "p50 0.12 p99 3.4 max 5.6 ms". */
void samples_print(struct samples *s);

#endif
