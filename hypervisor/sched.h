/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling contexts and the scheduler: fixed priorities, round robin within one, budgets in every period. A run
 * queue belongs to its CPU and is found through a bitmap. docs/time.md says what is promised.
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
    SCHED_PARKED,    /* what it runs is blocked: in a context's `helpers`, or nowhere; or it follows another one */
    SCHED_THROTTLED, /* in budget->throttled: it could run, but for the budget */
};

#define BUDGET_PIECES 8u
#define BUDGET_MEMBERS 32u /* all are queued, or taken from the queue, in one go */

/* A part of a budget that has been used, and when it comes back. */
struct budget_piece {
    u64 begin, due; /* TSC: when the first of it was used; a period after the last use of it began */
    u64 amount;
};

/* What limits the scheduling contexts that share it: TSC ticks; those of the home CPU, if not marked otherwise. */
struct budget {
    u64 amount, period;   /* constant: amount < period */
    u64 late_max;         /* constant */
    u64 left;             /* may be used now; with all pieces, it is `amount` */
    u64 debt;             /* used beyond what was left; taken off what comes back */
    u64 until;            /* TSC: the end of the last use; 0: it left no trace */
    struct budget_piece pieces[BUDGET_PIECES]; /* a ring, what is due first at `first` */
    u32 first, count;
    u32 members;          /* tree_lock: who shares it, from creation until memory is freed */
    struct list ready;    /* sched->peer: those that are queued or run */
    struct list throttled; /* sched->node */
    struct timer timer;   /* while anything is throttled: until the next piece is due */
};

struct sched {
    struct object obj;
    u32 cpu;               /* constant */
    u8 priority;           /* constant */
    u8 state;              /* enum sched_state; home CPU */
    bool vcpu;             /* set when it is bound: to a vCPU */
    u64 bit;               /* constant: of its priority, in runqueue.bitmap[priority / 64] */
    u64 slice;             /* constant, TSC ticks: after that it lets others of its priority run */
    u64 left;              /* of the slice, as of the last time it was taken off the CPU */
    u64 consumed;          /* TSC ticks, ever */
    u64 out_since;         /* a vCPU's: TSC when it could have run, but others did; 0: it runs, or is blocked */
    struct budget *budget; /* constant; NULL: no limit */
    struct ctx *bound;     /* whose it is; tree_lock to write */
    struct list node;      /* run queue, budget->throttled; PARKED: helpers.h */
    struct list equals;    /* PARKED: helpers.h */
    struct list followers; /* QUEUED: what is to be queued when it is picked; helpers.h */
    const struct ctx *origin; /* where the followers have been parked, and what says that nothing has changed since */
    u64 origin_handled, origin_changes;
    struct list peer;      /* budget->ready */
    struct list children;  /* tree_lock: those that were made under it, and die with it */
    struct list sibling;   /* tree_lock: among them */
    struct budget own[];   /* if it is limited, and not by the budget of the one that it was made under */
};

struct runqueue {
    u64 bitmap[CB_PRIORITIES / 64];
    struct list queue[CB_PRIORITIES];
};

/* Home CPU: puts it into the run queue (at the end, or the front if it was merely preempted), or throttles it. */
void sched_enqueue(struct sched *s);

/* The same for the first of those that are parked on `c`, two or more; the others follow it. */
void sched_enqueue_helpers(struct ctx *c);

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
 * priority than what runs, or if nothing runs. Else they are queued.
 */
void sched_hand_over(struct ctx *c);

/* cpu->sched goes behind all others of its priority. */
void sched_yield(void);

/*
 * Chooses what runs next and makes it cpu->sched and cpu->current (NULL: nothing to do). Follows chains: a
 * scheduling context whose context waits for a busy handler runs what keeps the handler busy.
 */
void sched_pick(void);

/* Timers that have expired by `now` take effect. */
void sched_timers(u64 now);

/*
 * schedcall.c, tree_lock held. Under `ceiling` (NULL: nobody). Budget and period are in microseconds, all is checked.
 * NULL: exhausted.
 */
struct sched *sched_alloc(struct account *account, struct sched *ceiling, u32 cpu_id, u32 priority, u64 budget, u64 period);
bool sched_kill(struct sched *s); /* one step; true when done */
bool sched_free(struct sched *s); /* false: others share its budget yet; a grace period later, again */

/* TSC ticks that it has run, up to now. Any CPU. */
u64 sched_consumed(const struct sched *s);

#endif
