/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's RAM, handed out in chunks of 2 MiB and multiples. A chunk is a ram capability of its own, so
 * that revoking it takes back everything that was made from it. Used by root's main thread only.
 */
#ifndef ROOT_RAM_H
#define ROOT_RAM_H

#include <stdbool.h>
#include <stdint.h>

#define RAM_GRANULE 0x200000ull
#define RAM_GRANULE_PAGES 512u
#define RAM_CLEARING 16u /* threads that clear memory (clear.h), */
#define RAM_OTHER_STACKS (RAM_CLEARING + 1u) /* and the watch's (watch.h) */

struct ram_chunk;

/* Takes over all RAM of the boot information but what root itself lives on, which it gives back as *own. */
bool ram_init(uint32_t *own);

/* `pages` (a multiple of RAM_GRANULE_PAGES) in one piece, of unknown content; NULL if there is no such piece. */
struct ram_chunk *ram_alloc(uint64_t pages);

/* Removes whatever was made from the chunk, and takes it back. */
void ram_free(struct ram_chunk *chunk);

uint32_t ram_sel(const struct ram_chunk *chunk);

/* What is left, in pages: all of it, and the largest piece. */
uint64_t ram_left(void);
uint64_t ram_largest(void);

#endif
