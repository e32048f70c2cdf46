/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of a split virtqueue, for tests of the device's side: as honest or as hostile as the test wants.
 * The structures are written down again from virtio 1.1, 2.6, so that the two sides do not share a mistake.
 */
#ifndef RING_H
#define RING_H

#include <stdint.h>

#include "virtqueue.h"

#define RING_NEXT 1u
#define RING_WRITE 2u
#define RING_INDIRECT 4u

/* Guest RAM as it is laid out here; buffers lie in the rest. */
#define RING_RAM 0x10000u
#define RING_DESC 0x1000u
#define RING_AVAIL 0x3000u
#define RING_USED 0x4000u
#define RING_DATA 0x5000u

struct ring_desc {
    uint64_t address;
    uint32_t size;
    uint16_t flags, next;
};

struct ring {
    struct gmem mem;         /* exactly as much as RING_RAM, so that the sanitizer sees what lies outside */
    uint32_t size;
    struct ring_desc *desc;
    uint16_t *avail;         /* [0] flags, [1] idx, [2...] entries, [2 + size] used_event */
    uint16_t *used;          /* [0] flags, [1] idx */
    uint32_t *used_entries;  /* pairs: head, bytes written */
};

void ring_init(struct ring *ring, uint32_t size);
void ring_free(struct ring *ring);

struct virtqueue_place ring_place(const struct ring *ring);

void ring_set(struct ring *ring, uint16_t index, uint64_t address, uint32_t size, unsigned flags, uint16_t next);

/* The next entry of the available ring, published at once. */
void ring_offer(struct ring *ring, uint16_t head);

uint16_t *ring_avail_event(const struct ring *ring);

#endif
