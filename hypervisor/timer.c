/* SPDX-License-Identifier: GPL-2.0-only */
#include "timer.h"

#include "apic.h"
#include "cpu.h"
#include "cpu_init.h"
#include "errata.h"
#include "log.h"
#include "mitigations.h"
#include "tsc.h"
#include "x86.h"

#define SCALE_SHIFT 32
#define ROUNDS 50
#define DOUBT_MAX(ticks) ((ticks) / 1000)
#define MEASURE_US 2000u

#define MSR_INT_PENDING 0xc0010055u /* BIOS and Kernel Developer's Guide, families 0Fh and 10h */
#define INT_PENDING_C1E (3ull << 27) /* SmiOnCmpHalt, C1eOnCmpHalt */

/* APIC ticks per TSC tick, a fixed-point number; and the longest way the counter can go, in TSC ticks. */
static u64 scale, reach;

/*
 * Lets both count for a while. `doubt`: ticks around the two looks at the counter, where this CPU may have been
 * away.
 */
static void measure(u64 *tsc_ticks, u64 *apic_ticks, u64 *doubt)
{
    u64 before = rdtsc(), begun, last, end;
    u32 left;

    apic_timer_start(UINT32_MAX);
    begun = rdtsc();
    tsc_delay(MEASURE_US);
    last = rdtsc();
    left = apic_timer_read();
    end = rdtsc();
    apic_timer_start(0);
    *tsc_ticks = (last + end) / 2 - (before + begun) / 2;
    *apic_ticks = UINT32_MAX - left;
    *doubt = (end - last) + (begun - before);
}

static void errata_probe(void)
{
    if (features.tsc_deadline && errata_deadline(mitigations_facts())) {
        log_printf("timer: this microcode's TSC deadline timer loses interrupts: not used");
        features.tsc_deadline = false;
    }
    features.c1e = errata_c1e(mitigations_facts());
}

void timer_probe(void)
{
    u64 best = UINT64_MAX, tsc_ticks = 0, apic_ticks, doubt;

    errata_probe();
    if (features.tsc_deadline)
        return;
    for (int i = 0; i < ROUNDS && best > DOUBT_MAX(tsc_ticks); i++) {
        measure(&tsc_ticks, &apic_ticks, &doubt);
        if (doubt >= best)
            continue;
        best = doubt;
        scale = (apic_ticks << SCALE_SHIFT) / tsc_ticks;
    }
    if (!scale)
        panic("the APIC timer does not count");
    reach = ((u64)INT32_MAX << SCALE_SHIFT) / scale;
}

void timer_init(void)
{
    if (features.tsc_deadline)
        apic_timer_deadline_mode();
    cpu.armed = UINT64_MAX;
}

static void arm_counter(u64 deadline)
{
    u64 now = rdtsc(), left = deadline > now ? MIN(deadline - now, reach) : 0;

    apic_timer_start((u32)((unsigned __int128)left * scale >> SCALE_SHIFT) + 1);
}

void timer_c1e_off(void)
{
    u64 value = rdmsr(MSR_INT_PENDING);

    if (value & INT_PENDING_C1E)
        wrmsr(MSR_INT_PENDING, value & ~INT_PENDING_C1E);
}

void timer_arm(u64 deadline)
{
    cpu.armed = deadline;
    if (features.tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, MAX(deadline, 1));
    else
        arm_counter(deadline);
}
