/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock's frequency, on a machine that is a model: each access takes time, now and then the CPU is away for long, and
 * counters are there or not. And which processors have errata of timers.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "errata.h"
#include "kpage.h"
#include "log.h"
#include "random.h"
#include "tsc.h"
#include "x86.h"

#define PM_PORT 0x608u
#define HPET_AT 0xfed00000u
#define HPET_PERIOD 69841279u /* 14.31818 MHz */

struct acpi acpi;

static u64 now; /* picoseconds */
static u64 tsc_hz;
static bool pit, hpet_counts, busy;
static volatile u32 hpet[64];
static u32 latched, latch_reads;
static u64 pit_since;
static struct cpuid leaf15, leaf16;
static jmp_buf panicked;

static void pass(u64 ns)
{
    now += 1000 * (ns + random_below(ns));
    if (busy && random_below(100) == 0)
        now += 1000000 * random_below(200);       /* up to 0.2 ms */
    if (busy && random_below(200000) == 0)
        now += 1000000ull * random_below(100000); /* up to 0.1 s: an emulator's host is busy, too */
}

static u64 ticks(u64 since, u64 hz)
{
    return (u64)((unsigned __int128)(now - since) * hz / 1000000000000ull);
}

u64 rdtsc(void)
{
    pass(5);
    return ticks(0, tsc_hz);
}

u32 mmio_read(const volatile u32 *reg)
{
    u32 value = reg - hpet == 60 && hpet_counts && (hpet[4] & 1) ? (u32)(now / 1000 * 1000000 / HPET_PERIOD) : *reg;

    pass(300);
    return value;
}

void mmio_write(volatile u32 *reg, u32 v)
{
    *reg = v;
}

void *kpage_device(u64 physical, u64 bytes, u64 attributes)
{
    (void)attributes;
    cr_assert(physical == HPET_AT && bytes <= sizeof(hpet));
    return (void *)(uintptr_t)hpet;
}

u32 inl(u16 port)
{
    u32 value = (u32)ticks(0, 3579545) & (acpi.pm_timer_32 ? UINT32_MAX : 0xffffff);

    cr_assert_eq(port, PM_PORT);
    pass(500);
    return value;
}

u8 inb(u16 port)
{
    pass(500);
    if (!pit)
        return 0xff;
    if (port != 0x42)
        return 0;
    return latch_reads++ & 1 ? (u8)(latched >> 8) : (u8)latched;
}

void outb(u16 port, u8 v)
{
    if (port == 0x43 && v == 0xb4)
        pit_since = now;
    if (port == 0x43 && v == 0x80)
        latched = (u32)-ticks(pit_since, 1193182) & 0xffff, latch_reads = 0;
    pass(500);
}

struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    (void)subleaf;
    return leaf == 0 ? (struct cpuid){ .eax = 0x16 } : leaf == 0x15 ? leaf15 : leaf == 0x16 ? leaf16 : (struct cpuid){ 0 };
}

void log_printf(const char *format, ...)
{
    (void)format;
}

void panic(const char *format, ...)
{
    (void)format;
    longjmp(panicked, 1);
}

static void machine(u64 hz, bool with_hpet, bool with_pm, bool with_pit)
{
    memset(&acpi, 0, sizeof(acpi));
    now = 1000000000000ull * (1 + random_below(1000));
    tsc_hz = hz;
    acpi.hpet = with_hpet ? HPET_AT : 0;
    acpi.pm_timer = with_pm ? PM_PORT : 0;
    pit = with_pit;
    hpet_counts = true;
    hpet[1] = HPET_PERIOD;
    hpet[4] = 0;
    leaf15 = leaf16 = (struct cpuid){ 0 };
}

static void expect(u64 khz, u64 doubt_ppm, const char *source)
{
    u64 off;

    if (setjmp(panicked))
        cr_assert_fail("no frequency, instead of %s", source);
    tsc_init();
    off = MAX(tsc_khz, khz) - MIN(tsc_khz, khz);
    cr_assert(off <= khz * doubt_ppm / 1000000 + 1, "%lu kHz instead of %lu", tsc_khz, khz);
    cr_assert_str_eq(tsc_source, source);
}

/* Each counter, whatever the TSC's frequency; on a machine with pauses between any two accesses, too. */
Test(clock, measured)
{
    static const u64 hz[] = { 10000000, 1000000000, 2904120000, 5700000000 };

    for (u32 i = 0; i < 4 * ARRAY_SIZE(hz) * 2; i++) {
        u64 f = hz[i / 2 % ARRAY_SIZE(hz)];

        busy = i & 1;
        machine(f, true, true, true);
        expect(f / 1000, 100, "HPET");
        cr_assert_eq(hpet[4], 0, "it is as it was");
        machine(f, false, true, true);
        acpi.pm_timer_32 = i & 4;
        expect(f / 1000, 100, "PM timer");
        machine(f, false, false, true);
        expect(f / 1000, 200, "PIT");
    }
}

