/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page-table entries of host and nested page tables (APM 2, 5.3 and 15.25.5; SDM 3A, 4.5), and of extended page
 * tables (SDM 3C, 29.3.2): in these, too, bit 0 is set where something is mapped, and bit 7 in large pages.
 */
#ifndef PTE_H
#define PTE_H

#include "types.h"

#define PTE_P 0x001ull
#define PTE_W 0x002ull
#define PTE_U 0x004ull
#define PTE_PWT 0x008ull
#define PTE_PCD 0x010ull
#define PTE_A 0x020ull
#define PTE_D 0x040ull
#define PTE_LARGE 0x080ull /* in a PDPT or page directory: maps 1 GiB or 2 MiB */
#define PTE_G 0x100ull
#define PTE_HOLE 0x200ull  /* ours (ignored by hardware): a shared table or page that stands for "nothing" */
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define PTE_ENTRIES 512u

#define EPT_R PTE_P
#define EPT_W 0x002ull
#define EPT_X 0x004ull
#define EPT_TYPE(type) ((u64)(type) << 3) /* only in what maps a page */
#define EPT_A 0x100ull
#define EPT_D 0x200ull
#define EPT_SPLIT (1ull << 52) /* ours: a large page that may be executed, but not as one (space_split()) */

#define EPT_TYPE_UC 0u
#define EPT_TYPE_WC 1u
#define EPT_TYPE_WB 6u

/* Memory types: the kernel programs PAT entry 1 (PWT) to write-combining (cpu_init.c); 3 is uncached. */
#define PTE_WC PTE_PWT
#define PTE_UC (PTE_PWT | PTE_PCD)

static inline u64 pte_address(u64 entry)
{
    return entry & PTE_ADDRESS;
}

/* Bytes that one entry of the table of `level` covers. */
static inline u64 pte_span(unsigned level)
{
    return 1ull << (PAGE_SHIFT + 9 * (level - 1));
}

/* Where the page begins that a leaf of `level` maps: large pages have other bits (PAT) below. */
static inline u64 pte_base(u64 entry, unsigned level)
{
    return pte_address(entry) & ~(pte_span(level) - 1);
}

/* Index of `address` in the table of `level`: 1 page table, 2 page directory, 3 PDPT, 4 PML4. */
static inline u32 pte_index(u64 address, unsigned level)
{
    return (u32)(address >> (PAGE_SHIFT + 9 * (level - 1))) & (PTE_ENTRIES - 1);
}

#endif
