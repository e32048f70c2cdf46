/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID's word about the frequency is exact where it is true, and emulators' CPUID often describes another machine:
 * so it counts only if a measurement comes close.
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

#define COUNT (PIT_HZ / 200) /* 5 ms */
#define ROUNDS 60
#define DOUBT_MAX(ticks) ((ticks) / 2000)
#define POLLS_MAX 10000000u
#define HYPERVISOR_TIMING 0x40000010u

u64 tsc_khz;

/*
 * Lets the PIT count 5 ms. The ticks that this takes are at least from after its beginning to the last look before
 * its end, at most from before to after both; in between this CPU may have been away (interrupted by a hypervisor
 * below, or by firmware). False: the PIT does not count.
 */
static bool measure(u64 *least, u64 *most)
{
    u8 gate = inb(PIT_GATE_PORT) & (u8)~(PIT_GATE | PIT_SPEAKER);
    u32 polls = 0;
    u64 before, begun, last, now;

    outb(PIT_GATE_PORT, gate | PIT_GATE);
    outb(PIT_COMMAND, PIT_MODE_0);
    outb(PIT_CHANNEL2, (u8)COUNT);
    before = rdtsc();
    outb(PIT_CHANNEL2, (u8)(COUNT >> 8)); /* here it begins */
    now = begun = rdtsc();
    do {
        cpu_pause();
        last = now;
        now = rdtsc();
    } while (!(inb(PIT_GATE_PORT) & PIT_OUT) && ++polls < POLLS_MAX);
    now = rdtsc();
    outb(PIT_GATE_PORT, gate);
    *least = last - begun; /* nothing, if this CPU was away all the time */
    *most = now - before;
    return polls < POLLS_MAX;
}

/* kHz according to the PIT; 0: it does not count. Each round narrows what the ticks can be. */
static u64 measured_khz(void)
{
    u64 low = 0, high = UINT64_MAX, least, most;

    for (int i = 0; i < ROUNDS && high > low && high - low > DOUBT_MAX(high); i++) {
        if (!measure(&least, &most))
            return 0;
        low = MAX(low, least);
        high = MIN(high, most);
    }
    return (low + high) / 2 * PIT_HZ / COUNT / 1000;
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
