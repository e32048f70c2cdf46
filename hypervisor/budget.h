/* SPDX-License-Identifier: GPL-2.0-only */
/* The budget of a scheduling context. Pure arithmetic, tested on the host; inline, since every switch needs it. */
#ifndef BUDGET_H
#define BUDGET_H

#include "sched.h"

#define DEBT_MAX 16u /* budgets: a time-stamp counter that jumps must not stop anybody for long */

/*
 * Its budget shrinks by what it has used. The interrupt that ends a budget may come late. With budget = period, the
 * budget is merely a time slice, and going beyond it does no harm.
 */
static inline void budget_use(struct sched *s, u64 ticks)
{
    u64 within = MIN(ticks, s->left);

    s->consumed += ticks;
    s->left -= within;
    if (s->limited)
        s->debt = MIN(s->debt + ticks - within, DEBT_MAX * s->budget);
}

/*
 * A new budget if it is time for one and it has not merely been preempted. False: none is left before `refill_at`.
 *
 * A period is over `period` ticks after its budget was given, and the next one begins when there is work to do: so
 * that between any two refills there is a period, whatever happens in it. With budget = period, the budget cannot
 * be used up before the period is over.
 */
static inline bool budget_refill(struct sched *s, u64 now, bool preempted)
{
    u64 owed = MIN(s->debt, s->budget);

    if (preempted && s->left)
        return true;
    if (now >= s->refill_at) {
        s->debt -= owed;
        s->left = s->budget - owed;
        s->refill_at = now + s->period;
    }
    return s->left != 0;
}

#endif
