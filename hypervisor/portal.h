/* SPDX-License-Identifier: GPL-2.0-only */
/* Portals: entries for calls, and the call and reply themselves (ipc.c). */
#ifndef PORTAL_H
#define PORTAL_H

#include "list.h"
#include "object.h"

struct ctx;
struct regs;
struct slot;
struct thread;

extern struct thread thread_none; /* on no CPU, never idle: so the fast path takes no call for it */

struct portal {
    struct object obj;
    struct thread *handler; /* tree_lock to write; &thread_none: it has died, and the portal is about to */
    u64 entry, badge;       /* constant */
    u64 exit_info;          /* constant: CB_INFO() of exits through it, with the register groups wanted */
    u32 standing;           /* constant: ctx->standing of a handler that it has just entered */
    u32 level;              /* constant: ctx->left in that */
    u32 groups;             /* constant: those of exit_info */
    u32 cpu;                /* constant: the handler's */
    struct list node;       /* tree_lock: thread->portals */
    struct list callers;    /* remote.c: contexts of other CPUs that call through it */
    struct list waiters;    /* the handler's CPU: ctx->portal_node, who waits until the handler is free */
    struct portal *dead_next; /* post_lock: thread->dead_portals */
};

/* Who answers calls through it, NULL: nobody any more. The pointer stays valid until this CPU leaves the kernel. */
static inline struct thread *portal_handler(const struct portal *p)
{
    struct thread *t = __atomic_load_n(&p->handler, __ATOMIC_RELAXED);

    return t == &thread_none ? NULL : t;
}

bool portal_kill(struct portal *p);   /* one step; true when done. tree_lock held */
void portal_orphan(struct portal *p); /* its handler dies, and so it does: tree_lock held */

/*
 * A slot inside a context on a CPU, with the portal for its exits or exceptions: a child of the capability at `sel`, which
 * is argument `arg`; CB_SEL_NULL: none. BAD_PARAM, BAD_CAP, BAD_RIGHT, BAD_CPU, and as slot_derivable(). tree_lock held.
 */
status_t portal_slot_set(struct slot *s, u64 sel, unsigned arg, u32 cpu) MUST_CHECK;
void portal_slot_clear(struct slot *s);
/*
 * The slot's word, without the lock. Who sets the slot empties it first: seen empty, it is looked at again with the lock,
 * under which it has what it is to have.
 */
u64 portal_slot_word(const struct slot *s);

/*
 * remote.c: gives `h` the registers with which it begins to handle a message that came through `p`; copies what of a
 * message is not in registers.
 */
void ipc_enter(struct ctx *h, const struct portal *p, u64 w0, u64 w1, u64 w2, u64 w3, u64 info);
void ipc_transfer(struct ctx *from, struct ctx *to, u64 info);

/*
 * Sends an exit or exception of the current context through a portal. `reason` arrives in rsi. The state groups of
 * the portal are copied. If the handler is busy, the context waits for it like any caller. False: the portal is
 * dead or on another CPU.
 */
bool ipc_exit(struct ctx *c, struct portal *p, u64 reason);

/* sched.c: `c`, current, has waited for a busy handler that is free now: makes its call, or sends its exit, again. */
void ipc_retry(struct ctx *c);

#endif
