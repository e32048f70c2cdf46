/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads of this domain. Each has a stack with an unmapped page below it, a UTCB, and an event of its own to
 * sleep on; FS base points to its struct thread. A thread belongs to its CPU for good, and so does a handler
 * thread: a service for all CPUs has one handler on each, or one that serves the others on time of its own.
 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include "offsets.h"

#include <corbel/utcb.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREAD_STACK_PAGES 16u

struct cb_args;

/* What a handler does with a call: `message` is the caller's, and becomes the reply when the handler returns. */
typedef void thread_handler_fn(uint64_t badge, struct cb_args *message);
typedef void thread_fn(void *argument);

struct thread {
    struct thread *self;        /* read through FS by thread_self() */
    struct cb_utcb *utcb;
    thread_handler_fn *handler; /* of a handler thread; read by thread_portal_entry */
    thread_fn *function;        /* of the others */
    void *argument;             /* for `function`; for free use by a handler, see thread_self() */
    uint64_t canary;            /* where libraries look for it: %fs:0x28 */
    uint32_t sel;               /* the thread's own capability, */
    uint32_t sched;             /* that of its scheduling context, 0 if it has none, */
    uint32_t event;             /* and that of the event it sleeps on */
    uint32_t cpu;
    uint64_t stack;             /* lowest mapped address */
} __attribute__((aligned(16))); /* it lies on top of the stack, which must be aligned */
CB_ASSERT_OFFSET(struct thread, self, THREAD_SELF);
CB_ASSERT_OFFSET(struct thread, handler, THREAD_HANDLER);
CB_ASSERT_OFFSET(struct thread, canary, 0x28);

static inline struct thread *thread_self(void)
{
    struct thread *self;

    __asm__("mov %%fs:0, %0" : "=r"(self));
    return self;
}

static inline struct cb_utcb *thread_utcb(void)
{
    return thread_self()->utcb;
}

/* Makes the thread that runs now, and that has none, a struct thread. Called once by the entry code. */
void thread_init(uint32_t cpu, uint64_t utcb);

/*
 * Starts a thread at function(argument), with all of its CPU's time that `priority` gives it. If `function`
 * returns, the thread sleeps until thread_destroy(). On failure *thread is not written and nothing is left.
 */
uint64_t thread_start(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument, struct thread **thread)
    __attribute__((warn_unused_result));

/* As above, with a budget in every period (microseconds). */
uint64_t thread_start_budget(uint32_t cpu, uint32_t priority, uint64_t budget, uint64_t period, thread_fn *function,
                             void *argument, struct thread **thread) __attribute__((warn_unused_result));

/* A handler thread on `cpu`: `handler` runs for each call through its portals. */
uint64_t thread_handler(uint32_t cpu, thread_handler_fn *handler, void *argument, struct thread **thread)
    __attribute__((warn_unused_result));

/*
 * Gives the handler a scheduling context of its own, all the time of its CPU that `priority` gives it: it serves
 * callers of other CPUs on that, who are refused otherwise. Callers of its own CPU go on lending it theirs.
 */
uint64_t thread_handler_serve(struct thread *handler, uint32_t priority) __attribute__((warn_unused_result));

/*
 * The level of the portals that thread_portal() makes: their handlers can call those of lower levels, root's (LEVEL_ROOT)
 * among them. A service that calls others has a higher one than they.
 */
#define LEVEL_ROOT 8u
#define LEVEL_DEFAULT 16u
extern uint32_t thread_portal_level; /* LEVEL_DEFAULT at first */

/* A portal to a handler thread, with `badge` for the handler; groups: for exits and exceptions. */
uint64_t thread_portal(const struct thread *handler, uint64_t badge, uint32_t groups, uint32_t *sel)
    __attribute__((warn_unused_result));

/* Where calls enter a handler thread; for those who create portals to it by themselves. */
void thread_portal_entry(void);

/* Ends another thread of this domain and gives back all it had. */
void thread_destroy(struct thread *thread);

/* Sleeps until the TSC reaches the deadline; or returns at once if the thread cannot sleep. */
void thread_sleep_until(uint64_t deadline);
void thread_sleep_us(uint64_t us);

/* The portal to which new threads send their faults, by CPU: selector CB_TASK_SEL_ROOT(cpu), if there is one. */
extern bool thread_fault_portals;

#endif
