/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM's manifest node (docs/manifest.md), which root has checked and completed. What is wrong here all the same
 * is reported as the manifest's other errors are: property and reason.
 */
#include "machine.h"

#include <corbel.h>
#include <libfdt.h>

#define MIB 0x100000ull
#define MEMORY_MIB_MAX 262144u

static uint32_t read_number(const void *fdt, const char *property, uint32_t first, uint32_t last)
{
    int length;
    const fdt32_t *cell = fdt_getprop(fdt, 0, property, &length);
    uint32_t value;

    if (!cell || length != sizeof(*cell))
        task_exit(CB_EXIT_REASON_FAILED, "%s: missing, or not one number", property);
    value = fdt32_ld(cell);
    if (value < first || value > last)
        task_exit(CB_EXIT_REASON_FAILED, "%s: %u is not between %u and %u", property, value, first, last);
    return value;
}

static void read_cpus(struct machine *into, const void *fdt, const struct cb_task_info *info)
{
    int length;
    const fdt32_t *cells = fdt_getprop(fdt, 0, "cpus", &length);

    if (!cells || (uint32_t)length != into->vcpu_count * sizeof(*cells))
        task_exit(CB_EXIT_REASON_FAILED, "cpus: missing, or not one number for each virtual CPU");
    for (uint32_t i = 0; i < into->vcpu_count; i++) {
        uint32_t cpu = fdt32_ld(cells + i);

        if (cpu >= 64 || (info->cpu_mask >> cpu & 1) == 0)
            task_exit(CB_EXIT_REASON_FAILED, "cpus: this VM may not use CPU %u", cpu);
        into->cpus[i] = cpu;
    }
}

void config_read(struct machine *into, const struct cb_task_info *info)
{
    const void *fdt = (const void *)CB_TASK_FDT_ADDRESS;

    if (info->fdt_size < FDT_V1_SIZE || fdt_check_header(fdt) != 0 || fdt_totalsize(fdt) > info->fdt_size)
        task_exit(CB_EXIT_REASON_FAILED, "the manifest node that root gave is no device tree");
    into->vcpu_count = read_number(fdt, "vcpus", 1, CB_GUEST_VCPUS);
    read_cpus(into, fdt, info);
    into->priority = read_number(fdt, "priority", 1, (uint32_t)info->priority);
    into->ram_size = read_number(fdt, "memory-mib", 2, MEMORY_MIB_MAX) * MIB;
    if (into->ram_size % MACHINE_SPECIAL_SIZE != 0)
        task_exit(CB_EXIT_REASON_FAILED, "memory-mib: odd, but memory comes in pieces of 2 MiB");
    into->bootargs = task_bootargs();
}
