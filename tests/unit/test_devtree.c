/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's device tree, read back with libfdt as the guest's kernel does. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "devtree.h"

#define SIZE 8192u

static struct devtree_device devices[8];
static struct devtree_grants grants;

static void make_devices(void)
{
    for (unsigned i = 0; i < 8; i++) {
        struct devtree_device *d = &devices[i];

        *d = (struct devtree_device){
            .name = i % 2 ? "disk" : "rng",
            .page = 0x123456000ull + i * 4096ull,
            .control = 1024 + i * 20,
            .config_port = 16 + i * 20,
            .queue_count = i * 2 + 1,
        };
        for (unsigned q = 0; q < d->queue_count; q++) {
            d->kicks[q] = d->control + 1 + q;
            d->ports[q] = d->config_port + 1 + q;
        }
    }
}

static uint32_t cell(const void *fdt, int node, const char *name, unsigned index, unsigned count)
{
    int length;
    const fdt32_t *cells = fdt_getprop(fdt, node, name, &length);

    cr_assert_not_null(cells, "%s", name);
    cr_assert_eq((unsigned)length, 4 * count, "%s", name);
    return fdt32_ld(cells + index);
}

static void check_device(const void *fdt, int node, const struct devtree_device *d)
{
    char name[64];

    snprintf(name, sizeof(name), "%s@%llx", d->name, (unsigned long long)d->page);
    cr_assert_str_eq(fdt_get_name(fdt, node, NULL), name);
    cr_assert_eq(fdt_node_check_compatible(fdt, node, "corbel,virtio"), 0);
    cr_assert_eq((uint64_t)cell(fdt, node, "reg", 0, 4) << 32 | cell(fdt, node, "reg", 1, 4), d->page);
    cr_assert_eq(cell(fdt, node, "reg", 2, 4), 0);
    cr_assert_eq(cell(fdt, node, "reg", 3, 4), 4096);
    cr_assert_eq(cell(fdt, node, "corbel,control", 0, 1), d->control);
    cr_assert_eq(cell(fdt, node, "corbel,ports", 0, d->queue_count + 1), d->config_port);
    for (unsigned q = 0; q < d->queue_count; q++) {
        cr_assert_eq(cell(fdt, node, "corbel,kicks", q, d->queue_count), d->kicks[q]);
        cr_assert_eq(cell(fdt, node, "corbel,ports", q + 1, d->queue_count + 1), d->ports[q]);
    }
}

Test(devtree, what_the_guest_reads)
{
    static _Alignas(8) uint8_t fdt[SIZE];
    int node;
    unsigned count = 0;

    make_devices();
    memset(fdt, 0xa5, sizeof(fdt));
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 8, &grants), 0);
    cr_assert_eq(fdt_check_full(fdt, sizeof(fdt)), 0);
    cr_assert_eq(fdt_node_check_compatible(fdt, 0, "corbel,guest"), 0);
    cr_assert_eq(cell(fdt, 0, "#address-cells", 0, 1), 2);
    cr_assert_eq(cell(fdt, 0, "#size-cells", 0, 1), 2);
    fdt_for_each_subnode(node, fdt, 0)
        if (strcmp(fdt_get_name(fdt, node, NULL), "grants") != 0)
            check_device(fdt, node, &devices[count++]);
    cr_assert_eq(count, 8);
}

Test(devtree, no_devices)
{
    static _Alignas(8) uint8_t fdt[SIZE];

    cr_assert_eq(devtree_build(fdt, sizeof(fdt), NULL, 0, &grants), 0);
    cr_assert_eq(fdt_check_full(fdt, sizeof(fdt)), 0);
    int node = fdt_first_subnode(fdt, 0);

    cr_assert_str_eq(fdt_get_name(fdt, node, NULL), "grants");
    cr_assert_lt(fdt_first_subnode(fdt, node), 0);
    cr_assert_lt(fdt_next_subnode(fdt, node), 0);
}

static void make_grants(void)
{
    grants = (struct devtree_grants){.link_count = CB_TASK_LINKS, .service_count = CB_TASK_SERVICES};
    for (unsigned i = 0; i < CB_TASK_LINKS; i++)
        grants.links[i] = (struct devtree_link){
            .name = i % 2 ? "odd" : "even",
            .side = i % 2,
            .signal = 4096 + i,
            .port = 1024 + i,
            .address = 0x1fffe00000ull + i * 0x200000ull,
            .size = i % 3 ? 0x1000ull << 4 * i : 0,
        };
    for (unsigned i = 0; i < CB_TASK_SERVICES; i++) {
        grants.services[i] = (struct devtree_service){.name = "a-name-of-thirty-one-characters", .portal_count = 6 * i + 6};
        for (unsigned vcpu = 0; vcpu < grants.services[i].portal_count; vcpu++)
            grants.services[i].portals[vcpu] = 5000 + i * 48 + vcpu;
    }
}

