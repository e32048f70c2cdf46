/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIB_PANIC_H
#define LIB_PANIC_H

/* The program found itself broken: ends it with the reason in words (tasks: CRASHED; root: stops the machine). */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
