/* SPDX-License-Identifier: GPL-2.0-only */
/* What a CPU can do, and its set-up: descriptor tables, control registers, system call entry. */
#ifndef CPU_INIT_H
#define CPU_INIT_H

#include "layout.h"
#include "types.h"

struct gate {
    u16 offset0, selector, flags, offset1;
    u32 offset2, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "APM 2, 4.8.4");

extern struct gate cpu_idt[]; /* all CPUs'; a page of its own */

struct features {
    bool pcid, fsgsbase, smep, smap, umip, xsave, xsaveopt;
    bool x2apic, tsc_deadline, pages_1g;
    bool amd, intel;
    u32 physical_bits;
    char brand[49];
};

extern struct features features; /* the boot CPU's; the others must not have less */
extern bool cpu_entry_plain; /* the entry code in use has fast paths and no defences */

/* Boot CPU, first of all: fills in `features`; panics if what the kernel needs is missing. */
void cpu_probe(void);

/* This CPU, its page tables loaded: sets up everything. False: it lacks what the boot CPU has. */
bool cpu_init(void);

/* This CPU, after a guest has used them: the registers of SYSCALL; the limit of the GDT. */
void cpu_syscall_init(void);
void cpu_gdt_reload(void);

/* This CPU: makes the I/O bitmap behind the TSS valid or not. */
void cpu_set_io_bitmap(bool valid);

#endif
