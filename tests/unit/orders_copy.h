/* SPDX-License-Identifier: GPL-2.0-only */
/* Included before sources (-include) in which memcpy() to or from shared memory is to be seen byte by byte. */
#ifndef ORDERS_COPY_H
#define ORDERS_COPY_H

#include <string.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define ORDERS_COPIES
#endif
#elif defined(__SANITIZE_THREAD__)
#define ORDERS_COPIES
#endif

#ifdef ORDERS_COPIES /* not the search itself */
void *orders_copy(void *to, const void *from, size_t size); /* the test's */
#define memcpy orders_copy
#endif

#endif
