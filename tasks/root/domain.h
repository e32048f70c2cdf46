/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains that root has started. All that one consists of hangs below two capabilities: its account, and its
 * chunk of ram. Destroying these two takes everything back, also in the middle of the creation.
 *
 * Created and destroyed by root's main thread. Handler threads only report: they fill `reason` and `text` once
 * and then set `ended` (release), which the main thread reads (acquire).
 */
#ifndef ROOT_DOMAIN_H
#define ROOT_DOMAIN_H

#include "config.h"

#define DOMAINS 64u
#define DOMAIN_TEXT 200

enum domain_state {
    DOMAIN_UNUSED,
    DOMAIN_WAITING, /* to be started, once the services that it uses are there */
    DOMAIN_RUNNING,
    DOMAIN_OVER,   /* ended or never started; its configuration is still there */
};

/* root's selectors for one domain, relative to its base. */
enum domain_sel {
    DOMAIN_SEL_ACCOUNT,
    DOMAIN_SEL_DOMAIN,
    DOMAIN_SEL_THREAD,
    DOMAIN_SEL_SCHED,
    DOMAIN_SEL_FRAME,          /* image, stack, task info, FDT, console ring */
    DOMAIN_SEL_CONSOLE_EVENT,
    DOMAIN_SEL_CONSOLE_SIGNAL, /* from the console service */
    DOMAIN_SEL_PORTAL,         /* one for each CPU */
    DOMAIN_SEL_COUNT = DOMAIN_SEL_PORTAL + CB_CPUS,
};

struct pool;
struct ram_chunk;

struct domain {
    enum domain_state state;
    int node;                  /* in the manifest; -1 for none */
    struct config config;
    uint32_t base;             /* first of DOMAIN_SEL_COUNT selectors */
    struct pool *pool;         /* of the account; NULL: there is none */
    struct ram_chunk *chunk;   /* NULL: there is none */
    uint64_t pages;            /* taken from root in all */
    uint32_t ring_page;        /* of the console ring in the frame */
    bool on_console;
    uint32_t client;           /* number at the console service */
    uint64_t started;          /* TSC; 0: never */

    uint32_t portals[CB_CPUS]; /* offered to others (offer.c): selectors, 0 for none; set by handlers */
    uint32_t offer_ready;      /* handlers: these are all (release) */
    uint32_t reported;         /* handlers: the first to set it fills in the rest */
    uint32_t ended;
    uint64_t reason;           /* CB_EXIT_REASON_* */
    char text[DOMAIN_TEXT];
};

extern struct domain domains[DOMAINS];

/* An unused element of the table, NULL if there is none. */
struct domain *domain_alloc(void);

/* Creates and starts what the configuration says; if that fails, nothing is left of it. */
bool domain_start(struct domain *domain, const void *manifest, struct config_error *error);

/* Takes everything back. */
void domain_destroy(struct domain *domain);

static inline uint32_t domain_sel(const struct domain *domain, enum domain_sel which)
{
    return domain->base + which;
}

/* Pages that root could give to a new domain. */
uint64_t domain_pages_left(void);

#endif
