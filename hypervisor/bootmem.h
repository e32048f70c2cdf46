/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory map, and the memory that the kernel takes for itself at boot: one range in 2 MiB granules, in the
 * direct map for good. After boot all kernel memory comes from accounts.
 */
#ifndef BOOTMEM_H
#define BOOTMEM_H

#include "boot_data.h"
#include "types.h"

/* boot.ranges: marks [base, end) as `kind`, whatever it was. */
void bootmem_paint(u64 base, u64 end, enum boot_kind kind);

/* boot.ranges becomes one range of holes. */
void bootmem_init(void);

/* First address behind all RAM. */
u64 bootmem_ram_end(void);

/* Bytes of RAM that nobody has taken yet. */
u64 bootmem_free(void);

/* Is there any RAM or kernel memory in the range? */
bool bootmem_has_memory(u64 base, u64 end);

/* Takes at least `pages` pages for the kernel. Panics if there is no such memory below 4 GiB. */
void bootmem_reserve(u64 pages);

/*
 * Takes all memory below 1 MiB, which firmware writes to when it likes, so that nobody else gets it. Returns the last
 * page of it that can have the code that starts other CPUs; 0: there is none.
 */
u64 bootmem_low_page(void);

/* Where the reserved range lies. */
extern u64 bootmem_base, bootmem_end;

/* Zeroed pages in the direct map. Boot only; panics if bootmem_reserve() reckoned too few. */
void *bootmem_pages(u64 count);

#endif
