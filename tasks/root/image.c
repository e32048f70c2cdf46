/* SPDX-License-Identifier: GPL-2.0-only */
#include "image.h"

#include "area.h"
#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "pages.h"
#include "print.h"
#include "ram.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

#define STACK_PAGES (CB_TASK_STACK_SIZE / CB_PAGE_SIZE)
#define FDT_MAX 0x10000u
/* Slots of the domain in which root puts mappings. */
#define SLOT_FIRST 256u
#define SLOT_END CB_TASK_SEL_GRANTS

_Static_assert(sizeof(struct cb_task_info) <= CB_PAGE_SIZE, "the task information is one page");
_Static_assert(CB_TASK_FDT_ADDRESS + FDT_MAX <= CB_TASK_UTCB_ADDRESS, "the FDT ends before the UTCB");

bool image_plan(struct image *image, const struct domain *domain, const void *manifest, const struct grants *grants,
                struct config_error *error)
{
    const struct config *config = &domain->config;
    const char *property = config->vm ? "vmm" : "module";

    memset(image, 0, sizeof(*image));
    image->file = boot_module_map(config->image);
    if (image->file == NULL)
        return config_error(error, property, "%lu bytes cannot be mapped", config->image->size);
    const char *wrong = program_read(image->file, config->image->size, &image->program);

    if (wrong)
        return config_error(error, property, "%s", wrong);
    image->fdt = malloc(FDT_MAX);
    if (image->fdt == NULL)
        return config_error(error, "node", "root has no memory left for a copy");
    image->fdt_size = config_fdt(manifest, domain->node, config, grants, image->fdt, FDT_MAX);
    if (image->fdt_size == 0) {
        image_release(image);
        return config_error(error, "node", "larger than %u bytes", FDT_MAX);
    }
    image->stack = image->program.pages;
    image->info = image->stack + STACK_PAGES;
    image->fdt_page = image->info + 1;
    image->ring = image->fdt_page + (image->fdt_size + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE;
    image->pages = image->ring + 1;
    return true;
}

void image_release(struct image *image)
{
    free(image->fdt);
}

/* Where a module will be: so that its frame can be mapped with large pages. */
static uint64_t module_address(const struct config *config, uint32_t index)
{
    uint64_t address = CB_TASK_MODULES_ADDRESS;

    for (uint32_t i = 0; i <= index; i++) {
        const struct cb_boot_entry *module = config->modules[i].module;
        uint64_t start = address + module->base % RAM_GRANULE;

        if (i == index)
            return start;
        address = (start + module->size + RAM_GRANULE - 1) & ~(RAM_GRANULE - 1);
    }
    return address;
}

static void fill_info(const struct image *image, const struct config *config, uint64_t ram_size,
                      struct cb_task_info *info)
{
    const struct cb_boot_info *boot = boot_info();

