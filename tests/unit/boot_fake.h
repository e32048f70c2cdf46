/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before all of root's sources (-include): the boot information stands where a test puts it, not at its
 * own address.
 */
#ifndef BOOT_FAKE_H
#define BOOT_FAKE_H

#include <corbel/boot.h>

extern struct cb_boot_info boot_fake;

#undef CB_BOOT_INFO_ADDRESS
#define CB_BOOT_INFO_ADDRESS ((uintptr_t)&boot_fake)

#endif
