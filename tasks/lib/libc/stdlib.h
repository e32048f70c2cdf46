/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of <stdlib.h> that native tasks and libfdt use. */
#ifndef LIB_STDLIB_H
#define LIB_STDLIB_H

#include <stddef.h>

void *malloc(size_t size); /* 16-byte aligned; NULL if the task's ram is used up */
void free(void *block);
unsigned long strtoul(const char *text, char **end, int base);

#endif
