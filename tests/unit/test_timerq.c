/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timer queue against a plain array, with random operations; and that its depth stays small whatever the order
 * of insertion.
 */
#include <criterion/criterion.h>

#include "random.h"
#include "timerq.h"

#define TIMERS 300u
#define MANY 20000u
#define DEPTH_MAX 80u /* a perfect tree of MANY has 15 levels, a random one about 35 */

static struct timerq queue;
static struct timer timers[MANY];

static const struct timer *model_first(unsigned count)
{
    const struct timer *first = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (timers[i].queued && (!first || timers[i].when < first->when))
            first = &timers[i];
    }
    return first;
}

/* Order, links and heap property below `t`; returns the depth, counts what it sees. */
static unsigned check_below(const struct timer *t, u64 low, u64 high, unsigned *seen)
{
    unsigned depth[2] = { 0, 0 };

    if (!t)
        return 0;
    ++*seen;
    cr_assert(t->queued);
    cr_assert(t->when >= low && t->when <= high, "out of order");
    for (unsigned side = 0; side < 2; side++) {
        const struct timer *child = t->child[side];

        if (!child)
            continue;
        cr_assert_eq(child->parent, t);
        cr_assert_leq(child->rank, t->rank);
        depth[side] = check_below(child, side ? t->when : low, side ? high : t->when, seen);
    }
    return 1 + MAX(depth[0], depth[1]);
}

static unsigned check(unsigned count)
{
    const struct timer *first = model_first(count);
    unsigned seen = 0, queued = 0, depth;

    depth = check_below(queue.root, 0, UINT64_MAX, &seen);
    for (unsigned i = 0; i < count; i++)
        queued += timers[i].queued;
    cr_assert_eq(seen, queued, "%u of %u timers are in the tree", seen, queued);
    cr_assert_eq(queue.first ? queue.first->when : 0, first ? first->when : 0, "the earliest is another one");
    cr_assert_eq(queue.first == NULL, first == NULL);
    cr_assert(!queue.root || !queue.root->parent);
    return depth;
}

Test(timerq, random_operations)
{
    for (unsigned n = 0; n < 50000; n++) {
        struct timer *t = &timers[random_below(TIMERS)];

        if (t->queued)
            timerq_remove(&queue, t);
        else
            timerq_insert(&queue, t, random_below(random_below(2) ? 20 : UINT64_MAX)); /* many are equal */
        if (n % 97 == 0)
            check(TIMERS);
    }
    check(TIMERS);
}

Test(timerq, expiring_in_order)
{
    u64 last = 0;

    for (unsigned i = 0; i < TIMERS; i++)
        timerq_insert(&queue, &timers[i], random_below(1000));
    for (unsigned i = 0; i < TIMERS; i++) {
        struct timer *t = queue.first;

        cr_assert_not_null(t);
        cr_assert_geq(t->when, last);
        last = t->when;
        timerq_remove(&queue, t);
    }
    cr_assert_null(queue.first);
    cr_assert_null(queue.root);
}

Test(timerq, removing_what_is_not_queued)
{
    timerq_remove(&queue, &timers[0]);
    timerq_insert(&queue, &timers[1], 5);
    timerq_remove(&queue, &timers[0]);
    check(2);
    timerq_remove(&queue, &timers[1]);
    timerq_remove(&queue, &timers[1]);
    cr_assert_null(queue.first);
}

Test(timerq, equal_times_keep_their_order)
{
    for (unsigned i = 0; i < 50; i++)
        timerq_insert(&queue, &timers[i], 7);
    for (unsigned i = 0; i < 50; i++) {
        cr_assert_eq(queue.first, &timers[i], "timer %u", i);
        timerq_remove(&queue, &timers[i]);
    }
}

/* What a hostile domain would choose. */
Test(timerq, depth)
{
    for (unsigned order = 0; order < 3; order++) {
        for (unsigned i = 0; i < MANY; i++)
            timerq_insert(&queue, &timers[i], order == 0 ? i : order == 1 ? MANY - i : 1);
        cr_assert_leq(check(MANY), DEPTH_MAX);
        for (unsigned i = 0; i < MANY; i++)
            timerq_remove(&queue, &timers[i]);
        cr_assert_null(queue.root);
    }
}
