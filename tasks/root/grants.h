/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a domain is given to talk to others: its ends of links, and the portals of the services it uses. Planned
 * before the domain is made, since its FDT names them.
 */
#ifndef ROOT_GRANTS_H
#define ROOT_GRANTS_H

#include "config.h"

/* The domain's selectors for one end of a link, relative to its `sel`. */
enum grants_sel {
    GRANTS_SEL_EVENT,
    GRANTS_SEL_SIGNAL,
    GRANTS_SEL_MEMORY,
    GRANTS_SEL_MAPPING, /* and the rest: the mappings */
    GRANTS_SEL_COUNT = 8,
};

struct grants_link {
    const char *name;
    uint32_t side;
    uint32_t sel;            /* the domain's first selector for it */
    uint64_t address, pages; /* of the shared memory; no pages: there is none */
    uint32_t event, signal;  /* root's selectors; signal is 0 if the other end has ended */
    uint32_t frame;
};

struct grants_service {
    const char *name;
    uint32_t sel;            /* the domain's selector for CPU 0, the others follow */
    uint32_t from[CB_CPUS];  /* root's selectors, by CPU; 0 where the domain may not run */
};

struct grants {
    uint32_t link_count, service_count;
    struct grants_link links[CB_TASK_LINKS];
    struct grants_service services[CB_TASK_SERVICES];
};

struct domain;

/* All services that the domain uses must be there (offer.h). */
void grants_plan(struct grants *grants, const struct domain *domain);

/* Gives the capabilities and maps the memory. */
bool grants_give(const struct grants *grants, const struct domain *domain, struct config_error *error);

#endif
