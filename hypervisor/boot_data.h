/* SPDX-License-Identifier: GPL-2.0-only */
/* What the boot loader said, checked and copied: valid while booting, constant once main.c has filled it in. */
#ifndef BOOT_DATA_H
#define BOOT_DATA_H

#include "types.h"

#define BOOT_MODULES 64u
#define BOOT_RANGES 512u

enum boot_kind {
    BOOT_RAM = 1, /* free memory, nobody's yet */
    BOOT_ACPI,    /* tables of the firmware, and of the boot loader (a copy of the RSDP) */
    BOOT_DEVICE,  /* holes in the memory map, and what the firmware reserved */
    BOOT_MODULE,  /* memory of modules; those stand in boot.modules */
    BOOT_KERNEL,  /* the hypervisor's own, and its interrupt controllers: nobody else's */
};

struct boot_range {
    u64 base, pages; /* page-aligned, sorted, without gaps or overlaps */
    enum boot_kind kind;
};

struct boot_module {
    u64 base, size; /* host-physical, page-aligned start; bytes */
    char name[72];
};

struct boot_screen {
    u64 base; /* host-physical, 0: no screen */
    u32 pitch, width, height; /* 32 bits per pixel */
};

struct boot {
    char command_line[256];
    u64 rsdp;      /* host-physical, 0: no ACPI */
    u64 info, info_size; /* host-physical: multiboot2's information */
    u32 module_count;
    u32 range_count;
    struct boot_module modules[BOOT_MODULES];
    struct boot_range ranges[BOOT_RANGES];
    struct boot_screen screen;
};

extern struct boot boot;

#endif
