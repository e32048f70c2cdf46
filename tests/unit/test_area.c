/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pieces of a task's address space with frames mapped there, against a model of the hypervisor: each page is where it should
 * be, in as many mappings as the calls take at once, and all comes back, also when any one of the calls is refused.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "area.h"
#include "calls_fake.h"
#include "lock.h"
#include "pages.h"
#include "random.h"
#include "sel.h"

#define SELS CB_SELECTORS
#define FIRST_SEL 40u
#define RAM 7u
#define GIVEN 8u /* a frame that was there before */
#define ENTRIES 1024u
#define LARGE 512u

static struct {
    uint32_t frame;      /* of a mapping; 0: this is a frame */
    uint64_t pages;      /* 0: the slot is empty */
    uint64_t address, offset;
} slots[SELS];

static uint32_t fails_in = UINT32_MAX, limit = ENTRIES;

static bool fails(void)
{
    return fails_in != UINT32_MAX && fails_in-- == 0;
}

/* ---- What is called ---- */

void lock_take(struct lock *lock)
{
    cr_assert_not(lock->taken);
    lock->taken = 1;
}

void lock_release(struct lock *lock)
{
    cr_assert(lock->taken);
    lock->taken = 0;
}

uint64_t cb_frame_create(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    cr_assert(ram == RAM && domain == CB_SELF && pages && dst >= FIRST_SEL && slots[dst].pages == 0);
    cr_assert(align == 1 || align == LARGE);
    if (fails())
        return CB_NO_MEMORY;
    slots[dst].pages = pages;
    return CB_OK;
}

/* Entries of page tables that it takes, if memory is where it lies in the frame. */
static uint64_t entries(uint64_t address, uint64_t offset, uint64_t pages)
{
    uint64_t page = address / 4096, head = -page % LARGE < pages ? -page % LARGE : pages;

    if (page % LARGE != offset % LARGE)
        return pages;
    return head + (pages - head) / LARGE + (pages - head) % LARGE;
}

uint64_t cb_map(uint32_t frame, uint32_t flags, uint32_t dst, uint32_t domain, uint64_t address, uint32_t offset,
                uint32_t pages)
{
    cr_assert(flags && domain == CB_SELF && dst >= FIRST_SEL && dst < SELS && slots[dst].pages == 0, "slot %u", dst);
    cr_assert(pages && address % 4096 == 0 && slots[frame].frame == 0 && offset + (uint64_t)pages <= slots[frame].pages);
    if (entries(address, offset, pages) > limit)
        return CB_TOO_LARGE;
    if (fails())
        return CB_NO_MEMORY;
    slots[dst].frame = frame;
    slots[dst].pages = pages;
    slots[dst].address = address;
    slots[dst].offset = offset;
    return CB_OK;
}

uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    cr_assert_eq(flags, CB_REVOKE_SELF);
    if (slots[sel].pages == 0)
        return CB_BAD_CAP;
    for (uint32_t i = 0; i < SELS && slots[sel].frame == 0; i++)
        if (slots[i].frame == sel)
            memset(&slots[i], 0, sizeof(slots[i]));
    memset(&slots[sel], 0, sizeof(slots[sel]));
    return CB_OK;
}

/* ---- What must hold ---- */

static uint32_t slots_used(void)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < SELS; i++)
        used += slots[i].pages != 0;
    return used;
}

/* All pages of the area, in order. */
static void expect_mapped(const struct area *area, uint32_t frame, uint64_t offset, uint64_t pages)
{
    uint64_t address = (uint64_t)area->address, end = address + pages * 4096;

    cr_assert(address >= area->space && end <= area->space + area->size);
    while (address < end) {
        uint32_t i = FIRST_SEL;

        while (i < SELS && !(slots[i].frame == frame && slots[i].address == address && slots[i].offset == offset))
            i++;
        cr_assert_lt(i, SELS, "nothing is at %lx", address);
        cr_assert(i >= area->slots && i < area->slots + area->slot_count, "the area does not know of slot %u", i);
        address += slots[i].pages * 4096;
        offset += slots[i].pages;
    }
    cr_assert_eq(address, end, "more is mapped");
}

static void setup(void)
{
    sel_init(FIRST_SEL);
    pages_init(RAM);
    slots[GIVEN].pages = 1 << 20;
}

