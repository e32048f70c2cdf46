/* SPDX-License-Identifier: GPL-2.0-only */
/* Time: the TSC, and its relation to microseconds and to the wall clock. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

extern uint64_t clock_khz;     /* ticks of the TSC in a millisecond */
extern uint64_t clock_wall_ns; /* ns since 1970-01-01 UTC when the TSC was zero */

static inline uint64_t clock_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* a * b / c, the product in 128 bits; UINT64_MAX if the result does not fit. */
static inline uint64_t clock_scale(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low, high;

    __asm__("mul %3" : "=a"(low), "=d"(high) : "0"(a), "r"(b));
    if (high >= c)
        return UINT64_MAX;
    __asm__("div %2" : "+a"(low), "+d"(high) : "r"(c));
    return low;
}

static inline uint64_t clock_ticks(uint64_t us)
{
    return clock_scale(us, clock_khz, 1000);
}

static inline uint64_t clock_ns(uint64_t ticks)
{
    return clock_scale(ticks, 1000000, clock_khz);
}

/* The TSC value `us` microseconds from now: a deadline. */
static inline uint64_t clock_in(uint64_t us)
{
    return clock_tsc() + clock_ticks(us);
}

#endif
