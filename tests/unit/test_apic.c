/* SPDX-License-Identifier: GPL-2.0-only */
/* What firmware leaves of the local APIC: a model of its MSRs that allows no illegal step between modes. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <string.h>

#include "acpi.h"
#include "apic.h"
#include "bootmem.h"
#include "cpu.h"
#include "cpu_init.h"
#include "kpage.h"
#include "x86.h"

#define EN (1ull << 11)
#define X2 (1ull << 10)
#define BASE 0xfee00000ull
#define REG(offset) regs[(offset) >> 4]
#define MASKED 0x10000u

struct acpi acpi;
struct cpu cpu;
struct features features;

static u64 mode;
static u32 regs[256];
static u64 mapped;
static jmp_buf in_xapic_mode;

u64 rdmsr(u32 msr)
{
    if (msr == MSR_APIC_BASE)
        return BASE | mode;
    cr_assert((mode & X2) && msr >= MSR_X2APIC && msr < MSR_X2APIC + ARRAY_SIZE(regs));
    return regs[msr - MSR_X2APIC];
}

static void end_of_interrupt(void)
{
    for (u32 vector = 256; vector-- > 0;) {
        u32 *isr = &REG(0x100 + vector / 32 * 0x10);

        if (*isr >> vector % 32 & 1) {
            *isr &= ~(1u << vector % 32);
            return;
        }
    }
    cr_assert_fail("nothing was in service");
}

/* SDM 3A, 11.12.1: to and from x2APIC mode, never between it and "off" or back without. */
void wrmsr(u32 msr, u64 value)
{
    if (msr == MSR_APIC_BASE) {
        u64 to = value & (EN | X2);

        cr_assert_eq(value & ~(EN | X2), BASE);
        cr_assert_neq(to, X2);
        cr_assert(!(mode == 0 && to == (EN | X2)) && !(mode == (EN | X2) && to == EN), "from %lx to %lx", mode, to);
        mode = to;
        return;
    }
    cr_assert((mode & X2) && msr >= MSR_X2APIC && msr < MSR_X2APIC + ARRAY_SIZE(regs));
    if (msr == MSR_X2APIC + 0xb)
        end_of_interrupt();
    else
        regs[msr - MSR_X2APIC] = (u32)value;
}

void outb(u16 port, u8 v)
{
    (void)port;
    (void)v;
}

void kpage_map_apic(u64 physical)
{
    cr_assert_eq(mode, EN);
    mapped = physical;
    longjmp(in_xapic_mode, 1);
}

void bootmem_paint(u64 base, u64 end, enum boot_kind kind)
{
    (void)kind;
    cr_assert(base == BASE && end == BASE + PAGE_SIZE);
}

/* True: in x2APIC mode. */
static bool init(u64 from, bool x2apic, bool opt_out)
{
    mode = from;
    mapped = 0;
    features.x2apic = x2apic;
    acpi.x2apic_opt_out = opt_out;
    if (setjmp(in_xapic_mode)) {
        cr_assert_eq(mapped, BASE);
        return false;
    }
    apic_probe();
    apic_init();
    cr_assert_eq(mode, EN | X2);
    return true;
}

Test(apic, modes)
{
    cr_assert(init(0, true, false), "firmware has turned it off");
    cr_assert(init(EN, true, false));
    cr_assert(init(EN | X2, true, false));
    cr_assert(!init(0, false, false));
    cr_assert(!init(EN, false, false));
}

/* X2APIC_OPT_OUT counts, unless firmware itself has turned that mode on. */
Test(apic, x2apic_opt_out)
{
    cr_assert(!init(EN, true, true));
    cr_assert(!init(0, true, true));
    cr_assert(init(EN | X2, true, true));
}

/* The boot CPU was in xAPIC mode and opted out, another CPU is in x2APIC mode. */
Test(apic, back_to_xapic)
{
    mode = EN | X2;
    features.x2apic = false;
    if (!setjmp(in_xapic_mode))
        apic_init();
    cr_assert_eq(mapped, BASE);
}

Test(apic, left_by_firmware)
{
    REG(0x30) = 0x80060015; /* seven LVT entries, and AMD's */
    REG(0x400) = 4u << 16;
    for (u32 lvt = 0x320; lvt <= 0x370; lvt += 0x10)
        REG(lvt) = 0x55;
    REG(0x2f0) = 0x56;
    REG(0x330) = 0x200; /* the firmware's own SMI */
    for (u32 i = 0; i < 4; i++)
        REG(0x500 + 0x10 * i) = 0x57;
    REG(0x100 + 0x20) = 1u << 3;
    REG(0x100 + 0x70) = 0x80000001;
    cr_assert(init(EN | X2, true, false));
    cr_assert(REG(0x320) & MASKED, "timer");
    cr_assert(REG(0x340) & MASKED, "performance counters");
    cr_assert(REG(0x350) & MASKED, "LINT0");
    cr_assert(REG(0x370) & MASKED, "errors");
    cr_assert(REG(0x2f0) & MASKED, "corrected machine checks");
    cr_assert_eq(REG(0x330), 0x200, "thermal");
    for (u32 i = 0; i < 4; i++)
        cr_assert(REG(0x500 + 0x10 * i) & MASKED, "AMD's");
    for (u32 i = 0; i < 8; i++)
        cr_assert_eq(REG(0x100 + 0x10 * i), 0, "in service");
}

/* What comes with a vector in between is ended if it is in service: it would keep back all below. */
Test(apic, in_service)
{
    cr_assert(init(EN | X2, true, false));
    REG(0x100 + 0x70) = 1u << (0xf5 - 0xe0);
    cr_assert(apic_in_service(0xf5));
    cr_assert(!apic_in_service(0xf4) && !apic_in_service(0xff) && !apic_in_service(0x15));
}
