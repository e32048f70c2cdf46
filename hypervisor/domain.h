/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Protection domains: a capability space, an address space, I/O ports.
 *
 * For every CPU on which the domain has contexts there is a PML4 (layout.h); with DEFENCE(ROOTS) two, one of them with
 * the user part and almost none of the kernel. A guest domain's PML4 has no user part: it is loaded while its vCPUs run,
 * so that their hypercalls find their capabilities; guest memory is `space`.
 */
#ifndef DOMAIN_H
#define DOMAIN_H

#include <corbel/guest.h>

#include "cpu.h"
#include "list.h"
#include "object.h"
#include "space.h"
#include "x86.h"

struct vcpu;

struct domain {
    struct object obj;
    bool guest;                  /* constant */
    struct space space;
    u64 *caps;                   /* direct map: PDPT of the capability space */
    struct list contexts;        /* tree_lock: ctx->domain_node */
    struct vcpu *vcpus[CB_GUEST_VCPUS]; /* tree_lock to write; only guest domains */
    u8 *io_bitmap;               /* tree_lock to write; direct map: ports 0 to 0x7fff, NULL: none were granted; see io.c */
    u8 *io_bitmap_high;          /* the other ports */
    u32 teardown;                /* reap.c: selectors below this one have been emptied */
};

/* Loads a domain's tables on this CPU if they are not (cpu.home); flushes what tlb.h says. In domain.c. */
void domain_load(struct space_cpu *home);

/* The same where no hazard but HAZARD_FPU is set and cpu_entry_guarded says that nothing stands between domains. */
static ALWAYS_INLINE void domain_load_plain(struct space_cpu *home)
{
    if (cpu.home == home)
        return;
    write_cr3(__atomic_load_n(&home->words.kernel, __ATOMIC_SEQ_CST));
    cpu.home = home;
}

/* The page tables of the CPU's own pages have changed: what user mode knows of them is flushed. */
void domain_flush_user(void);

/* Makes sure the domain has a PML4 for the CPU. NO_MEMORY (argument 0). tree_lock held. */
status_t domain_add_cpu(struct domain *d, u32 cpu_id) MUST_CHECK;

/* After an interrupt or grace period: flushes if this CPU's loaded space has lost translations since it was loaded. */
void domain_refresh(void);

struct domain *domain_alloc(struct account *a, bool guest); /* NULL: exhausted. tree_lock held */

/* reap.c: frees a dead domain in bounded steps; true when it is no more. tree_lock held. */
bool domain_free_step(struct domain *d);

#endif
