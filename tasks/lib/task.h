/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task started by root. The entry code prepares the library and calls task_main(); when that
 * returns, the task has ended well.
 */
#ifndef LIB_TASK_H
#define LIB_TASK_H

#include <corbel/task.h>

#include <stddef.h>
#include <stdint.h>

/* Written by the task. */
void task_main(const struct cb_task_info *info);

/* The page that root wrote, also outside of task_main(). */
static inline const struct cb_task_info *task_info(void)
{
    return (const struct cb_task_info *)CB_TASK_INFO_ADDRESS;
}

/* Ends the task with CB_EXIT_REASON_* and the reason in words, which root prints. Any thread may. */
_Noreturn void task_exit(uint64_t reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text of the manifest's property `bootargs`, empty if there is none. */
const char *task_bootargs(void);

/* The number behind `name` (as "count=") in it; `otherwise` if that is not there. */
uint64_t task_number(const char *name, uint64_t otherwise);

/* The bytes of the module with this name, NULL if there is none. */
const void *task_module(const char *name, size_t *size);

#endif
