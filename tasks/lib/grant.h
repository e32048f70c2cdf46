/* SPDX-License-Identifier: GPL-2.0-only */
/* What the manifest gave this task to talk to others: ends of links, and services (corbel/task.h). */
#ifndef LIB_GRANT_H
#define LIB_GRANT_H

#include <corbel/boot.h>

#include <stdbool.h>
#include <stdint.h>

struct grant_link {
    const char *name;
    uint32_t side;   /* 0 or 1; the other end has the other number */
    uint32_t event;  /* selectors: to wait on, */
    uint32_t signal; /* to tell the other end, */
    uint32_t memory; /* and the frame of the shared memory; 0: there is none */
    void *address;   /* where it is mapped */
    uint64_t size;
};

struct grant_service {
    const char *name;
    uint32_t portals[CB_CPUS]; /* the one to call on each CPU; 0: none */
};

/* False if there is no such link or service. */
bool grant_link(const char *name, struct grant_link *link);
bool grant_service(const char *name, struct grant_service *service);

/* The same by number, from 0 on. */
bool grant_link_at(uint32_t number, struct grant_link *link);
bool grant_service_at(uint32_t number, struct grant_service *service);

/* Offers a portal for callers on `cpu`, or says that all have been; false if root refuses. */
bool grant_offer(uint32_t cpu, uint32_t portal);
bool grant_offer_ready(void);

#endif
