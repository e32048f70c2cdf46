/* SPDX-License-Identifier: MIT */
/*
 * The device control plane: how a virtio device's features, status, queue addresses and events travel
 * between a guest, its VMM, and whatever serves the device.
 *
 * One control page per device, in memory the guest gave, shared by the guest's driver and the device's
 * server (the VMM, a front-end process in dom0, or a native driver: the driver cannot tell). All else is
 * events: the guest signals `control` after it changed the page and one `kick` event per queue; the server
 * signals one port for configuration and answers, and one per queue.
 *
 * A change: the driver writes its fields, then adds 1 to `request` (release) and signals `control`. The
 * server takes over all driver fields at once, acts, writes its own fields, copies `request` to `answer`
 * (release) and signals the configuration port. Until then the driver changes nothing further. A reset is
 * the request with status 0; it is answered only when the server no longer touches the guest's memory.
 * Features, status bits and queue layout are virtio 1.1's (2.1, 2.2, 2.6); only split queues, and
 * VIRTIO_F_VERSION_1 is always offered and must be accepted.
 *
 * Writing a configuration field is a request that repeats the current status.
 *
 * Each field has one writer. Both sides read the other's fields once into locals, and treat them as hostile.
 */
#ifndef CORBEL_VIRTIO_H
#define CORBEL_VIRTIO_H

#include <corbel/types.h>

#define CB_VIRTIO_MAGIC 0x74726956u /* "Virt" */
#define CB_VIRTIO_VERSION 1u
#define CB_VIRTIO_QUEUES 16u
#define CB_VIRTIO_CONFIG 256u

struct cb_virtio_queue {
    uint32_t size_max;    /* server: entries the queue may have, 0 if there is no such queue */
    uint32_t size;        /* driver: entries it has, a power of two */
    uint32_t enabled;     /* driver: 1 if in use */
    uint32_t reserved;
    uint64_t desc;        /* driver: guest-physical addresses of the three areas */
    uint64_t avail;
    uint64_t used;
};
CB_ASSERT_SIZE(struct cb_virtio_queue, 40);

struct cb_virtio {
    uint32_t magic;             /* server */
    uint32_t version;           /* server */
    uint32_t device_id;         /* server: virtio's device type */
    uint32_t vendor_id;         /* server */
    uint64_t device_features;   /* server */
    uint64_t driver_features;   /* driver */
    uint32_t request;           /* driver: counts its requests */
    uint32_t status;            /* driver: the status it wants */
    uint32_t answer;            /* server: the last request it has carried out */
    uint32_t device_status;     /* server: the status that holds; may lack FEATURES_OK, or add NEEDS_RESET */
    uint32_t config_generation; /* server: odd while it changes `config` */
    uint32_t config_size;       /* server: bytes of `config` that mean something */
    uint64_t reserved[24];
    struct cb_virtio_queue queues[CB_VIRTIO_QUEUES];
    uint8_t config[CB_VIRTIO_CONFIG]; /* server; writable fields of a device type: driver, with a request */
    uint8_t unused[4096 - 248 - CB_VIRTIO_QUEUES * 40 - CB_VIRTIO_CONFIG];
};
CB_ASSERT_SIZE(struct cb_virtio, 4096);
CB_ASSERT_OFFSET(struct cb_virtio, queues, 248);

/*
 * The device in the guest's FDT:
 *   compatible = "corbel,virtio"
 *   reg = <address of the control page, 4096>            (2 address cells, 2 size cells)
 *   corbel,control = <selector of the control event>
 *   corbel,kicks = <selector of queue 0's kick event, queue 1's, ...>
 *   corbel,ports = <port for configuration, for queue 0, queue 1, ...>   (on vCPU 0 at first; see ROUTE in guest.h)
 */

#endif
