/* SPDX-License-Identifier: MIT */
/*
 * What root finds at boot: one read-only page range at CB_BOOT_INFO_ADDRESS, and its first capabilities.
 *
 * The hypervisor loads multiboot2's first module as root: an ELF64 executable whose segments are page
 * aligned in file and memory, with no segment larger in memory than in the file. It starts at the ELF entry
 * point with rsp = CB_ROOT_STACK_TOP, on CPU 0 (the boot CPU).
 */
#ifndef CORBEL_BOOT_H
#define CORBEL_BOOT_H

#include <corbel/types.h>

#define CB_USER_END 0x8000000000ull          /* end of a native domain's address space: 512 GiB */
#define CB_BOOT_INFO_ADDRESS 0x7fff000000ull
#define CB_ROOT_UTCB_ADDRESS 0x7fff400000ull
#define CB_ROOT_STACK_TOP 0x7fff800000ull    /* CB_ROOT_STACK_SIZE bytes below are mapped */
#define CB_ROOT_STACK_SIZE 0x10000ull

/* Root's first selectors. Those of memory, modules and devices stand in the entries. */
#define CB_ROOT_SEL_DOMAIN 1u
#define CB_ROOT_SEL_ACCOUNT 2u
#define CB_ROOT_SEL_THREAD 3u
#define CB_ROOT_SEL_LOG 5u
#define CB_ROOT_SEL_IRQ 6u
#define CB_ROOT_SEL_IOPORT 7u
#define CB_ROOT_SEL_FIRST_ENTRY 16u
#define CB_ROOT_SEL_SCHED(cpu) (960u + (cpu)) /* all of the CPU's time; that of the boot CPU is the first thread's */
#define CB_ROOT_SEL_FREE 1024u /* from here on nothing is used at boot */

#define CB_CPUS 64u

enum cb_boot_kind {
    CB_BOOT_RAM = 1,         /* capability: ram */
    CB_BOOT_MODULE = 2,      /* capability: frame (read, write, exec); size is exact, in bytes */
    CB_BOOT_DEVICE = 3,      /* capability: frame, a hole in the memory map where devices live */
    CB_BOOT_ACPI = 4,        /* capability: frame, memory of ACPI tables (read) */
    CB_BOOT_FRAMEBUFFER = 5, /* capability: frame; name is "WxHxBPP PITCH" */
};

struct cb_boot_entry {
    uint32_t kind;
    uint32_t sel;
    uint64_t base; /* host-physical address, page aligned */
    uint64_t size; /* bytes */
    char name[72]; /* module's command line, zero terminated */
};
CB_ASSERT_SIZE(struct cb_boot_entry, 96);

#define CB_FEATURE_SVM 0x1ull    /* vcpu_create works: AMD-V */
#define CB_FEATURE_VMX 0x2ull    /* vcpu_create works: Intel VT-x */
#define CB_FEATURE_NESTED 0x4ull /* second-level paging in hardware */
#define CB_VCPU_SHADOW_PAGES 241u /* without that: pages that a vCPU takes for its shadow page tables */
/* Only with the boot option pmc=on: RDPMC counts the retired instructions of the CPU, whoever they belong to, with: */
#define CB_FEATURE_PMC_FIXED 0x8ull /* ecx = 0x40000000 */
#define CB_FEATURE_PMC_CORE 0x10ull /* ecx = 0 */
#define CB_FEATURE_VAPIC 0x20ull    /* vCPUs can have a virtual APIC: CB_CTRL_VAPIC */
#define CB_FEATURE_SMALL_EXEC 0x40ull /* each large page of a guest that is executed takes a page of its domain's account */

struct cb_boot_info {
    uint32_t version;     /* CB_ABI_VERSION */
    uint32_t entry_count;
    uint32_t cpu_count;   /* CPUs are numbered from 0; 0 is the boot CPU */
    uint32_t reserved0;
    uint64_t features;
    uint64_t tsc_khz;
    uint64_t rsdp;        /* host-physical address of the ACPI RSDP, 0 if none */
    char no_vcpu[64];     /* why vcpu_create is refused; empty if it is not */
    char command_line[256];
    uint64_t reserved[20];
    struct cb_boot_entry entries[]; /* entry_count of them */
};
CB_ASSERT_OFFSET(struct cb_boot_info, entries, 520);

#endif
