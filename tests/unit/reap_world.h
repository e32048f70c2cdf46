/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A world for the reaper: one domain that makes calls, with an account and some ram; calls are repeated as the
 * kernel does it, grace periods end when another CPU, that is chance, has passed. Threads are stand-ins that check
 * when they are freed.
 */
#ifndef REAP_WORLD_H
#define REAP_WORLD_H

#include "fake.h"
#include "regs.h"
#include "slot.h"

/* Selectors of the world's domain. Those from WORLD_FREE on may be used; their slots cost nothing more. */
#define WORLD_SELF 1u
#define WORLD_ACCOUNT 2u
#define WORLD_RAM 3u
#define WORLD_FREE 16u
#define WORLD_END 256u

#define WORLD_RAM_BASE (32ull << 20)
#define WORLD_RAM_PAGES 4096u

extern struct domain *world;
extern struct account *world_account;
extern unsigned world_threads; /* stand-ins that live */

void world_init(void);

typedef status_t world_call_fn(struct regs *r);

/* Makes a call to its end. */
status_t world_call(world_call_fn *fn, u32 flags, u32 sel, u64 a1, u64 a2, u64 a3, u64 a4);

/* The same, but the caller dies after so many turns. False: the call ended before, with *status. */
bool world_call_abandoned(unsigned turns, world_call_fn *fn, u32 flags, u32 sel, status_t *status);

/* The same; the caller is this thread, which somebody else is about to kill. */
void world_call_killed(unsigned turns, u32 thread, world_call_fn *fn, u32 flags, u32 sel);

/* CPUs idle until nothing is left to reap. */
void world_idle(void);

/* Is the grace period over that would have begun after this moment? */
u64 world_mark(void);
bool world_passed(u64 mark);

/* Calls to create a domain's stand-in of a thread, and an event. */
status_t world_thread(u32 account, u32 dst, u32 domain);
status_t world_event(u32 account, u32 dst);

struct slot *world_slot(u32 sel);

#endif
