/* SPDX-License-Identifier: GPL-2.0-only */
/* The time-stamp counter is the clock (docs/clock.md). */
#ifndef TSC_H
#define TSC_H

#include "types.h"

extern u64 tsc_khz;            /* ticks in a millisecond */
extern const char *tsc_source; /* what says so */

/* Boot CPU. Panics if nothing tells the frequency. */
void tsc_init(void);

/* The frequency, from a measurement, an exact and a nominal statement (kHz, 0: there is none); 0: nobody knows it. */
u64 tsc_choose(u64 measured, u64 exact, u64 nominal);

/* Spins. */
void tsc_delay(u64 microseconds);

#endif
