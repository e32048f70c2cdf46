/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler itself, with random workloads: sched_world.c holds each step against what it promises. */
#include <criterion/criterion.h>

#include "budget.h"
#include "cpu.h"
#include "random.h"
#include "sched_world.h"

#define MS 1000u

/* The third, which is above both, runs 5 us of each ms; so what runs is preempted again and again within its slice. */
Test(sched_run, equals_share_below_a_third)
{
    struct actor *first, *second, *third;

    world_init();
    first = world_add(10, 10 * MS, 10 * MS);
    second = world_add(10, 10 * MS, 10 * MS);
    third = world_add(11, 10 * MS, 10 * MS);
    third->work = third->work_max = 10;
    third->sleep_max = 2 * MS;
    world_run(1500 * MS);
    cr_assert_geq(first->ran, 700 * MS, "one ran for %lu of 1500", (unsigned long)first->ran / MS);
    cr_assert_geq(second->ran, 700 * MS, "one ran for %lu of 1500", (unsigned long)second->ran / MS);
}

/* Who blocks just before its slice is over gets no more for it than who does not. */
Test(sched_run, equals_share_with_one_that_blocks)
{
    struct actor *steady, *sly;

    world_init();
    steady = world_add(10, 10 * MS, 10 * MS);
    sly = world_add(10, 10 * MS, 10 * MS);
    sly->work = sly->work_max = 10 * MS - 100;
    sly->sleep_max = 1;
    world_run(1000 * MS);
    cr_assert_geq(steady->ran, 490 * MS);
}

/* Alone, what is left of a slice does not matter; a rival that comes then need not wait. */
Test(sched_run, a_rival_comes_late)
{
    struct actor *alone, *late;

    world_init();
    alone = world_add(10, 10 * MS, 10 * MS);
    world_run(95 * MS);
    cr_assert_geq(alone->ran, 94 * MS);
    late = world_add(10, 10 * MS, 10 * MS);
    world_run(1 * MS);
    cr_assert_geq(late->ran, MS - 50);
}

/* Alone and of the highest priority, it gets what it may, and no more. */
Test(sched_run, a_limited_one_gets_its_budget)
{
    struct actor *limited, *other;

    world_init();
    limited = world_add(11, 2 * MS, 10 * MS);
    other = world_add(10, 10 * MS, 10 * MS);
    world_run(1000 * MS);
    cr_assert_geq(limited->ran, 190 * MS, "%lu", (unsigned long)limited->ran);
    cr_assert_leq(limited->ran, 204 * MS, "%lu", (unsigned long)limited->ran);
    cr_assert_geq(other->ran, 790 * MS);
}

/* A handler with time of its own blocks while a caller's time runs it: when it goes on, that of the higher priority leads. */
Test(sched_run, who_blocks_is_parked_by_priority)
{
    struct actor *handler, *caller;
    struct list *helpers;

    world_init();
    handler = world_add(10, 10 * MS, 10 * MS);
    caller = world_add(11, 10 * MS, 10 * MS);
    helpers = &handler->thread.ctx.helpers;
    sched_pick();
    cr_assert_eq(cpu.sched, &caller->sched);
    sched_dequeue(&handler->sched);
    handler->sched.state = SCHED_PARKED;
    list_append(helpers, &handler->sched.node);
    cpu.current = NULL;
    (void)!sched_block(helpers);
    cr_assert_eq(helpers->next, &caller->sched.node);
    cr_assert_eq(helpers->prev, &handler->sched.node);
}

/* Those that share a budget get no more than one of them; and each of an equal priority gets some of it. */
Test(sched_run, many_share_a_budget)
{
    struct actor *first, *other, *shares[10];
    u64 sum;

    world_init();
    first = world_add(11, 2 * MS, 10 * MS);
    other = world_add(10, 10 * MS, 10 * MS);
    for (unsigned i = 0; i < 10; i++)
        shares[i] = world_share(first, (u8)(i < 5 ? 11 : 10), 10 * MS);
    world_run(2000 * MS);
    sum = first->ran;
    for (unsigned i = 0; i < 10; i++) {
        sum += shares[i]->ran;
        if (i < 5)
            cr_assert_geq(shares[i]->ran, 40 * MS, "%u: %lu", i, (unsigned long)shares[i]->ran);
    }
    cr_assert_leq(sum, 408 * MS, "%lu", (unsigned long)sum);
    cr_assert_geq(other->ran, 1590 * MS);
}

static void random_actors(unsigned count, unsigned priorities)
{
    world_init();
    for (unsigned i = 0; i < count; i++) {
        bool shares = i && actors[i - 1].sched.budget && random_below(2);
        u64 period = MS + random_below(5 * MS), budget = random_below(3) ? period : 50 + random_below(period / 2);
        u8 priority = (u8)(1 + random_below(priorities));
        struct actor *a = shares ? world_share(&actors[i - 1], priority, MS) : world_add(priority, budget, period);

        if (random_below(3)) {
            a->work_max = 1 + random_below(2 * MS);
            a->work = 1;
            a->sleep_max = 1 + random_below(20 * MS);
            a->yields = (unsigned)random_below(3);
        }
    }
}

Test(sched_run, random_workloads)
{
    for (unsigned round = 0; round < 200; round++) {
        random_actors(2 + (unsigned)random_below(ACTORS - 2), 1 + (unsigned)random_below(5));
        world_run(100 * MS);
    }
}

/* It has used up its budget, and blocked; when it is ready again, the timer is set for what comes back. */
Test(sched_run, what_wakes_without_a_budget_comes_back)
{
    struct actor *a;

    world_init();
    a = world_add(10, 100000, 1000000);
    sched_dequeue(&a->sched);
    budget_use(&a->budget, world_clock, world_clock + 100000);
    world_clock += 100000;
    cpu.armed = UINT64_MAX;
    sched_enqueue(&a->sched);
    cr_assert_eq(a->sched.state, SCHED_THROTTLED);
    cr_assert_eq(cpu.armed, a->budget.timer.when);
}
