/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages for this task. They are mapped in steps of at least GROW pages, so that a few selectors serve many
 * requests, and never unmapped: ram gives back only what all of its children have left.
 */
#include "pages.h"

#include "area.h"
#include "calls.h"
#include "lock.h"
#include "range.h"

#include <string.h>

#define GROW 64u
#define SPACE_START 0x1000000000ull /* nothing else of the ABI lies in this range */
#define SPACE_END 0x6000000000ull
#define SPACE_COUNT 0x7fffffffull

static struct lock lock;
static struct range_set space = {1, {{SPACE_START, SPACE_END - SPACE_START}}}; /* lock; addresses */
static struct range_set pool;                                                  /* lock; mapped pages: addresses */
static uint32_t ram;

void pages_init(uint32_t ram_sel)
{
    ram = ram_sel;
}

uint64_t pages_frame(uint64_t count, uint64_t align, uint32_t dst)
{
    return cb_frame_create(ram, dst, CB_SELF, count, align);
}

uint64_t pages_space(uint64_t size, uint64_t align)
{
    uint64_t address = 0;

    if (size == 0 || size % CB_PAGE_SIZE || size > SPACE_END - SPACE_START)
        return 0;
    lock_take(&lock);
    bool taken = range_take(&space, size, align, &address);

    lock_release(&lock);
    return taken ? address : 0;
}

void pages_space_free(uint64_t address, uint64_t size)
{
    lock_take(&lock);
    (void)range_give(&space, address, size);
    lock_release(&lock);
}

/* One step of pages_map(): as many pages as the kernel takes at once, at most *limit, which shrinks if it must. */
static uint64_t map_step(uint32_t frame, uint32_t flags, uint32_t dst, uint32_t domain, uint64_t address,
                         uint64_t offset, uint64_t *limit, uint64_t left, uint64_t *done)
{
    for (;;) {
        uint64_t count = left < *limit ? left : *limit;

        /* A step that ends on a 2 MiB boundary lets the next one use large pages. */
        if (count < left && count >= 512)
            count -= (address / CB_PAGE_SIZE + count) % 512;
        uint64_t status = cb_map(frame, flags, dst, domain, address, (uint32_t)offset, (uint32_t)count);

        if (CB_STATUS_CODE(status) != CB_TOO_LARGE || *limit <= 512) {
            *done = count;
            return status;
        }
        *limit = count > 1024 ? count / 2 : 512;
    }
}

uint64_t pages_map(uint32_t frame, uint32_t flags, uint32_t domain, uint32_t *slot, uint32_t slot_end,
                   uint64_t address, uint64_t offset, uint64_t count)
{
    uint64_t limit = SPACE_COUNT;

    if (offset > UINT32_MAX || count > SPACE_COUNT)
        return CB_BAD_PARAM;
    while (count) {
        uint64_t done;

        if (*slot >= slot_end)
            return CB_NO_ROOM;
        uint64_t status = map_step(frame, flags, *slot, domain, address, offset, &limit, count, &done);

        if (status != CB_OK)
            return status;
        (*slot)++;
        address += done * CB_PAGE_SIZE;
        offset += done;
        count -= done;
    }
    return CB_OK;
}

/* Maps at least `count` more pages; gives their address and number. */
static uint64_t grow(uint64_t count, uint64_t *grown)
{
    struct area area;

    *grown = count < GROW ? GROW : count;
    uint64_t status = area_make(&area, *grown, 1, 0);

    if (CB_STATUS_CODE(status) == CB_NO_ROOM && *grown > count) {
        *grown = count;
        status = area_make(&area, *grown, 1, 0);
    }
    return status == CB_OK ? (uint64_t)area.address : 0;
}

void *pages_alloc(uint64_t count)
{
    uint64_t address, grown;

    if (count == 0 || count > SPACE_COUNT)
        return NULL;
    lock_take(&lock);
    bool taken = range_take(&pool, count * CB_PAGE_SIZE, CB_PAGE_SIZE, &address);

    lock_release(&lock);
    if (!taken) {
        address = grow(count, &grown);
        if (address == 0)
            return NULL;
        pages_free((void *)(address + count * CB_PAGE_SIZE), grown - count);
    }
    return memset((void *)address, 0, count * CB_PAGE_SIZE);
}

void pages_free(void *pages, uint64_t count)
{
    lock_take(&lock);
    (void)range_give(&pool, (uint64_t)pages, count * CB_PAGE_SIZE);
    lock_release(&lock);
}
