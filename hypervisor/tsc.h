/* SPDX-License-Identifier: GPL-2.0-only */
/* The time-stamp counter is the clock. */
#ifndef TSC_H
#define TSC_H

#include "types.h"

extern u64 tsc_khz; /* ticks in a millisecond */

void tsc_init(void);

/* Spins. */
void tsc_delay(u64 microseconds);

#endif
