/* SPDX-License-Identifier: GPL-2.0-only */
#include "console_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "line.h"
#include "pages.h"
#include "sel.h"
#include "uart.h"

#define QUEUE 4096u /* as the UART's */

uint64_t clock_now = 1000000;
char printed[PRINTED];
uint32_t printed_count;
uint64_t ended;
bool root_refuses;

/* The console's own clients are there before all others. */
static void __attribute__((constructor)) begin(void)
{
    client_init();
}

static uint32_t sent; /* bytes of `printed` that have left */

/* ---- The library, and the UART ---- */

void *pages_alloc(uint64_t count)
{
    return calloc(count, 4096);
}

uint64_t area_map(struct area *area, uint32_t frame, uint32_t flags, uint64_t offset, uint64_t pages, uint64_t phase)
{
    (void)frame, (void)flags;
    cr_assert(offset == 0 && pages == 1 && phase == 0);
    *area = (struct area){.address = calloc(1, 4096)};
    return CB_OK;
}

void area_drop(struct area *area)
{
    free(area->address);
}

uint32_t sel_alloc(void)
{
    return 99;
}

void sel_drop(uint32_t sel)
{
    (void)sel;
}

uint64_t cb_derive(uint32_t src, uint32_t dst, uint32_t domain, uint32_t rights, uint64_t arg1, uint64_t arg2)
{
    (void)src, (void)dst, (void)domain, (void)rights, (void)arg2;
    cr_assert(arg1 >= 0x100, "bits of the console's own");
    return CB_OK;
}

uint64_t cb_signal(uint32_t event)
{
    (void)event;
    return CB_OK;
}

uint64_t cb_call(uint32_t portal, struct cb_args *message)
{
    (void)portal;
    cr_assert_eq(message->a1, CB_ROOT_END);
    ended = message->a2;
    message->a1 = root_refuses;
    return CB_OK;
}

size_t uart_room(void)
{
    return QUEUE - (printed_count - sent);
}

void uart_put(uint8_t byte)
{
    cr_assert_lt(printed_count, PRINTED - 1);
    cr_assert_gt(uart_room(), 0);
    printed[printed_count++] = (char)byte;
    printed[printed_count] = 0;
}

/* ---- The world ---- */

struct client *world_attach(const char *name, uint32_t flags, uint64_t number)
{
    struct client *client = client_add(name, flags | CB_CONSOLE_DOMAIN, 10, 9);

    cr_assert_not_null(client);
    client->number = number;
    client->domain = number << 8;
    keys_add(client);
    return client;
}

void world_detach(struct client *client)
{
    client->closing = true;
    keys_remove(client);
    line_forget(client);
    client_remove(client);
}

uint32_t world_print(struct client *client, const char *text)
{
    return client_print(client, text, (uint32_t)strlen(text));
}

uint32_t world_read(struct client *client)
{
    uint32_t count = client->ring->in_head - client->ring->in_tail;

    client->ring->in_tail += count;
    return count;
}

void world_type(const char *keys)
{
    uint64_t deadline = UINT64_MAX;

    for (; *keys; keys++)
        if (keys_ready(&deadline))
            keys_put((uint8_t)*keys);
}

void world_run(uint32_t ms, uint32_t speed, void (*act)(void))
{
    for (uint32_t i = 0; i < ms; i++) {
        uint64_t deadline = UINT64_MAX;

        clock_now += 1000;
        sent = printed_count - sent > speed ? sent + speed : printed_count;
        if (act)
            act();
        for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
            if (client->ring)
                client_flush_input(client);
        while (line_serve(&deadline) && uart_room() > CB_CONSOLE_OUT)
            ;
    }
}
