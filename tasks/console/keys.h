/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keyboard: one client has it. Ctrl-] is the console's own key:
 *
 *   Ctrl-] 1 to 9   gives the keyboard to that domain (numbers as listed)
 *   Ctrl-] n        gives it to the next domain
 *   Ctrl-] ?        lists the domains
 *   Ctrl-] k        and then Ctrl-] y: root ends the domain that has it
 *   Ctrl-] Ctrl-]   sends Ctrl-] itself
 */
#ifndef CONSOLE_KEYS_H
#define CONSOLE_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct client;

#define KEYS_HELP "Ctrl-] and a digit or n chooses who has the keyboard, ? lists the domains, k ends that one"

/*
 * A new client, and one that goes. The keyboard belongs to whoever was chosen, by the manifest or by keys, as long as
 * that is there; else to a virtual machine; else to any domain.
 */
void keys_add(struct client *client);
void keys_remove(const struct client *client);

/*
 * Whether a key shall be taken now. A client that reads, but slowly, loses nothing: keys wait in the UART. From one that
 * does not read at all they are taken and dropped, since one of them may be the escape key. *deadline is lowered to the
 * time when that begins.
 */
bool keys_ready(uint64_t *deadline);

/* Takes a key, after keys_ready(). */
void keys_put(uint8_t key);

#endif
