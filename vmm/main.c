/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMM: one unprivileged task for each virtual machine. */
#include <corbel.h>

#include "machine.h"

void task_main(const struct cb_task_info *info)
{
    machine_create(info);
    for (;;) /* from now on, the device thread and the vCPUs' handlers do everything */
        thread_sleep_until(CB_DEADLINE_NONE);
}
