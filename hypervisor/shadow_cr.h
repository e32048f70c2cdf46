/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control registers of a guest on shadow tables: what it writes and reads is kept here, what the hardware gets follows
 * from it. The hardware always pages, by four levels in the guest's long mode, else by PAE's three, since shadow entries
 * have 64 bits; and CR0.WP and EFER.NXE are always set, since what the space forbids is forbidden to the guest's kernel.
 */
#ifndef SHADOW_CR_H
#define SHADOW_CR_H

#include "shadow_table.h"
#include "shadow_walk.h"
#include "types.h"

extern u64 shadow_cr4_bits; /* those that a guest may set here; set at boot */

/* Does the processor take such a write? APM 2, 3.1.1, 3.1.3, 5.5.1 and 14.6. offered: bits that may be set. */
bool shadow_cr0_valid(const struct paging *p, u64 value, bool code64);
bool shadow_cr4_valid(const struct paging *p, u64 value, u64 offered);

/* A write by the guest. code64: it runs 64-bit code. False: #GP. */
bool shadow_cr_write(struct paging *p, struct shadow_table *t, u32 number, u64 value, bool code64) MUST_CHECK;

/* From outside. */
void shadow_cr_set(struct paging *p, struct shadow_table *t, const struct paging *to);

/* Would the hardware run that, as far as it does not see it any more in what follows? */
bool shadow_cr_valid(const struct paging *p);

/* What the hardware gets, but for CR3. Bits that it does not know are left for it to refuse. */
struct paging shadow_cr_hardware(const struct paging *p);

#endif
