/* histogram.c: see histogram.h. */
#include "core/base/histogram.h"

#define US UINT64_C(1000)
#define MS (1000 * US)

const uint64_t histogram_bounds[HISTOGRAM_BOUNDS] = {
    50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,    10 * MS,
    25 * MS, 50 * MS,  100 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS,
};

void histogram_add(struct histogram *h, uint64_t nanoseconds)
{
    unsigned i = 0; /* nearly all is in the first: no need to search cleverly */
    while (i < HISTOGRAM_BOUNDS && nanoseconds > histogram_bounds[i])
        i++;
    h->counts[i]++;
    h->sum += nanoseconds;
}
