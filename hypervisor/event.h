/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events: badge bits that accumulate until a thread takes them; or, bound to a vCPU, a port of its event page.
 * Signalling never waits and runs on any CPU, in interrupt handlers too.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stdatomic.h>

#include "list.h"
#include "object.h"
#include "types.h"

struct ctx;

struct event {
    struct object obj;
    _Atomic u64 pending;           /* badge bits nobody has taken yet */
    /* the thread that waits (its home CPU writes), or the vCPU it is bound to (tree_lock to write) */
    _Atomic(struct ctx *) receiver;
    _Atomic u64 signals;           /* counter */
    u32 port;                      /* of that vCPU; written before it */
    u32 irqs;                      /* tree_lock: hardware interrupts bound to it */
    struct list vcpu_node;         /* tree_lock: vcpu->events */
};

void event_signal(struct event *e, u64 badge);

/* The same, for calls alone: not from an interrupt handler. A thread of this CPU that waits is woken at once. */
void event_signal_here(struct event *e, u64 badge);

/* CTX_OP_WAKE at the waiter's home CPU. */
void event_wake(struct ctx *waiter);

/* The wait's deadline has passed (TIMER_WAIT). */
void event_timeout(struct ctx *waiter);

/* Ends a wait without taking anything (ctx_abort, ctx_kill). */
void event_leave(struct ctx *waiter);

/* It is bound to a vCPU, and shall not be any more. tree_lock held. */
void event_unbind(struct event *e);

void event_kill(struct event *e); /* tree_lock held */

#endif
