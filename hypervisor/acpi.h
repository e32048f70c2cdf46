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

struct acpi_ioapic {
    u64 base;
    u32 gsi;
};

struct acpi_override {
    u32 source; /* ISA interrupt */
    u32 gsi;
    u16 flags;  /* MPS INTI: bits 1:0 polarity, 3:2 trigger mode */
};

struct acpi {
    u32 cpu_count; /* 0: no MADT */
    u32 ioapic_count;
    u32 override_count;
    u32 cpus[ACPI_CPUS]; /* APIC identifiers of usable CPUs */
    struct acpi_ioapic ioapics[ACPI_IOAPICS];
    struct acpi_override overrides[ACPI_OVERRIDES];
};

extern struct acpi acpi;

/* Reads the tables that boot.rsdp leads to. */
void acpi_init(void);

#endif
