/* SPDX-License-Identifier: GPL-2.0-only */
#include "line.h"

#include "client.h"
#include "clock.h"
#include "uart.h"

#include <stddef.h>

#define HOLD_US 100000u   /* an unfinished line is not broken into earlier than this after its last byte, */
#define LINE_US 1000000u  /* but when this has passed since its first one */
#define GATHER_US 20000u  /* the start of a line waits this long for its end, where lines carry names */
#define TURN 512u         /* after so many bytes, others have a turn at the next line end */
#define BYTE_ROOM (CB_CONSOLE_NAME + 8) /* what one byte may become: line end, name, byte */

static const struct client *owner;   /* of the open line, NULL: none is open */
static uint64_t line_begun, last_output;
static const struct client *speaker; /* whose turn it is, NULL: anybody's */
static uint32_t spoken;              /* bytes in this turn */
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

static void begin_line(const struct client *client)
{
    if (owner)
        end_line();
    if (client->flags & CB_CONSOLE_NAMED) {
        put('[');
        put_text(client->name);
        put_text("] ");
    }
    owner = client;
    line_begun = clock_tsc();
}

/* False if the client's turn has ended with this byte. */
static bool put_byte(const struct client *client, uint8_t byte)
{
    if (owner != client)
        begin_line(client);
    if (speaker != client)
        spoken = 0;
    speaker = client;
    spoken++;
    if (byte != '\n') {
        put(byte);
        return true;
    }
    end_line();
    if (spoken >= TURN)
        speaker = NULL;
    return speaker != NULL;
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

/* When a line that is not finished may be broken into. */
static uint64_t held_until(void)
{
    uint64_t silent = last_output + clock_ticks(HOLD_US), longest = line_begun + clock_ticks(LINE_US);

    return silent < longest ? silent : longest;
}

/* How many of the waiting bytes it is this client's turn to print. */
static uint32_t turn(const struct client *client, uint32_t count, uint64_t now, uint64_t *deadline)
{
    uint64_t held = held_until(), gathered = client->since + clock_ticks(GATHER_US);

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

static bool serve(struct client *client, uint64_t *deadline)
{
    uint32_t count = client_output(client), moved = 0;
    uint64_t now = clock_tsc();

    if (count && client->since == 0)
        client->since = now;
    count = count ? turn(client, count, now, deadline) : 0;
    while (moved < count && uart_room() >= BYTE_ROOM)
        if (!put_byte(client, client_peek(client, moved++)))
            break;
    if (moved == 0)
        return false;
    client_take(client, moved);
    client->since = client_output(client) ? now : 0;
    last_output = now;
    return true;
}

/* Each client has its turn, beginning with the one behind the last that printed. */
bool line_serve(uint64_t *deadline)
{
    static uint32_t next;
    uint32_t first = next;
    bool moved = false;

    for (uint32_t i = 0; i < CLIENTS; i++) {
        uint32_t number = (first + i) % CLIENTS;

        if (clients[number].ring && serve(&clients[number], deadline)) {
            next = (number + 1) % CLIENTS;
            moved = true;
        }
    }
    return moved;
}

void line_forget(const struct client *client)
{
    if (owner == client)
        end_line();
    if (speaker == client)
        speaker = NULL;
}
