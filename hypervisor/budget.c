/* SPDX-License-Identifier: GPL-2.0-only */
/* The budget of a scheduling context. Pure arithmetic, tested on the host. */
#include "sched.h"

void budget_use(struct sched *s, u64 ticks)
{
    s->consumed += ticks;
    s->left = ticks < s->left ? s->left - ticks : 0;
}

/*
 * A period is over `period` ticks after its budget was given, and the next one begins when there is work to do: so that between any two refills there
 * is a period, whatever happens in it. With budget = period, the budget cannot be used up before the period is over: then it is a time slice.
 */
bool budget_refill(struct sched *s, u64 now, bool preempted)
{
    if (preempted && s->left)
        return true;
    if (now >= s->refill_at) {
        s->left = s->budget;
        s->refill_at = now + s->period;
    }
    return s->left != 0;
}
