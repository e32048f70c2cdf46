/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before sources of native tasks (-include): the task information stands where a test puts it. */
#ifndef TASK_FAKE_H
#define TASK_FAKE_H

#include <corbel/task.h>

extern struct cb_task_info task_fake;

#undef CB_TASK_INFO_ADDRESS
#define CB_TASK_INFO_ADDRESS ((uintptr_t)&task_fake)

#endif
