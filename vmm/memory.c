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

/* A frame in large pages, mapped for ourselves. NULL: not enough memory. */
static uint8_t *own_large(uint64_t size, uint32_t *frame)
{
    uint64_t pages = (size + LARGE_SIZE - 1) / LARGE_SIZE * LARGE_PAGES;
    uint64_t address = pages_space(pages * CB_PAGE_SIZE, LARGE_SIZE);
    uint32_t slot_count = 1 + (uint32_t)(pages / LARGE_PAGES / 512);
    uint32_t slots = sel_alloc_range(1 + slot_count), slot = slots + 1;

    if (address && slots && pages_frame(pages, LARGE_PAGES, slots) == CB_OK) {
        *frame = slots;
        if (pages_map(slots, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slots + 1 + slot_count, address, 0,
                      pages) == CB_OK)
            return (uint8_t *)address;
        (void)!cb_revoke(slots, CB_REVOKE_SELF);
    }
    sel_free_range(slots, 1 + slot_count);
    if (address)
        pages_space_free(address, pages * CB_PAGE_SIZE);
    return NULL;
}

static void map_guest(uint32_t frame, uint32_t flags, uint64_t address, uint64_t pages)
{
    must(pages_map(frame, flags, machine.domain, &guest_slot, GUEST_SLOTS_END, address, 0, pages),
         "map guest memory");
}

void memory_create(struct gmem *mem, uint64_t size)
{
    uint32_t frame;

    mem->base = own_large(size, &frame);
    if (!mem->base)
        task_exit(CB_EXIT_REASON_FAILED, "memory-mib: no %lu MiB in one piece", size >> 20);
    mem->size = size;
    map_guest(frame, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, 0, size / CB_PAGE_SIZE);
}

void *memory_share_page(uint64_t address)
{
    uint64_t own = pages_space(CB_PAGE_SIZE, CB_PAGE_SIZE);
    uint32_t frame = sel_alloc_range(2), slot = frame + 1;

    if (!own || !frame)
        task_exit(CB_EXIT_REASON_FAILED, "no room for a device's control page");
    must(pages_frame(1, 1, frame), "make a device's control page");
    must(pages_map(frame, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, frame + 2, own, 0, 1),
         "map a device's control page");
    memory_map_page(frame, address);
    return (void *)own;
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
    uint32_t frame;

    return own_large(size, &frame);
}