/* q35,pit=off: ports that nobody answers read as ones. That is no measurement. */
Test(clock, without)
{
    machine(2000000000, true, true, false);
    hpet_counts = false;
    expect(2000000, 100, "PM timer");
    machine(2000000000, true, false, true);
    hpet[1] = UINT32_MAX; /* nothing is there */
    expect(2000000, 200, "PIT");
    machine(2000000000, false, false, false);
    leaf16.eax = 2100;
    expect(2100000, 0, "CPUID, nominal");
    machine(2000000000, false, false, false);
    if (!setjmp(panicked)) {
        tsc_init();
        cr_assert_fail("nobody knows the frequency");
    }
}

/* 4 MHz off, 0.14 %: two minutes a day. An exact statement that comes close is better than any measurement. */
Test(clock, claimed)
{
    machine(2904120000, true, true, true);
    leaf16.eax = 2900;
    expect(2904120, 100, "HPET");
    machine(2904120000, true, true, true);
    leaf15 = (struct cpuid){ .eax = 2, .ebx = 242, .ecx = 24000000 };
    expect(2904000, 0, "CPUID");
    machine(2100000000, true, true, true); /* an emulator, with another machine's CPUID */
    leaf15 = (struct cpuid){ .eax = 2, .ebx = 242, .ecx = 24000000 };
    expect(2100000, 100, "HPET");
    cr_assert_eq(tsc_choose(0, 2904000, 2900000), 2904000);
}

static bool deadline_bad(u32 model, u32 stepping, u32 microcode)
{
    return errata_deadline(&(struct cpu_facts){
        .intel = true, .family = 6, .model = model, .stepping = stepping, .microcode = microcode });
}

Test(clock, deadline_errata)
{
    cr_assert(deadline_bad(0x3c, 3, 0x21) && !deadline_bad(0x3c, 3, 0x22)); /* Haswell */
    cr_assert(deadline_bad(0x3f, 2, 0x39) && !deadline_bad(0x3f, 2, 0x3a)); /* -EP */
    cr_assert(deadline_bad(0x3f, 4, 0x0e) && !deadline_bad(0x3f, 4, 0x0f)); /* -EX, counted otherwise */
    cr_assert(deadline_bad(0x4f, 1, 0x0b00001f) && !deadline_bad(0x4f, 1, 0x0b000020));
    cr_assert(deadline_bad(0x56, 3, 0x0700000d) && !deadline_bad(0x56, 3, 0x0700000e));
    cr_assert(deadline_bad(0x55, 4, 0x02000013) && !deadline_bad(0x55, 4, 0x02000014));
    cr_assert(!deadline_bad(0x55, 7, 1), "Cascade Lake never had it");
    cr_assert(!deadline_bad(0x55, 4, 0), "an emulator");
    cr_assert(deadline_bad(0x5e, 3, 0xb1) && !deadline_bad(0x5e, 3, 0xb2));
    cr_assert(deadline_bad(0x9e, 9, 0x51) && !deadline_bad(0x9e, 9, 0x52));
    cr_assert(!deadline_bad(0x3a, 9, 1), "Ivy Bridge");
    cr_assert(!errata_deadline(&(struct cpu_facts){ .intel = true, .family = 6, .model = 0x5e, .microcode = 1, .guest = true }));
    cr_assert(!errata_deadline(&(struct cpu_facts){ .amd = true, .family = 6, .model = 0x5e, .microcode = 1 }));
}

Test(clock, c1e_errata)
{
    cr_assert(errata_c1e(&(struct cpu_facts){ .amd = true, .family = 0xf, .model = 0x41 }));
    cr_assert(errata_c1e(&(struct cpu_facts){ .amd = true, .family = 0x10, .model = 4 }));
    cr_assert(!errata_c1e(&(struct cpu_facts){ .amd = true, .family = 0xf, .model = 0x21 }), "before revision F");
    cr_assert(!errata_c1e(&(struct cpu_facts){ .amd = true, .family = 0x17, .model = 1 }), "Zen");
    cr_assert(!errata_c1e(&(struct cpu_facts){ .intel = true, .family = 0xf, .model = 0x41 }));
    cr_assert(!errata_c1e(&(struct cpu_facts){ .amd = true, .family = 0x10, .model = 4, .guest = true }));
}
