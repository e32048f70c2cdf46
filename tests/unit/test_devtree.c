/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's device tree, read back with libfdt as the guest's kernel does. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "devtree.h"

#define SIZE 8192u

static struct devtree_device devices[8];

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
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 8), 0);
    cr_assert_eq(fdt_check_full(fdt, sizeof(fdt)), 0);
    cr_assert_eq(fdt_node_check_compatible(fdt, 0, "corbel,guest"), 0);
    cr_assert_eq(cell(fdt, 0, "#address-cells", 0, 1), 2);
    cr_assert_eq(cell(fdt, 0, "#size-cells", 0, 1), 2);
    fdt_for_each_subnode(node, fdt, 0)
        check_device(fdt, node, &devices[count++]);
    cr_assert_eq(count, 8);
}

Test(devtree, no_devices)
{
    static _Alignas(8) uint8_t fdt[SIZE];

    cr_assert_eq(devtree_build(fdt, sizeof(fdt), NULL, 0), 0);
    cr_assert_eq(fdt_check_full(fdt, sizeof(fdt)), 0);
    cr_assert_lt(fdt_first_subnode(fdt, 0), 0);
}

Test(devtree, addresses)
{
    static const uint64_t addresses[] = {0, 0x1000, 0xfffff000, 0x100000000, 0xfffffffff000, 0xfffffffffffff000};
    static _Alignas(8) uint8_t fdt[SIZE];

    for (unsigned i = 0; i < 6; i++) {
        make_devices();
        devices[0].page = addresses[i];
        cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1), 0);
        check_device(fdt, fdt_first_subnode(fdt, 0), &devices[0]);
    }
}

/* A buffer that is too small gives an error, and nothing is written beyond it (the sanitizer sees). */
Test(devtree, too_little_room)
{
    static _Alignas(8) uint8_t fdt[SIZE];
    size_t needed;

    make_devices();
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 8), 0);
    needed = fdt_totalsize(fdt);
    for (size_t size = 0; size < needed + 64; size++) {
        void *buffer = malloc(size);
        int error = devtree_build(buffer, size, devices, 8);

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
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1), 0);
    devices[0].queue_count = CB_VIRTIO_QUEUES + 1;
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1), -FDT_ERR_BADVALUE);
    devices[0].queue_count = UINT32_MAX;
    cr_assert_eq(devtree_build(fdt, sizeof(fdt), devices, 1), -FDT_ERR_BADVALUE);
}
