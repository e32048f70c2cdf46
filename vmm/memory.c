/* SPDX-License-Identifier: GPL-2.0-only */
#include "memory.h"

#include <corbel.h>

#include "machine.h"
#include "report.h"

#define LARGE_PAGES 512u /* 2 MiB */
#define LARGE_SIZE (LARGE_PAGES * (uint64_t)CB_PAGE_SIZE)
/* One call maps up to 1024 entries, which are large ones: so many slots do for the largest guest (1 TiB). */
#define SLOTS 1024u

/*
 * The guest's slots that hold its mappings, from the end of its capability space down, out of the way of what
 * the guest uses itself. It could remove them (a guest may unmap its own memory, and then faults).
 */
#define GUEST_SLOTS (CB_SELECTORS - SLOTS)
#define GUEST_SLOTS_END CB_SELECTORS

static uint32_t guest_slot = GUEST_SLOTS;

static void map_guest(uint32_t frame, uint32_t flags, uint64_t address, uint64_t pages)
{
    must(pages_map(frame, flags, machine.domain, &guest_slot, GUEST_SLOTS_END, address, 0, pages),
         "map guest memory");
}

void memory_create(struct gmem *mem, uint64_t size)
{
    struct area area;

    if (area_make(&area, size / CB_PAGE_SIZE, LARGE_PAGES, 0) != CB_OK)
        task_exit(CB_EXIT_REASON_FAILED, "memory-mib: no %lu MiB in one piece", size >> 20);
    *mem = (struct gmem){area.address, size};
    map_guest(area.frame, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, 0, size / CB_PAGE_SIZE);
}

void *memory_share_page(uint64_t address)
{
    struct area area;

    must(area_make(&area, 1, 1, 0), "make a device's control page");
    memory_map_page(area.frame, address);
    return area.address;
}

void memory_map_page(uint32_t frame, uint64_t address)
{
    map_guest(frame, CB_MAP_READ | CB_MAP_WRITE, address, 1);
}

void memory_map_shared(uint32_t frame, uint64_t address, uint64_t size)
{
    map_guest(frame, CB_MAP_READ | CB_MAP_WRITE, address, size / CB_PAGE_SIZE);
}

void *memory_large(uint64_t size)
{
    uint64_t pages = (size + LARGE_SIZE - 1) / LARGE_SIZE * LARGE_PAGES;
    struct area area;

    return area_make(&area, pages, LARGE_PAGES, 0) == CB_OK ? area.address : NULL;
}