static void check_link(const void *fdt, int node, const struct devtree_link *link)
{
    cr_assert_eq(fdt_node_check_compatible(fdt, node, "corbel,link"), 0);
    cr_assert_str_eq(fdt_getprop(fdt, node, "label", NULL), link->name);
    cr_assert_eq(cell(fdt, node, "corbel,side", 0, 1), link->side);
    cr_assert_eq(cell(fdt, node, "corbel,signal", 0, 1), link->signal);
    cr_assert_eq(cell(fdt, node, "corbel,port", 0, 1), link->port);
    if (link->size == 0) {
        cr_assert_null(fdt_getprop(fdt, node, "reg", NULL));
        return;
    }
    cr_assert_eq((uint64_t)cell(fdt, node, "reg", 0, 4) << 32 | cell(fdt, node, "reg", 1, 4), link->address);
    cr_assert_eq((uint64_t)cell(fdt, node, "reg", 2, 4) << 32 | cell(fdt, node, "reg", 3, 4), link->size);
}

/* As many as there can be. */
Test(devtree, what_is_granted)
{
    static _Alignas(8) uint8_t fdt[SIZE];
    unsigned links = 0, services = 0;
    int node, parent;

    make_grants();
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), NULL, 0, &grants), 0);
    cr_assert_eq(fdt_check_full(fdt, sizeof(fdt)), 0);
    parent = fdt_path_offset(fdt, "/grants");
    cr_assert_eq(fdt_node_check_compatible(fdt, parent, "corbel,grants"), 0);
    cr_assert_eq(fdt_address_cells(fdt, parent), 2);
    cr_assert_eq(fdt_size_cells(fdt, parent), 2);
    cr_assert_not_null(fdt_getprop(fdt, parent, "ranges", NULL));
    fdt_for_each_subnode(node, fdt, parent) {
        const char *name = fdt_get_name(fdt, node, NULL);

        cr_assert_eq(fdt_subnode_offset(fdt, parent, name), node, "%s is there twice", name);
        if (links < CB_TASK_LINKS) {
            check_link(fdt, node, &grants.links[links++]);
            continue;
        }
        const struct devtree_service *service = &grants.services[services++];

        cr_assert_eq(fdt_node_check_compatible(fdt, node, "corbel,service"), 0);
        cr_assert_str_eq(fdt_getprop(fdt, node, "label", NULL), service->name);
        for (unsigned vcpu = 0; vcpu < service->portal_count; vcpu++)
            cr_assert_eq(cell(fdt, node, "corbel,portals", vcpu, service->portal_count), service->portals[vcpu]);
    }
    cr_assert_eq(services, CB_TASK_SERVICES);
}

Test(devtree, addresses)
{
    static const uint64_t addresses[] = {0, 0x1000, 0xfffff000, 0x100000000, 0xfffffffff000, 0xfffffffffffff000};
    static _Alignas(8) uint8_t fdt[SIZE];

    for (unsigned i = 0; i < 6; i++) {
        make_devices();
        devices[0].page = addresses[i];
        cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1, &grants), 0);
        check_device(fdt, fdt_first_subnode(fdt, 0), &devices[0]);
    }
}

/* A buffer that is too small gives an error, and nothing is written beyond it (the sanitizer sees). */
Test(devtree, too_little_room)
{
    static _Alignas(8) uint8_t fdt[SIZE];
    size_t needed;

    make_devices();
    make_grants();
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 8, &grants), 0);
    needed = fdt_totalsize(fdt);
    for (size_t size = 0; size < needed + 64; size++) {
        void *buffer = malloc(size);
        int error = devtree_build(buffer, size, devices, 8, &grants);

        if (size < needed)
            cr_assert_lt(error, 0, "%zu bytes are too few for %zu", size, needed);
        else if (error == 0)
            cr_assert_eq(fdt_check_full(buffer, size), 0);
        free(buffer);
    }
}

Test(devtree, more_queues_than_a_page_has)
{
    static _Alignas(8) uint8_t fdt[SIZE];

    make_devices();
    devices[0].queue_count = CB_VIRTIO_QUEUES;
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1, &grants), 0);
    devices[0].queue_count = CB_VIRTIO_QUEUES + 1;
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1, &grants), -FDT_ERR_BADVALUE);
    devices[0].queue_count = UINT32_MAX;
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1, &grants), -FDT_ERR_BADVALUE);
}
