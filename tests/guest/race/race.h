/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that can meet, meets: threads of several domains on all CPUs make, use, pass on, take back and destroy
 * objects of all kinds at random. See tests/guest/race.c.
 *
 * The arena is memory that all domains map at the same address, like the program itself (a copy): so threads of all
 * domains run the same code on the same data, each with the capabilities of its domain. Selectors mean the same kind
 * of thing everywhere: a pool of EACH slots for each kind, and a few by name.
 */
#ifndef RACE_H
#define RACE_H

#include "corbel.h"

#include <stdbool.h>

#define EACH 8u           /* pool slots of every kind, in each domain */
#define HOMES 4u          /* domains: 0 is the task's own */
#define HANDLERS 8u       /* mortal actors: they handle calls, */
#define CLIENTS 10u       /* or make them */
#define MORTALS (HANDLERS + CLIENTS)
#define CPUS 2u
#define WORKERS CPUS      /* make and destroy mortals and homes; live throughout */
#define PAIR 2u           /* signal one another, and wait without deadline */
#define ACTORS (MORTALS + WORKERS + PAIR)
#define STACK_BYTES 16384u
#define STATUSES 17u

enum kind { EVENT, PORTAL, THREAD, SCHED, ACCOUNT, DOMAIN, FRAME, MAPPING, KINDS };

/* Selectors behind the pool. */
enum {
    SEL_PAYER = KINDS * EACH, /* an account for what is made here */
    SEL_DOMAIN,               /* one's own */
    SEL_RAM,
    SEL_STILL,                /* portals to handlers that keep their callers: for those of CPU n, on it; */
    SEL_FAR = SEL_STILL + CPUS, /* for those of others; */
    SEL_ECHO = SEL_FAR + CPUS, /* and to some that answer at once */
    SEL_OWN = SEL_ECHO + CPUS, /* events, one an actor */
    SEL_HANDLER = SEL_OWN + ACTORS, /* threads: the handlers that live here */
    SEL_IMAGE = SEL_HANDLER + HANDLERS, /* mappings of the program and the arena */
    SEL_COUNT = SEL_IMAGE + 8,
};

#define S(code) (1u << CB_##code)
#define ANYWHERE (S(OK) | S(BAD_CAP) | S(BAD_RIGHT))
#define MAKING (ANYWHERE | S(OCCUPIED) | S(NO_MEMORY) | S(DYING) | S(TOO_DEEP))

/* X(operation, what it may return) */
#define OPS(X)                                                              \
    X(call, ANYWHERE | S(BAD_CPU) | S(BUSY) | S(ABORTED))                   \
    X(signal, ANYWHERE)                                                     \
    X(wait, ANYWHERE | S(BUSY) | S(TIMEOUT) | S(ABORTED) | S(EMPTY))        \
    X(yield, S(OK))                                                         \
    X(recall, ANYWHERE)                                                     \
    X(identify, S(OK))                                                      \
    X(derive, MAKING | S(BAD_PARAM))                                        \
    X(map, MAKING | S(BAD_PARAM))                                           \
    X(revoke, S(OK) | S(BAD_CAP))                                           \
    X(destroy, ANYWHERE)                                                    \
    X(event_create, MAKING)                                                 \
    X(portal_create, MAKING | S(BAD_PARAM))                                 \
    X(sched_create, MAKING)                                                 \
    X(sched_bind, ANYWHERE | S(DYING) | S(BAD_CPU) | S(BUSY))               \
    X(account_create, MAKING | S(BUSY))                                     \
    X(domain_create, MAKING)                                                \
    X(thread_create, MAKING)                                                \
    X(thread_set, ANYWHERE | S(DYING) | S(TOO_DEEP) | S(BAD_CPU))           \
    X(frame_create, MAKING | S(NO_ROOM) | S(BUSY))                          \
    X(ram_split, MAKING | S(NO_ROOM) | S(BUSY))                             \
    X(fault, S(OK))

enum op {
#define OP(name, may) OP_##name,
    OPS(OP)
#undef OP
    OP_COUNT
};

/* Who acts. In the arena. */
struct actor {
    uint32_t lock;            /* mortals: a worker renews it */
    bool alive, handler;      /* lock */
    uint32_t home, cpu;       /* lock */
    uint32_t sel, sched;      /* constant: its first capabilities, in the task's domain */
    uint32_t index;           /* constant */
    uint32_t incarnation;     /* lock */
    uint64_t random;
    volatile uint64_t done;   /* operations; the watch looks whether it grows */
    volatile uint32_t op;     /* the one it is in */
    volatile bool still;
    struct thread *thread;
};

enum phase { PHASE_RUN, PHASE_STILL };

struct world {
    volatile uint32_t phase;
    uint32_t sels;            /* constant: where the selectors begin */
    uint32_t cpus;            /* constant: that are used */
    uint64_t window;          /* constant: addresses for mappings */
    uint64_t utcbs;           /* constant: addresses, one page an actor */
    uint64_t counts[OP_COUNT][STATUSES];
    uint64_t replies, remote; /* checked; of calls to another CPU */
    uint32_t failed;          /* 1: somebody has written what is wrong: */
    const char *wrong;
    uint64_t wrong_actor, wrong_op, wrong_a, wrong_b;
    struct actor actors[ACTORS];
    _Alignas(4096) uint8_t stacks[MORTALS][STACK_BYTES];
};

extern struct world *world;   /* the same in all domains */

static inline struct actor *actor_self(void)
{
    return thread_self()->argument;
}

static inline uint32_t sel_named(uint32_t name)
{
    return world->sels + name;
}

static inline uint32_t sel_pool(enum kind kind, uint64_t i)
{
    return world->sels + (uint32_t)kind * EACH + (uint32_t)(i % EACH);
}

/* ---- act.c: runs in all domains; nothing here may be held when the thread is destroyed ---- */

uint64_t draw(void);          /* of the actor's own random numbers */
void seed_actor(struct actor *a, uint64_t seed);

/* Notes what an operation has returned; something that it must never return is the end of the test. */
uint64_t did(enum op op, uint64_t status);
void wrong(const char *what, uint64_t a, uint64_t b);

void act(bool mortal);        /* one operation at random */
/* In a call, waiting for a busy handler, or for an event: until this thread is destroyed, or recalled. */
void keep_still(struct actor *self);
void client(void *actor);
void serve(uint64_t badge, struct cb_args *message);

/* A portal's badge says whose it is. */
#define BADGE(actor) (0xb0b0000000000000ull | (actor))

/* ---- renew.c: the workers ---- */

void homes_init(void);
void home_remove(uint32_t home);
void mortal_remove(struct actor *a);
void work(void *actor);

#endif
