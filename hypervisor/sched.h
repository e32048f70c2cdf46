/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling contexts and the scheduler: fixed priorities, round robin within one, budgets that are refilled
 * once in a period. A run queue belongs to its CPU and is found through a bitmap.
 */
#ifndef SCHED_H
#define SCHED_H

#include <corbel/call.h>

#include "list.h"
#include "object.h"
#include "timerq.h"

struct ctx;

enum sched_state {
    SCHED_UNBOUND,
    SCHED_QUEUED,    /* in the run queue */
    SCHED_RUNNING,   /* cpu->sched */
    SCHED_PARKED,    /* what it runs is blocked; node is in a context's `helpers`, or nowhere */
    SCHED_THROTTLED, /* budget used up: waits for its refill timer */
};

struct sched {
    struct object obj;
    u32 cpu;            /* constant */
    u8 priority;        /* constant */
    u8 state;           /* enum sched_state; home CPU */
    bool limited;       /* constant: budget < period, so that it matters even without a rival */
    u64 bit;            /* constant: of its priority, in runqueue.bitmap[priority / 64] */
    u64 budget, period; /* constant, TSC ticks */
    u64 left;           /* budget left, as of the last time it was taken off the CPU */
    u64 debt;           /* TSC ticks that it ran beyond its budgets, to be taken off the next ones */
    u64 refill_at;      /* TSC */
    u64 consumed;       /* TSC ticks, ever */
    struct ctx *bound;  /* whose it is; tree_lock to write */
    struct list node;   /* run queue, or helpers of a context */
    struct timer timer; /* refill */
};

struct runqueue {
    u64 bitmap[CB_PRIORITIES / 64];
    struct list queue[CB_PRIORITIES];
};

/* Home CPU: puts it into the run queue (at the end, or the front if it was merely preempted), or throttles it. */
void sched_enqueue(struct sched *s);
void sched_dequeue(struct sched *s);

/* Home CPU: the kernel has worked for it up to `now`, for so long, and not for what runs. */
void sched_bill(struct sched *s, u64 ticks, u64 now);

/*
 * cpu->sched leaves the CPU, and waits in `helpers` of the context that it ran. Where it is plain what is next, that
 * is cpu->sched and cpu->current at once (the caller has set cpu->current to NULL).
 */
status_t sched_block(struct list *helpers);

/*
 * `c`, ready again, on which scheduling contexts are parked: runs at once if that is its own alone, and of a higher
 * priority than what runs, or if nothing runs. False: nothing has been done.
 */
bool sched_hand_over(struct ctx *c) MUST_CHECK;

/* cpu->sched goes behind all others of its priority. */
void sched_yield(void);

/*
 * Chooses what runs next and makes it cpu->sched and cpu->current (NULL: nothing to do). Follows chains: a
 * scheduling context whose context waits for a busy handler runs what keeps the handler busy.
 */
void sched_pick(void);

/* Timers that have expired by `now` take effect. */
void sched_timers(u64 now);

/* schedcall.c, tree_lock held. Budget and period are in microseconds, all is checked. NULL: exhausted. */
struct sched *sched_alloc(struct account *account, u32 cpu_id, u32 priority, u64 budget, u64 period);
bool sched_kill(struct sched *s); /* one step; true when done */

/* TSC ticks that it has run, up to now. Any CPU. */
u64 sched_consumed(const struct sched *s);

#endif
