/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The service "echo": a call comes back with the words it was made with, those in registers and those in the UTCB.
 * For measuring calls, and as the shortest example of a service. One handler on each CPU that the task may use; if these
 * are not all, the handlers have time of their own, so that they can be called from the others.
 */
#include "corbel.h"

#include <stdbool.h>

static void echo(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    /* The UTCB still holds the caller's words. Capabilities do not come back: there is no window for them. */
    message->a5 = CB_INFO(CB_INFO_WORDS(message->a5), 0, 0);
}

/* others: there are CPUs without a handler */
static void serve_on(uint32_t cpu, bool others)
{
    struct thread *handler;
    uint32_t portal;
    uint64_t status = thread_handler(cpu, echo, NULL, &handler);

    if (status == CB_OK && others)
        status = thread_handler_serve(handler, (uint32_t)task_info()->priority);
    if (status == CB_OK)
        status = thread_portal(handler, 0, 0, &portal);
    if (status != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "no handler on CPU %u: %s", cpu, cb_status_text(status));
    if (!grant_offer(cpu, portal))
        task_exit(CB_EXIT_REASON_FAILED, "root refuses the portal for CPU %u: is there `provides` in the manifest?", cpu);
}

void task_main(const struct cb_task_info *info)
{
    bool others = false;

    for (uint32_t cpu = 0; cpu < info->cpu_count; cpu++)
        others |= (info->cpu_mask >> cpu & 1) == 0;
    for (uint32_t cpu = 0; cpu < info->cpu_count; cpu++)
        if (info->cpu_mask >> cpu & 1)
            serve_on(cpu, others);
    if (!grant_offer_ready())
        task_exit(CB_EXIT_REASON_FAILED, "root refuses the service");
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}
