/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * root's own lines. Until the console service takes them, and when it is no more, they go to COM1 directly.
 * Only root's main thread prints.
 */
#ifndef ROOT_OUTPUT_H
#define ROOT_OUTPUT_H

#include <stdbool.h>

/* One line, with "root: " before it and a line end after it. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether lines go through the ring page given to stream_init(). */
void output_use_stream(bool use);

/* Waits until all that was printed has left the machine. */
void output_drain(void);

#endif
