/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One split virtqueue, seen from the device (virtio 1.1, 2.6).
 *
 * The driver is hostile: every field of the ring is read once into a local, checked and then used. A driver that
 * breaks the rules breaks its queue: virtqueue_take() says so until the next virtqueue_init().
 *
 * Serving a queue:
 *
 *     do
 *         while (virtqueue_take(vq, &chain) == VIRTQUEUE_TAKEN)
 *             virtqueue_put(vq, &chain, bytes written);
 *     while (!virtqueue_rest(vq));
 *     if (virtqueue_due(vq))
 *         signal the driver;
 */
#ifndef VMM_VIRTQUEUE_H
#define VMM_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem.h"

#define VIRTQUEUE_SIZE_MAX 256u /* entries */

struct virtqueue_desc;
struct virtqueue_avail;
struct virtqueue_used;

struct virtqueue {
    const struct gmem *mem;
    struct virtqueue_desc *desc;   /* the three areas, inside the guest's RAM */
    struct virtqueue_avail *avail;
    struct virtqueue_used *used;
    uint16_t size;       /* entries, a power of two; 0: not in use */
    uint16_t avail_next; /* the next entry to take */
    uint16_t used_next;  /* the next entry to give back */
    uint16_t told;       /* used_next when we last thought about a signal */
    bool event_idx;      /* VIRTIO_F_EVENT_IDX was accepted */
    bool broken;
};

/* One buffer of a chain. */
struct virtqueue_span {
    uint8_t *at;
    uint32_t size;
};

/* A request: buffers that the device reads, then buffers that it writes. */
struct virtqueue_chain {
    uint16_t head;
    uint16_t read_count;  /* spans [0, read_count) are read */
    uint16_t count;       /* spans [read_count, count) are written */
    uint64_t read_size;   /* bytes in all */
    uint64_t write_size;
    struct virtqueue_span spans[VIRTQUEUE_SIZE_MAX];
};

/* A place in a chain. Start with virtqueue_reader() or virtqueue_writer(). */
struct virtqueue_cursor {
    uint16_t span, end;
    uint32_t offset;
};

enum virtqueue_result { VIRTQUEUE_EMPTY, VIRTQUEUE_TAKEN, VIRTQUEUE_BROKEN };

/* Where the driver says that its queue is: guest-physical addresses. */
struct virtqueue_place {
    uint32_t size;
    uint64_t desc, avail, used;
};

/* False if the driver's values are not acceptable; the queue is then not in use. */
bool virtqueue_init(struct virtqueue *vq, const struct gmem *mem, const struct virtqueue_place *place,
                    bool event_idx);
void virtqueue_stop(struct virtqueue *vq);

enum virtqueue_result virtqueue_take(struct virtqueue *vq, struct virtqueue_chain *chain);
void virtqueue_put(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);

/* Before going to sleep: asks for a kick. False: more has come meanwhile, and no kick will follow. */
bool virtqueue_rest(struct virtqueue *vq);
/* Whether the driver wants to be told of what was put since the last time. */
bool virtqueue_due(struct virtqueue *vq);

struct virtqueue_cursor virtqueue_reader(const struct virtqueue_chain *chain);
struct virtqueue_cursor virtqueue_writer(const struct virtqueue_chain *chain);
/* Copy out of, or into, a chain and move the cursor on; the bytes copied, less than `size` at the chain's end. */
size_t virtqueue_read(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, void *to, size_t size);
size_t virtqueue_write(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, const void *from,
                       size_t size);
void virtqueue_skip(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, uint64_t size);

#endif
