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

/* What is in the registers is kept in `old`, unless that is NULL; they get what is in `new`. */
static void fpu_exchange(u8 *old, const u8 *new)
{
    u32 all = (u32)fpu_features;

    if (!features.xsave) {
        if (old)
            __asm__ volatile("fxsave64 (%0)" : : "r"(old) : "memory");
        __asm__ volatile("fxrstor64 (%0)" : : "r"(new) : "memory");
        return;
    }
    if (old)
        __asm__ volatile("xsave64 (%0)" : : "r"(old), "a"(all), "d"(0) : "memory");
    __asm__ volatile("xrstor64 (%0)" : : "r"(new), "a"(all), "d"(0) : "memory");
}
_Static_assert(XCR0_KNOWN <= UINT32_MAX, "in one half");

void fpu_take(struct ctx *c)
{
    struct ctx *owner = cpu.fpu_owner;

    if (!(cpu_hazards() & HAZARD_FPU)) {
        clts();
        cpu_hazard(HAZARD_FPU);
    }
    if (owner == c)
        return;
    fpu_exchange(owner ? owner->fpu : NULL, c->fpu);
    cpu.fpu_owner = c;
}

void fpu_leave(struct ctx *c)
{
    bool open = cpu_hazards() & HAZARD_FPU;

    if (open && cpu.fpu_owner != c) {
        if (defends(DEFENCE(FPU)) && cpu.fpu_owner) {
            fpu_exchange(cpu.fpu_owner->fpu, fpu_fresh); /* the owner had them open */
            cpu.fpu_owner = NULL;
        }
        write_cr0(read_cr0() | CR0_TS);
        cpu_hazard_over(HAZARD_FPU);
    } else if (!open && cpu.fpu_owner == c) {
        clts();
        cpu_hazard(HAZARD_FPU);
    }
}

void fpu_forget(struct ctx *c)
{
    if (cpu.fpu_owner != c)
        return;
    cpu.fpu_owner = NULL;
    if (defends(DEFENCE(FPU)))
        fpu_exchange(NULL, fpu_fresh);
}
