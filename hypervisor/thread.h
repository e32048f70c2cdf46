/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads: execution contexts in user mode; handlers of portals, or runners on scheduling contexts of their own. */
#ifndef THREAD_H
#define THREAD_H

#include "ctx.h"
#include "slot.h"

struct portal;

struct thread {
    struct ctx ctx;            /* first: a ctx of type CB_TYPE_THREAD is a thread */
    u64 fs_base;
    u64 stack;                 /* constant */
    u64 calls, handled;        /* counters */
    u64 cr2;                   /* of the last exception */
    bool handler;              /* constant */
    /* tree_lock to write: its own portal capability, where its faults go; empty: they kill it */
    struct slot exception;
    struct list portals;       /* tree_lock: portal->node, of which it is the handler */
    struct portal *dead_portals; /* post_lock: its CPU is to break off what came through them */
    struct remote_server remote; /* handler: its callers on other CPUs */
};

static inline struct thread *thread_of(struct ctx *c)
{
    return CONTAINER_OF(c, struct thread, ctx);
}

/* An exception in user mode (ctx->regs.vector, .error; cr2 for #PF): to the exception portal, or kills the thread. */
void thread_exception(struct ctx *c, u64 cr2);

/* Copies groups between a thread's registers and a message's words. */
struct cb_state;
void thread_state_get(const struct ctx *c, u32 groups, struct cb_state *out);
/* hostile input: RFLAGS and addresses are made safe */
void thread_state_put(struct ctx *c, u32 groups, const struct cb_state *in);

/*
 * reap.c, tree_lock held. Kill: one step of cutting it off from all that leads to it; true when done. Free: a grace
 * period later.
 */
bool thread_kill(struct thread *t);
void thread_free(struct thread *t);

/* Resumes user mode. Never returns. trap.c */
NORETURN void thread_resume(struct ctx *c);
void thread_load_bases(const struct thread *t); /* FS and GS base, for user mode */

#endif
