/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU with the real scheduler on it, and a clock that the test turns on. Actors are threads, some of which pass for
 * vCPUs, that spin, block and yield at random; whatever runs is held against what the scheduler promises.
 */
#ifndef SCHED_WORLD_H
#define SCHED_WORLD_H

#include "sched.h"
#include "thread.h"
#include "vcpu.h"

#include <corbel/event.h>

#define ACTORS 24u
#define LATE 3u   /* ticks by which an interrupt may come late, */
#define SPENT 2u  /* or that pass when somebody reads the clock */
#define SLACK 40u /* what all that can come to between two looks */

#define USES 1024u

struct use {
    u64 from, to;
};

struct actor {
    union {
        struct thread thread;
        struct vcpu vcpu;
    };
    struct sched sched;
    struct budget budget; /* if it is limited, and does not share another's */
    struct use uses[USES];
    u64 used, spent;     /* of its budget, whoever did: how often, and how much */
    u64 work;            /* ticks to run before it blocks; UINT64_MAX: it never does */
    u64 wake_at;         /* blocked: until then */
    u64 ran;             /* in all */
    u64 waited[ACTORS];  /* ready, since it last ran: how long each of the others did */
    u64 work_max, sleep_max;
    unsigned yields;     /* one in so many times, it yields instead */
    struct cb_event_page page;
    u64 out;             /* how long it was ready, or throttled, and did not run */
};

extern struct actor actors[ACTORS];
extern unsigned actor_count;
extern u64 world_clock;

void world_init(void);

/* Another thread, ready (now and then as a vCPU): budget and period in ticks. */
struct actor *world_add(u8 priority, u64 budget, u64 period);

/* The same, with a budget that it shares. */
struct actor *world_share(struct actor *with, u8 priority, u64 slice);

/* Lets `ticks` pass; then what vCPUs were told of the time of others is looked at. */
void world_run(u64 ticks);

#endif
