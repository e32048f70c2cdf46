/* SPDX-License-Identifier: GPL-2.0-only */
#include "bootmem.h"

#include "cpu_init.h"
#include "log.h"
#include "space.h"

#define LOW_END 0x100000ull
#define START_END 0xa0000ull /* a start-up interrupt names a page below (SDM 3A, 9.4.4.1) */
#define BOOT_END 0x100000000ull /* what the tables of boot.S map */

u64 bootmem_base, bootmem_end;
static u64 next;

static u64 range_end(const struct boot_range *r)
{
    return r->base + r->pages * PAGE_SIZE;
}

/* Makes `at` a border between two ranges. */
static void split(u64 at)
{
    for (u32 i = 0; i < boot.range_count; i++) {
        struct boot_range *r = &boot.ranges[i];

        if (at <= r->base || at >= range_end(r))
            continue;
        if (boot.range_count == BOOT_RANGES)
            panic("the memory map has more than %u ranges", BOOT_RANGES);
        for (u32 j = boot.range_count++; j > i; j--)
            boot.ranges[j] = boot.ranges[j - 1];
        r[1].base = at;
        r[1].pages = (range_end(r) - at) / PAGE_SIZE;
        r->pages -= r[1].pages;
        return;
    }
}

static void merge(void)
{
    u32 last = 0;

    for (u32 i = 1; i < boot.range_count; i++) {
        if (boot.ranges[i].kind == boot.ranges[last].kind)
            boot.ranges[last].pages += boot.ranges[i].pages;
        else
            boot.ranges[++last] = boot.ranges[i];
    }
    boot.range_count = last + 1;
}

void bootmem_paint(u64 base, u64 end, enum boot_kind kind)
{
    if (base >= end)
        return;
    split(base);
    split(end);
    for (u32 i = 0; i < boot.range_count; i++) {
        struct boot_range *r = &boot.ranges[i];

        if (r->base >= base && range_end(r) <= end)
            r->kind = kind;
    }
    merge();
}

void bootmem_init(void)
{
    boot.ranges[0] = (struct boot_range){ 0, 1ull << (features.physical_bits - PAGE_SHIFT), BOOT_DEVICE };
    boot.range_count = 1;
}

static bool is_memory(const struct boot_range *r)
{
    return r->kind == BOOT_RAM || r->kind == BOOT_MODULE || r->kind == BOOT_KERNEL;
}

u64 bootmem_ram_end(void)
{
    u64 end = 0;

    for (u32 i = 0; i < boot.range_count; i++)
        if (is_memory(&boot.ranges[i]))
            end = range_end(&boot.ranges[i]);
    return end;
}

u64 bootmem_free(void)
{
    u64 pages = 0;

    for (u32 i = 0; i < boot.range_count; i++)
        if (boot.ranges[i].kind == BOOT_RAM)
            pages += boot.ranges[i].pages;
    return pages * PAGE_SIZE;
}

bool bootmem_has_memory(u64 base, u64 end)
{
    for (u32 i = 0; i < boot.range_count; i++) {
        const struct boot_range *r = &boot.ranges[i];

        if (is_memory(r) && r->base < end && range_end(r) > base)
            return true;
    }
    return false;
}

void bootmem_reserve(u64 pages)
{
    u64 bytes = align_up(pages * PAGE_SIZE, PAGE_2M);

    for (u32 i = 0; i < boot.range_count; i++) {
        const struct boot_range *r = &boot.ranges[i];
        u64 base = align_up(r->base, PAGE_2M);

        if (r->kind != BOOT_RAM || base + bytes > range_end(r) || base + bytes > BOOT_END)
            continue;
        next = bootmem_base = base;
        bootmem_end = base + bytes;
        bootmem_paint(bootmem_base, bootmem_end, BOOT_KERNEL);
        return;
    }
    panic("no %lu KiB of free memory below 4 GiB", bytes >> 10);
}

static const struct boot_range *low_ram(void)
{
    for (u32 i = 0; i < boot.range_count; i++)
        if (boot.ranges[i].kind == BOOT_RAM && boot.ranges[i].base < LOW_END)
            return &boot.ranges[i];
    return NULL;
}

u64 bootmem_low_page(void)
{
    const struct boot_range *r;
    u64 page = 0;

    while ((r = low_ram()) != NULL) {
        u64 end = MIN(range_end(r), LOW_END);

        if (r->base < START_END)
            page = MIN(end, START_END) - PAGE_SIZE;
        bootmem_paint(r->base, end, BOOT_KERNEL);
    }
    return page;
}

void *bootmem_pages(u64 count)
{
    u64 *p = direct(next);

    if (count > (bootmem_end - next) / PAGE_SIZE)
        panic("too little memory was reserved at boot");
    next += count * PAGE_SIZE;
    for (u64 i = 0; i < count * PAGE_SIZE / sizeof(*p); i++)
        p[i] = 0;
    return p;
}
