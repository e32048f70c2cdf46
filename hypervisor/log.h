/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypervisor's log: a ring of text, shown on the serial line and the screen until somebody binds an event to it.
 */
#ifndef LOG_H
#define LOG_H

#include "types.h"

struct event;

/* One line, without newline at the end. %s %d %u %x %lx %lu %c %p only. Any CPU, under any lock but the log's own. */
void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same into a buffer, cut to fit and terminated. */
void log_format(char *out, u32 bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* tree_lock held: if it is told of new lines, nobody is any more: back to serial line and screen. */
void log_event_kill(struct event *e);

/* On the way out of the kernel with HAZARD_LOG: the log has grown, signals the bound event. */
void log_flush(void);

/* Boot: the screen is there, shows what was said before. */
void log_show(void);

/* The kernel's own state is broken: prints the reason on the serial line and the screen, stops all CPUs. */
bool panic_stops(void); /* has a CPU panicked? Then the others stop */
NORETURN void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
