/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client side of the console ring page. Several threads may write and read; each direction has its lock.
 * The server's indices are hostile: read once, and more outstanding than fits is taken as an empty ring.
 */
#include "stream.h"

#include "calls.h"
#include "clock.h"
#include "lock.h"
#include "thread.h"

#include <corbel/console.h>

#include <stdbool.h>
#include <string.h>

/* A wait may be answered by a signal that another thread consumes, so nobody waits longer than this. */
#define WAIT_US 100000u
#define BUSY_US 1000u

static struct cb_console *ring;
static uint32_t signal_sel, event_sel;
static struct lock out_lock, in_lock;
static bool abandoned;

void stream_init(struct cb_console *page, uint32_t signal, uint32_t event)
{
    ring = page;
    signal_sel = signal;
    event_sel = event;
}

/* The event is the server's: it is gone when the server is. */
static void wake_server(void)
{
    if (CB_STATUS_CODE(cb_signal(signal_sel)) == CB_BAD_CAP)
        stream_abandon();
}

/* Waits for news from the server, at most until the deadline. */
static void wait_server(uint64_t deadline)
{
    uint64_t bits, soon = clock_in(WAIT_US);
    uint64_t status = cb_wait(event_sel, 0, deadline < soon ? deadline : soon, &bits);

    /* Another thread waits, or a guest has the event now: look again in a moment. */
    if (CB_STATUS_CODE(status) != CB_OK && CB_STATUS_CODE(status) != CB_TIMEOUT)
        thread_sleep_us(BUSY_US);
}

static uint32_t out_room(void)
{
    uint32_t used = ring->out_head - __atomic_load_n(&ring->out_tail, __ATOMIC_ACQUIRE);

    return used > CB_CONSOLE_OUT ? CB_CONSOLE_OUT : CB_CONSOLE_OUT - used;
}

/* False if there will be none, or not until the deadline. */
static bool wait_room(uint32_t size, uint64_t deadline)
{
    while (out_room() < size) {
        if (__atomic_load_n(&abandoned, __ATOMIC_RELAXED) || clock_tsc() >= deadline)
            return false;
        __atomic_store_n(&ring->out_full, 1, __ATOMIC_SEQ_CST);
        wake_server();
        if (out_room() < size)
            wait_server(deadline);
    }
    return !__atomic_load_n(&abandoned, __ATOMIC_RELAXED);
}

/* Copies one part that fits, and only then publishes it: a short line is never seen in pieces. */
static void write_part(const uint8_t *data, uint32_t size)
{
    uint32_t head = ring->out_head, at = head % CB_CONSOLE_OUT;
    uint32_t first = CB_CONSOLE_OUT - at < size ? CB_CONSOLE_OUT - at : size;

    memcpy(ring->out + at, data, first);
    memcpy(ring->out, data + first, size - first);
    __atomic_store_n(&ring->out_head, head + size, __ATOMIC_RELEASE);
}

bool stream_write_until(const void *data, size_t size, uint64_t deadline)
{
    const uint8_t *bytes = data;

    if (ring == NULL)
        return true;
    lock_take(&out_lock);
    while (size) {
        uint32_t part = size > CB_CONSOLE_OUT ? CB_CONSOLE_OUT : (uint32_t)size;

        if (!wait_room(part, deadline))
            break;
        write_part(bytes, part);
        bytes += part;
        size -= part;
        wake_server();
    }
    lock_release(&out_lock);
    return size == 0;
}

void stream_write(const void *data, size_t size)
{
    (void)stream_write_until(data, size, CB_DEADLINE_NONE);
}

static uint32_t in_used(void)
{
    uint32_t used = __atomic_load_n(&ring->in_head, __ATOMIC_ACQUIRE) - ring->in_tail;

    return used > CB_CONSOLE_IN ? 0 : used;
}

void stream_abandon(void)
{
    __atomic_store_n(&abandoned, true, __ATOMIC_RELAXED);
}

size_t stream_read(void *data, size_t size, uint64_t deadline)
{
    uint8_t *bytes = data;
    uint32_t used;

    if (ring == NULL)
        return 0;
    lock_take(&in_lock);
    while ((used = in_used()) == 0 && clock_tsc() < deadline)
        wait_server(deadline);
    uint32_t count = size < used ? (uint32_t)size : used, tail = ring->in_tail;

    for (uint32_t i = 0; i < count; i++)
        bytes[i] = ring->in[(tail + i) % CB_CONSOLE_IN];
    __atomic_store_n(&ring->in_tail, tail + count, __ATOMIC_RELEASE);
    lock_release(&in_lock);
    if (count)
        wake_server(); /* it may hold back more input for want of room */
    return count;
}

void stream_drain(uint64_t deadline)
{
    if (ring == NULL)
        return;
    while (out_room() != CB_CONSOLE_OUT && clock_tsc() < deadline) {
        wake_server();
        thread_sleep_us(BUSY_US);
    }
}
