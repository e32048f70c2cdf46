/* SPDX-License-Identifier: GPL-2.0-only */
/* A set of free ranges of numbers (addresses, pages), kept sorted and merged. The owner does the locking. */
#ifndef LIB_RANGE_H
#define LIB_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#define RANGE_MAX 256

struct range {
    uint64_t start, size;
};

struct range_set {
    uint32_t count;
    struct range ranges[RANGE_MAX];
};

/* Takes `size` aligned to `align` (a power of two) from the first range that has it. */
bool range_take(struct range_set *set, uint64_t size, uint64_t align, uint64_t *start);

/* Puts a range back. If the set is too fragmented to hold it, it is lost, and the result is false. */
bool range_give(struct range_set *set, uint64_t start, uint64_t size);

#endif
