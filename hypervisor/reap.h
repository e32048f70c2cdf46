/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How things end: revocation in bounded steps, grace periods, and the freeing of dead objects.
 *
 * A grace period is over when every CPU has passed the way out of the kernel since it began (a CPU that idles or
 * runs a user or guest is interrupted, and so passes it): afterwards no CPU holds a pointer it read before, and
 * every CPU has carried out posted work and flushed what it had to.
 *
 * Zombies (objects whose first capability is gone) are dismantled step by step, wait for a grace period, and are
 * freed. Whoever revokes does this work; what a killed revoker leaves is done by CPUs that idle.
 */
#ifndef REAP_H
#define REAP_H

#include "object.h"
#include "types.h"

struct ctx;
struct slot;

/*
 * The object is to die: it becomes a zombie (if it is not one). If it still has its first capability, that and
 * everything derived from it is removed first. tree_lock held.
 */
void reap_object(struct object *obj);

#define REAP_BATCH 16u /* links that one step may cut */

/*
 * A translation was taken away: until the next grace period is over, memory may still be reached through it.
 * tree_lock held.
 */
void reap_note_unmap(void);

/*
 * A top account's ram has been cleared and taken from the direct map: its tombstone goes after a grace period.
 * tree_lock held.
 */
void reap_grave(struct slot *tombstone);

/* Is there anything to do that does not wait for a grace period? Cheap, without the lock. */
bool reap_pending(void);

/* One bounded step of that work. */
void reap_step(void);

/*
 * For calls that give memory a new use: true if a translation taken away may still be in use somewhere. The current
 * context then waits and makes its call again; the call handler returns `*status`.
 */
bool reap_settle_unmaps(status_t *status);

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

/* The current context waits for `epoch`, then makes its call again. What the call handler returns. */
status_t grace_wait(u64 epoch) MUST_CHECK;

/* ctx_kill(): `c`, in state CTX_GRACE, waits no more. */
void grace_leave(struct ctx *c);

#endif
