/* SPDX-License-Identifier: GPL-2.0-only */
/* Run queue and budgets: the run queue against a naive model, budgets against what they promise. */
#include <criterion/criterion.h>
#include <string.h>

#include "budget.h"
#include "random.h"
#include "runqueue.h"

#define SCHEDS 200u

static struct runqueue queue;
static struct sched scheds[SCHEDS];

/* The model: an array in the order in which they run, whatever their priority. */
static struct sched *model[SCHEDS];
static unsigned model_count;

static void model_insert(struct sched *s, bool front)
{
    unsigned at = front ? 0 : model_count;

    memmove(&model[at + 1], &model[at], (model_count - at) * sizeof(*model));
    model[at] = s;
    model_count++;
}

static void model_remove(const struct sched *s)
{
    unsigned at = 0;

    while (model[at] != s)
        at++;
    model_count--;
    memmove(&model[at], &model[at + 1], (model_count - at) * sizeof(*model));
}

static const struct sched *model_first(void)
{
    const struct sched *first = NULL;

    for (unsigned i = 0; i < model_count; i++) {
        if (!first || model[i]->priority > first->priority)
            first = model[i];
    }
    return first;
}

static void init(u8 priorities)
{
    runqueue_init(&queue);
    for (unsigned i = 0; i < SCHEDS; i++) {
        list_init(&scheds[i].node);
        scheds[i].priority = (u8)(1 + random_below(priorities));
        scheds[i].bit = 1ull << scheds[i].priority % 64;
    }
}

static void random_operations(u8 priorities)
{
    init(priorities);
    for (unsigned n = 0; n < 20000; n++) {
        struct sched *s = &scheds[random_below(SCHEDS)];
        bool front = random_below(2);

        if (list_empty(&s->node)) {
            runqueue_insert(&queue, s, front);
            model_insert(s, front);
        } else {
            runqueue_remove(&queue, s);
            model_remove(s);
        }
        cr_assert_eq(runqueue_first(&queue), model_first());
    }
}

Test(sched, few_priorities)
{
    random_operations(3);
}

Test(sched, all_priorities)
{
    random_operations(CB_PRIORITIES - 1);
}

Test(sched, an_empty_queue)
{
    init(1);
    cr_assert_null(runqueue_first(&queue));
    runqueue_insert(&queue, &scheds[0], true);
    runqueue_remove(&queue, &scheds[0]);
    cr_assert_null(runqueue_first(&queue));
}

/* ---- Budgets ---- */

Test(budget, first_use_gives_one)
{
    struct sched s = { .budget = 20, .period = 100, .limited = true };

    cr_assert(budget_refill(&s, 1000, false));
    cr_assert_eq(s.left, 20);
    cr_assert_eq(s.refill_at, 1100);
}

Test(budget, exhausted_until_the_period_is_over)
{
    struct sched s = { .budget = 20, .period = 100, .limited = true };

    cr_assert(budget_refill(&s, 1000, false));
    budget_use(&s, 20);
    cr_assert_not(budget_refill(&s, 1020, true));
    cr_assert_not(budget_refill(&s, 1099, false));
    cr_assert(budget_refill(&s, 1100, false));
    cr_assert_eq(s.left, 20);
    cr_assert_eq(s.consumed, 20);
}

Test(budget, preemption_and_sleep_within_a_period_give_nothing)
{
    struct sched s = { .budget = 20, .period = 100, .limited = true };

    cr_assert(budget_refill(&s, 1000, false));
    budget_use(&s, 15);
    cr_assert(budget_refill(&s, 1015, true));
    cr_assert_eq(s.left, 5);
    cr_assert(budget_refill(&s, 1050, false));
    cr_assert_eq(s.left, 5);
    cr_assert(budget_refill(&s, 1150, true)); /* merely preempted: it keeps what it has */
    cr_assert_eq(s.left, 5);
}

Test(budget, a_late_end_is_taken_off_the_next)
{
    struct sched s = { .budget = 20, .period = 100, .limited = true };

    cr_assert(budget_refill(&s, 1000, false));
    budget_use(&s, 50); /* 30 too many */
    cr_assert_not(budget_refill(&s, 1100, false));
    cr_assert_eq(s.refill_at, 1200);
    cr_assert(budget_refill(&s, 1200, false));
    cr_assert_eq(s.left, 10);
}

Test(budget, debt_has_an_end)
{
    struct sched s = { .budget = 20, .period = 100, .limited = true };
    u64 now = 1000;
    unsigned periods = 0;

    cr_assert(budget_refill(&s, now, false));
    budget_use(&s, UINT64_MAX / 2);
    while (!budget_refill(&s, now, false)) {
        now = s.refill_at;
        periods++;
    }
    cr_assert_leq(periods, 17);
}

Test(budget, a_time_slice_never_throttles)
{
    struct sched s = { .budget = 100, .period = 100 };
    u64 now = 1000;

    cr_assert(budget_refill(&s, now, false));
    for (unsigned n = 0; n < 1000; n++) {
        u64 used = random_below(250); /* its end comes late, or it is preempted before */

        budget_use(&s, used);
        now += used + (random_below(2) ? random_below(50) : 0);
        cr_assert(budget_refill(&s, now, s.left != 0));
    }
    cr_assert_eq(s.debt, 0);
}

/* Runs when it may, for random times, ended by an interrupt that comes up to 10 ticks late. */
Test(budget, in_the_long_run)
{
    struct sched s = { .budget = 200, .period = 1000, .limited = true };
    u64 now = 5000, begin = now;

    while (now < begin + 1000000) {
        u64 run;

        if (!budget_refill(&s, now, false)) {
            now = s.refill_at + random_below(5);
            continue;
        }
        run = random_below(3) ? s.left + random_below(10) : random_below(s.left + 1);
        budget_use(&s, run);
        now += run + (random_below(4) ? 0 : random_below(300));
    }
    cr_assert_leq(s.consumed, (now - begin) / 1000 * 200 + 400);
}
