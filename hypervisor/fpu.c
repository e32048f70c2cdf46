/* SPDX-License-Identifier: GPL-2.0-only */
/* XSAVE in its standard format (SDM 1, 13.4; APM 2, 11.5), or FXSAVE on old CPUs. */
#include "fpu.h"

#include "cpu.h"
#include "cpu_init.h"
#include "ctx.h"
#include "mitigations.h"
#include "x86.h"

#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

#define FXSAVE_FCW 0
#define FXSAVE_MXCSR 24
#define FCW_INIT 0x37fu
#define MXCSR_INIT 0x1f80u

u64 fpu_features;

static _Alignas(64) u8 fpu_fresh[PAGE_SIZE]; /* a fresh state */

/* The most of what is there that fits into a page. */
static void xsave_choose(void)
{
    struct cpuid leaf = cpuid(0xd, 0);

    fpu_features = ((u64)leaf.edx << 32 | leaf.eax) & XCR0_KNOWN;
    if ((fpu_features & XCR0_AVX512) != XCR0_AVX512 || !(fpu_features & XCR0_AVX))
        fpu_features &= ~XCR0_AVX512;
    xsetbv(fpu_features);
    if (cpuid(0xd, 0).ebx > PAGE_SIZE) { /* bytes that the enabled components take */
        fpu_features &= XCR0_X87 | XCR0_SSE | XCR0_AVX;
        xsetbv(fpu_features);
    }
}

void fpu_cpu_init(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (features.xsave ? CR4_OSXSAVE : 0));
    if (features.xsave) {
        if (cpu.id == 0)
            xsave_choose();
        else
            xsetbv(fpu_features);
    }
    if (cpu.id == 0)
        fpu_init_state(fpu_fresh);
    write_cr0((read_cr0() & ~CR0_EM) | CR0_TS);
    cpu.fpu_owner = NULL;
}

void fpu_init_state(u8 *area)
{
    /* Components without their bit in XSTATE_BV (zero here) are initialized by XRSTOR; FXRSTOR takes these. */
    *(u16 *)(void *)(area + FXSAVE_FCW) = FCW_INIT;
    *(u32 *)(void *)(area + FXSAVE_MXCSR) = MXCSR_INIT;
}

/*
 * AMD's processors before Zen 2 save and load the pointers to the last x87 instruction and its operand only while an exception is
 * pending (APM 2, 11.4.4.3): what is there would be the last owner's. So we execute one. Whatever is loaded comes after it.
 */
static void fpu_lose_pointers(void)
{
    static const u32 zero;

    __asm__ volatile("fnclex\n\temms\n\tfildl %0" : : "m"(zero));
}

/* On CPUs without XSAVE. */
static NOINLINE void fpu_exchange_old(struct ctx *owner, const u8 *new)
{
    if (owner)
        __asm__ volatile("fxsave64 (%0)" : : "r"(owner->fpu) : "memory");
    if (!features.x87_pointers)
        fpu_lose_pointers();
    __asm__ volatile("fxrstor64 (%0)" : : "r"(new) : "memory");
}

/* What is in the registers is kept for `owner`, unless that is NULL; they get what is in `new`. */
static ALWAYS_INLINE void fpu_exchange(struct ctx *owner, const u8 *new)
{
    u32 all = (u32)fpu_features;

    if (!features.xsave) {
        fpu_exchange_old(owner, new);
        return;
    }
    if (owner)
        __asm__ volatile("xsave64 (%0)" : : "r"(owner->fpu), "a"(all), "d"(0) : "memory");
    if (!features.x87_pointers)
        fpu_lose_pointers();
    __asm__ volatile("xrstor64 (%0)" : : "r"(new), "a"(all), "d"(0) : "memory");
}
_Static_assert(XCR0_KNOWN <= UINT32_MAX, "in one half");

static void fpu_open(void)
{
    if (cpu_hazards() & HAZARD_FPU)
        return;
    clts();
    cpu_hazard(HAZARD_FPU);
}

void fpu_take(struct ctx *c)
{
    struct ctx *owner = cpu.fpu_owner;

    fpu_open();
    fpu_exchange(owner, c->fpu);
    cpu.fpu_owner = c;
}

/* Can `c` see something of the owner's state though CR0.TS is set? Whoever works for the owner may. */
static bool fpu_shows(const struct ctx *owner, const struct ctx *c)
{
    return defends(DEFENCE(FPU)) || (features.xinuse && owner->domain != c->domain && c->caller != owner);
}

void fpu_leave(struct ctx *c)
{
    struct ctx *owner = cpu.fpu_owner;

    if (owner == c) {
        fpu_open();
        return;
    }
    if (owner && fpu_shows(owner, c)) {
        fpu_open();
        fpu_exchange(owner, fpu_fresh);
        cpu.fpu_owner = NULL;
    }
    if (cpu_hazards() & HAZARD_FPU) {
        write_cr0(read_cr0() | CR0_TS);
        cpu_hazard_over(HAZARD_FPU);
    }
}

void fpu_forget(struct ctx *c)
{
    if (cpu.fpu_owner != c)
        return;
    cpu.fpu_owner = NULL;
    fpu_open();
    fpu_exchange(NULL, fpu_fresh);
}
