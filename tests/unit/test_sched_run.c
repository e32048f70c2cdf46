/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler itself, with random workloads: sched_world.c holds each step against what it promises. */
#include <criterion/criterion.h>

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

static void random_actors(unsigned count, unsigned priorities)
{
    world_init();
    for (unsigned i = 0; i < count; i++) {
        struct actor *a = world_add((u8)(1 + random_below(priorities)), MS, MS);

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
