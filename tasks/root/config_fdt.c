/* SPDX-License-Identifier: GPL-2.0-only */
/* The FDT that a domain gets: its manifest node as the root of a tree of its own. */
#include "config.h"

#include <libfdt.h>

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

size_t config_fdt(const void *fdt, int node, const struct config *config, void *buffer, size_t size)
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
        result = fdt_end_node(buffer);
    if (result == 0)
        result = fdt_finish(buffer);
    return result == 0 ? fdt_totalsize(buffer) : 0;
}
