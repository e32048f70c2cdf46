/* SPDX-License-Identifier: GPL-2.0-only */
/* A device and a driver in all their interleavings: the driver as virtio 1.1, 2.6 says. */
#include <criterion/criterion.h>

#include "orders.h"
#include "ring.h"

#define REQUESTS 2u
#define NO_INTERRUPT 1u /* 2.6.6 */
#define NO_NOTIFY 1u    /* 2.6.8 */

static struct ring ring;
static struct virtqueue vq;
static bool event_idx;
static bool is_offered; /* all requests are, from the beginning */
static bool kicked, interrupted; /* what hardware keeps until it is looked at */

static void begin(void)
{
    struct virtqueue_place place = ring_place(&ring);

    ring.avail[0] = ring.avail[1] = ring.used[0] = ring.used[1] = 0;
    ring.avail[2 + ring.size] = *ring_avail_event(&ring) = 0;
    kicked = interrupted = false;
    for (uint16_t i = 0; is_offered && i < REQUESTS; i++)
        ring_offer(&ring, i);
    orders_require(virtqueue_init(&vq, &ring.mem, &place, event_idx), "the queue");
}

/* ---- The device ---- */

static struct virtqueue_chain chain;

static bool device_takes(void)
{
    enum virtqueue_result result = virtqueue_take(&vq, &chain);

    orders_require(result != VIRTQUEUE_BROKEN, "the device saw what the driver had not written");
    if (result == VIRTQUEUE_TAKEN)
        virtqueue_put(&vq, &chain, 100u + chain.head);
    return result == VIRTQUEUE_TAKEN;
}

/* As virtqueue.h says: it sleeps when the queue has let it. */
static void device_serves(void)
{
    while (vq.used_next != REQUESTS) {
        do {
            while (device_takes())
                continue;
        } while (!virtqueue_rest(&vq));
        while (vq.used_next != REQUESTS && !__atomic_exchange_n(&kicked, false, __ATOMIC_SEQ_CST))
            orders_pause();
    }
}

/* All requests are there; it tells of each as it is done. */
static void device_tells(void)
{
    while (device_takes()) {
        if (virtqueue_due(&vq))
            __atomic_store_n(&interrupted, true, __ATOMIC_SEQ_CST);
    }
}

/* ---- The driver ---- */

/* 2.6.7.2, 2.6.10: has the index just passed the event, on the way from `before` to `now`? */
static bool passed(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/* 3.2.1: descriptors, ring, index, a barrier, and then a look at whether the device wants to be told. */
static void driver_offer(uint16_t head)
{
    uint16_t before = ring.avail[1];
    bool tell;

    __atomic_store_n(&ring.avail[2 + before % ring.size], head, __ATOMIC_RELAXED);
    __atomic_store_n(&ring.avail[1], (uint16_t)(before + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (event_idx)
        tell = passed(__atomic_load_n(ring_avail_event(&ring), __ATOMIC_RELAXED), (uint16_t)(before + 1), before);
    else
        tell = !(__atomic_load_n(&ring.used[0], __ATOMIC_RELAXED) & NO_NOTIFY);
    if (tell)
        __atomic_store_n(&kicked, true, __ATOMIC_SEQ_CST);
}

static void interrupts_set(bool on, uint16_t seen)
{
    if (event_idx)
        __atomic_store_n(&ring.avail[2 + ring.size], (uint16_t)(seen - !on), __ATOMIC_RELAXED);
    else
        __atomic_store_n(&ring.avail[0], on ? 0 : NO_INTERRUPT, __ATOMIC_RELAXED);
    if (on)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool driver_takes(uint16_t *seen)
{
    if (__atomic_load_n(&ring.used[1], __ATOMIC_ACQUIRE) == *seen)
        return false;
    orders_require(__atomic_load_n(&ring.used_entries[2u * *seen], __ATOMIC_RELAXED) == *seen, "an entry's head is late");
    orders_require(__atomic_load_n(&ring.used_entries[2u * *seen + 1], __ATOMIC_RELAXED) == 100u + *seen,
                   "an entry's size is late");
    ++*seen;
    return true;
}

/* 3.2.2: without interrupts while it takes what is there; then with them, and one more look. */
static void driver_waits(void)
{
    uint16_t seen = 0;

    while (seen != REQUESTS) {
        interrupts_set(false, seen);
        while (driver_takes(&seen))
            continue;
        interrupts_set(true, seen);
        if (driver_takes(&seen))
            continue;
        while (seen != REQUESTS && !__atomic_exchange_n(&interrupted, false, __ATOMIC_SEQ_CST))
            orders_pause();
    }
}

static void driver_offers(void)
{
    for (uint16_t i = 0; i < REQUESTS; i++)
        driver_offer(i);
}

static void search(bool events, bool offered, void (*device)(void), void (*driver)(void))
{
    struct orders o = { .count = 2, .begin = begin, .side = { device, driver } };

    ring_init(&ring, 2);
    for (uint16_t i = 0; i < REQUESTS; i++)
        ring_set(&ring, i, RING_DATA + 0x100u * i, 16, RING_WRITE, 0);
    event_idx = events;
    is_offered = offered;
    orders_search(&o);
    ring_free(&ring);
}

Test(orders_virtqueue, no_kick_is_lost)
{
    search(false, false, device_serves, driver_offers);
}

Test(orders_virtqueue, no_kick_is_lost_with_events)
{
    search(true, false, device_serves, driver_offers);
}

Test(orders_virtqueue, no_interrupt_is_lost)
{
    search(false, true, device_tells, driver_waits);
}

Test(orders_virtqueue, no_interrupt_is_lost_with_events)
{
    search(true, true, device_tells, driver_waits);
}
