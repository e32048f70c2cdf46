/* SPDX-License-Identifier: GPL-2.0-only */
#include "line.h"

#include "client.h"
#include "clock.h"
#include "uart.h"

#include <string.h>

#define HOLD_US 100000u   /* an unfinished line is not broken into earlier than this after its last byte */
#define GATHER_US 20000u  /* the start of a line waits this long for its end, where lines carry names */
#define BYTE_ROOM (CB_CONSOLE_NAME + 8) /* what one byte may become: line end, name, byte */

static const struct client *owner; /* of the open line, NULL: none is open */
static uint64_t last_output;
static uint8_t last_byte;

static void put(uint8_t byte)
{
    uart_put(byte);
    last_byte = byte;
}

static void put_text(const char *text)
{
    while (*text)
        put((uint8_t)*text++);
}

static void end_line(void)
{
    if (last_byte != '\r')
        put('\r');
    put('\n');
    owner = NULL;
}

static void put_byte(const struct client *client, uint8_t byte)
{
    if (owner != client) {
        if (owner)
            end_line();
        if (client->flags & CB_CONSOLE_NAMED) {
            put('[');
            put_text(client->name);
            put_text("] ");
        }
        owner = client;
    }
    if (byte == '\n')
        end_line();
    else
        put(byte);
}

/* Bytes up to the last line end, of `count` that wait; 0 if there is none. */
static uint32_t whole_lines(const struct client *client, uint32_t count)
{
    while (count > 0 && client_peek(client, count - 1) != '\n')
        count--;
    return count;
}

static void lower(uint64_t *deadline, uint64_t to)
{
    if (to < *deadline)
        *deadline = to;
}

/* How many of the waiting bytes it is this client's turn to print. */
static uint32_t turn(struct client *client, uint32_t count, uint64_t now, uint64_t *deadline)
{
    uint64_t held = last_output + clock_ticks(HOLD_US), gathered = client->since + clock_ticks(GATHER_US);

    if (client->closing || owner == client)
        return count;
    if (owner && now < held) {
        lower(deadline, held);
        return 0;
    }
    if (!(client->flags & CB_CONSOLE_NAMED) || count > CB_CONSOLE_OUT / 2 || now >= gathered)
        return count;
    uint32_t whole = whole_lines(client, count);

    if (whole == 0)
        lower(deadline, gathered);
    return whole;
}

bool line_serve(struct client *client, uint64_t *deadline)
{
    uint32_t count = client_output(client), moved = 0;
    uint64_t now = clock_tsc();

    if (count && client->since == 0)
        client->since = now;
    count = count ? turn(client, count, now, deadline) : 0;
    while (moved < count && uart_room() >= BYTE_ROOM)
        put_byte(client, client_peek(client, moved++));
    if (moved == 0)
        return false;
    client_take(client, moved);
    client->since = client_output(client) ? now : 0;
    last_output = now;
    return true;
}

void line_forget(const struct client *client)
{
    if (owner == client)
        end_line();
}
