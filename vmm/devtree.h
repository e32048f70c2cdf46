/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's device tree: what it finds beside CPUID (corbel/guest.h, corbel/virtio.h).
 * (Not fdt.h: libfdt has a header of that name.)
 */
#ifndef VMM_DEVTREE_H
#define VMM_DEVTREE_H

#include <corbel/virtio.h>

#include <stddef.h>

struct devtree_device {
    const char *name;       /* of the node, before its unit address */
    uint64_t page;          /* guest-physical address of the control page */
    uint32_t control;       /* selector of the control event */
    uint32_t config_port;
    uint32_t queue_count;
    uint32_t kicks[CB_VIRTIO_QUEUES]; /* selectors */
    uint32_t ports[CB_VIRTIO_QUEUES];
};

/* Writes the tree into `buffer`. 0, or libfdt's error (negative). */
int devtree_build(void *buffer, size_t size, const struct devtree_device *devices, unsigned count);

#endif
