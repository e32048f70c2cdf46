/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task for tests: prints a counter. Its `bootargs` are words:
 *
 *   count=N  lines to print (default 10)      interval=MS  time between them (default 1000)
 *   end=done, end=failed, end=crash           how it ends; a crash is a page fault at 0xdead000
 *   end=flood, end=rant                       it does not end, but prints as fast as the console takes it: lines, or
 *                                             one that does not end
 */
#include "corbel.h"

#include <string.h>

#define CRASH_ADDRESS 0xdead000ull

void task_main(const struct cb_task_info *info)
{
    uint64_t count = task_number("count=", 10), interval = task_number("interval=", 1000);

    (void)info;
    for (uint64_t i = 1; i <= count; i++) {
        print("count %lu\n", i);
        thread_sleep_us(interval * 1000);
    }
    if (strstr(task_bootargs(), "end=failed"))
        task_exit(CB_EXIT_REASON_FAILED, "told to fail");
    while (strstr(task_bootargs(), "end=flood"))
        print("................................................................................................\n");
    while (strstr(task_bootargs(), "end=rant"))
        print("and another thing, ");
    if (strstr(task_bootargs(), "end=crash"))
        *(volatile uint8_t *)CRASH_ADDRESS = 1;
}
