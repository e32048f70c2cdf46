/* SPDX-License-Identifier: GPL-2.0-only */
#include "devtree.h"

#include <libfdt.h>
#include <string.h>

/* libfdt's own macro for this does not convert strlen()'s result. */
static int put_string(void *fdt, const char *name, const char *value)
{
    return fdt_property(fdt, name, value, (int)strlen(value) + 1);
}

/* Device tree cells are big endian (Devicetree Specification 0.4, 5.1). */
static int put_cells(void *fdt, const char *name, const uint32_t *values, unsigned count)
{
    fdt32_t cells[CB_VIRTIO_QUEUES + 1];

    if (count > sizeof(cells) / sizeof(cells[0]))
        return -FDT_ERR_BADVALUE;
    for (unsigned i = 0; i < count; i++)
        cells[i] = cpu_to_fdt32(values[i]);
    return fdt_property(fdt, name, cells, (int)(count * sizeof(cells[0])));
}

/* NAME@ADDRESS, as the specification asks of nodes that have `reg` (2.2.1). */
static void node_name(char name[64], const char *base, uint64_t address)
{
    unsigned at = 0;
    int shift = 60;

    while (at < 40 && base[at] != 0) {
        name[at] = base[at];
        at++;
    }
    name[at++] = '@';
    while (shift > 0 && address >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        name[at++] = "0123456789abcdef"[address >> shift & 15];
    name[at] = 0;
}

static int add_device(void *fdt, const struct devtree_device *device)
{
    const uint32_t reg[] = {(uint32_t)(device->page >> 32), (uint32_t)device->page, 0, CB_PAGE_SIZE};
    uint32_t ports[CB_VIRTIO_QUEUES + 1];
    char name[64];
    int error;

    if (device->queue_count > CB_VIRTIO_QUEUES)
        return -FDT_ERR_BADVALUE;
    ports[0] = device->config_port;
    for (unsigned i = 0; i < device->queue_count; i++)
        ports[i + 1] = device->ports[i];
    node_name(name, device->name, device->page);
    error = fdt_begin_node(fdt, name);
    if (!error)
        error = put_string(fdt, "compatible", "corbel,virtio");
    if (!error)
        error = put_cells(fdt, "reg", reg, 4);
    if (!error)
        error = put_cells(fdt, "corbel,control", &device->control, 1);
    if (!error)
        error = put_cells(fdt, "corbel,kicks", device->kicks, device->queue_count);
    if (!error)
        error = put_cells(fdt, "corbel,ports", ports, device->queue_count + 1);
    if (!error)
        error = fdt_end_node(fdt);
    return error;
}

int devtree_build(void *buffer, size_t size, const struct devtree_device *devices, unsigned count)
{
    int error = fdt_create(buffer, (int)size);

    if (!error)
        error = fdt_finish_reservemap(buffer);
    if (!error)
        error = fdt_begin_node(buffer, "");
    if (!error)
        error = put_string(buffer, "compatible", "corbel,guest");
    if (!error)
        error = fdt_property_u32(buffer, "#address-cells", 2);
    if (!error)
        error = fdt_property_u32(buffer, "#size-cells", 2);
    for (unsigned i = 0; !error && i < count; i++)
        error = add_device(buffer, &devices[i]);
    if (!error)
        error = fdt_end_node(buffer);
    if (!error)
        error = fdt_finish(buffer);
    return error;
}
