/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The address space of every native domain and the kernel, shared with assembly and the linker script.
 *
 *   PML4[0]        user: 512 GiB, one page-directory-pointer table per domain
 *   PML4[384..447] direct map: virtual = DIRECT_BASE + physical, present only while the kernel owns the frame
 *   PML4[509]      the domain's capability space, linear
 *   PML4[511]      kernel image (PDPT[510], shared) and CPU-local pages (PDPT[511], one table per CPU)
 *
 * Each (domain, CPU) pair has its own PML4; entries 384 to 447 are the same everywhere, 511 is the CPU's.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#define USER_END 0x0000008000000000
#define DIRECT_BASE 0xffffc00000000000
#define DIRECT_SIZE 0x0000200000000000 /* 32 TiB */
#define CAP_BASE 0xfffffe8000000000
#define KERNEL_BASE 0xffffffff80000000 /* virtual = KERNEL_BASE + physical, for the kernel image */
#define KERNEL_LOAD 0x200000           /* physical load address */

/* CPU-local pages: the same addresses on every CPU, reachable with a 32-bit sign-extended displacement. */
#define CPU_LOCAL 0xffffffffc0000000   /* struct cpu: up to 4 pages */
#define CPU_STACK_TOP 0xffffffffc0010000 /* one kernel stack of CPU_STACK_SIZE, guard page below */
#define CPU_STACK_SIZE 0x4000
#define CPU_NMI_TOP 0xffffffffc0018000 /* IST stacks, one page each, guard pages between */
#define CPU_MC_TOP 0xffffffffc001a000
#define CPU_DF_TOP 0xffffffffc001c000
#define CPU_ENTRY 0xffffffffc001e000   /* a page that user mode's own root maps too: what the way in needs (entry.S) */
#define CPU_ENTRY_TOP 0xffffffffc001f000
#define CPU_TSS 0xffffffffc0020000     /* TSS page, then 2 pages: the I/O bitmap of the loaded domain */
#define CPU_APIC 0xffffffffc0030000    /* local APIC registers, uncached */
#define CPU_WINDOW 0xffffffffc0040000  /* one page: window into memory the kernel does not own */
#define CPU_GDT 0xffffffffc0050000     /* a page, and zeroes up to the largest limit of a GDT */
#define CPU_GDT_SIZE 0x10000

#define PML4_USER 0
#define PML4_DIRECT 384
#define PML4_DIRECT_COUNT 64
#define PML4_CAPS 509
#define PML4_KERNEL 511

/* Segment selectors; SYSCALL and SYSRET (APM 2, 6.1.1) want this order. */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_DATA 0x1b
#define SEL_USER_CODE 0x23
#define SEL_TSS 0x28

#endif
