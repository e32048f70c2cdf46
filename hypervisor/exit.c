/* SPDX-License-Identifier: GPL-2.0-only */
/* The way out of the kernel, but for the short ones in entry.S and vcpu_enter.h: those are taken while no hazard is set. */
#include "cpu.h"
#include "ctx.h"
#include "domain.h"
#include "fpu.h"
#include "kpage.h"
#include "log.h"
#include "reap.h"
#include "sched.h"
#include "thread.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

static u32 exit_pending(void)
{
    return cpu_hazards() & HAZARD_EXIT;
}

/* Posted work precedes the pass of a grace period, which promises that it is done; so do flushes. */
static void exit_hazards(void)
{
    u64 wanted = grace_wanted_now(); /* before the hazards: a period that begins in between is not passed yet */
    /* Acquire: sees what was written before the bit was set by another CPU (grace_ask(), ctx_post()). */
    u32 hazards = atomic_fetch_and_explicit(&cpu.hazards, ~HAZARD_EXIT, memory_order_acquire);

    if (hazards & HAZARD_TIMER)
        sched_timers(rdtsc());
    if (hazards & HAZARD_POSTS)
        ctx_run_posts();
    if (hazards & HAZARD_LOG)
        log_flush();
    if (hazards & HAZARD_GRACE) {
        kpage_refresh();
        domain_refresh();
        grace_pass(wanted);
    }
    if (hazards & HAZARD_RESCHED)
        sched_pick();
}

/*
 * Interrupts are off from the last look at the hazards to HLT: what comes in between wakes it at once. Inline: a core that
 * sleeps may forget its return addresses, so none from before is used.
 */
static ALWAYS_INLINE void exit_idle(void)
{
    if (reap_pending()) {
        reap_step();
        interrupts_take();
        return;
    }
    timer_halts();
    interrupts_await();
}

NORETURN void kernel_exit(void)
{
    for (;;) {
        struct ctx *c;

        while (exit_pending()) {
            interrupts_take(); /* what was done before, and each round, is bounded by itself (docs/bounded-work.md) */
            exit_hazards();
        }
        if (!cpu.current) {
            sched_pick();
            if (exit_pending())
                continue;
        }
        c = cpu.current;
        if (!c) {
            exit_idle();
            continue;
        }
        domain_load(c->home);
        if (ctx_is_vcpu(c)) {
            vcpu_run(vcpu_of(c));
            continue;
        }
        fpu_leave(c);
        thread_resume(c);
    }
}

bool kernel_preempt(void)
{
    interrupts_take();
    return exit_pending() & ~HAZARD_LOG;
}
