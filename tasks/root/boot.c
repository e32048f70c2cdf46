/* SPDX-License-Identifier: GPL-2.0-only */
#include "boot.h"

#include "area.h"
#include "calls.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_PAGE 0x200000ull
#define MAPPED_MAX 32u

/* Module mappings, so that a module used by many domains is mapped once. */
static struct {
    uint32_t frame;
    const void *address;
} mapped[MAPPED_MAX];
static uint32_t mapped_count;

const struct cb_boot_entry *boot_module(const char *name)
{
    const struct cb_boot_info *info = boot_info();

    for (uint32_t i = 0; i < info->entry_count; i++) {
        const struct cb_boot_entry *entry = &info->entries[i];

        if (entry->kind == CB_BOOT_MODULE && strncmp(entry->name, name, sizeof(entry->name)) == 0)
            return entry;
    }
    return NULL;
}

/* Maps [offset, offset + size) of an entry's frame, page aligned, where large pages can be used. */
static const void *map_entry(const struct cb_boot_entry *entry, uint64_t offset, uint64_t size)
{
    uint64_t pages = (size + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE;
    struct area area;

    return area_map(&area, entry->sel, CB_MAP_READ, offset / CB_PAGE_SIZE, pages, (entry->base + offset) % LARGE_PAGE) ==
                   CB_OK
               ? area.address
               : NULL;
}

const void *boot_module_map(const struct cb_boot_entry *module)
{
    for (uint32_t i = 0; i < mapped_count; i++)
        if (mapped[i].frame == module->sel)
            return mapped[i].address;
    const void *address = module->size ? map_entry(module, 0, module->size) : NULL;

    if (address && mapped_count < MAPPED_MAX) {
        mapped[mapped_count].frame = module->sel;
        mapped[mapped_count++].address = address;
    }
    return address;
}

const void *boot_memory_map(uint64_t base, uint64_t size)
{
    const struct cb_boot_info *info = boot_info();

    for (uint32_t i = 0; i < info->entry_count; i++) {
        const struct cb_boot_entry *entry = &info->entries[i];

        if (entry->kind != CB_BOOT_ACPI && entry->kind != CB_BOOT_DEVICE)
            continue;
        if (base < entry->base || base - entry->base >= entry->size || size > entry->size - (base - entry->base))
            continue;
        uint64_t offset = (base - entry->base) & ~(uint64_t)(CB_PAGE_SIZE - 1);
        const uint8_t *address = map_entry(entry, offset, size + base % CB_PAGE_SIZE);

        return address ? address + base % CB_PAGE_SIZE : NULL;
    }
    return NULL;
}

bool boot_claim_ports(uint16_t first, uint16_t count)
{
    return cb_ioport_grant(CB_ROOT_SEL_IOPORT, CB_ROOT_SEL_DOMAIN, first, count) == CB_OK;
}

uint64_t boot_option(const char *name)
{
    const char *line = boot_info()->command_line;
    size_t length = strlen(name);

    for (const char *at = line; (at = strstr(at, name)); at += length) {
        bool starts = at == line || at[-1] == ' ';

        if (starts && at[length] == '=')
            return strtoul(at + length + 1, NULL, 0);
    }
    return 0;
}
