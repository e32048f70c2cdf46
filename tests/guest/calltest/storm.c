/* SPDX-License-Identifier: GPL-2.0-only */
/* What one CPU can do to another by calls that concern its threads. */
#include "calltest.h"

#include "clock.h"
#include "lock.h"

#define TARGETS 48u
#define ROUND clock_ticks(100 * MS)

static uint32_t targets[TARGETS];
static volatile uint64_t progress;
static volatile uint32_t over, recalls;

/* From time to time: under QEMU's instruction counting, only this lets the other CPUs run. */
static void pause_each(uint64_t n)
{
    if (n % 16 == 0)
        lock_pause();
}

static void count(void *argument)
{
    (void)argument;
    while (!over)
        pause_each(++progress);
}

static void idle(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    message->a5 = 0;
}

/* One on each CPU but the victim's: busy with recalls, or with itself. */
static void attack(void *argument)
{
    (void)argument;
    for (uint32_t n = 0; !over; n++) {
        (void)!(recalls ? cb_recall(targets[n % TARGETS]) : cb_null());
        pause_each(n);
    }
}

static uint64_t counted(bool recall)
{
    recalls = recall;
    uint64_t before = progress, end = clock_tsc() + ROUND;

    for (uint32_t n = 0; clock_tsc() < end; n++) {
        (void)!(recall ? cb_recall(targets[0]) : cb_null());
        pause_each(n);
    }
    return progress - before;
}

/* Recalls of threads that have nothing to be recalled from cost the CPU nothing on which they live. */
void test_storm_recall(void)
{
    uint64_t alone = 0, stormed = 0;
    uint32_t victim = test_other_cpu();

    over = recalls = 0;
    for (uint32_t i = 0; i < TARGETS; i++) {
        struct thread *t = test_handler(victim, idle, NULL);

        CHECK(t);
        targets[i] = t->sel;
    }
    CHECK(test_thread(victim, PRIORITY_LOW, count, NULL));
    for (uint32_t n = 0; progress < 1000; n++) {
        (void)!cb_yield();
        pause_each(n);
    }
    for (uint32_t cpu = 0; cpu < task_info()->cpu_count; cpu++)
        CHECK(cpu == victim || cpu == CPU_MAIN || test_thread(cpu, PRIORITY_LOW, attack, NULL));
    for (uint32_t i = 0; i < 3; i++) { /* in turns: an emulator's host has other things to do, too */
        alone += counted(false);
        stormed += counted(true);
    }
    over = 1;

    if (stormed < alone / 10)
        test_fail(__FILE__, __LINE__, "counted %lu alone, %lu in the storm", alone, stormed);
}
