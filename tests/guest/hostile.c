/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A task with an account, ram and threads on all CPUs that does its worst by every call, one attack after the other, for
 * `ms` of the TSC's time each. `bootargs`: ms=N, size=PERCENT (of all that is many), only=NUMBER (of one attack).
 */
#include "hostile/hostile.h"

uint32_t sels, here, there;
bool with_vcpus;
uint64_t size;

static struct score *score;
static uint32_t number;
static uint64_t ticks, only;

static void victims(bool run)
{
    score->run = run;
    for (uint32_t cpu = 0; cpu <= here; cpu++)
        while (score->spinning[cpu] != run)
            thread_sleep_us(1000);
}

static void attack(const struct attack *a)
{
    uint64_t end, steps = 0;
    bool possible;

    if (only != ~0ull && only != number)
        return;
    possible = !a->start || a->start();
    if (possible) {
        victims(true);
        MARK(MARK_PHASE);
        for (end = clock_tsc() + ticks; clock_tsc() < end; steps++)
            a->step();
        MARK(MARK_END);
        victims(false);
        print("hostile: phase %u: %lu steps: %s\n", number, steps, a->name);
    } else {
        print("hostile: not here: %s\n", a->name);
    }
    if (a->end)
        a->end();
}

static void attack_all(void *argument)
{
    (void)argument;
    for (const struct attack *a = attacks_memory; a->name; a++, number++)
        attack(a);
    for (const struct attack *a = attacks_threads; a->name; a++, number++)
        attack(a);
    score->over = 1;
    task_exit(CB_EXIT_REASON_DONE, "all attacks are over");
}

void task_main(const struct cb_task_info *info)
{
    struct thread *thread;
    struct grant_link link;

    if (!grant_link("score", &link))
        task_exit(CB_EXIT_REASON_FAILED, "there is no link to the victim");
    score = link.address;
    here = info->cpu_count > 1;
    there = 0;
    with_vcpus = !info->no_vcpu[0];
    ticks = clock_ticks(task_number("ms=", 20) * 1000);
    size = task_number("size=", 100);
    only = task_number("only=", ~0ull);
    sels = sel_alloc_range(SELS);
    if (!sels || thread_start(here, VICTIM_PRIORITY, attack_all, NULL, &thread) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "the attacker cannot be made");
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}
