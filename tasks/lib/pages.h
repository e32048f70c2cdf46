/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of this task: free virtual addresses, and pages made from its ram. What is given back is kept for
 * the next pages_alloc(); the ram behind it stays used.
 */
#ifndef LIB_PAGES_H
#define LIB_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* ram: the capability that pages are made from. Called once by the entry code. */
void pages_init(uint32_t ram);

/* Zeroed, readable and writable; NULL if the ram, the account or the selectors are used up. */
void *pages_alloc(uint64_t count);
void pages_free(void *pages, uint64_t count);

/* A frame of the task's ram, not mapped, into selector `dst`. */
uint64_t pages_frame(uint64_t count, uint64_t align, uint32_t dst) __attribute__((warn_unused_result));

/* Free virtual addresses: `size` bytes (a multiple of the page size) at a multiple of `align`; 0 if none. */
uint64_t pages_space(uint64_t size, uint64_t align);
void pages_space_free(uint64_t address, uint64_t size);

/*
 * Maps pages of a frame in as many calls as it takes, each into the next slot of `domain` (CB_SELF: one's own)
 * from *slot on, but below slot_end. *slot becomes the first unused one, also upon failure.
 */
uint64_t pages_map(uint32_t frame, uint32_t flags, uint32_t domain, uint32_t *slot, uint32_t slot_end,
                   uint64_t address, uint64_t offset, uint64_t count) __attribute__((warn_unused_result));

#endif
