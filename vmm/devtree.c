/* SPDX-License-Identifier: GPL-2.0-only */
#include "devtree.h"

#include <libfdt.h>
#include <string.h>

#define MAX_CELLS 48u /* of one property: the portals of all vCPUs */
_Static_assert(MAX_CELLS >= CB_GUEST_VCPUS && MAX_CELLS > CB_VIRTIO_QUEUES, "room for all");

/* libfdt's own macro for this does not convert strlen()'s result. */
static int put_string(void *fdt, const char *name, const char *value)
{
    return fdt_property(fdt, name, value, (int)strlen(value) + 1);
}

/* Device tree cells are big endian (Devicetree Specification 0.4, 5.1). */
static int put_cells(void *fdt, const char *name, const uint32_t *values, unsigned count)
{
    fdt32_t cells[MAX_CELLS];

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

/* NAME-NUMBER, for nodes that have no address. */
static void numbered_name(char name[64], const char *base, unsigned number)
{
    size_t length = strlen(base);

    memcpy(name, base, length);
    name[length] = '-';
    name[length + 1] = (char)('0' + number % 10);
    name[length + 2] = 0;
}
_Static_assert(CB_TASK_LINKS <= 10 && CB_TASK_SERVICES <= 10, "one digit does");

static int begin_grant(void *fdt, const char *name, const char *compatible, const char *label)
{
    int error = fdt_begin_node(fdt, name);

    if (!error)
        error = put_string(fdt, "compatible", compatible);
    return error ? error : put_string(fdt, "label", label);
}

static int add_link(void *fdt, const struct devtree_link *link, unsigned number)
{
    const uint32_t reg[] = {(uint32_t)(link->address >> 32), (uint32_t)link->address, (uint32_t)(link->size >> 32),
                            (uint32_t)link->size};
    char name[64];
    int error;

    if (link->size)
        node_name(name, "link", link->address);
    else
        numbered_name(name, "link", number);
    error = begin_grant(fdt, name, "corbel,link", link->name);
    if (!error)
        error = put_cells(fdt, "corbel,side", &link->side, 1);
    if (!error)
        error = put_cells(fdt, "corbel,signal", &link->signal, 1);
    if (!error)
        error = put_cells(fdt, "corbel,port", &link->port, 1);
    if (!error && link->size)
        error = put_cells(fdt, "reg", reg, 4);
    return error ? error : fdt_end_node(fdt);
}

static int add_service(void *fdt, const struct devtree_service *service, unsigned number)
{
    char name[64];
    int error;

    numbered_name(name, "service", number);
    error = begin_grant(fdt, name, "corbel,service", service->name);
    if (!error)
        error = put_cells(fdt, "corbel,portals", service->portals, service->portal_count);
    return error ? error : fdt_end_node(fdt);
}

static int put_address_cells(void *fdt)
{
    int error = fdt_property_u32(fdt, "#address-cells", 2);

    return error ? error : fdt_property_u32(fdt, "#size-cells", 2);
}

static int add_grants(void *fdt, const struct devtree_grants *grants)
{
    int error = fdt_begin_node(fdt, "grants");

    if (!error)
        error = put_string(fdt, "compatible", "corbel,grants");
    if (!error)
        error = put_address_cells(fdt);
    if (!error)
        error = fdt_property(fdt, "ranges", NULL, 0);
    for (unsigned i = 0; !error && i < grants->link_count; i++)
        error = add_link(fdt, &grants->links[i], i);
    for (unsigned i = 0; !error && i < grants->service_count; i++)
        error = add_service(fdt, &grants->services[i], i);
    return error ? error : fdt_end_node(fdt);
}

int devtree_build(void *buffer, size_t size, const struct devtree_device *devices, unsigned count,
                  const struct devtree_grants *grants)
{
    int error = fdt_create(buffer, (int)size);

    if (!error)
        error = fdt_finish_reservemap(buffer);
    if (!error)
        error = fdt_begin_node(buffer, "");
    if (!error)
        error = put_string(buffer, "compatible", "corbel,guest");
    if (!error)
        error = put_address_cells(buffer);
    for (unsigned i = 0; !error && i < count; i++)
        error = add_device(buffer, &devices[i]);
    if (!error)
        error = add_grants(buffer, grants);
    if (!error)
        error = fdt_end_node(buffer);
    if (!error)
        error = fdt_finish(buffer);
    return error;
}
