/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In the place of the console service: takes clients, and prints nothing of what comes. When a client named "unheard" is
 * introduced, it does not answer any more.
 */
#include "corbel.h"

#include <corbel/console.h>

#include <string.h>

static void handle(uint64_t badge, struct cb_args *message)
{
    static bool silent;
    struct cb_utcb *utcb = thread_utcb();
    bool attach = message->a1 == CB_CONSOLE_ATTACH;

    (void)badge;
    silent |= attach && strncmp((const char *)utcb->words, "unheard", CB_CONSOLE_NAME) == 0;
    while (silent)
        thread_sleep_until(CB_DEADLINE_NONE);
    *message = (struct cb_args){0};
    if (!attach)
        return;
    utcb->window = sel_alloc_range(2);
    utcb->items[0] = (struct cb_item){.sel = thread_self()->event, .rights = CB_RIGHT_SIGNAL};
    *message = (struct cb_args){.a2 = utcb->window, .a5 = CB_INFO(0, 1, 0)};
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
