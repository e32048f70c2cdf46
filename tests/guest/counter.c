/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task for tests: prints a counter. Its `bootargs` are words:
 *
 *   count=N  lines to print (default 10)      interval=MS  time between them (default 1000)
 *   end=done, end=failed, end=crash           how it ends; a crash is a page fault at 0xdead000
 */
#include "corbel.h"

#include <libfdt.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_ADDRESS 0xdead000ull

static const char *bootargs(const struct cb_task_info *info)
{
    const void *fdt = (const void *)CB_TASK_FDT_ADDRESS;
    int length;
    const char *text = fdt_check_full(fdt, info->fdt_size) == 0 ? fdt_getprop(fdt, 0, "bootargs", &length) : NULL;

    return text && length > 0 && text[length - 1] == 0 ? text : "";
}

static uint64_t number(const char *text, const char *name, uint64_t otherwise)
{
    const char *at = strstr(text, name);

    return at ? strtoul(at + strlen(name), NULL, 0) : otherwise;
}

void task_main(const struct cb_task_info *info)
{
    const char *text = bootargs(info);
    uint64_t count = number(text, "count=", 10), interval = number(text, "interval=", 1000);

    for (uint64_t i = 1; i <= count; i++) {
        print("count %lu\n", i);
        thread_sleep_us(interval * 1000);
    }
    if (strstr(text, "end=failed"))
        task_exit(CB_EXIT_REASON_FAILED, "told to fail");
    if (strstr(text, "end=crash"))
        *(volatile uint8_t *)CRASH_ADDRESS = 1;
}
