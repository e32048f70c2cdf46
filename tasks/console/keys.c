/* SPDX-License-Identifier: GPL-2.0-only */
#include "keys.h"

#include "calls.h"
#include "client.h"
#include "clock.h"
#include "print.h"
#include "thread.h"

#include <stddef.h>
#include <string.h>

#define ESCAPE 0x1du       /* Ctrl-] */
#define PATIENCE_US 2000000u /* a client that has not read for so long, with all its room used, loses what is typed */

static struct client *focus;         /* NULL: nobody; what is typed is lost */
static char wanted[CB_CONSOLE_NAME]; /* who was chosen, and has the keyboard again when it comes again */
static bool settled;                 /* the keyboard has changed hands: from now on, say so */
static bool escaped;                 /* the last key was the escape key */
static const struct client *doomed;  /* ends if the next command confirms it */
static bool losing;                  /* said that what is typed is lost */

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

/* The domain with the lowest number from `number` on. */
static struct client *domain_from(uint64_t number)
{
    struct client *found = NULL;

    for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
        if (is_domain(client) && client->number >= number && (found == NULL || client->number < found->number))
            found = client;
    return found;
}

static struct client *domain_by_number(uint64_t number)
{
    struct client *client = domain_from(number);

    return client && client->number == number ? client : NULL;
}

static struct client *domain_after(const struct client *last)
{
    struct client *client = domain_from(last ? last->number + 1 : 0);

    return client ? client : domain_from(0);
}

static struct client *first_vm(void)
{
    for (struct client *client = clients + CLIENT_FIRST; client < clients + CLIENTS; client++)
        if (is_domain(client) && client->flags & CB_CONSOLE_VM)
            return client;
    return NULL;
}

static void set_focus(struct client *client)
{
    focus = client;
    losing = false;
    if (focus && settled)
        say("console: the keyboard belongs to %s\n", focus->name);
}

static bool is_wanted(const struct client *client)
{
    return strcmp(client->name, wanted) == 0;
}

void keys_add(struct client *client)
{
    static bool helped;

    if (client->flags & CB_CONSOLE_NAMED && !helped) {
        say("console: " KEYS_HELP "\n");
        helped = true;
    }
    if (!is_domain(client))
        return;
    if (client->flags & CB_CONSOLE_INPUT && wanted[0] == 0)
        memcpy(wanted, client->name, sizeof(wanted));
    bool better = focus && !is_wanted(focus) && client->flags & CB_CONSOLE_VM && !(focus->flags & CB_CONSOLE_VM);

    if (focus == NULL || better || is_wanted(client))
        set_focus(client);
}

void keys_remove(const struct client *client)
{
    if (doomed == client)
        doomed = NULL;
    if (focus != client)
        return;
    settled = true;
    set_focus(first_vm() ? first_vm() : domain_after(client));
}

bool keys_ready(uint64_t *deadline)
{
    if (focus == NULL || !client_input_is_full(focus))
        return true;
    uint64_t patience = focus->input_moved + clock_ticks(PATIENCE_US);

    if (clock_tsc() >= patience)
        return true;
    if (patience < *deadline)
        *deadline = patience;
    return false;
}

static void list(void)
{
    for (const struct client *client = domain_from(0); client; client = domain_from(client->number + 1))
        say("console: %lu %s%s\n", client->number, client->name, client == focus ? " (has the keyboard)" : "");
}

/* Root ends the domain, and says so. */
static void end_domain(const struct client *client)
{
    struct cb_args message = {CB_ROOT_END, client->domain, 0, 0, 0};

    if (cb_call(CB_TASK_SEL_ROOT(thread_self()->cpu), &message) != CB_OK || message.a1 != 0)
        say("console: root does not end %s\n", client->name);
}

static void choose(struct client *client)
{
    settled = true;
    memcpy(wanted, client->name, sizeof(wanted));
    set_focus(client);
}

static void command(uint8_t key)
{
    struct client *chosen = NULL;
    const struct client *confirmed = key == 'y' ? doomed : NULL;

    doomed = NULL;
    if (key >= '1' && key <= '9')
        chosen = domain_by_number((uint64_t)(key - '0'));
    else if (key == 'n')
        chosen = domain_after(focus);
    if (chosen) {
        choose(chosen);
    } else if (key == '?') {
        list();
    } else if (confirmed) {
        end_domain(confirmed);
    } else if (key == 'k' && focus) {
        doomed = focus;
        say("console: Ctrl-] y ends %s, whatever it does\n", focus->name);
    } else {
        say("console: " KEYS_HELP "\n");
    }
}

static void type(uint8_t key)
{
    doomed = NULL;
    if (focus && !client_input_is_full(focus)) {
        client_put_input(focus, key);
        losing = false;
    } else if (focus && !losing) {
        losing = true;
        say("console: %s does not read: what is typed is lost\n", focus->name);
    }
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
        type(key);
    }
}
