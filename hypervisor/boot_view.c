/* SPDX-License-Identifier: GPL-2.0-only */
/* boot.S has tables for the first 4 GiB. What firmware has put above is mapped by the GiB when it is looked at. */
#include "cpu_init.h"
#include "kpage.h"
#include "pte.h"
#include "space.h"

#define VIEW_END 0x8000000000ull /* what one PDPT can map */
#define FAR_TABLES 2u

extern u64 boot_pdpt[], boot_far_pds[]; /* boot.S */

static u32 far_used;

static bool map_gib(u64 gib)
{
    u64 *pd = boot_far_pds + far_used * PTE_ENTRIES;

    if (boot_pdpt[gib])
        return true;
    if (far_used == FAR_TABLES)
        return false;
    for (u64 i = 0; i < PTE_ENTRIES; i++)
        pd[i] = (gib * PAGE_1G + i * PAGE_2M) | PTE_P | PTE_W | PTE_LARGE;
    boot_pdpt[gib] = image_physical(pd) | PTE_P | PTE_W;
    far_used++;
    return true;
}

void *boot_view(u64 at, u64 bytes)
{
    u64 end = MIN(VIEW_END, 1ull << features.physical_bits);

    if (!at || !bytes || at >= end || bytes > end - at)
        return NULL;
    for (u64 gib = at / PAGE_1G; gib <= (at + bytes - 1) / PAGE_1G; gib++)
        if (!map_gib(gib))
            return NULL;
    return (void *)(uintptr_t)at;
}
