/* SPDX-License-Identifier: GPL-2.0-only */
#include "area.h"

#include "calls.h"
#include "pages.h"
#include "sel.h"

#define LARGE_PAGES 512u
#define LARGE_PAGE (LARGE_PAGES * (uint64_t)CB_PAGE_SIZE)

/*
 * Room and selectors: one for a frame, and as many for mappings as it may take: one for each GiB of large pages, or each
 * 2 MiB of small ones, and for what begins and ends in between.
 */
static uint64_t take(struct area *area, uint64_t pages, bool large, uint64_t size, uint64_t align)
{
    *area = (struct area){.size = size, .slot_count = 4 + (uint32_t)(pages / (large ? LARGE_PAGES * LARGE_PAGES : LARGE_PAGES))};
    area->space = pages_space(size, align);
    area->slots = sel_alloc_range(area->slot_count);
    return area->space && area->slots ? CB_OK : CB_NO_ROOM;
}

static uint64_t map(struct area *area, uint32_t frame, uint32_t flags, uint64_t address, uint64_t offset, uint64_t pages)
{
    uint32_t slot = area->slots + 1;
    uint64_t status =
        pages_map(frame, flags, CB_SELF, &slot, area->slots + area->slot_count, address, offset, pages);

    if (status == CB_OK)
        area->address = (void *)address;
    /* What large pages made superfluous. */
    sel_free_range(slot, area->slots + area->slot_count - slot);
    area->slot_count = slot - area->slots;
    return status;
}

uint64_t area_make(struct area *area, uint64_t pages, uint64_t align, uint64_t guard)
{
    uint64_t status = take(area, pages, align == LARGE_PAGES, (guard + pages) * CB_PAGE_SIZE, align * CB_PAGE_SIZE);

    if (status == CB_OK)
        status = pages_frame(pages, align, area->slots);
    if (status == CB_OK) {
        area->frame = area->slots;
        status = map(area, area->frame, CB_MAP_READ | CB_MAP_WRITE, area->space + guard * CB_PAGE_SIZE, 0, pages);
    }
    if (status != CB_OK)
        area_drop(area);
    return status;
}

uint64_t area_map(struct area *area, uint32_t frame, uint32_t flags, uint64_t offset, uint64_t pages, uint64_t phase)
{
    uint64_t size = pages * CB_PAGE_SIZE + (phase ? LARGE_PAGE : 0);
    uint64_t status = take(area, pages, false, size, phase || pages >= LARGE_PAGES ? LARGE_PAGE : CB_PAGE_SIZE);

    if (status == CB_OK)
        status = map(area, frame, flags, area->space + phase, offset, pages);
    if (status != CB_OK)
        area_drop(area);
    return status;
}

void area_drop(struct area *area)
{
    for (uint32_t i = area->frame ? 0 : 1; area->slots && i < area->slot_count; i++)
        (void)!cb_revoke(area->slots + i, CB_REVOKE_SELF); /* refused where nothing is */
    sel_free_range(area->slots, area->slots ? area->slot_count : 0);
    if (area->space)
        pages_space_free(area->space, area->size);
    *area = (struct area){0};
}
