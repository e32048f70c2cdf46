/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grace periods and the way out of the kernel on two CPUs, in all interleavings: grace.c and exit.c as they are. CPU 0
 * begins a period and waits for it; CPU 1 runs a thread, or sleeps.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "ctx.h"
#include "domain.h"
#include "fpu.h"
#include "kpage.h"
#include "log.h"
#include "orders_cpus.h"
#include "reap.h"
#include "thread.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

static struct thread waiter, other; /* of CPU 0 and CPU 1 */
static u64 epoch;
static bool posted, posted_done;     /* to CPU 1 */
static bool flushed;                 /* by CPU 1 */
static bool passes_first;            /* the waiter leaves the kernel before it waits */
static _Atomic u64 over;             /* CPU 0 need not wait any more */

/* ---- What the two files need of the rest ---- */

void sched_pick(void)
{
    if (cpu.id == 0 && waiter.ctx.state == CTX_READY)
        cpu.current = &waiter.ctx;
}

void domain_load(struct space_cpu *home)
{
    (void)home;
}

void ctx_run_posts(void)
{
    posted_done = true;
}

void kpage_refresh(void)
{
    flushed |= cpu.id == 1;
}

void domain_refresh(void)
{
}

void vcpu_run(struct vcpu *v)
{
    (void)v;
}

static NORETURN void wait_for_epoch(void)
{
    status_t status = grace_settle(epoch);

    if (status == CALL_AGAIN)
        orders_require(grace_over(epoch), "who is to call again need not wait");
    else
        orders_require(status == CALL_BLOCKED_AGAIN && cpu.current == NULL, "it waits");
    kernel_exit();
}

/* The waiter has what it waited for; or user mode, until an interrupt comes. */
NORETURN void thread_resume(struct ctx *c)
{
    if (c == &waiter.ctx && passes_first) {
        passes_first = false;
        wait_for_epoch();
    }
    if (c == &waiter.ctx) {
        orders_require(grace_over(epoch), "the period is not over");
        orders_require(flushed, "CPU 1 has not flushed");
        orders_require(posted_done == posted, "what was posted before is not done");
        atomic_store(&over, 1);
        orders_leave();
    }
    while (!cpus_interrupted()) {
        if (atomic_load(&over))
            orders_leave();
        orders_pause();
    }
    kernel_exit();
}

/* ---- The sides ---- */

static void begin(void)
{
    cpus_init();
    memset(&waiter, 0, sizeof(waiter));
    memset(&other, 0, sizeof(other));
    waiter.ctx.state = CTX_READY;
    list_init(&waiter.ctx.grace_node);
    list_init(&waiter.ctx.helpers);
    cpus[0].current = &waiter.ctx;
    cpus[1].current = &other.ctx;
    posted = posted_done = flushed = passes_first = false;
}

static void begins_and_waits(void)
{
    epoch = grace_begin();
    wait_for_epoch();
}

static void waits_for_the_next(void)
{
    epoch = grace_next();
    wait_for_epoch();
}

/* The first period is one that CPU 1 may be passing at that moment. */
static void posts_begins_and_waits(void)
{
    (void)grace_begin();
    posted = true;
    atomic_fetch_or(&cpu_of(1)->hazards, HAZARD_POSTS);
    epoch = grace_begin();
    wait_for_epoch();
}

/* CPU 1 begins the period, and CPU 0 may have passed it when it waits. */
static void passes_and_waits(void)
{
    epoch = 1;
    passes_first = true;
    while (grace_wanted_now() != epoch)
        orders_pause();
    kernel_exit();
}

static void begins_and_leaves(void)
{
    (void)grace_begin();
    kernel_exit();
}

static void leaves(void)
{
    kernel_exit();
}

Test(orders_grace, nobody_sleeps_for_ever)
{
    struct orders o = { .begin = begin, .side = { begins_and_waits, leaves } };

    cpus_search(&o, 2);
}

Test(orders_grace, nobody_sleeps_for_ever_over_the_next_period)
{
    struct orders o = { .begin = begin, .side = { waits_for_the_next, leaves } };

    cpus_search(&o, 2);
}

Test(orders_grace, nobody_sleeps_for_ever_over_what_others_began)
{
    struct orders o = { .begin = begin, .side = { passes_and_waits, begins_and_leaves } };

    cpus_search(&o, 2);
}

Test(orders_grace, what_was_posted_before_is_done)
{
    struct orders o = { .begin = begin, .side = { posts_begins_and_waits, leaves } };

    cpus_search(&o, 2);
}
