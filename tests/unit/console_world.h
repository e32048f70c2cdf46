/* SPDX-License-Identifier: GPL-2.0-only */
/* The console service without its main loop: clients, a UART that sends at some speed, and time that a test makes pass. */
#ifndef CONSOLE_WORLD_H
#define CONSOLE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

#define PRINTED 4000000u

extern char printed[PRINTED]; /* what the UART has sent, zero terminated */
extern uint32_t printed_count;
extern uint64_t ended;        /* what root was asked to end */
extern bool root_refuses;

/* A client as root attaches it. */
struct client *world_attach(const char *name, uint32_t flags, uint64_t number);
void world_detach(struct client *client);

/* What a client prints and reads. */
uint32_t world_print(struct client *client, const char *text);
uint32_t world_read(struct client *client);

/* What somebody types, as far as it is taken. */
void world_type(const char *keys);

/* Time passes, in steps of a millisecond: the UART sends `speed` bytes, somebody may act, and the console serves. */
void world_run(uint32_t ms, uint32_t speed, void (*act)(void));

#endif
