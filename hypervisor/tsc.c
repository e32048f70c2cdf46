/* SPDX-License-Identifier: GPL-2.0-only */
#include "tsc.h"

#include "log.h"
#include "reference.h"
#include "x86.h"

#define LOOKS 8             /* at the reference, of which the one that took least counts */
#define DOUBT_PART 20000u   /* of the time between two looks may be the doubt about it: 50 ppm */
#define LONGEST_PART 20u    /* of a second: 50 ms, before the PIT's counter is where it was */
#define STUCK_MAX 1000u     /* pairs of looks without a change */
#define ROUNDS 10
#define AGREE_PART 4000u
#define CLOSE_PART 1000u    /* an exact statement is believed if a measurement comes so close */
#define HYPERVISOR_TIMING 0x40000010u

u64 tsc_khz;
const char *tsc_source;

/* The counter stood at `count` at some time from `before` to `after`. */
struct look {
    u64 before, after;
    u32 count;
};

/* In between this CPU may have been away (interrupted by a hypervisor below, or by firmware). */
static struct look look(const struct reference *r)
{
    struct look best = { .after = UINT64_MAX };

    for (int i = 0; i < LOOKS; i++) {
        struct look l;

        l.before = rdtsc();
        l.count = reference_read(r);
        l.after = rdtsc();
        if (l.after - l.before < best.after - best.before)
            best = l;
    }
    return best;
}

/* kHz, by two looks with so much time between them that their doubt does not matter; 0: it does not count. */
static u64 measure(const struct reference *r)
{
    struct look first = look(r), last;
    u64 ticks, elapsed, doubt;
    u32 stuck = 0;

    do {
        cpu_pause();
        last = look(r);
        ticks = (last.count - first.count) & r->mask;
        elapsed = (last.before + last.after) / 2 - (first.before + first.after) / 2;
        if (!ticks && ++stuck == STUCK_MAX)
            return 0;
        doubt = ticks ? (first.after - first.before) + (last.after - last.before) + 2 * elapsed / ticks : elapsed;
    } while (doubt > elapsed / DOUBT_PART && ticks < r->hz / LONGEST_PART);
    return elapsed * r->hz / ticks / 1000; /* 64 bits are enough for minutes */
}

/* Until two measurements agree: the counter may have been read wrongly, or have passed its end meanwhile. */
static u64 measure_twice(const struct reference *r)
{
    u64 last = measure(r);

    for (int i = 0; i < ROUNDS && last; i++) {
        u64 khz = measure(r);

        if (MAX(khz, last) - MIN(khz, last) <= khz / AGREE_PART)
            return (khz + last) / 2;
        last = khz;
    }
    return 0;
}

/* kHz according to the best counter that there is; 0: there is none. */
static u64 measured_khz(void)
{
    for (enum reference_kind kind = 0; kind < REFERENCE_COUNT; kind++) {
        struct reference r = { .kind = kind };
        u64 khz;

        if (!reference_start(kind, &r))
            continue;
        khz = measure_twice(&r);
        reference_stop(&r);
        tsc_source = r.name;
        if (khz)
            return khz;
        log_printf("clock: the %s does not count", r.name);
    }
    return 0;
}

/* kHz according to the hypervisor below (leaf 0x40000010 of VMware and KVM) or the crystal (SDM 3A, 19.7.3). */
static u64 exact_khz(void)
{
    if (cpuid(1, 0).ecx & 1u << 31 && cpuid(0x40000000, 0).eax >= HYPERVISOR_TIMING &&
        cpuid(0x40000000, 0).eax < 0x40010000)
        return cpuid(HYPERVISOR_TIMING, 0).eax;
    if (cpuid(0, 0).eax >= 0x15) {
        struct cpuid r = cpuid(0x15, 0);

        if (r.eax && r.ebx && r.ecx)
            return (u64)r.ecx * r.ebx / r.eax / 1000;
    }
    return 0;
}

/* What the box says: rounded to 100 MHz, which would be minutes a day. */
static u64 nominal_khz(void)
{
    return cpuid(0, 0).eax >= 0x16 ? (u64)(cpuid(0x16, 0).eax & 0xffff) * 1000 : 0;
}

u64 tsc_choose(u64 measured, u64 exact, u64 nominal)
{
    if (exact && (!measured || MAX(exact, measured) - MIN(exact, measured) <= measured / CLOSE_PART)) {
        tsc_source = "CPUID";
        return exact;
    }
    if (measured)
        return measured;
    tsc_source = "CPUID, nominal";
    return nominal;
}

void tsc_init(void)
{
    tsc_khz = tsc_choose(measured_khz(), exact_khz(), nominal_khz());
    if (!tsc_khz)
        panic("neither HPET, PM timer, PIT nor CPUID tells the TSC's frequency");
}

void tsc_delay(u64 microseconds)
{
    u64 end = rdtsc() + microseconds * tsc_khz / 1000;

    while (rdtsc() < end)
        cpu_pause();
}
