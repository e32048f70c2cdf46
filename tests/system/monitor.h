/* SPDX-License-Identifier: GPL-2.0-only */
/* QEMU's monitor, and ISOs that differ from those built in a few bytes. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdio.h>

/* The monitor of a machine started with "-monitor unix:PATH,server=on,wait=off". */
FILE *monitor_open(const char *path);

/* Gives a command; what the monitor says before its next prompt. Valid until the next call. */
const char *monitor_do(FILE *monitor, const char *command);

/* Copies an ISO, and in it puts `text` in the place of `old`, which has the same length and is there. */
void iso_copy(const char *from, const char *to, const char *old, const char *text);

#endif
