/* SPDX-License-Identifier: GPL-2.0-only */
/* What compilers expect to exist (C17, 7.24). */
#ifndef KSTRING_H
#define KSTRING_H

#ifdef UNIT_TEST
#include <string.h>
#else
#include <stddef.h>

void *memset(void *at, int value, size_t bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
#endif

#endif
