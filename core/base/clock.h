/* clock.h: what time it is. Only the server's edge asks; everything behind it is told (`now`). */
#ifndef MONGREY_CLOCK_H
#define MONGREY_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970 UTC; may step. Any thread. */
int64_t clock_wall(void);
/* Milliseconds that never step back, for time-outs only. Any thread. */
int64_t clock_steady(void);
/* The same in nanoseconds, to measure by. Any thread. */
uint64_t clock_nanoseconds(void);
/* What this thread has had of a CPU. */
uint64_t clock_thread_nanoseconds(void);

#endif
