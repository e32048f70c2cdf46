/* SPDX-License-Identifier: GPL-2.0-only */
#include "orders_cpus.h"

#include <string.h>

#include "ctx.h"
#include "fpu.h"
#include "log.h"
#include "reap.h"
#include "timer.h"
#include "x86.h"

struct cpu cpu, cpus[CPUS];
u32 cpu_count;
static _Atomic u64 kicked[CPUS]; /* interrupts on the way */

void cpus_init(void)
{
    memset(cpus, 0, sizeof(cpus));
    for (u32 i = 0; i < CPUS; i++) {
        cpus[i].id = i;
        cpus[i].grace_waiters = (struct list){ &cpu.grace_waiters, &cpu.grace_waiters };
        cpus[i].armed = UINT64_MAX;
    }
}

void cpus_search(struct orders *o, unsigned count)
{
    o->count = cpu_count = count;
    o->common = &cpu;
    o->common_size = sizeof(cpu);
    for (u32 i = 0; i < CPUS; i++)
        o->own[i] = &cpus[i];
    orders_search(o);
}

struct cpu *cpu_of(u32 id)
{
    return id == orders_side() ? &cpu : &cpus[id];
}

/* What was written before has got out (apic.c). */
void cpu_kick(u32 id)
{
    atomic_store(&kicked[id], 1);
}

bool cpus_interrupted(void)
{
    return atomic_load(&kicked[cpu.id]) && atomic_exchange(&kicked[cpu.id], 0);
}

void interrupts_take(void)
{
    (void)cpus_interrupted();
}

void interrupts_await(void)
{
    while (!cpus_interrupted())
        orders_pause();
}

/* ---- The rest of the kernel, as far as the way out of it comes there ---- */

u64 rdtsc(void)
{
    return 0;
}

status_t sched_block(struct list *helpers)
{
    (void)helpers;
    return CALL_BLOCKED;
}

void sched_enqueue(struct sched *s)
{
    (void)s;
}

void sched_enqueue_helpers(struct ctx *c)
{
    (void)c;
}

void sched_timers(u64 now)
{
    (void)now;
}

void log_flush(void)
{
}

void fpu_leave(struct ctx *c)
{
    (void)c;
}

bool reap_pending(void)
{
    return false;
}

void reap_step(void)
{
}

void timer_c1e_off(void)
{
}
