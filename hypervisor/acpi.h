/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI tables (ACPI 6.5, chapter 5): what the kernel needs to know, checked and copied. Broken tables are ignored,
 * with a line in the log.
 */
#ifndef ACPI_H
#define ACPI_H

#include "types.h"

#define ACPI_IOAPICS 16u
#define ACPI_OVERRIDES 32u
#define ACPI_CPUS 256u
#define ACPI_IOMMUS 32u

struct acpi_ioapic {
    u64 base;
    u32 gsi;
};

struct acpi_override {
    u32 source; /* ISA interrupt */
    u32 gsi;
    u16 flags;  /* MPS INTI: bits 1:0 polarity, 3:2 trigger mode */
};

struct acpi_iommu {
    u64 base;
    bool amd; /* else Intel's */
};

struct acpi {
    u32 cpu_count; /* 0: no MADT */
    u32 ioapic_count;
    u32 override_count;
    u32 iommu_count;
    bool x2apic_opt_out; /* the firmware does not want x2APIC mode to be turned on */
    bool pm_timer_32;    /* the timer has 32 bits, not 24 */
    u16 pm_timer;        /* I/O port, 0: none */
    u64 hpet;            /* host-physical, 0: none */
    u32 cpus[ACPI_CPUS]; /* APIC identifiers of usable CPUs */
    struct acpi_ioapic ioapics[ACPI_IOAPICS];
    struct acpi_override overrides[ACPI_OVERRIDES];
    struct acpi_iommu iommus[ACPI_IOMMUS];
};

extern struct acpi acpi;

/* Reads the tables that boot.rsdp leads to. */
void acpi_init(void);

#endif
