/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The service "tardy", with time of its own: answers calls whose first word is 0 with the words that they brought plus
 * one, and no others, ever.
 */
#include "corbel.h"

static void handle(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    while (message->a1 != 0)
        thread_sleep_until(CB_DEADLINE_NONE);
    *message = (struct cb_args){message->a1 + 1, message->a2 + 1, message->a3 + 1, message->a4 + 1, 0};
}

static void serve_on(uint32_t cpu)
{
    struct thread *handler;
    uint32_t portal;

    if (thread_handler(cpu, handle, NULL, &handler) != CB_OK ||
        thread_handler_serve(handler, (uint32_t)task_info()->priority) != CB_OK ||
        thread_portal(handler, 0, 0, &portal) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "no handler on CPU %u", cpu);
    if (!grant_offer(cpu, portal))
        task_exit(CB_EXIT_REASON_FAILED, "root refuses the portal for CPU %u", cpu);
}

void task_main(const struct cb_task_info *info)
{
    for (uint32_t cpu = 0; cpu < info->cpu_count; cpu++)
        if (info->cpu_mask >> cpu & 1)
            serve_on(cpu);
    if (!grant_offer_ready())
        task_exit(CB_EXIT_REASON_FAILED, "root refuses the service");
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}
