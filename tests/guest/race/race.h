/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that can meet, meets: threads of several domains on all CPUs make, use, pass on, take back and destroy
 * objects of all kinds at random, and so do vCPUs of guests, which run the same code in guest mode. See tests/guest/race.c.
 *
 * The arena is memory that all domains map at the same address, like the program itself (a copy): so threads of all
 * domains run the same code on the same data, each with the capabilities of its domain. Selectors mean the same kind
 * of thing everywhere: a pool of EACH slots for each kind, and a few by name.
 */
#ifndef RACE_H
#define RACE_H

#include "corbel.h"
#include "guest.h"

#include <corbel/event.h>
#include <corbel/guest.h>
#include <corbel/state.h>

#include <stdbool.h>

#define EACH 8u           /* pool slots of every kind, in each domain */
#define HOMES 4u          /* domains: 0 is the task's own */
#define GUESTS 3u         /* domains of vCPUs; the last one is the pair's, and lives throughout */
#define HOME_PAIR (HOMES + GUESTS - 1)
#define HANDLERS 8u       /* mortal actors: they handle calls, */
#define CLIENTS 10u       /* or make them */
#define VCPUS 8u          /* or are vCPUs, */
#define MORTALS (HANDLERS + CLIENTS + VCPUS)
#define CPUS 2u
#define VCPU_PAIR CPUS    /* vCPUs that signal one another, and halt without a timer */
#define WORKER (MORTALS + VCPU_PAIR) /* the first of these actors: */
#define WORKERS CPUS      /* make and destroy mortals and homes; live throughout */
#define PAIR 2u           /* signal one another, and wait without deadline */
#define THREAD_PAIR (WORKER + WORKERS)
#define ACTORS (THREAD_PAIR + PAIR)
_Static_assert(GUEST_VCPUS + ACTORS <= CB_GUEST_VCPUS, "each has a number for one more");
_Static_assert(VCPUS + VCPU_PAIR == GUEST_VCPUS, "guest_code.S has stubs for so many");
#define WINDOW_PAGES 17u  /* where frames are mapped; behind them, pages of vCPUs that nobody runs: */
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
    SEL_SPARE = SEL_OWN + ACTORS, /* vCPUs that nobody runs, one an actor */
    SEL_HANDLER = SEL_SPARE + ACTORS, /* threads: the handlers that live here */
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
    X(vcpu_create, MAKING | S(BAD_PARAM))                                   \
    X(vcpu_exit, ANYWHERE | S(DYING) | S(TOO_DEEP) | S(BAD_CPU))            \
    X(event_bind, ANYWHERE | S(DYING) | S(BUSY) | S(BAD_PARAM))             \
    X(ioport_grant, ANYWHERE | S(NO_MEMORY))                                \
    X(halt, S(OK))                                                          \
    X(timer, S(OK))                                                         \
    X(tlb_flush, ANYWHERE)                                                  \
    X(exit, S(OK))                                                          \
    X(fault, S(OK))

enum op {
#define OP(name, may) OP_##name,
    OPS(OP)
#undef OP
    OP_COUNT
};

/* What belongs to a vCPU; its GS base. Written by itself, but for what is said otherwise. */
struct guest {
    volatile uint64_t stub;       /* the one of guest_stubs that SYSCALL must lead to */
    struct cb_event_page *page;   /* constant */
    uint64_t bits;                /* ports that upcalls have brought */
    volatile uint64_t upcalls, interrupts, delivered; /* how many came: upcalls, injected ones, from the virtual APIC */
    uint64_t apic;                /* constant: address of its registers, 0: it has none */
    bool vmx;                     /* constant: hypercalls are VMCALL */
    uint32_t ports;               /* constant: as in struct world, when the vCPU was made */
    uint64_t counted;             /* upcalls: what struct world has of them */
    uint64_t sent;                /* by the VMM: how many interrupts in the low half, `incarnation` in the high one */
    uint64_t kernel_gs, cr2, cr8; /* what is in these registers */
};
CB_ASSERT_OFFSET(struct guest, stub, GUEST_STUB);
CB_ASSERT_OFFSET(struct guest, page, GUEST_PAGE);
CB_ASSERT_OFFSET(struct guest, bits, GUEST_BITS);
CB_ASSERT_OFFSET(struct guest, upcalls, GUEST_UPCALLS);
CB_ASSERT_OFFSET(struct guest, interrupts, GUEST_INTERRUPTS);
CB_ASSERT_OFFSET(struct guest, delivered, GUEST_DELIVERED);
CB_ASSERT_OFFSET(struct guest, apic, GUEST_APIC);
CB_ASSERT_OFFSET(struct guest, vmx, GUEST_VMX);
CB_ASSERT_OFFSET(struct cb_event_page, upcall, PAGE_UPCALL);
CB_ASSERT_OFFSET(struct cb_event_page, pending, PAGE_PENDING);

