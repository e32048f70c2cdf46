/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client's indices are hostile: each is read once where a decision hangs on it. Positions within the ring are
 * always taken modulo its size, so the worst a client can do is to garble its own output.
 */
#include "client.h"

#include "calls.h"
#include "clock.h"
#include "pages.h"
#include "print.h"
#include "sel.h"

#include <stddef.h>
#include <string.h>

/* Bits of the main thread's event, from here on; see main.c. It looks at all clients anyway, so some share one. */
#define CLIENT_BIT 8u
#define CLIENT_BITS (64 - CLIENT_BIT)

struct client clients[CLIENTS];

static bool init_own(struct client *client, const char *name)
{
    client->ring = pages_alloc(1);
    snprintf(client->name, sizeof(client->name), "%s", name);
    return client->ring != NULL;
}

bool client_init(void)
{
    clients[CLIENT_LOG].flags = CB_CONSOLE_NAMED;
    return init_own(&clients[CLIENT_LOG], "corbel") && init_own(&clients[CLIENT_OWN], "console");
}

static bool connect(struct client *client, uint32_t sels, uint32_t event)
{
    uint64_t badge = 1ull << (CLIENT_BIT + (uint32_t)(client - clients) % CLIENT_BITS);

    client->frame = sels;
    client->event = sels + 1;
    client->signal = sel_alloc();
    if (area_map(&client->area, client->frame, CB_MAP_READ | CB_MAP_WRITE, 0, 1, 0) != CB_OK)
        return false;
    client->ring = client->area.address;
    return cb_derive(event, client->signal, CB_SELF, CB_RIGHT_SIGNAL, badge, 0) == CB_OK;
}

struct client *client_add(const char *name, uint32_t flags, uint32_t sels, uint32_t event)
{
    struct client *client = &clients[CLIENT_FIRST];

    while (client < clients + CLIENTS && client->ring)
        client++;
    if (client == clients + CLIENTS)
        return NULL;
    memset(client, 0, sizeof(*client));
    if (!connect(client, sels, event)) {
        client->frame = client->event = 0; /* stay the caller's */
        client_remove(client);
        return NULL;
    }
    client->flags = flags;
    for (uint32_t i = 0; i < CB_CONSOLE_NAME - 1 && name[i]; i++)
        client->name[i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
    return client;
}

void client_remove(struct client *client)
{
    client->ring = NULL;
    area_drop(&client->area);
    sel_drop(client->signal);
    sel_drop(client->frame);
    sel_drop(client->event);
}

uint32_t client_output(const struct client *client)
{
    struct cb_console *ring = client->ring;
    uint32_t used = __atomic_load_n(&ring->out_head, __ATOMIC_ACQUIRE) - ring->out_tail;

    return used > CB_CONSOLE_OUT ? 0 : used;
}

uint8_t client_peek(const struct client *client, uint32_t at)
{
    const struct cb_console *ring = client->ring;

    return __atomic_load_n(&ring->out[(ring->out_tail + at) % CB_CONSOLE_OUT], __ATOMIC_RELAXED);
}

void client_take(struct client *client, uint32_t count)
{
    struct cb_console *ring = client->ring;

    __atomic_store_n(&ring->out_tail, ring->out_tail + count, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&ring->out_full, 0, __ATOMIC_SEQ_CST) && client->event)
        (void)!cb_signal(client->event);
}

uint32_t client_print(struct client *client, const void *data, uint32_t size)
{
    struct cb_console *ring = client->ring;
    const uint8_t *bytes = data;
    uint32_t room = CB_CONSOLE_OUT - client_output(client), count = size < room ? size : room;

    for (uint32_t i = 0; i < count; i++)
        ring->out[(ring->out_head + i) % CB_CONSOLE_OUT] = bytes[i];
    ring->out_head += count;
    return count;
}

bool client_input_is_full(const struct client *client)
{
    return client->input_head - client->input_tail == CLIENT_INPUT;
}

void client_put_input(struct client *client, uint8_t byte)
{
    if (client->input_head == client->input_tail)
        client->input_moved = clock_tsc();
    client->input[client->input_head++ % CLIENT_INPUT] = byte;
}

bool client_flush_input(struct client *client)
{
    struct cb_console *ring = client->ring;
    uint32_t head = ring->in_head, used = head - __atomic_load_n(&ring->in_tail, __ATOMIC_ACQUIRE);
    uint32_t first = head;

    /* A broken ring counts as full: there is nothing sensible to do with it. */
    while (used < CB_CONSOLE_IN && client->input_head != client->input_tail) {
        ring->in[head++ % CB_CONSOLE_IN] = client->input[client->input_tail++ % CLIENT_INPUT];
        used++;
    }
    if (head != first) {
        client->input_moved = clock_tsc();
        __atomic_store_n(&ring->in_head, head, __ATOMIC_RELEASE);
        (void)!cb_signal(client->event);
    }
    return client->input_head == client->input_tail;
}
