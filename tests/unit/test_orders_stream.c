/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console ring page in all interleavings: a task's side (stream.c) and the service's (client.c). Nobody's wait ends but
 * by a signal.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "lock.h"
#include "orders.h"
#include "stream.h"

#define TO_SERVER 5u /* selectors */
#define TO_CLIENT 51u
#define LINE "abcdefghij"
#define LINE_SIZE 10u

static struct cb_console page __attribute__((aligned(4096)));
static struct client *const client = &clients[CLIENT_FIRST];
static uint64_t told_server, told_client; /* signals that nobody has taken */

/* ---- The library below ---- */

uint64_t clock_now;

void lock_take(struct lock *lock)
{
    lock->taken = 1;
}

void lock_release(struct lock *lock)
{
    lock->taken = 0;
}

void *orders_copy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        __atomic_store_n((uint8_t *)to + i, ((const uint8_t *)from)[i], __ATOMIC_RELAXED);
    return to;
}

uint64_t cb_signal(uint32_t event)
{
    __atomic_store_n(event == TO_SERVER ? &told_server : &told_client, 1, __ATOMIC_SEQ_CST);
    return CB_OK;
}

static void await(uint64_t *told)
{
    while (!__atomic_exchange_n(told, 0, __ATOMIC_SEQ_CST))
        orders_pause();
}

uint64_t cb_wait(uint32_t event, uint32_t flags, uint64_t deadline, uint64_t *bits)
{
    (void)event, (void)flags, (void)deadline;
    await(&told_client);
    *bits = 1;
    return CB_OK;
}

/* ---- The two sides ---- */

static void begin(void)
{
    memset(&page, 0, sizeof(page));
    memset(client, 0, sizeof(*client));
    told_server = told_client = 0;
    client->ring = &page;
    client->event = TO_CLIENT;
    stream_init(&page, TO_SERVER, TO_CLIENT);
}

/* There is room for a part of the line. */
static void begin_output(void)
{
    begin();
    page.out_head = CB_CONSOLE_OUT - 3;
}

static void begin_input(void)
{
    begin();
    page.in_head = CB_CONSOLE_IN - 3;
}

static void writes(void)
{
    stream_write(LINE, LINE_SIZE);
}

static void takes(void)
{
    uint32_t got = 0, all = CB_CONSOLE_OUT - 3 + LINE_SIZE;

    while (got < all) {
        uint32_t count = client_output(client);

        for (uint32_t i = got < CB_CONSOLE_OUT - 3 ? CB_CONSOLE_OUT - 3 - got : 0; i < count; i++)
            orders_require(client_peek(client, i) == LINE[got + i - (CB_CONSOLE_OUT - 3)], "a byte is late");
        if (count)
            client_take(client, count);
        else
            await(&told_server);
        got += count;
    }
}

static void reads(void)
{
    static uint8_t bytes[CB_CONSOLE_IN + LINE_SIZE];
    size_t got = 0;

    while (got < CB_CONSOLE_IN - 3 + LINE_SIZE)
        got += stream_read(bytes + got, sizeof(bytes) - got, CB_DEADLINE_NONE);
    for (unsigned i = 0; i < got; i++)
        orders_require(bytes[i] == (i < CB_CONSOLE_IN - 3 ? 0 : LINE[i - (CB_CONSOLE_IN - 3)]), "a byte is late, or early");
}

static void types(void)
{
    for (unsigned i = 0; i < LINE_SIZE; i++)
        client_put_input(client, (uint8_t)LINE[i]);
    while (!client_flush_input(client))
        await(&told_server);
}

static void search(void (*begins)(void), void (*task)(void), void (*service)(void))
{
    struct orders o = { .count = 2, .begin = begins, .side = { task, service }, .shared = { { &page, sizeof(page) } } };

    orders_search(&o);
}

Test(orders_stream, no_output_is_lost)
{
    search(begin_output, writes, takes);
}

Test(orders_stream, no_input_is_lost)
{
    search(begin_input, reads, types);
}
