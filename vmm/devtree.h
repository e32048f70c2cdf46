/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's device tree: what it finds beside CPUID (corbel/guest.h, corbel/virtio.h).
 * (Not fdt.h: libfdt has a header of that name.)
 */
#ifndef VMM_DEVTREE_H
#define VMM_DEVTREE_H

#include <corbel/guest.h>
#include <corbel/task.h>
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

/* What the guest is granted (corbel/guest.h). */
struct devtree_link {
    const char *name;
    uint32_t side;
    uint32_t signal;        /* selector */
    uint32_t port;
    uint64_t address, size; /* of the shared memory; no size: there is none */
};

struct devtree_service {
    const char *name;
    uint32_t portal_count;
    uint32_t portals[CB_GUEST_VCPUS]; /* selectors, by vCPU */
};

struct devtree_grants {
    unsigned link_count, service_count;
    struct devtree_link links[CB_TASK_LINKS];
    struct devtree_service services[CB_TASK_SERVICES];
};

/* Writes the tree into `buffer`. 0, or libfdt's error (negative). */
int devtree_build(void *buffer, size_t size, const struct devtree_device *devices, unsigned count,
                  const struct devtree_grants *grants);

#endif