/* Who acts. In the arena. */
struct actor {
    uint32_t lock;            /* mortals: a worker renews it */
    bool alive, handler;      /* lock */
    bool vcpu;                /* constant */
    uint32_t home, cpu;       /* lock */
    uint32_t sel, sched;      /* constant: its first capabilities, in the task's domain */
    uint32_t index;           /* constant */
    uint32_t incarnation;     /* lock */
    uint64_t random;
    volatile uint64_t done;   /* operations; the watch looks whether it grows */
    volatile uint32_t op;     /* the one it is in */
    volatile bool still;
    struct thread *thread;
    struct guest guest;
};

enum phase { PHASE_RUN, PHASE_STILL };

struct world {
    volatile uint32_t phase;
    uint32_t sels;            /* constant: where the selectors begin */
    uint32_t cpus;            /* constant: that are used */
    uint64_t window;          /* constant: addresses for mappings */
    uint64_t utcbs;           /* constant: addresses, two pages an actor; of vCPUs the first is the event page */
    uint64_t features;        /* constant: CB_FEATURE_*; without vCPUs, those actors never live */
    uint64_t nothing;         /* constant: an address where no guest has memory */
    uint64_t xcr0;            /* constant: all that there is */
    uint32_t ports[HOMES + GUESTS]; /* from PORT_FIRST on, so many have been granted; */
    uint32_t ports_soon[HOMES + GUESTS]; /* or are being granted */
    uint64_t counts[OP_COUNT][STATUSES];
    uint64_t replies, remote; /* checked; of calls to another CPU */
    uint64_t exits[CB_EXIT_COUNT]; /* of vCPUs, by class */
    uint64_t upcalls, sent;   /* that vCPUs have had; interrupts that the VMM has sent */
    uint32_t failed;          /* 1: somebody has written what is wrong: */
    const char *wrong;
    uint64_t wrong_actor, wrong_op, wrong_a, wrong_b;
    struct actor actors[ACTORS];
    _Alignas(4096) uint8_t stacks[WORKER][STACK_BYTES];
    _Alignas(4096) uint64_t tables[4][512]; /* of guests: the image and the arena where they are */
    _Alignas(4096) uint64_t idt[256][2];
    _Alignas(4096) uint64_t gdt[512];
    _Alignas(4096) uint8_t apic[4096];      /* where guests see their virtual APIC */
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

void create_vcpu(void);
void act(bool mortal);        /* one operation at random */
/* In a call, waiting for a busy handler, or for an event: until this thread is destroyed, or recalled. */
void keep_still(struct actor *self);
void client(void *actor);
void serve(uint64_t badge, struct cb_args *message);

/* A portal's badge says whose it is. */
#define BADGE(actor) (0xb0b0000000000000ull | (actor))

/* ---- guest.c: vCPUs, on their side ---- */

#define PORT_FIRST 0x8010u    /* nothing is there, neither on QEMU nor on Bochs */
#define PORTS 32u             /* that vCPUs use, the lower half of them never granted: from PORT_FIRST - PORTS / 2 on */
#define PORT_WIDTH 4u         /* of an access */
#define CPUID_LEAF 0x4f000000u
#define PORT_PAIR 5u

void guest_act(void);         /* something that only vCPUs can do */
void guest_wait(void);        /* halts; a timer ends it */
void guest_still(void);       /* for good, in one way or another */
void guest_pair(void *actor);

/* What the VMM answers. */
static inline uint64_t guest_answer(uint64_t question, const struct actor *a)
{
    return (question + 1) * 0x9e3779b97f4a7c15ull ^ a->index;
}

/* ---- vmm.c: vCPUs, on the other side ---- */

void vmm_init(const struct cb_task_info *info);
uint64_t vmm_start(void);     /* makes the handlers of exits */
void vmm_end(void);
void vmm_fresh(struct actor *a); /* before its vCPU is made: struct guest */
bool vmm_attach(const struct actor *a); /* makes its vCPU's portals */
void vmm_exchange(const struct actor *a); /* another portal for one of its exits, while it runs */
void vmm_detach(const struct actor *a);

/* ---- renew.c: the workers ---- */

void homes_init(void);
bool pair_make(uint64_t seed); /* the vCPUs, with their home; like home_remove() and mortal_remove(), not in a vCPU */
void pair_remove(void);
void home_remove(uint32_t home);
void mortal_remove(struct actor *a);
void work(void *actor);

#endif
