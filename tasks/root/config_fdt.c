/* SPDX-License-Identifier: GPL-2.0-only */
/* The FDT that a domain gets: its manifest node as the root of a tree of its own. */
#include "config.h"

#include "boot.h"
#include "grants.h"
#include "print.h"

#include <libfdt.h>
#include <string.h>

/* Copies a node's properties, but for those that root writes itself. */
static int copy_properties(void *to, const void *fdt, int node, const char *const *without)
{
    int property, result = 0;

    fdt_for_each_property_offset(property, fdt, node) {
        int length;
        const char *name;
        const void *value = fdt_getprop_by_offset(fdt, property, &name, &length);
        bool skip = false;

        for (const char *const *at = without; *at; at++)
            skip |= value && strcmp(*at, name) == 0;
        if (value && !skip && result == 0)
            result = fdt_property(to, name, value, length);
    }
    return result;
}

/* The values that hold for a VM, whether the manifest gave them or root chose them. */
static int write_vm(void *to, const struct config *config)
{
    fdt32_t cpus[CONFIG_VCPUS];
    int result = fdt_property_u32(to, "vcpus", config->vcpus);

    for (uint32_t i = 0; i < config->vcpus; i++)
        cpus[i] = cpu_to_fdt32(config->cpus[i]);
    if (result == 0)
        result = fdt_property(to, "cpus", cpus, (int)(config->vcpus * sizeof(fdt32_t)));
    if (result == 0)
        result = fdt_property_u32(to, "memory-mib", config->memory_mib);
    if (result == 0)
        result = fdt_property_u32(to, "priority", config->priority - 1);
    return result;
}

static int put_string(void *to, const char *name, const char *value)
{
    return fdt_property(to, name, value, (int)strlen(value) + 1);
}

static int begin_grant(void *to, const char *kind, uint32_t number, const char *compatible, const char *label)
{
    char name[24];

    snprintf(name, sizeof(name), "%s-%u", kind, number);
    int result = fdt_begin_node(to, name);

    if (result == 0)
        result = put_string(to, "compatible", compatible);
    return result == 0 ? put_string(to, "label", label) : result;
}

static int write_link(void *to, uint32_t number, const struct grants_link *link)
{
    const fdt64_t reg[] = {cpu_to_fdt64(link->address), cpu_to_fdt64(link->pages * CB_PAGE_SIZE)};
    int result = begin_grant(to, "link", number, "corbel,link", link->name);

    if (result == 0)
        result = fdt_property_u32(to, "corbel,side", link->side);
    if (result == 0)
        result = fdt_property_u32(to, "corbel,event", link->sel + GRANTS_SEL_EVENT);
    if (result == 0)
        result = fdt_property_u32(to, "corbel,signal", link->sel + GRANTS_SEL_SIGNAL);
    if (result == 0 && link->pages)
        result = fdt_property_u32(to, "corbel,memory", link->sel + GRANTS_SEL_MEMORY);
    if (result == 0 && link->pages)
        result = fdt_property(to, "reg", reg, sizeof(reg));
    return result == 0 ? fdt_end_node(to) : result;
}

static int write_service(void *to, uint32_t number, const struct grants_service *service)
{
    uint32_t count = boot_info()->cpu_count < CB_CPUS ? boot_info()->cpu_count : CB_CPUS;
    fdt32_t portals[CB_CPUS];
    int result = begin_grant(to, "service", number, "corbel,service", service->name);

    for (uint32_t cpu = 0; cpu < count; cpu++)
        portals[cpu] = cpu_to_fdt32(service->from[cpu] ? service->sel + cpu : 0);
    if (result == 0)
        result = fdt_property(to, "corbel,portals", portals, (int)(count * sizeof(portals[0])));
    return result == 0 ? fdt_end_node(to) : result;
}

static int write_grants(void *to, const struct grants *grants)
{
    int result = fdt_begin_node(to, "grants");

    if (result == 0)
        result = put_string(to, "compatible", "corbel,grants");
    if (result == 0)
        result = fdt_property_u32(to, "#address-cells", 2);
    if (result == 0)
        result = fdt_property_u32(to, "#size-cells", 2);
    if (result == 0)
        result = fdt_property(to, "ranges", NULL, 0);
    for (uint32_t i = 0; i < grants->link_count && result == 0; i++)
        result = write_link(to, i, &grants->links[i]);
    for (uint32_t i = 0; i < grants->service_count && result == 0; i++)
        result = write_service(to, i, &grants->services[i]);
    return result == 0 ? fdt_end_node(to) : result;
}

size_t config_fdt(const void *fdt, int node, const struct config *config, const struct grants *grants, void *buffer,
                  size_t size)
{
    static const char *const own[] = {"vcpus", "cpus", "memory-mib", "priority", NULL};
    static const char *const none[] = {NULL};
    int result = fdt_create(buffer, (int)size);

    if (result == 0)
        result = fdt_finish_reservemap(buffer);
    if (result == 0)
        result = fdt_begin_node(buffer, "");
    if (result == 0 && config->vm)
        result = write_vm(buffer, config);
    if (result == 0 && node >= 0)
        result = copy_properties(buffer, fdt, node, config->vm ? own : none);
    if (result == 0)
        result = write_grants(buffer, grants);
    if (result == 0)
        result = fdt_end_node(buffer);
    if (result == 0)
        result = fdt_finish(buffer);
    return result == 0 ? fdt_totalsize(buffer) : 0;
}
