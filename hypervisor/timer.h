/* SPDX-License-Identifier: GPL-2.0-only */
/* The hardware timer of each CPU: TSC deadline if there is one, else the APIC's one-shot counter. */
#ifndef TIMER_H
#define TIMER_H

#include "types.h"

/* Boot CPU: measures, after tsc_init(). */
void timer_probe(void);

/* This CPU. */
void timer_init(void);

/* Interrupts this CPU at `deadline` (TSC), or somewhat earlier; UINT64_MAX: not at all. Sets cpu.armed. */
void timer_arm(u64 deadline);

#endif
