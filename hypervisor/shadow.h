/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vCPUs where the hardware has no second-level tables (docs/shadow-paging.md). shadow_walk.c reads the guest's page
 * tables, shadow_table.c keeps those that the hardware uses, shadow_cr.c the control registers, shadow_insn.c knows the
 * instructions that change them; svm_shadow.c and vmx_shadow.c are the vendors' sides. All of it: home CPU only.
 *
 * Memory that is taken from the space must disappear from here as it does from second-level tables. What is filled is
 * read from the space in an exit, with interrupts off; before the guest goes on, shadow_refresh() looks at the space's
 * generation, and if it has grown since the tables were begun, throws them away. space_unmap() clears its entries
 * first and then makes the generation grow: so what was read before it is thrown away at this vCPU's next entry, what is
 * read after it is not there. If this entry came before, the vCPU is in the guest, and the grace period that every
 * unmapping waits for interrupts it and ends only when this CPU has passed the kernel's exit, so that the next entry is
 * after it. The same holds for a page of the guest's tables that is read through the window: it belongs to nobody else
 * until this CPU has left the kernel.
 */
#ifndef SHADOW_H
#define SHADOW_H

#include <corbel/boot.h>

#include "shadow_cr.h"
#include "shadow_table.h"
#include "types.h"

struct cb_state;
struct vcpu;

struct shadow {
    struct paging guest;    /* as the guest sees them */
    u64 generation;         /* of the space, when the tables were begun */
    u64 flushes;            /* of v->flushes: those that the tables have followed */
    struct shadow_table table;
};
_Static_assert(sizeof(struct shadow) <= PAGE_SIZE, "in one page");
_Static_assert(SHADOW_TABLES + 1 == CB_VCPU_SHADOW_PAGES, "as callers are told");

/* Boot CPU: what guests can be given on this machine. */
void shadow_probe(void);

/* v->shadow, from the vCPU's account. False: exhausted; then shadow_free() is due. tree_lock held. */
bool shadow_create(struct vcpu *v) MUST_CHECK;
void shadow_free(struct vcpu *v);

/*
 * vcpu_run.c, after VCPU_INSIDE was announced: the tables hold nothing old. Returns the generation of translations (tlb.h).
 */
u64 shadow_refresh(struct vcpu *v);

/* Groups CR and SYSCALL: what paging depends on, as the guest sees it. */
void shadow_get(const struct shadow *s, u32 groups, struct cb_state *out);

/* What CR3 is to be for this entry, on this CPU. */
u64 shadow_root(const struct shadow *s);

/* After an exit that changed the tables: the next entry flushes the hardware's TLB, if it must. */
void shadow_settle(struct vcpu *v);

/*
 * A #PF that left the guest, with the hardware's error code, PF_AC added: what is to become of it (virt.h, classes). The
 * event in whose delivery it came is in v->inject. *cr2 is set if the guest or its VMM is to see the fault.
 */
unsigned shadow_page_fault(struct vcpu *v, u64 linear, u32 error, u64 *cr2);

/* Reads up to `size` bytes of code at a linear address: how many. */
u32 shadow_fetch(const struct vcpu *v, u64 linear, bool user, u8 *to, u32 size);

#endif
