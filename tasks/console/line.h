/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the output of several clients becomes one stream of lines. A line belongs to the client that began it until it
 * ends; or until nothing has come for a while, or it has been open for long, and somebody else has something to say. A
 * client that prints many lines stops after some of them, so that the others have their turn.
 */
#ifndef CONSOLE_LINE_H
#define CONSOLE_LINE_H

#include <stdbool.h>
#include <stdint.h>

struct client;

/*
 * Moves output of all clients to the UART's queue, as far as it is each one's turn. *deadline is lowered to the time when
 * it is to be tried again. True if anything was moved: then there may be more.
 */
bool line_serve(uint64_t *deadline);

/* The client goes away: an open line of its ends. */
void line_forget(const struct client *client);

#endif
