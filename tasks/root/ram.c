/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ram splits from its start on, and what was split off is free again only when all children are gone. So a
 * chunk that came back is kept for the next request that fits it, and the children of a chunk are merged when
 * none of them is in use.
 */
#include "ram.h"

#include "boot.h"
#include "calls.h"
#include "sel.h"
#include "thread.h"

#include <stddef.h>

#define CHUNKS 256u
#define BUFFER_PAGES 512u

struct ram_chunk {
    uint32_t sel;             /* 0: this element of the table is unused */
    bool taken;               /* handed out; else it can be split or handed out */
    uint64_t pages;
    uint64_t split;           /* pages that went to children, from the start on */
    uint32_t children;
    struct ram_chunk *parent; /* NULL: the boot information's */
};

static struct ram_chunk chunks[CHUNKS];

static uint64_t room(const struct ram_chunk *chunk)
{
    return chunk->sel == 0 || chunk->taken ? 0 : chunk->pages - chunk->split;
}

static struct ram_chunk *unused_chunk(void)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (chunks[i].sel == 0)
            return &chunks[i];
    return NULL;
}

/* The part of a boot entry that whole granules make. */
static uint64_t granule_pages(const struct cb_boot_entry *entry)
{
    uint64_t start = (entry->base + RAM_GRANULE - 1) & ~(RAM_GRANULE - 1);
    uint64_t end = (entry->base + entry->size) & ~(RAM_GRANULE - 1);

    return end > start ? (end - start) / CB_PAGE_SIZE : 0;
}

/* Root's own memory: buffers, and the stacks of its handlers, one for each CPU, and of its other threads. */
static uint64_t own_pages(void)
{
    uint64_t pages = BUFFER_PAGES + (boot_info()->cpu_count + RAM_OTHER_STACKS) * THREAD_STACK_PAGES;

    return (pages + RAM_GRANULE_PAGES - 1) / RAM_GRANULE_PAGES * RAM_GRANULE_PAGES;
}

/*
 * Splits root's own memory off an entry, with what lies before the first granule and nothing else can use. The
 * rest becomes one chunk below the entry, so that it can be merged although root's part never comes back.
 */
static bool set_apart(const struct cb_boot_entry *entry, uint32_t *own)
{
    uint64_t head = (-entry->base & (RAM_GRANULE - 1)) / CB_PAGE_SIZE;
    uint64_t rest = granule_pages(entry) - own_pages();
    uint32_t rest_sel = sel_alloc();

    *own = sel_alloc();
    if (cb_ram_split(entry->sel, *own, CB_SELF, head + own_pages(), 1) != CB_OK ||
        cb_ram_split(entry->sel, rest_sel, CB_SELF, rest, RAM_GRANULE_PAGES) != CB_OK)
        return false;
    for (uint32_t i = 0; i < CHUNKS; i++)
        if (chunks[i].sel == entry->sel)
            chunks[i] = (struct ram_chunk){.sel = rest_sel, .pages = rest};
    return true;
}

bool ram_init(uint32_t *own)
{
    const struct cb_boot_info *info = boot_info();
    const struct cb_boot_entry *largest = NULL;

    for (uint32_t i = 0; i < info->entry_count; i++) {
        const struct cb_boot_entry *entry = &info->entries[i];
        struct ram_chunk *chunk = unused_chunk();

        if (entry->kind != CB_BOOT_RAM || granule_pages(entry) == 0 || chunk == NULL)
            continue;
        *chunk = (struct ram_chunk){.sel = entry->sel, .pages = granule_pages(entry)};
        if (largest == NULL || granule_pages(entry) > granule_pages(largest))
            largest = entry;
    }
    if (largest == NULL || granule_pages(largest) <= own_pages())
        return false;
    return set_apart(largest, own);
}

/* The chunk with the least room that has enough. */
static struct ram_chunk *best(uint64_t pages)
{
    struct ram_chunk *found = NULL;

    for (uint32_t i = 0; i < CHUNKS; i++)
        if (room(&chunks[i]) >= pages && (found == NULL || room(&chunks[i]) < room(found)))
            found = &chunks[i];
    return found;
}

static struct ram_chunk *split(struct ram_chunk *from, uint64_t pages)
{
    struct ram_chunk *chunk = unused_chunk();
    uint32_t sel = sel_alloc();

    if (chunk == NULL || sel == 0 || cb_ram_split(from->sel, sel, CB_SELF, pages, RAM_GRANULE_PAGES) != CB_OK) {
        sel_free(sel);
        return NULL;
    }
    *chunk = (struct ram_chunk){.sel = sel, .taken = true, .pages = pages, .parent = from};
    from->split += pages;
    from->children++;
    return chunk;
}

struct ram_chunk *ram_alloc(uint64_t pages)
{
    struct ram_chunk *chunk = pages ? best(pages) : NULL;

    if (chunk == NULL)
        return NULL;
    if (chunk->parent == NULL || chunk->children || chunk->pages != pages)
        return split(chunk, pages);
    chunk->taken = true;
    return chunk;
}

/* Whether all children of a chunk are free and whole. */
static bool is_idle(const struct ram_chunk *parent)
{
    uint32_t idle = 0;

    for (uint32_t i = 0; i < CHUNKS; i++)
        if (chunks[i].sel && chunks[i].parent == parent && !chunks[i].taken && chunks[i].children == 0)
            idle++;
    return idle == parent->children;
}

static void merge(struct ram_chunk *parent)
{
    if (cb_revoke(parent->sel, 0) != CB_OK)
        return;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        if (chunks[i].sel && chunks[i].parent == parent) {
            sel_free(chunks[i].sel);
            chunks[i].sel = 0;
        }
    }
    parent->split = 0;
    parent->children = 0;
}

void ram_free(struct ram_chunk *chunk)
{
    if (cb_revoke(chunk->sel, 0) != CB_OK)
        return; /* stays taken: what was made from it may still be there */
    chunk->taken = false;
    for (struct ram_chunk *parent = chunk->parent; parent && is_idle(parent); parent = parent->parent)
        merge(parent);
}

uint32_t ram_sel(const struct ram_chunk *chunk)
{
    return chunk->sel;
}

uint64_t ram_left(void)
{
    uint64_t pages = 0;

    /*
     * The hypervisor's count, not ours: what is printed shows what it has really taken back. But it counts what lies
     * before and behind whole granules, too, as long as nothing is split off.
     */
    for (uint32_t i = 0; i < CHUNKS; i++) {
        struct cb_identity identity;

        if (room(&chunks[i]) && cb_identify(chunks[i].sel, &identity) == CB_OK)
            pages += identity.y < room(&chunks[i]) ? identity.y : room(&chunks[i]);
    }
    return pages;
}

uint64_t ram_largest(void)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < CHUNKS; i++)
        if (room(&chunks[i]) > pages)
            pages = room(&chunks[i]);
    return pages;
}
