/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before sources of native tasks (-include), in place of the library's clock: a tick is a microsecond. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

extern uint64_t clock_now;

static inline uint64_t clock_tsc(void)
{
    return clock_now;
}

static inline uint64_t clock_ticks(uint64_t us)
{
    return us;
}

static inline uint64_t clock_in(uint64_t us)
{
    return clock_now + us;
}

#endif
