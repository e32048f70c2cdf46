/* SPDX-License-Identifier: GPL-2.0-only */
#include "virtqueue.h"

#include <string.h>

/* virtio 1.1, 2.6.5: the descriptor table. */
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u /* not offered, so a driver must not use it */

#define AVAIL_NO_INTERRUPT 1u /* 2.6.6 */
#define USED_NO_NOTIFY 1u     /* 2.6.8 */

struct virtqueue_desc {
    uint64_t address;
    uint32_t size;
    uint16_t flags;
    uint16_t next;
};
_Static_assert(sizeof(struct virtqueue_desc) == 16, "virtio 1.1, 2.6.5");

struct virtqueue_avail {
    uint16_t flags;
    uint16_t idx;
    uint16_t ring[]; /* size entries, then used_event */
};

struct virtqueue_used_element {
    uint32_t head;
    uint32_t written;
};

struct virtqueue_used {
    uint16_t flags;
    uint16_t idx;
    struct virtqueue_used_element ring[]; /* size entries, then avail_event */
};

/* The device's threshold for kicks: the 16 bits behind the used ring (2.6.8). */
static uint16_t *avail_event(const struct virtqueue *vq)
{
    return (uint16_t *)(void *)&vq->used->ring[vq->size];
}

bool virtqueue_init(struct virtqueue *vq, const struct gmem *mem, const struct virtqueue_place *place,
                    bool event_idx)
{
    uint32_t size = place->size;

    memset(vq, 0, sizeof(*vq));
    if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
        return false;
    if (place->desc % 16 != 0 || place->avail % 2 != 0 || place->used % 4 != 0)
        return false;
    vq->desc = gmem_at(mem, place->desc, 16ull * size);
    vq->avail = gmem_at(mem, place->avail, 6 + 2ull * size);
    vq->used = gmem_at(mem, place->used, 6 + 8ull * size);
    if (!vq->desc || !vq->avail || !vq->used)
        return false;
    vq->mem = mem;
    vq->size = (uint16_t)size;
    vq->event_idx = event_idx;
    return true;
}

void virtqueue_stop(struct virtqueue *vq)
{
    memset(vq, 0, sizeof(*vq));
}

/* One descriptor, read once. Its two halves may be torn apart by a hostile driver: each is checked as it is. */
static struct virtqueue_desc desc_read(const struct virtqueue *vq, uint16_t index)
{
    const struct virtqueue_desc *from = &vq->desc[index];

    return (struct virtqueue_desc){
        .address = __atomic_load_n(&from->address, __ATOMIC_RELAXED),
        .size = __atomic_load_n(&from->size, __ATOMIC_RELAXED),
        .flags = __atomic_load_n(&from->flags, __ATOMIC_RELAXED),
        .next = __atomic_load_n(&from->next, __ATOMIC_RELAXED),
    };
}

static bool chain_add(const struct virtqueue *vq, struct virtqueue_chain *chain, const struct virtqueue_desc *desc)
{
    uint8_t *at = gmem_at(vq->mem, desc->address, desc->size);
    bool write = (desc->flags & DESC_WRITE) != 0;

    if (!at || (desc->flags & DESC_INDIRECT) != 0)
        return false;
    if (!write && chain->count != chain->read_count)
        return false; /* 2.6.4.2: what the device reads comes first */
    chain->spans[chain->count++] = (struct virtqueue_span){at, desc->size};
    if (write) {
        chain->write_size += desc->size;
    } else {
        chain->read_size += desc->size;
        chain->read_count++;
    }
    return true;
}

/* Follows the descriptors from `head` on. A chain longer than the queue is a loop. */
static bool chain_collect(const struct virtqueue *vq, struct virtqueue_chain *chain, uint16_t head)
{
    uint16_t index = head;

    chain->head = head;
    chain->read_count = chain->count = 0;
    chain->read_size = chain->write_size = 0;
    for (;;) {
        struct virtqueue_desc desc;

        if (index >= vq->size || chain->count == vq->size)
            return false;
        desc = desc_read(vq, index);
        if (!chain_add(vq, chain, &desc))
            return false;
        if ((desc.flags & DESC_NEXT) == 0)
            return true;
        index = desc.next;
    }
}

enum virtqueue_result virtqueue_take(struct virtqueue *vq, struct virtqueue_chain *chain)
{
    uint16_t waiting, head;