static uint64_t make(struct area *area, uint64_t pages, uint64_t align, uint64_t guard)
{
    uint64_t status = area_make(area, pages, align, guard);

    if (status != CB_OK)
        return status;
    expect_mapped(area, area->frame, 0, pages);
    cr_assert_eq((uint64_t)area->address, area->space + guard * 4096);
    return CB_OK;
}

static uint64_t map(struct area *area, uint64_t offset, uint64_t pages, uint64_t phase)
{
    uint64_t status = area_map(area, GIVEN, CB_MAP_READ, offset, pages, phase);

    if (status == CB_OK)
        expect_mapped(area, GIVEN, offset, pages);
    return status;
}

/* ---- Tests ---- */

Test(area, of_any_size)
{
    setup();
    for (unsigned round = 0; round < 300; round++) {
        struct area made, mapped, large;
        uint64_t offset = random_below(2) ? random_below(1 << 19) : random_below(1000) * LARGE;
        uint64_t pages = 1 + random_below(random_below(2) ? 20 : 100000);

        limit = random_below(3) ? ENTRIES : LARGE;
        cr_assert_eq(make(&made, 1 + random_below(3000), 1, random_below(3)), CB_OK);
        cr_assert_eq(map(&mapped, offset, pages, offset % LARGE * 4096), CB_OK);
        cr_assert_eq(make(&large, (1 + random_below(600)) * LARGE, LARGE, 0), CB_OK);
        cr_assert_eq((uint64_t)large.address % (LARGE * 4096), 0);
        uint32_t other = sel_alloc(), next;

        area_drop(&made);
        area_drop(&large);
        area_drop(&mapped);
        cr_assert(made.address == NULL && slots_used() == 1, "only the frame that was there is left");
        area_drop(&made);
        next = sel_alloc_range(other - FIRST_SEL + 1);
        cr_assert_gt(next, other, "selector %u is somebody else's", other);
        sel_free_range(next, other - FIRST_SEL + 1);
        sel_free(other);
    }
    cr_assert_eq(sel_alloc(), FIRST_SEL, "no selector is lost");
    cr_assert_eq(pages_space(0x5000000000 - 4096, 4096), 0x1000000000, "and no room");
}

static void refuse_each_call(bool given)
{
    uint64_t status = CB_NO_MEMORY;

    for (uint32_t call = 0; status != CB_OK; call++) {
        struct area area;

        cr_assert_lt(call, 20u);
        fails_in = call;
        status = given ? map(&area, 3, 5000, 0) : make(&area, 5000, 1, 1);
        if (status == CB_OK)
            area_drop(&area);
        cr_assert(area.address == NULL && slots_used() == 1, "call %u", call);
        cr_assert_eq(sel_alloc_range(4), FIRST_SEL);
        sel_free_range(FIRST_SEL, 4);
    }
    fails_in = UINT32_MAX;
}

Test(area, each_call_refused)
{
    setup();
    refuse_each_call(false);
    refuse_each_call(true);
    cr_assert_eq(pages_space(0x5000000000 - 4096, 4096), 0x1000000000);
}

/* Slots behind those that it was given are not its own. */
Test(area, slots_that_are_too_few)
{
    uint32_t slot = 100;

    setup();
    cr_assert_eq(pages_map(GIVEN, CB_MAP_READ, CB_SELF, &slot, 102, 0x200000, 1, 10000), CB_NO_ROOM);
    cr_assert(slot == 102 && slots_used() == 3);
}

Test(area, nothing_left)
{
    struct area area;
    uint32_t sels;

    setup();
    sels = sel_alloc_range(CB_SELECTORS - FIRST_SEL - 4);
    cr_assert_eq(make(&area, 5000, 1, 0), CB_NO_ROOM, "four selectors are too few");
    cr_assert_eq(make(&area, 500, 1, 0), CB_OK);
    area_drop(&area);
    sel_free_range(sels, CB_SELECTORS - FIRST_SEL - 4);
    cr_assert_neq(pages_space(0x5000000000 - 4096, 4096), 0);
    cr_assert_eq(make(&area, 2, 1, 0), CB_NO_ROOM, "one page of addresses is too few");
    cr_assert_eq(make(&area, 1, 1, 0), CB_OK);
    cr_assert(pages_space(0, 4096) == 0 && pages_space(100, 4096) == 0 && pages_space(1ull << 62, 4096) == 0);
}
