/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Do the TSCs of two CPUs agree? They tell each other the time in turn. Who is told a time that lies ahead of its own
 * knows that they do not: so what could ever be noticed is found, and what emulators and busy machines do to the time
 * that a message takes is not held against them (docs/clock.md).
 */
#ifndef SYNC_H
#define SYNC_H

#include "types.h"

/* How far the other CPU's TSC can be ahead of the boot CPU's: ticks, negative if behind. */
struct sync_bounds {
    s64 low, high;
};

/* By how much they disagree at least; 0: as far as can be seen, they do not. */
static inline s64 sync_error(struct sync_bounds b)
{
    return b.low > 0 ? b.low : b.high < 0 ? b.high : 0;
}

/* Both sides together; `least` TSC ticks are enough to find out. */
struct sync_bounds sync_ask(u64 least);
void sync_answer(void); /* until sync_end() */
void sync_end(void);

#endif
