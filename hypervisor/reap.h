/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How things end: revocation in bounded steps, grace periods, and the freeing of dead objects.
 *
 * A grace period is over when every CPU has passed kernel_exit() since it began (a CPU that idles or
 * runs a user or guest is interrupted, and so passes it): afterwards no CPU holds a pointer it read before, and
 * every CPU has carried out posted work and flushed what it had to.
 *
 * Zombies (objects whose first capability is gone) are dismantled step by step, wait for grace periods, and are
 * freed. Whoever revokes or destroys does this work, and waits for it, but for no other's: it is the *job* of its
 * context. Whoever kills a context takes over its job. What is left without anybody who waits for it is done by CPUs that
 * idle, and by those who wait for it.
 */
#ifndef REAP_H
#define REAP_H

#include "list.h"
#include "object.h"
#include "types.h"

struct ctx;
struct slot;

struct reap_queue {
    struct object *head, *tail; /* through `next`; tail: of no meaning if there is no head */
};

/* Part of a context. tree_lock. */
struct reap_job {
    struct reap_queue zombies;  /* what can be worked for */
    struct reap_queue limbo;    /* what waits for grace periods; each is asked for again when those before it have left */
    struct list node;           /* in the list of all jobs that are not empty */
};

/*
 * The object is to die: it becomes a zombie (if it is not one). If it still has its first capability, that and
 * everything derived from it is removed first. tree_lock held.
 */
void reap_object(struct object *obj);

#define REAP_BATCH 16u /* links that one step may cut */

/*
 * `c` is not going to make the call again that it was in the middle of: nobody waits any more for what that has left.
 * Nothing if it was in none.
 */
void reap_abandon(struct ctx *c);

/* Is there anything to do that nobody waits for, and that does not wait for a grace period? Cheap, without the lock. */
bool reap_pending(void);

/* One bounded step of that work. */
void reap_step(void);

/* The epoch of the next grace period to begin. */
u64 grace_next(void);

/* Begins a grace period; returns its epoch. */
u64 grace_begin(void);
bool grace_over(u64 epoch);

/*
 * Home CPU, on the way out of the kernel with HAZARD_GRACE: this CPU has passed all periods up to `wanted`, which
 * it read before it looked for posted work: what was posted before they began has been done. Wakes waiters whose
 * epoch is over.
 */
void grace_pass(u64 wanted);

/* The epoch of the last grace period begun. */
u64 grace_wanted_now(void);

/*
 * The current context waits for the period `epoch`, which it begins if nobody has, then makes its call again. What the
 * call handler returns.
 */
status_t grace_settle(u64 epoch) MUST_CHECK;

/* ctx_kill(): `c`, in state CTX_GRACE, waits no more. */
void grace_leave(struct ctx *c);

#endif
