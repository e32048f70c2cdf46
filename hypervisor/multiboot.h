/* SPDX-License-Identifier: GPL-2.0-only */
/* What a multiboot2 boot loader passes (Multiboot2 Specification 2.0, 3.6). */
#ifndef MULTIBOOT_H
#define MULTIBOOT_H

#include "types.h"

/* Fills in `boot` from the information at host-physical address `info`; panics if it is none. */
void multiboot_parse(u32 magic, u64 info);

#endif
