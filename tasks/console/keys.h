/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keyboard: one client has it. Ctrl-] is the console's own key:
 *
 *   Ctrl-] 1 to 9   gives the keyboard to that domain (numbers as listed)
 *   Ctrl-] n        gives it to the next domain
 *   Ctrl-] ?        lists the domains
 *   Ctrl-] Ctrl-]   sends Ctrl-] itself
 */
#ifndef CONSOLE_KEYS_H
#define CONSOLE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct client;

#define KEYS_HELP "Ctrl-] and a digit or n chooses who has the keyboard, Ctrl-] ? lists the domains"

/* A new client, which may get the keyboard; and one that goes. */
void keys_add(struct client *client);
void keys_remove(const struct client *client);

/* Gives the keyboard to a client, without a word. */
void keys_focus(struct client *client);

/* Whether a key can be taken now: nothing is read that nobody has room for. */
bool keys_ready(void);

/* Takes a key, after keys_ready(). */
void keys_put(uint8_t key);

#endif
