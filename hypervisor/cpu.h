/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU-local data: at one fixed address in every CPU's own page tables. `cpu` is a symbol that the linker script
 * places at CPU_LOCAL. cpu_of(n) reaches another CPU's through the kernel image's mapping.
 */
#ifndef CPU_H
#define CPU_H

#include <stdatomic.h>

#include "list.h"
#include "lock.h"
#include "sched.h"
#include "timerq.h"
#include "tlb.h"
#include "types.h"

struct ctx;
struct domain;
struct space_cpu;
struct syscall_registers;
struct vcpu;

/* hazards: what must be looked at before the CPU leaves the kernel. */
#define HAZARD_RESCHED 0x1u /* another scheduling context should run */
#define HAZARD_POSTS 0x2u   /* other CPUs have posted work */
#define HAZARD_GRACE 0x4u   /* a grace period waits for this CPU */
#define HAZARD_TIMER 0x8u   /* the timer interrupt came */
#define HAZARD_LOG 0x10u    /* the log has grown */
#define HAZARD_EXIT 0xffu   /* all of these */

/* ... and before it switches between contexts; this CPU alone sets and clears them. */
#define HAZARD_FPU 0x100u     /* CR0.TS is clear: the FPU's registers are open to whoever runs */
#define HAZARD_IO 0x200u      /* an I/O bitmap is in the TSS pages */
#define HAZARD_HELPING 0x400u /* `sched` runs `current` because that is in the way of its own call */
#define HAZARD_BASES 0x800u   /* for good: there is no WRFSBASE, so that C must load the FS base */

struct cpu {
    struct ctx *current;     /* what runs; NULL: nothing */
    _Atomic u32 hazards;     /* set by this CPU's interrupt handlers and by others (before their interrupt) */
    u32 id;                  /* constant */
    struct space_cpu *home;  /* whose page tables are loaded; NULL: the CPU's own */
    u64 idle_here;           /* constant: CTX_CPU to CTX_LEFT of an idle handler of this CPU */
    u64 scratch[2];          /* entry.S */
    u64 virt_physical;       /* constant: virt_ops: per-CPU data, for assembly */
    u32 apic_id;             /* constant */
    u32 online;              /* smp.c */
    s64 tsc_shift;           /* by which this CPU is to move its TSC; smp.c */
    struct sched *sched;     /* running; NULL: none */
    u64 sched_since;         /* TSC when `sched` was last charged */
    u64 armed;               /* deadline in the hardware timer, UINT64_MAX: none */
    struct timerq timers;
    struct runqueue runqueue;
    u64 chain_changes;       /* how often a chain of calls has been cut in the middle */
    struct lock post_lock;   /* posts, post_ops and post_next of the contexts that live here; remote.c */
    struct ctx *posts;       /* contexts with posted work */
    struct list grace_waiters;   /* ctx->grace_node */
    _Atomic u32 grace_waiting;   /* how many those are */
    _Atomic u64 grace_seen;  /* last epoch this CPU has passed */
    u64 kernel_gen;          /* tlb.h: generation of kernel mappings that this CPU has flushed to */
    struct tlb_tags pcids;
    struct tlb_tags asids;
    struct ctx *fpu_owner;   /* whose FPU state is in the registers; NULL: nobody's */
    u64 pml4;                /* host-physical: the boot PML4 of this CPU, for idling without a domain */
    u64 kernel_pdpt;         /* host-physical: this CPU's PML4[511] target */
    u64 user_pdpt;           /* the same in a root for user mode; 0: there are none */
    struct domain *io_domain; /* whose I/O bitmap is in the TSS pages, NULL: none; see io.c */
    u8 *io_map;              /* constant: what the hardware looks at when `io_vcpu` uses ports: io.c */
    struct vcpu *io_vcpu;    /* NULL: nobody uses it */
    void *virt;              /* virt_ops: per-CPU data */
    const struct syscall_registers *syscall; /* whose STAR, LSTAR and FMASK are in the registers; NULL: threads' */
};

extern struct cpu cpu; /* this CPU's */

extern u32 cpu_count;
struct cpu *cpu_of(u32 id);

static inline void cpu_hazard(u32 bits)
{
    atomic_fetch_or_explicit(&cpu.hazards, bits, memory_order_relaxed);
}

static inline void cpu_hazard_over(u32 bits)
{
    atomic_fetch_and_explicit(&cpu.hazards, ~bits, memory_order_relaxed);
}

static inline u32 cpu_hazards(void)
{
    return atomic_load_explicit(&cpu.hazards, memory_order_relaxed);
}

/* Interrupts CPU `id` so that it looks at its hazards; the caller has set them. */
void cpu_kick(u32 id);

/*
 * The way out of the kernel, for all that takes none of the short ones (exit.c): deals with hazards, picks what runs, and
 * resumes it. Never returns; the stack starts anew at the next entry.
 */
NORETURN void kernel_exit(void);

/* Opens interrupts for a moment in a long operation. True: there is a reason to leave the kernel now. */
bool kernel_preempt(void) MUST_CHECK;

#endif
