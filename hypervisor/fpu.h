/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FPU and vector state follow ownership: they stay in the registers until somebody else uses them. Threads find out
 * through CR0.TS and #NM; vCPUs own the registers whenever they are in guest mode.
 *
 * On a CPU that executes ahead of #NM with the registers of others (DEFENCE(FPU)), what is closed by CR0.TS is empty:
 * a context that does not run owns nothing. Where XGETBV shows which components are in use, whatever CR0.TS says, that holds
 * for contexts of other domains, unless they work for the owner.
 */
#ifndef FPU_H
#define FPU_H

#include "cpu.h"
#include "mitigations.h"
#include "types.h"
#include "x86.h"

#define XCR0_X87 (1ull << 0)
#define XCR0_SSE (1ull << 1)
#define XCR0_AVX (1ull << 2)
#define XCR0_AVX512 (7ull << 5)

struct ctx;

void fpu_cpu_init(void);          /* CR0, CR4.OSXSAVE, XCR0 */
extern u64 fpu_features;          /* XCR0: of those above, all that there are */
void fpu_init_state(u8 *area);    /* a fresh state */
void fpu_take(struct ctx *c);     /* c's state, which is not there, into the registers; clears CR0.TS */
void fpu_leave(struct ctx *c);    /* before user mode: sets CR0.TS unless c owns the registers, which are emptied if they show */
void fpu_forget(struct ctx *c);   /* home CPU: c dies */

/* The CR0.TS that exits from a guest may set: none where the registers must be emptied first. */
static inline u64 fpu_exit_ts(void)
{
    return defends(DEFENCE(FPU)) ? 0 : CR0_TS;
}

/* An exit from a guest has set it, where it does. */
static ALWAYS_INLINE void fpu_was_closed(void)
{
    if ((cpu_hazards() & HAZARD_FPU) && fpu_exit_ts())
        cpu_hazard_over(HAZARD_FPU);
}

#endif
