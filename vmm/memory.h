/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of the guest's domain, made from the ram that root gave this VM, and cleared before. What fails here ends
 * the VMM. The large pieces come first: what lies before them for the sake of alignment is lost.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include "gmem.h"

/* The guest's RAM, at guest-physical 0 and up. */
void memory_create(struct gmem *mem, uint64_t size);

/* One page, shared with the guest at `address`. */
void *memory_share_page(uint64_t address);

/* Maps a page that we do not look at ourselves. */
void memory_map_page(uint32_t frame, uint64_t address);

/* Maps memory shared with another domain, which we do not look at ourselves. */
void memory_map_shared(uint32_t frame, uint64_t address, uint64_t size);

/* Memory of our own in 2 MiB pages; NULL if there is not enough. */
void *memory_large(uint64_t size);

#endif
