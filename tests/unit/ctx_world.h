/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contexts on one CPU, and another CPU that only gets posts: ctx.c, remote.c and sched.c as they are, the rest made up.
 */
#ifndef CTX_WORLD_H
#define CTX_WORLD_H

#include "cpu.h"
#include "ctx.h"
#include "portal.h"
#include "thread.h"

#define CALLERS 1000u

extern struct thread handler;           /* with a scheduling context of its own, bound and parked */
extern struct sched handler_sched;
extern struct portal portals[2];        /* its */
extern struct thread callers[CALLERS];  /* each with a scheduling context */
extern struct sched scheds[CALLERS];
extern struct cpu other;                /* CPU 1 */

extern unsigned kicks;                  /* interrupts sent to it */
extern unsigned clock_reads;            /* how often the scheduler has looked at the clock: steps, more or less */
extern struct ctx *retried;             /* the last who made its call again */
extern unsigned interrupts;             /* how often interrupts were taken */
extern void (*at_interrupt)(void);      /* what happens then; NULL: nothing */

void world_init(void);

/* The way out of the kernel, without what does not concern contexts. */
void world_exit(void);

/* As if the scheduling context of callers[i] ran it. */
void world_run(unsigned i);

/* callers[i], which runs, calls through portals[which], or waits until the handler is free; the handler, which runs, answers. */
void world_call(unsigned i, unsigned which);
void world_answer(void);

/* Fails if somebody who could run is not, and never will be, in the run queue. */
void world_check(void);

/* callers[i] calls through portals[which], as from another CPU. */
void world_call_remotely(unsigned i, unsigned which);

/* The handler, which runs, answers. */
void world_reply(u64 word);

/* A vCPU, in the place of the first caller; it runs. */
struct vcpu *world_vcpu(void);

unsigned queue_length(void); /* of the run queue */

#endif
