/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A piece of this task's address space with a frame mapped there: room, selectors, frame and mappings are had together
 * and given back together.
 */
#ifndef LIB_AREA_H
#define LIB_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct area {
    void *address;        /* NULL: there is none */
    uint32_t frame;       /* selector of a frame that was made for the area; 0: it was there before */

    uint64_t space, size; /* what was taken of the address space */
    uint32_t slots, slot_count;
};

/*
 * `pages` pages of the task's ram, readable and writable, of unknown content, with `guard` unmapped pages below; a
 * multiple of 2 MiB, at a multiple of it, if align is 512, else align is 1. Gives the status of what was refused, and
 * then nothing is left and area->address is NULL.
 */
uint64_t area_make(struct area *area, uint64_t pages, uint64_t align, uint64_t guard) __attribute__((warn_unused_result));

/*
 * Maps pages [offset, offset + pages) of a frame, at an address that is `phase` behind a multiple of 2 MiB: where that is
 * so of the memory, too, large pages are used.
 */
uint64_t area_map(struct area *area, uint32_t frame, uint32_t flags, uint64_t offset, uint64_t pages, uint64_t phase)
    __attribute__((warn_unused_result));

/* Unmaps it and gives all back, the frame too if it was made for it; nothing for one that is not there. */
void area_drop(struct area *area);

#endif
