/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains that root has started. All that one consists of hangs below two capabilities: its account, and its
 * chunk of ram. Destroying these two takes everything back, also in the middle of the creation.
 *
 * Created and destroyed by root's main thread. Handler threads only report: see service.c.
 */
#ifndef ROOT_DOMAIN_H
#define ROOT_DOMAIN_H

#include "clear.h"
#include "config.h"

#define DOMAINS 64u
#define DOMAIN_CONSOLE 0u /* its place, whether there is one or not: so the others have the numbers that users know */
#define DOMAIN_TEXT 200

enum domain_state {
    DOMAIN_UNUSED,
    DOMAIN_WAITING,  /* to be started, once its time has come and the services that it uses are there */
    DOMAIN_CLEARING, /* has its memory, which is being cleared */
    DOMAIN_RUNNING,
    DOMAIN_OVER,     /* ended or never started; its configuration is still there */
};

/* root's selectors for one domain, relative to its base. */
enum domain_sel {
    DOMAIN_SEL_ACCOUNT,
    DOMAIN_SEL_DOMAIN,
    DOMAIN_SEL_THREAD,
    DOMAIN_SEL_FRAME,          /* image, stack, task info, FDT, console ring */
    DOMAIN_SEL_CONSOLE_EVENT,
    DOMAIN_SEL_CONSOLE_SIGNAL, /* from the console service */
    DOMAIN_SEL_PORTAL,         /* one for each CPU */
    DOMAIN_SEL_SCHED = DOMAIN_SEL_PORTAL + CB_CPUS, /* likewise */
    DOMAIN_SEL_COUNT = DOMAIN_SEL_SCHED + CB_CPUS,
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
    uint64_t delay;            /* us that it had to wait when it last started again, */
    uint64_t not_before;       /* and until when it has to now */
    struct clear clear;

    uint64_t portals[CB_CPUS]; /* offered to others (offer.c): life and selector, 0 for none; set by handlers */
    uint64_t offer_ready;      /* handlers: in this life, these are all (release) */
    uint64_t end;              /* which life it is, and how it ended: DOMAIN_END_*; atomic */
};

/* A portal's badge: the domain's place in the table, and which life of it this is, counted from 1 on. */
#define DOMAIN_BADGE_INDEX 0xffull
#define DOMAIN_LIFE 0x100ull

/* Low bits of `end`, 0 while it lives; the others are those of the badge. */
#define DOMAIN_END_HOW 0xffull
#define DOMAIN_END_REPORT 1ull    /* plus the CPU of the handler that it was reported to */
#define DOMAIN_END_READ 0xfdull   /* the report has been read */
#define DOMAIN_END_BY_USER 0xfeull
#define DOMAIN_END_SILENT 0xffull /* does not answer */

_Static_assert(DOMAINS <= DOMAIN_BADGE_INDEX && DOMAIN_END_REPORT + CB_CPUS <= DOMAIN_END_READ, "there is room");

extern struct domain domains[DOMAINS];

static inline uint64_t domain_badge(const struct domain *domain)
{
    uint64_t life = __atomic_load_n(&domain->end, __ATOMIC_RELAXED) & ~DOMAIN_END_HOW;

    return life | (uint64_t)(domain - domains);
}

/* An unused element of the table for a domain of the manifest, NULL if there is none. */
struct domain *domain_alloc(void);

/* Takes the memory that the configuration says, and begins to clear it. Of what fails, nothing is left. */
bool domain_prepare(struct domain *domain, const void *manifest, struct config_error *error);

/* If the memory is clean, creates and starts the domain: it is RUNNING then. Of what fails, nothing is left. */
bool domain_start(struct domain *domain, const void *manifest, struct config_error *error);

/* Ends all that runs of it. What it has printed is still there. */
void domain_stop(struct domain *domain);

/* Takes everything back. */
void domain_destroy(struct domain *domain);

static inline uint32_t domain_sel(const struct domain *domain, enum domain_sel which)
{
    return domain->base + which;
}

/* Pages that root could give to a new domain. */
uint64_t domain_pages_left(void);

#endif
