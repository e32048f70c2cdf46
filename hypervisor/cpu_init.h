/* SPDX-License-Identifier: GPL-2.0-only */
/* What a CPU can do, and its set-up: descriptor tables, control registers, system call entry. */
#ifndef CPU_INIT_H
#define CPU_INIT_H

#include "cpu.h"
#include "types.h"
#include "x86.h"

struct gate {
    u16 offset0, selector, flags, offset1;
    u32 offset2, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "APM 2, 4.8.4");

/* CPUID: who a hypervisor below is. */
#define CPUID_HYPERVISOR 0x40000000u
#define TCG_SIGNATURE 0x54474354u /* "TCGTCGTCGTCG": QEMU without KVM */

extern struct gate cpu_idt[]; /* all CPUs'; a page of its own */

struct features {
    bool pcid, fsgsbase, smep, smap, umip, xsave;
    bool x2apic, tsc_deadline, tsc_adjust, pages_1g, rdtscp;
    bool c1e; /* errata.h */
    bool amd, intel;
    bool xinuse;       /* XGETBV says which FPU state is in use, even if CR0.TS is set */
    bool x87_pointers; /* FXRSTOR and XRSTOR load them in any case */
    u32 physical_bits;
    char brand[49];
};

extern struct features features; /* the boot CPU's; the others must not have less */
extern u32 cpu_entry_guarded; /* nonzero: the entry code in use lacks fast paths, or has defences */

/* Boot CPU, first of all: fills in `features`; panics if what the kernel needs is missing. */
void cpu_probe(void);

/* This CPU, its page tables loaded: sets up everything. False: it lacks what the boot CPU has. */
bool cpu_init(void);

/* The registers of SYSCALL. */
struct syscall_registers {
    u64 star, lstar, fmask;
};
extern struct syscall_registers cpu_syscall; /* as threads need them; constant after boot */

static ALWAYS_INLINE void cpu_syscall_load(const struct syscall_registers *s)
{
    wrmsr_from(MSR_STAR, &s->star);
    wrmsr_from(MSR_LSTAR, &s->lstar);
    wrmsr_from(MSR_FMASK, &s->fmask);
}

/* This CPU, before threads run again: a guest may have left its own in the registers. */
static ALWAYS_INLINE void cpu_syscall_restore(void)
{
    if (!cpu.syscall)
        return;
    cpu_syscall_load(&cpu_syscall);
    cpu.syscall = NULL;
}

/* This CPU: makes the I/O bitmap behind the TSS valid or not. */
void cpu_set_io_bitmap(bool valid);

#endif
