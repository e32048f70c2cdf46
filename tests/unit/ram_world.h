/* SPDX-License-Identifier: GPL-2.0-only */
/* The hypervisor as root's ram.c and pool.c see it: ram that splits, accounts, selectors; any call can be made to fail. */
#ifndef RAM_WORLD_H
#define RAM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

/* Calls to come until one fails, and then all go well again; UINT32_MAX: none fails. */
extern uint32_t world_fails_in;
extern bool world_failed_to_revoke; /* so that something cannot come back */

void world_start(void);

/* What a ram capability is about. */
uint64_t world_base(uint32_t ram);
uint64_t world_pages(uint32_t ram);

/* Selectors that are taken; capabilities that exist. They differ by those of failed attempts, if something leaks. */
uint32_t world_selectors(void);
uint32_t world_capabilities(void);

/* Destroys an account, as root does with a domain's. */
void world_destroy(uint32_t account);

#endif
