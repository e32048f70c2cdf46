/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients: whoever has a ring page (corbel/console.h) here. The first two are the console's own, for the
 * hypervisor's log and for its own messages, so that all output goes one way. All of this belongs to the main
 * thread.
 */
#ifndef CONSOLE_CLIENT_H
#define CONSOLE_CLIENT_H

#include "area.h"

#include <corbel/console.h>

#include <stdbool.h>
#include <stdint.h>

#define CLIENTS 66u /* the console's own, root, and all domains that there can be beside the console */
#define CLIENT_LOG 0u
#define CLIENT_OWN 1u
#define CLIENT_FIRST 2u
#define CLIENT_INPUT 4096u /* a power of two */

struct client {
    struct cb_console *ring;   /* NULL: not in use */
    char name[CB_CONSOLE_NAME];
    uint32_t flags;            /* CB_CONSOLE_* */
    uint64_t domain, number;   /* by which root and users know it; 0: neither does */
    bool closing;              /* what is left is printed at once */
    uint64_t since;            /* when output was first seen that is still there; 0: there is none */

    struct area area;          /* where the ring page is mapped */
    uint32_t frame;            /* selectors: of the ring page, */
    uint32_t event;            /* of the event that tells the client, */
    uint32_t signal;           /* and of the one by which it tells us */

    /* Input for which the ring had no room yet; free-running indices. */
    uint8_t input[CLIENT_INPUT];
    uint32_t input_head, input_tail;
    uint64_t input_moved;      /* when the client was last seen to have read some, or when the first came */
};

extern struct client clients[CLIENTS];

/* Prepares the two clients of the console itself. */
bool client_init(void);

/*
 * Adds a client, whose ring page and event stand at `sels` and the selector after it, and which signals
 * `event` with its own badge. NULL if there is no room or the capabilities are of no use.
 */
struct client *client_add(const char *name, uint32_t flags, uint32_t sels, uint32_t event);

/* Forgets a client, whose memory may go away then. */
void client_remove(struct client *client);

/* Bytes of output that wait. A ring that is broken counts as empty. */
uint32_t client_output(const struct client *client);

/* The output byte `at` bytes after the first one that waits. */
uint8_t client_peek(const struct client *client, uint32_t at);

/* Takes `count` bytes of output off the ring, and tells the client if it waits for room. */
void client_take(struct client *client, uint32_t count);

/* For the console's own clients: adds output, as much as fits. Gives the number of bytes that did. */
uint32_t client_print(struct client *client, const void *data, uint32_t size);

/* Room for input, and input. */
bool client_input_is_full(const struct client *client);
void client_put_input(struct client *client, uint8_t byte);

/* Moves waiting input into the ring; true if none is left waiting. */
bool client_flush_input(struct client *client);

#endif
