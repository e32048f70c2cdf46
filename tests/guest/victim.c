/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread on each of two CPUs that counts while the task `hostile` attacks, and sleeps in between. What it gets done, and how
 * long it cannot, sees the plugin tests/bench/closed.c by its marks.
 */
#include "hostile/hostile.h"

#define TICK_US 50u
#define VICTIMS 2u /* on the first CPUs */

static struct score *score;

/* Between two marks are always as many instructions: VICTIM_ROUND in tests/bench/closed.c. */
static void spin(void)
{
    __asm__ volatile("1: .byte 0x0f, 0x1f, 0x80; .long %c1\n\t"
                     "mov $100, %%ecx\n\t"
                     "2: dec %%ecx\n\t"
                     "jnz 2b\n\t"
                     "cmpl $0, %0\n\t"
                     "jne 1b"
                     : : "m"(score->run), "i"(MARK_BASE + MARK_VICTIM) : "ecx", "cc", "memory");
}

static void suffer(void *cpu)
{
    for (;;) {
        while (!score->run)
            thread_sleep_us(1000);
        score->spinning[(uintptr_t)cpu] = 1;
        spin();
        score->spinning[(uintptr_t)cpu] = 0;
    }
}

/* QEMU with one clock for all CPUs changes from one to the other at timers alone. */
static void tick(void *argument)
{
    (void)argument;
    for (;;)
        thread_sleep_us(TICK_US);
}

void task_main(const struct cb_task_info *info)
{
    struct thread *thread;
    struct grant_link link;

    if (!grant_link("score", &link))
        task_exit(CB_EXIT_REASON_FAILED, "there is no link to the attacker");
    score = link.address;
    for (uintptr_t cpu = 0; cpu < info->cpu_count && cpu < VICTIMS; cpu++)
        if (thread_start((uint32_t)cpu, VICTIM_PRIORITY, suffer, (void *)cpu, &thread) != CB_OK)
            task_exit(CB_EXIT_REASON_FAILED, "a thread cannot be made");
    if (thread_start(info->cpu_count - 1, (uint32_t)info->priority, tick, NULL, &thread) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "a thread cannot be made");
    while (!score->over)
        thread_sleep_us(10000);
}