    info->version = CB_ABI_VERSION;
    info->cpu_count = boot->cpu_count;
    info->cpu = config->cpu;
    info->module_count = config->module_count;
    info->cpu_mask = config->cpu_mask;
    info->features = boot->features;
    info->tsc_khz = boot->tsc_khz;
    info->wall_ns = clock_wall_ns;
    info->ram_size = ram_size;
    info->priority = config->priority;
    info->fdt_size = image->fdt_size;
    snprintf(info->name, sizeof(info->name), "%s", config->name);
    snprintf(info->no_vcpu, sizeof(info->no_vcpu), "%.63s", boot->no_vcpu);
    random_bytes(info->seed, sizeof(info->seed));
    for (uint32_t i = 0; i < config->module_count; i++) {
        struct cb_task_module *module = &info->modules[i];

        snprintf(module->name, sizeof(module->name), "%s", config->modules[i].name);
        module->address = module_address(config, i);
        module->size = config->modules[i].module->size;
    }
}

/* The frame has been cleared with the rest of the domain's memory. */
static bool fill(const struct image *image, const struct domain *domain, uint64_t ram_size)
{
    struct area area;

    if (area_map(&area, domain_sel(domain, DOMAIN_SEL_FRAME), CB_MAP_READ | CB_MAP_WRITE, 0, image->pages, 0) != CB_OK)
        return false;
    uint8_t *page = area.address, *to = page;

    for (uint32_t i = 0; i < image->program.segment_count; i++) {
        const struct program_segment *segment = &image->program.segments[i];

        memcpy(to + segment->skip, (const uint8_t *)image->file + segment->offset, segment->size);
        to += segment->pages * CB_PAGE_SIZE;
    }
    fill_info(image, &domain->config, ram_size, (void *)(page + image->info * CB_PAGE_SIZE));
    memcpy(page + image->fdt_page * CB_PAGE_SIZE, image->fdt, image->fdt_size);
    area_drop(&area);
    return true;
}

static uint64_t map_segments(const struct image *image, const struct domain *domain, uint32_t *slot)
{
    uint64_t at = 0, status = CB_OK;

    for (uint32_t i = 0; i < image->program.segment_count && status == CB_OK; i++) {
        const struct program_segment *segment = &image->program.segments[i];

        status = pages_map(domain_sel(domain, DOMAIN_SEL_FRAME), segment->flags,
                           domain_sel(domain, DOMAIN_SEL_DOMAIN), slot, SLOT_END, segment->address, at,
                           segment->pages);
        at += segment->pages;
    }
    return status;
}

static uint64_t map_rest(const struct image *image, const struct domain *domain, uint32_t *slot)
{
    uint32_t frame = domain_sel(domain, DOMAIN_SEL_FRAME), target = domain_sel(domain, DOMAIN_SEL_DOMAIN);
    const uint32_t write = CB_MAP_READ | CB_MAP_WRITE;
    uint64_t status = pages_map(frame, write, target, slot, SLOT_END, CB_TASK_STACK_TOP - CB_TASK_STACK_SIZE,
                                image->stack, STACK_PAGES);

    if (status == CB_OK)
        status = pages_map(frame, CB_MAP_READ, target, slot, SLOT_END, CB_TASK_INFO_ADDRESS, image->info, 1);
    if (status == CB_OK)
        status = pages_map(frame, CB_MAP_READ, target, slot, SLOT_END, CB_TASK_FDT_ADDRESS, image->fdt_page,
                           image->ring - image->fdt_page);
    if (status == CB_OK)
        status = pages_map(frame, write, target, slot, SLOT_END, CB_TASK_CONSOLE_ADDRESS, image->ring, 1);
    return status;
}

static uint64_t map_modules(const struct domain *domain, uint32_t *slot)
{
    const struct config *config = &domain->config;
    uint32_t target = domain_sel(domain, DOMAIN_SEL_DOMAIN);
    uint64_t status = CB_OK;

    for (uint32_t i = 0; i < config->module_count && status == CB_OK; i++) {
        const struct cb_boot_entry *module = config->modules[i].module;

        status = cb_derive(module->sel, CB_TASK_SEL_MODULE(i), target, CB_RIGHT_READ, 0, 0);
        if (status == CB_OK)
            status = pages_map(module->sel, CB_MAP_READ, target, slot, SLOT_END, module_address(config, i), 0,
                               (module->size + CB_PAGE_SIZE - 1) / CB_PAGE_SIZE);
    }
    return status;
}

bool image_load(const struct image *image, struct domain *domain, uint64_t ram_size, struct config_error *error)
{
    uint32_t slot = SLOT_FIRST;

    if (!fill(image, domain, ram_size))
        return config_error(error, "memory-mib", "root cannot map the domain's memory to fill it");
    domain->ring_page = (uint32_t)image->ring;
    uint64_t status = map_segments(image, domain, &slot);

    if (status != CB_OK)
        return config_error(error, domain->config.vm ? "vmm" : "module", "cannot be mapped: %s",
                            cb_status_text(status));
    status = map_rest(image, domain, &slot);
    if (status == CB_OK)
        status = map_modules(domain, &slot);
    return status == CB_OK || config_error(error, "modules", "cannot be mapped: %s", cb_status_text(status));
}
