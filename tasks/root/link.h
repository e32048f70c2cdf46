/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Links between two domains: an event for each end to receive, and memory that both share. All of it is root's; the
 * ends get derived capabilities when they start (grants.c), also when they start again. When an end has ended for
 * good, the event that it received is destroyed, so that the other end's signals fail; when both have, the memory
 * comes back. Used by root's main thread only.
 */
#ifndef ROOT_LINK_H
#define ROOT_LINK_H

#include "config.h"

#define LINKS 64u

/* root's selectors for one link, relative to its `sel`. */
enum link_sel {
    LINK_SEL_EVENT,                    /* that end 0 receives, then the one that end 1 receives */
    LINK_SEL_FRAME = LINK_SEL_EVENT + 2,
    LINK_SEL_COUNT,
};

struct domain;
struct ram_chunk;

struct link {
    uint32_t sel;            /* first of LINK_SEL_COUNT selectors; 0: this element of the table is unused */
    struct config_link config;
    struct domain *ends[2];  /* NULL: has ended for good */
    struct ram_chunk *chunk; /* NULL: no shared memory */
    uint64_t pages;          /* taken from root in all */
};

extern struct link links[LINKS];

/* Makes what the configuration says; NULL: *error says why that is not possible, and nothing is left. */
const struct link *link_create(const struct config_link *config, struct config_error *error);

/* A domain has ended for good. */
void link_leave(const struct domain *domain);

/* A link of which both ends have ended; NULL if there is none. */
struct link *link_abandoned(void);
void link_destroy(struct link *link);

#endif
