/* SPDX-License-Identifier: GPL-2.0-only */
/* The time-stamp counter is the clock. */
#ifndef TSC_H
#define TSC_H

#include "types.h"

extern u64 tsc_khz; /* ticks in a millisecond */

void tsc_init(void);

/* Spins. */
void tsc_delay(u64 microseconds);

/* Spins for about 10 ms of the PIT's time, and returns the TSC ticks and the APIC timer's; false: the PIT does not count. */
bool tsc_measure(u64 *tsc_ticks, u64 *apic_ticks);

#define TSC_MEASURE_HZ 100u /* measures in a second */

#endif
