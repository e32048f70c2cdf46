/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O APICs: the way of device interrupts to the boot CPU. */
#ifndef IOAPIC_H
#define IOAPIC_H

#include "types.h"

void ioapic_init(void);

/* Is there such a line, and a vector for it? */
bool ioapic_has(u32 gsi);

/*
 * Is the line level triggered, if the caller thinks so? What the firmware says about an ISA line's polarity and
 * trigger mode wins.
 */
bool ioapic_level(u32 gsi, bool level);

/* Routes the line to the boot CPU and opens it. The firmware's word wins as above. */
void ioapic_route(u32 gsi, bool level, bool active_low);

void ioapic_mask(u32 gsi);
void ioapic_unmask(u32 gsi);

#endif
