/* SPDX-License-Identifier: GPL-2.0-only */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

static void *at(const struct ring *ring, uint64_t address)
{
    return ring->mem.base + address;
}

void ring_init(struct ring *ring, uint32_t size)
{
    memset(ring, 0, sizeof(*ring));
    ring->mem.base = aligned_alloc(4096, RING_RAM);
    ring->mem.size = RING_RAM;
    memset(ring->mem.base, 0, RING_RAM);
    ring->size = size;
    ring->desc = at(ring, RING_DESC);
    ring->avail = at(ring, RING_AVAIL);
    ring->used = at(ring, RING_USED);
    ring->used_entries = at(ring, RING_USED + 4);
}

void ring_free(struct ring *ring)
{
    free(ring->mem.base);
}

struct virtqueue_place ring_place(const struct ring *ring)
{
    return (struct virtqueue_place){.size = ring->size, .desc = RING_DESC, .avail = RING_AVAIL, .used = RING_USED};
}

void ring_set(struct ring *ring, uint16_t index, uint64_t address, uint32_t size, unsigned flags, uint16_t next)
{
    ring->desc[index] = (struct ring_desc){address, size, (uint16_t)flags, next};
}

void ring_offer(struct ring *ring, uint16_t head)
{
    uint16_t idx = ring->avail[1];

    ring->avail[2 + idx % ring->size] = head;
    __atomic_store_n(&ring->avail[1], (uint16_t)(idx + 1), __ATOMIC_RELEASE);
}

uint16_t *ring_avail_event(const struct ring *ring)
{
    return (uint16_t *)(void *)&ring->used_entries[2 * ring->size];
}
