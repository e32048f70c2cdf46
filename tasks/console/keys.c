/* SPDX-License-Identifier: GPL-2.0-only */
#include "keys.h"

#include "client.h"
#include "print.h"

#include <stddef.h>

#define ESCAPE 0x1du /* Ctrl-] */

static struct client *focus; /* NULL: nobody; input stays in the UART */
static bool escaped;         /* the last key was the escape key */

/* Says something in the console's own name. A message that does not fit is only a message. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[160];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(text, sizeof(text), format, list);

    va_end(list);
    client_print(&clients[CLIENT_OWN], text, length < (int)sizeof(text) ? (uint32_t)length : sizeof(text) - 1);
}

static bool is_domain(const struct client *client)
{
    return client->ring && client->flags & CB_CONSOLE_DOMAIN && !client->closing;
}

/* Domains are numbered from 1 as they stand in the table. */
static struct client *domain_by_number(uint32_t number)
{
    for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
        if (is_domain(client) && --number == 0)
            return client;
    return NULL;
}

static struct client *domain_after(struct client *last)
{
    uint32_t from = last ? (uint32_t)(last - clients) : CLIENT_FIRST;

    for (uint32_t i = 1; i <= CLIENTS; i++) {
        struct client *client = &clients[(from + i) % CLIENTS];

        if (client >= clients + CLIENT_FIRST && is_domain(client))
            return client;
    }
    return NULL;
}

static void set_focus(struct client *client)
{
    focus = client;
    if (focus)
        say("console: the keyboard belongs to %s\n", focus->name);
}

void keys_focus(struct client *client)
{
    focus = client;
}

void keys_add(struct client *client)
{
    static bool helped;

    if (client->flags & CB_CONSOLE_NAMED && !helped) {
        say("console: " KEYS_HELP "\n");
        helped = true;
    }
    if (client->flags & CB_CONSOLE_INPUT)
        keys_focus(client);
}

void keys_remove(const struct client *client)
{
    if (focus != client)
        return;
    struct client *next = NULL;

    for (uint32_t i = CLIENT_FIRST; i < CLIENTS && next == NULL; i++)
        if (&clients[i] != client && is_domain(&clients[i]) && clients[i].flags & CB_CONSOLE_VM)
            next = &clients[i];
    if (next == NULL)
        next = domain_after(focus);
    set_focus(next != client ? next : NULL);
}

bool keys_ready(void)
{
    return focus && !client_input_is_full(focus);
}

static void list(void)
{
    uint32_t number = 1;

    for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
        if (is_domain(client))
            say("console: %u %s%s\n", number++, client->name, client == focus ? " (has the keyboard)" : "");
}

static void command(uint8_t key)
{
    struct client *chosen = NULL;

    if (key == '?') {
        list();
        return;
    }
    if (key >= '1' && key <= '9')
        chosen = domain_by_number((uint32_t)(key - '0'));
    else if (key == 'n')
        chosen = domain_after(focus);
    if (chosen)
        set_focus(chosen);
    else
        say("console: " KEYS_HELP "\n");
}

void keys_put(uint8_t key)
{
    if (escaped && key != ESCAPE) {
        escaped = false;
        command(key);
    } else if (!escaped && key == ESCAPE) {
        escaped = true;
    } else {
        escaped = false;
        client_put_input(focus, key);
    }
}