    if (vq->broken)
        return VIRTQUEUE_BROKEN;
    if (vq->size == 0)
        return VIRTQUEUE_EMPTY;
    /* Pairs with the driver's release of idx: entries and descriptors before it are complete. */
    waiting = (uint16_t)(__atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE) - vq->avail_next);
    if (waiting == 0)
        return VIRTQUEUE_EMPTY;
    if (!vq->event_idx)
        __atomic_store_n(&vq->used->flags, USED_NO_NOTIFY, __ATOMIC_RELAXED);
    head = __atomic_load_n(&vq->avail->ring[vq->avail_next & (vq->size - 1)], __ATOMIC_RELAXED);
    if (waiting > vq->size || !chain_collect(vq, chain, head)) {
        vq->broken = true;
        return VIRTQUEUE_BROKEN;
    }
    vq->avail_next++;
    return VIRTQUEUE_TAKEN;
}

void virtqueue_put(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
    struct virtqueue_used_element *to;

    if (vq->size == 0)
        return;
    to = &vq->used->ring[vq->used_next & (vq->size - 1)];
    __atomic_store_n(&to->head, chain->head, __ATOMIC_RELAXED);
    __atomic_store_n(&to->written, written, __ATOMIC_RELAXED);
    vq->used_next++;
    /* Pairs with the driver's acquire of idx: buffers and entry are written before it. */
    __atomic_store_n(&vq->used->idx, vq->used_next, __ATOMIC_RELEASE);
}

bool virtqueue_rest(struct virtqueue *vq)
{
    if (vq->size == 0 || vq->broken)
        return true;
    if (vq->event_idx)
        __atomic_store_n(avail_event(vq), vq->avail_next, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
    /* Pairs with the driver's barrier between its idx and its look at our threshold: one of us sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&vq->avail->idx, __ATOMIC_RELAXED) == vq->avail_next;
}

bool virtqueue_due(struct virtqueue *vq)
{
    uint16_t fresh = (uint16_t)(vq->used_next - vq->told);
    uint16_t threshold;

    if (vq->size == 0 || fresh == 0)
        return false;
    vq->told = vq->used_next;
    /* Pairs with the driver's barrier between its threshold and its look at our idx. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!vq->event_idx)
        return (__atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED) & AVAIL_NO_INTERRUPT) == 0;
    threshold = __atomic_load_n(&vq->avail->ring[vq->size], __ATOMIC_RELAXED);
    return (uint16_t)(vq->used_next - threshold - 1) < fresh; /* 2.6.7.2 */
}

struct virtqueue_cursor virtqueue_reader(const struct virtqueue_chain *chain)
{
    return (struct virtqueue_cursor){.span = 0, .end = chain->read_count, .offset = 0};
}

struct virtqueue_cursor virtqueue_writer(const struct virtqueue_chain *chain)
{
    return (struct virtqueue_cursor){.span = chain->read_count, .end = chain->count, .offset = 0};
}

/* The next piece at the cursor, at most `size` bytes, and the cursor behind it; NULL at the end. */
static uint8_t *cursor_step(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, size_t *size)
{
    while (cursor->span < cursor->end) {
        const struct virtqueue_span *span = &chain->spans[cursor->span];
        uint32_t offset = cursor->offset;

        if (offset < span->size) {
            if (*size > span->size - offset)
                *size = span->size - offset;
            cursor->offset += (uint32_t)*size;
            return span->at + offset;
        }
        cursor->span++;
        cursor->offset = 0;
    }
    return NULL;
}

size_t virtqueue_read(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, void *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t piece = size - done;
        const uint8_t *from = cursor_step(chain, cursor, &piece);

        if (!from)
            break;
        memcpy((uint8_t *)to + done, from, piece);
        done += piece;
    }
    return done;
}

size_t virtqueue_write(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, const void *from,
                       size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t piece = size - done;
        uint8_t *to = cursor_step(chain, cursor, &piece);

        if (!to)
            break;
        memcpy(to, (const uint8_t *)from + done, piece);
        done += piece;
    }
    return done;
}

void virtqueue_skip(const struct virtqueue_chain *chain, struct virtqueue_cursor *cursor, uint64_t size)
{
    while (size) {
        size_t piece = size;

        if (!cursor_step(chain, cursor, &piece))
            break;
        size -= piece;
    }
}
