/* SPDX-License-Identifier: GPL-2.0-only */
#include "ram_world.h"

#include <criterion/criterion.h>
#include <string.h>

#include <corbel/boot.h>

#include "calls_fake.h"
#include "ram.h"
#include "sel.h"

#define SELS 2048u
#define FIRST_ENTRY 16u
#define TOP_OVERHEAD 3u   /* pages that a top account needs for itself */
#define CHILD_OVERHEAD 1u /* pages of its parent that a child account takes beside its quota */

struct capability {
    uint32_t type, parent; /* CB_TYPE_RAM or _ACCOUNT; 0: the slot is empty */
    uint64_t base, pages;  /* base: of ram, in pages */
    uint64_t used;         /* ram: given to children; account: of its pages */
};

/* Pieces that begin and end anywhere, one of them too small to be of use. */
struct cb_boot_info boot_fake = {
    .cpu_count = 2,
    .entry_count = 5,
    .entries = {
        {.kind = CB_BOOT_RAM, .sel = FIRST_ENTRY, .base = 0x1000, .size = 0x9f000},
        {.kind = CB_BOOT_MODULE, .sel = FIRST_ENTRY + 1, .base = 0x100000, .size = 0x100000},
        {.kind = CB_BOOT_RAM, .sel = FIRST_ENTRY + 2, .base = 0x300000, .size = 0x3d12000},
        {.kind = CB_BOOT_RAM, .sel = FIRST_ENTRY + 3, .base = 0x10123000, .size = 0x10000000},
        {.kind = CB_BOOT_RAM, .sel = FIRST_ENTRY + 4, .base = 0x100000000, .size = 0x2000000},
    },
};

uint32_t world_fails_in = UINT32_MAX;
bool world_failed_to_revoke;

static struct capability slots[SELS];
static bool taken[SELS];

static bool fails(void)
{
    if (world_fails_in == UINT32_MAX)
        return false;
    if (world_fails_in == 0) {
        world_fails_in = UINT32_MAX;
        return true;
    }
    world_fails_in--;
    return false;
}

void world_start(void)
{
    memset(slots, 0, sizeof(slots));
    memset(taken, 0, sizeof(taken));
    for (uint32_t i = 0; i < boot_fake.entry_count; i++) {
        const struct cb_boot_entry *entry = &boot_fake.entries[i];

        if (entry->kind == CB_BOOT_RAM)
            slots[entry->sel] = (struct capability){CB_TYPE_RAM, 0, entry->base / 4096, entry->size / 4096, 0};
    }
    for (uint32_t i = 0; i < 32; i++)
        taken[i] = true;
}

/* ---- Selectors ---- */

uint32_t sel_alloc(void)
{
    if (fails())
        return 0;
    for (uint32_t i = 0; i < SELS; i++)
        if (!taken[i]) {
            taken[i] = true;
            return i;
        }
    return 0;
}

void sel_free(uint32_t sel)
{
    cr_assert(sel == 0 || (taken[sel] && slots[sel].type == 0), "selector %u is freed, but in use", sel);
    if (sel)
        taken[sel] = false;
}

static void remove_below(uint32_t sel)
{
    for (uint32_t i = 0; i < SELS; i++) {
        if (slots[i].type == 0 || slots[i].parent != sel)
            continue;
        remove_below(i);
        if (slots[sel].type == CB_TYPE_ACCOUNT)
            slots[sel].used -= slots[i].pages + CHILD_OVERHEAD;
        slots[i].type = 0;
    }
    if (slots[sel].type == CB_TYPE_RAM)
        slots[sel].used = 0;
}

void sel_drop(uint32_t sel)
{
    if (sel == 0)
        return;
    remove_below(sel);
    if (slots[sel].type && slots[slots[sel].parent].type == CB_TYPE_ACCOUNT)
        slots[slots[sel].parent].used -= slots[sel].pages + CHILD_OVERHEAD;
    slots[sel].type = 0;
    sel_free(sel);
}

/* ---- Calls ---- */

uint64_t cb_ram_split(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    struct capability *from = &slots[ram];
    uint64_t start = (from->base + from->used + align - 1) / align * align;

    cr_assert(from->type == CB_TYPE_RAM && domain == CB_SELF && dst && slots[dst].type == 0 && pages > 0);
    if (fails() || start + pages > from->base + from->pages)
        return CB_NO_ROOM;
    for (uint32_t i = 0; i < SELS; i++)
        cr_assert_not(slots[i].type == CB_TYPE_ACCOUNT && slots[i].parent == ram, "BUSY");
    from->used = start + pages - from->base;
    slots[dst] = (struct capability){CB_TYPE_RAM, ram, start, pages, 0};
    return CB_OK;
}

uint64_t cb_account_create(uint32_t parent, uint32_t dst, uint64_t pages)
{
    struct capability *from = &slots[parent];

    cr_assert(from->type && dst && slots[dst].type == 0);
    if (fails())
        return CB_NO_MEMORY;
    if (from->type == CB_TYPE_RAM) {
        cr_assert(pages == 0 && from->used == 0 && from->pages % 512 == 0 && from->base % 512 == 0);
        slots[dst] = (struct capability){CB_TYPE_ACCOUNT, parent, 0, from->pages, TOP_OVERHEAD};
        return CB_OK;
    }
    if (pages == 0 || from->used + pages + CHILD_OVERHEAD > from->pages)
        return CB_NO_MEMORY;
    from->used += pages + CHILD_OVERHEAD;
    slots[dst] = (struct capability){CB_TYPE_ACCOUNT, parent, 0, pages, 0};
    return CB_OK;
}

uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    cr_assert(slots[sel].type && flags == 0);
    if (fails()) {
        world_failed_to_revoke = true;
        return CB_BAD_CAP;
    }
    remove_below(sel);
    return CB_OK;
}

/* Fails only where there is nothing, as the real one. */
uint64_t cb_identify(uint32_t sel, struct cb_identity *identity)
{
    const struct capability *c = &slots[sel];

    if (c->type == CB_TYPE_RAM)
        *identity = (struct cb_identity){c->type, 0, c->pages, c->pages - c->used};
    else
        *identity = (struct cb_identity){c->type, 0, c->pages - c->used, c->pages};
    return CB_OK;
}

/* ---- What a test wants to know ---- */

uint64_t world_base(uint32_t ram)
{
    cr_assert_eq(slots[ram].type, CB_TYPE_RAM);
    return slots[ram].base;
}

uint64_t world_pages(uint32_t ram)
{
    return slots[ram].pages;
}

uint32_t world_selectors(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SELS; i++)
        count += taken[i];
    return count;
}

uint32_t world_capabilities(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SELS; i++)
        count += slots[i].type != 0;
    return count;
}

void world_destroy(uint32_t account)
{
    cr_assert_eq(slots[account].type, CB_TYPE_ACCOUNT);
    taken[account] = true;
    sel_drop(account);
}
