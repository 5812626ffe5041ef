/* samples.c: see samples.h. */
#include "bench/samples.h"

#include <stdio.h>
#include <stdlib.h>

void samples_add(struct samples *s, uint64_t ns)
{
    if (s->count < SAMPLES_MAX)
        s->ns[s->count++] = ns;
    s->sum += ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void samples_print(struct samples *s)
{
    if (s->count == 0) {
        printf("none");
        return;
    }
    qsort(s->ns, s->count, sizeof(s->ns[0]), compare);
    printf("p50 %.2f p99 %.2f max %.2f ms", (double)s->ns[s->count / 2] / 1e6,
           (double)s->ns[s->count * 99 / 100] / 1e6, (double)s->ns[s->count - 1] / 1e6);
}
