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

static struct budget fresh(u64 amount, u64 period)
{
    return (struct budget){ .amount = amount, .left = amount, .period = period, .late_max = 1000 * period };
}

Test(budget, comes_back_a_period_after_its_use_began)
{
    struct budget b = fresh(20, 100);

    budget_use(&b, 1000, 1020);
    cr_assert_eq(b.left, 0);
    cr_assert_eq(budget_next(&b), 1100);
    budget_refill(&b, 1099);
    cr_assert_eq(b.left, 0);
    budget_refill(&b, 1100);
    cr_assert_eq(b.left, 20);
}

/* Half of it early, the rest late in the period: then not all of it at once in the next one. */
Test(budget, is_not_given_twice_back_to_back)
{
    struct budget b = fresh(20, 100);

    budget_use(&b, 1000, 1001);
    budget_use(&b, 1081, 1100);
    budget_refill(&b, 1100);
    cr_assert_eq(b.left, 1);
    budget_refill(&b, 1180);
    cr_assert_eq(b.left, 1);
    budget_refill(&b, 1181);
    cr_assert_eq(b.left, 20);
}

Test(budget, one_use_is_one_piece_however_often_it_is_counted)
{
    struct budget b = fresh(90, 100);

    for (u64 now = 1000; now < 1090; now += 3)
        budget_use(&b, now, now + 3);
    budget_refill(&b, 1100);
    cr_assert_eq(b.left, 90);
}

/* Begins with no time at all: what follows comes back no sooner for that. */
Test(budget, an_empty_use_begins_nothing)
{
    struct budget b = fresh(50, 800);

    budget_use(&b, 1000, 1010);
    budget_use(&b, 1050, 1050);
    budget_use(&b, 1050, 1090);
    budget_refill(&b, 1849);
    cr_assert_eq(b.left, 0);
    budget_refill(&b, 1850);
    cr_assert_eq(b.left, 50);
}

Test(budget, a_late_end_is_owed)
{
    struct budget b = fresh(20, 100);

    budget_use(&b, 1000, 1070); /* 50 too many: two and a half periods' */
    budget_refill(&b, 1100);
    cr_assert_eq(b.left, 0);
    budget_refill(&b, 1200);
    cr_assert_eq(b.left, 0);
    budget_refill(&b, 1300);
    cr_assert_eq(b.left, 10);
    cr_assert_eq(b.debt, 0);
}

/* However often it happens, no debt is forgiven; but what is later than any call can make it does not count. */
Test(budget, debts_add_up)
{
    struct budget b = fresh(20, 100);

    b.late_max = 30;
    for (unsigned n = 0; n < 1000; n++)
        budget_use(&b, 1000 + n * 50, 1000 + n * 50 + 50);
    cr_assert_eq(b.debt, 30 + 999 * 30);
    b = fresh(20, 100);
    b.late_max = 30;
    budget_use(&b, 1000, UINT64_MAX / 2);
    cr_assert_eq(b.debt, 30);
}

#define USES 4096u

struct use {
    u64 from, to;
};

/* How much of the last `count` uses lies in the period before `now`. */
static u64 used_in(const struct use *uses, unsigned count, u64 period, u64 now)
{
    u64 sum = 0, begin = now - period;

    for (unsigned i = count; i-- > 0 && uses[i].to > begin;)
        sum += uses[i].to - MAX(uses[i].from, begin);
    return sum;
}

/* Runs when it may, for random times, ended by an interrupt that comes up to `late` ticks late. */
static void random_uses(u64 amount, u64 period, u64 late, bool greedy)
{
    static struct use uses[USES];
    struct budget b = fresh(amount, period);
    u64 now = 100000, begin = now, used = 0;

    for (unsigned n = 0; n < USES; n++) {
        u64 run;

        budget_refill(&b, now);
        while (b.left == 0) {
            now = MAX(now, budget_next(&b)) + random_below(late + 1);
            budget_refill(&b, now);
        }
        run = greedy || random_below(3) == 0 ? b.left + random_below(late + 1) : 1 + random_below(b.left);
        budget_use(&b, now, now + run);
        uses[n] = (struct use){ now, now + run };
        now += run;
        used += run;
        cr_assert_leq(used_in(uses, n + 1, period, now), amount + late * (BUDGET_PIECES + 2));
        if (!greedy && random_below(3))
            now += random_below(random_below(20) ? period / 4 : 2 * period);
    }
    cr_assert_leq(used, ((now - begin) / period + 1) * amount + late, "in the long run");
    if (greedy)
        cr_assert_geq(used, (now - begin) / (period + period / BUDGET_PIECES + late) * amount * 9 / 10, "all that it may");
}

Test(budget, no_period_sees_more)
{
    for (unsigned round = 0; round < 50; round++) {
        u64 period = 100 + random_below(10000), amount = 5 + random_below(period - 10);

        random_uses(amount, period, 0, false);
        random_uses(amount, period, 0, true);
        random_uses(amount, period, 1 + amount / 10, false);
        random_uses(amount, period, 1 + amount / 10, true);
    }
}
