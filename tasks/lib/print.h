/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatted output: %d %i %u %x %X %c %s %p %% with flags - 0 #, width, precision (also *), and lengths hh h l ll z.
 */
#ifndef LIB_PRINT_H
#define LIB_PRINT_H

#include <stdarg.h>
#include <stddef.h>

/* As C has them: the result is the length that was wanted; with size > 0 the text is zero terminated. */
int snprintf(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buffer, size_t size, const char *format, va_list list) __attribute__((format(printf, 3, 0)));

/* To the console: a line of at most 511 characters arrives unbroken by others. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
