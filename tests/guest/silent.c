/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the place of the console service: takes root as its client, prints nothing of what comes, and does not answer any
 * further request.
 */
#include "corbel.h"

static void handle(uint64_t badge, struct cb_args *message)
{
    static bool asked;

    (void)badge;
    while (asked)
        thread_sleep_until(CB_DEADLINE_NONE);
    asked = true;
    thread_utcb()->items[0] = (struct cb_item){.sel = thread_self()->event, .rights = CB_RIGHT_SIGNAL};
    *message = (struct cb_args){.a2 = 2, .a5 = CB_INFO(0, 1, 0)};
}

void task_main(const struct cb_task_info *info)
{
    struct cb_args message = {CB_ROOT_SERVE, CB_SERVE_CONSOLE, 0, 0, CB_INFO(0, 1, 0)};
    struct thread *handler;
    uint32_t portal;

    (void)info;
    if (thread_handler(0, handle, NULL, &handler) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "no handler");
    handler->utcb->window = sel_alloc_range(2);
    handler->utcb->window_count = 2;
    if (thread_portal(handler, 0, 0, &portal) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "no portal");
    thread_utcb()->items[0] = (struct cb_item){.sel = portal, .rights = CB_RIGHT_CALL};
    if (cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message) != CB_OK || message.a1 != 0)
        task_exit(CB_EXIT_REASON_FAILED, "root does not take the portal");
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}
