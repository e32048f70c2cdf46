/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A native task that reads its console: it repeats each line, ends at "end", and wants to be started again at "again".
 * With "deaf" in its `bootargs` it never reads.
 */
#include "corbel.h"

#include <string.h>

static void read_line(char line[80])
{
    size_t length = 0;

    while (length < 79 && stream_read(line + length, 1, CB_DEADLINE_NONE) == 1 && line[length] != '\n')
        length++;
    line[length] = 0;
}

void task_main(const struct cb_task_info *info)
{
    char line[80] = "";

    (void)info;
    print("ready\n");
    while (strstr(task_bootargs(), "deaf"))
        thread_sleep_until(CB_DEADLINE_NONE);
    while (strcmp(line, "end") != 0) {
        read_line(line);
        print("got %s\n", line);
        if (strcmp(line, "again") == 0)
            task_exit(CB_EXIT_REASON_REBOOT, "told to");
    }
}
