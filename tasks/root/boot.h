/* SPDX-License-Identifier: GPL-2.0-only */
/* What the hypervisor handed over: the boot information, modules, and memory that is not RAM. */
#ifndef ROOT_BOOT_H
#define ROOT_BOOT_H

#include <corbel/boot.h>

#include <stdbool.h>
#include <stddef.h>

static inline const struct cb_boot_info *boot_info(void)
{
    return (const struct cb_boot_info *)CB_BOOT_INFO_ADDRESS;
}

/* The module with this command line, NULL if there is none. */
const struct cb_boot_entry *boot_module(const char *name);

/* A module's bytes, mapped read-only for good; NULL if that is refused. */
const void *boot_module_map(const struct cb_boot_entry *module);

/* Host-physical memory of ACPI tables or devices, mapped read-only for good; NULL if root does not have it. */
const void *boot_memory_map(uint64_t base, uint64_t size);

/* True if root may now use these I/O ports, which it grants to itself. */
bool boot_claim_ports(uint16_t first, uint16_t count);

/* The value of option `name` (that is "name=value") on the hypervisor's command line: a number, or 0. */
uint64_t boot_option(const char *name);

#endif
