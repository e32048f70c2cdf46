/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Budgets: pure arithmetic, tested on the host. What is used of a budget comes back a period after its use began, so
 * that no period, wherever it begins, sees more than the budget. Uses that begin within an eighth of a period are
 * kept as one piece, which comes back as late as its last one must.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include "sched.h"

static inline struct budget_piece *budget_at(struct budget *b, u32 n)
{
    return &b->pieces[(b->first + n) % BUDGET_PIECES];
}

/* Notes that `ticks` of it have been used, from `since` on. */
static inline void budget_note(struct budget *b, u64 since, u64 ticks)
{
    struct budget_piece *last = b->count ? budget_at(b, b->count - 1) : NULL;
    bool goes_on = last && since == b->until;

    if (!ticks)
        return;
    if (last && (goes_on || since - last->begin < b->period / BUDGET_PIECES || b->count == BUDGET_PIECES)) {
        last->amount += ticks;
        if (!goes_on)
            last->due = since + b->period;
    } else {
        *budget_at(b, b->count) = (struct budget_piece){ .begin = since, .due = since + b->period, .amount = ticks };
        b->count++;
    }
}

/*
 * Used from `since` to `now`. The interrupt that ends a budget may come late: that is owed, however much it adds up
 * to. But what is later than any call can make it, is not the user's doing: the machine has stood still.
 */
static inline void budget_use(struct budget *b, u64 since, u64 now)
{
    u64 ticks = now - since, within = MIN(ticks, b->left);

    b->left -= within;
    b->debt += MIN(ticks - within, b->late_max);
    budget_note(b, since, within);
    b->until = within ? now : 0;
}

/* What is due by `now` comes back, and pays what is owed first: that is as good as used now. */
static inline void budget_refill(struct budget *b, u64 now)
{
    u64 paid;

    while (b->count && budget_at(b, 0)->due <= now) {
        b->left += budget_at(b, 0)->amount;
        b->first = (b->first + 1) % BUDGET_PIECES;
        b->count--;
    }
    paid = MIN(b->debt, b->left);
    b->debt -= paid;
    b->left -= paid;
    budget_note(b, now, paid);
}

/* Nothing is left: when something comes back. */
static inline u64 budget_next(struct budget *b)
{
    return budget_at(b, 0)->due;
}

#endif
