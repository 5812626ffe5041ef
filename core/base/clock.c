/* clock.c: see clock.h. */
#include "core/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_steady(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t read_nanoseconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t clock_nanoseconds(void)
{
    return read_nanoseconds(CLOCK_MONOTONIC);
}

uint64_t clock_thread_nanoseconds(void)
{
    return read_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}
