/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own page tables (layout.h): kernel image, CPU-local pages, device registers, the tables of the
 * direct map. See also direct_map(), direct_unmap() in space.h.
 */
#ifndef KPAGE_H
#define KPAGE_H

#include "layout.h"
#include "types.h"

/* This CPU's page at CPU_ENTRY: what the way in from a root for user mode needs. Its end is a stack. offsets.h */
struct entry_page {
    u64 kernel;  /* the word that loads cpu.home's kernel root */
    u64 rsp;     /* the user's, on the way in and out */
    u64 user;    /* the word that loads the root for user mode, on the way out */
    u64 ist;     /* constant: the word for NMI, #MC and #DF, whatever is loaded */
};

/*
 * Physical memory while booting, mapped one to one until kpage_seal(): the first 4 GiB, and as many pieces above as there
 * are tables for. NULL if the range is not all there. The content is the firmware's or the boot loader's: to be checked
 * like any input. In boot_view.c.
 */
void *boot_view(u64 physical, u64 bytes);

/* First host-physical address behind the kernel's image. */
u64 kpage_image_end(void);

/* Boot CPU: the tables that all CPUs share, and CPU 0's; loads them. */
void kpage_boot(void);

/* Boot CPU: a CPU's own tables and CPU-local pages. struct cpu is zero but for its constant members. */
void kpage_cpu(u32 id);

/* Boot CPU: the end of boot_view(), and of the tables that CPUs start with. */
void kpage_seal(void);

/* Pages that kpage_boot() and `cpus` times kpage_cpu() take from bootmem. */
u64 kpage_estimate(u64 direct_end, u32 cpus);

/* Fills in the kernel's entries of a new PML4 for the CPU: direct map and PML4_KERNEL. */
void kpage_pml4_init(u64 *pml4, u32 cpu_id);

/* The same in a PML4 for user mode. */
void kpage_user_pml4_init(u64 *pml4, u32 cpu_id);

static inline struct entry_page *kpage_entry(void)
{
    return (struct entry_page *)(uintptr_t)CPU_ENTRY;
}

/* Maps device memory for good, shared by all CPUs; attributes PTE_UC or PTE_WC. Boot only; NULL: no room. */
void *kpage_device(u64 physical, u64 bytes, u64 attributes);

/* This CPU's window onto one page of memory that the kernel does not own, instead of the last one; until it is closed. */
void *kpage_window(u64 physical);
void kpage_window_close(void);

/* This CPU's I/O bitmap, in two pages (host-physical; 0: none), appears behind the TSS, where user mode's tables are. */
void kpage_io_bitmap(u64 low, u64 high);

/* This CPU's local APIC registers appear at CPU_APIC. */
void kpage_map_apic(u64 physical);

/* Drops all translations of this CPU, global ones and all PCIDs included. */
void kpage_flush(void);

/* On the way out of the kernel, before a grace period is passed: kpage_flush() if a kernel mapping was taken away. */
void kpage_refresh(void);

#endif
