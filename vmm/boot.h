/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts a Linux kernel into a guest's memory as the 64-bit boot protocol wants it (Documentation/arch/x86/boot.rst,
 * "64-bit Boot Protocol", and zero-page.rst): kernel, initrd, boot_params with the memory map, command line,
 * setup data, and the page tables and GDT that are in force at entry.
 *
 * Everything but kernel and initrd lies in the first 640 KiB; Linux copies or reserves what it needs of it before
 * it uses that memory.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "gmem.h"

#define BOOT_GDT 0x1000u         /* one page */
#define BOOT_TABLES 0x2000u      /* six pages: the first 4 GiB, identity */
#define BOOT_PARAMS 0x10000u     /* one page */
#define BOOT_CMDLINE 0x11000u
#define BOOT_CMDLINE_SIZE 2048u
#define BOOT_SEED 0x12000u       /* setup data: SETUP_RNG_SEED */
#define BOOT_SEED_SIZE 64u
#define BOOT_FDT 0x20000u        /* setup data: SETUP_DTB */
#define BOOT_FDT_SIZE 0x20000u   /* with its header */
#define BOOT_LOW_END 0x9fc00u    /* the end of low memory, as a PC would say it */
#define BOOT_HIGH 0x100000u

#define BOOT_CS 0x10u /* selectors at entry */
#define BOOT_DS 0x18u
#define BOOT_GDT_SIZE 32u
#define BOOT_GDT_CODE 0x00af9b000000ffffull
#define BOOT_GDT_DATA 0x00cf93000000ffffull

struct boot_source {
    const void *kernel; /* bzImage */
    uint64_t kernel_size;
    const void *initrd;
    uint64_t initrd_size; /* 0: none */
    const char *cmdline;
    const void *fdt;
    uint64_t fdt_size;
    uint64_t special;     /* guest-physical addresses above RAM that are not free: start and size */
    uint64_t special_size;
    uint8_t seed[BOOT_SEED_SIZE];
};

struct boot_entry {
    uint64_t rip, rsi, cr3;
};

/* The part of the source that an error is about; each is a property of the domain in the manifest. */
enum boot_part { BOOT_PART_KERNEL, BOOT_PART_INITRD, BOOT_PART_BOOTARGS, BOOT_PART_FDT, BOOT_PART_MEMORY };

/* NULL, or why it cannot be done, in words, and *part. The memory must be zero before. */
const char *boot_load(const struct gmem *mem, const struct boot_source *from, struct boot_entry *entry,
                      enum boot_part *part);

#endif
