/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID's word about the frequency is exact where it is true, and emulators' CPUID often describes another machine: so it counts only
 * if a measurement comes close.
 */
#include "tsc.h"

#include "log.h"
#include "x86.h"

#define PIT_HZ 1193182u
#define PIT_CHANNEL2 0x42u
#define PIT_COMMAND 0x43u
#define PIT_GATE_PORT 0x61u
#define PIT_GATE 0x01u
#define PIT_SPEAKER 0x02u
#define PIT_OUT 0x20u
#define PIT_MODE_0 0xb0u /* channel 2, both bytes, interrupt on terminal count */

#define MEASURE_HZ 100u
#define ROUNDS 8
#define DOUBT_MAX(ticks) ((ticks) / 1000)
#define POLLS_MAX 10000000u
#define HYPERVISOR_TIMING 0x40000010u

u64 tsc_khz;

/*
 * Lets the PIT count 10 ms. `doubt`: how many ticks lie between the looks at the counter around its beginning and its end,
 * where this CPU may have been away (interrupted by a hypervisor below, or by firmware).
 */
static bool measure(u64 *ticks, u64 *doubt)
{
    u8 gate = inb(PIT_GATE_PORT) & (u8)~(PIT_GATE | PIT_SPEAKER);
    u32 count = PIT_HZ / MEASURE_HZ, polls = 0;
    u64 before, begun, last, now;

    outb(PIT_GATE_PORT, gate);
    outb(PIT_COMMAND, PIT_MODE_0);
    outb(PIT_CHANNEL2, (u8)count);
    outb(PIT_CHANNEL2, (u8)(count >> 8));
    before = rdtsc();
    outb(PIT_GATE_PORT, gate | PIT_GATE);
    now = begun = rdtsc();
    do {
        cpu_pause();
        last = now;
        now = rdtsc();
    } while (!(inb(PIT_GATE_PORT) & PIT_OUT) && ++polls < POLLS_MAX);
    now = rdtsc();
    outb(PIT_GATE_PORT, gate);
    *ticks = (last + now) / 2 - (before + begun) / 2;
    *doubt = (now - last) + (begun - before);
    return polls > 1 && polls < POLLS_MAX;
}

/* kHz according to the PIT; 0: it does not count. */
static u64 measured_khz(void)
{
    u64 best = UINT64_MAX, result = 0, ticks, doubt;

    for (int i = 0; i < ROUNDS && (!result || best > DOUBT_MAX(result)); i++) {
        if (!measure(&ticks, &doubt))
            return 0;
        if (doubt >= best)
            continue;
        best = doubt;
        result = ticks;
    }
    return result * MEASURE_HZ / 1000;
}

/* kHz according to CPUID (SDM 3A, 19.7.3; leaf 0x40000010 of VMware and KVM); 0: it does not say. */
static u64 claimed_khz(void)
{
    u32 leaf_max = cpuid(0, 0).eax;

    if (cpuid(1, 0).ecx & 1u << 31 && cpuid(0x40000000, 0).eax >= HYPERVISOR_TIMING &&
        cpuid(0x40000000, 0).eax < 0x40010000)
        return cpuid(HYPERVISOR_TIMING, 0).eax;
    if (leaf_max >= 0x15) {
        struct cpuid r = cpuid(0x15, 0);

        if (r.eax && r.ebx && r.ecx)
            return (u64)r.ecx * r.ebx / r.eax / 1000;
    }
    return leaf_max >= 0x16 ? (u64)(cpuid(0x16, 0).eax & 0xffff) * 1000 : 0;
}

void tsc_init(void)
{
    u64 claimed = claimed_khz();

    tsc_khz = measured_khz();
    if (!tsc_khz || (claimed > tsc_khz - tsc_khz / 16 && claimed < tsc_khz + tsc_khz / 16))
        tsc_khz = claimed;
    if (!tsc_khz)
        panic("neither the PIT nor CPUID tells the TSC's frequency");
}

void tsc_delay(u64 microseconds)
{
    u64 end = rdtsc() + microseconds * tsc_khz / 1000;

    while (rdtsc() < end)
        cpu_pause();
}
