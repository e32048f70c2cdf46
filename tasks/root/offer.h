/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services that tasks offer to other domains (corbel/task.h, SERVE). A portal is hostile like all that comes from a
 * task: root keeps a capability of it to hand on, and never calls it. When the task dies, its portals become null
 * everywhere.
 *
 * Handlers of root's portal take portals in, each into an empty place, and so need no lock; the main thread reads
 * them once the task has said that it is ready. What a handler does late counts for the life of the domain that called.
 */
#ifndef ROOT_OFFER_H
#define ROOT_OFFER_H

#include <stdbool.h>
#include <stdint.h>

struct config_error;
struct domain;

/* Handlers: a portal for clients on `cpu` came from `domain` at selector `sel`. True if it is taken. */
bool offer_portal(struct domain *domain, uint64_t badge, uint64_t cpu, uint32_t sel);

/* Handlers: all portals of `domain` are there. */
bool offer_ready(struct domain *domain, uint64_t badge);

/* The portal for clients on `cpu`: a selector of root's, 0 if there is none. */
uint32_t offer_get(const struct domain *domain, uint32_t cpu);

/* Forgets what the domain offered. */
void offer_reset(struct domain *domain);

enum offer_state {
    OFFER_READY,   /* all services that the domain uses are there */
    OFFER_AWAITED, /* not yet; *deadline becomes the time to look again, if that is earlier */
    OFFER_REFUSED, /* one will not come: *error says why */
};

enum offer_state offer_look(const struct domain *user, uint64_t *deadline, struct config_error *error);

/* The domain that provides a service; NULL if its manifest node is wrong. */
struct domain *offer_provider(const char *service);

/* Whether some domain of the manifest, running or not, uses what this one provides. */
bool offer_is_used(const struct domain *domain);

#endif
