/* SPDX-License-Identifier: GPL-2.0-only */
/* The hardware timer of each CPU: TSC deadline if there is one, else the APIC's one-shot counter. */
#ifndef TIMER_H
#define TIMER_H

#include "cpu.h"
#include "cpu_init.h"
#include "types.h"

/* Boot CPU: measures, after tsc_init(). */
void timer_probe(void);

/* This CPU. */
void timer_init(void);

/* Interrupts this CPU at `deadline`, or somewhat earlier, instead of at the one before. Sets cpu.armed. */
void timer_arm(u64 deadline);

/* Before HLT: keeps the timer going. Firmware may have turned C1E on again since last time. */
void timer_c1e_off(void);

static ALWAYS_INLINE void timer_halts(void)
{
    if (features.c1e)
        timer_c1e_off();
}

/* Makes sure that this CPU is interrupted by `deadline` (TSC); perhaps earlier, for deadlines that are no more. */
static inline void timer_need(u64 deadline)
{
    if (deadline < cpu.armed)
        timer_arm(deadline);
}

#endif
