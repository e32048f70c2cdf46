/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console service as root sees it: started first, and told of each domain. Its portal (tasks/console) is
 * called by root's main thread, which gives the service up if it does not answer.
 */
#ifndef ROOT_CONSOLE_H
#define ROOT_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

struct config_error;
struct domain;

/*
 * Starts the service from the manifest's `console` node, and waits until it is there. `several`: lines carry
 * their domain's name. `input`: the domain that has the keyboard at first.
 */
bool console_start(const void *manifest, int node, bool several, const char *input, struct config_error *error);

/* A handler received a portal from `domain` at selector `portal`: true if it is taken. */
bool console_offer(const struct domain *domain, uint32_t portal);

bool console_is_ready(void);
bool console_is(const struct domain *domain);

/* Connects a domain's ring page: DOMAIN_SEL_CONSOLE_SIGNAL then holds the event that tells of output. */
uint64_t console_attach(struct domain *domain) __attribute__((warn_unused_result));

/* Prints what is left in the ring and forgets it, if the domain is attached. Before its memory goes away. */
void console_detach(struct domain *domain);

/* The service has ended: root prints by itself again. */
void console_lost(void);

#endif
