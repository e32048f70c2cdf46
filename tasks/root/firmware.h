/* SPDX-License-Identifier: GPL-2.0-only */
/* What root takes from the machine's firmware and clock: the time of day, randomness, and the power switch. */
#ifndef ROOT_FIRMWARE_H
#define ROOT_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

/* ns since 1970-01-01 UTC when the TSC was zero, from the CMOS clock; 0 if that cannot be read. */
uint64_t rtc_wall_ns(void);

/* Fills the buffer from RDSEED or RDRAND; NULL, or why it is only the time-stamp counter. */
const char *entropy_read(void *buffer, size_t size);

/* Switches the machine off (ACPI S5). Returns only if that fails, with the reason. */
const char *acpi_power_off(void);

/* Resets the machine. Returns only if that has no effect. */
void firmware_reset(void);

#endif
