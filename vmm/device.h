/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every virtio device of the machine has, and how a device type (the files in dev/) plugs in.
 *
 * All of it belongs to the device thread: nothing here is touched by any other once the guest runs.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <corbel/virtio.h>

#include "virtqueue.h"

#define DEVICE_QUEUES 2u /* the most that any type here has */

struct device;

struct dev_ops {
    const char *name;     /* of the node in the guest's device tree */
    uint32_t id;          /* virtio 1.1, 5: device type */
    uint32_t queue_count;
    /* Finds the backing, and sets features and config. False: this machine has no such device. */
    bool (*create)(struct device *device);
    /* Carries out one request of queue `queue`; the number of bytes written into the chain. */
    uint32_t (*serve)(struct device *device, uint32_t queue, const struct virtqueue_chain *chain);
};

struct device {
    const struct dev_ops *ops;
    const struct gmem *mem;
    struct cb_virtio *page;      /* the control page, shared with the driver */
    uint64_t features;           /* offered: the device type's own and the transport's */
    uint64_t accepted;           /* what the driver took of them, once FEATURES_OK is set */
    uint32_t status;             /* virtio 1.1, 2.1; what the page shows is a copy */
    uint32_t answered;           /* the last request carried out */
    uint8_t config[CB_VIRTIO_CONFIG];
    uint32_t config_size;
    struct virtqueue queues[DEVICE_QUEUES];
    struct virtqueue_chain chain; /* the request at hand: too large for a stack */

    uint32_t config_event;       /* selectors of the events that tell the guest */
    uint32_t queue_events[DEVICE_QUEUES];
    uint32_t first_bit;          /* in the device event: control, then one for each queue */
};

/* In virtio.c */

/* After ops->create(): fills the server's part of the control page. */
void virtio_init(struct device *device, const struct gmem *mem, struct cb_virtio *page);
/*
 * The driver signalled `control`, or queue `queue`'s kick event. True if there is more to do, although others are to have
 * their turn: to be called again, for any queue. The driver decides how long a queue is never empty.
 */
bool virtio_control(struct device *device);
bool virtio_kick(struct device *device, uint32_t queue);

/* In machine.c: tells the guest. */
void device_signal_config(const struct device *device);
void device_signal_queue(const struct device *device, uint32_t queue);

#endif
