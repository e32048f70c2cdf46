/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A domain's capability space as memory: CB_SELECTORS slots in a linear table at CAP_BASE of its address space, so
 * that the fast path finds a slot with one access. Pages without capabilities are one shared page of zeroes. The
 * table is mapped read-only; whoever writes slots, or reads those of another domain, reaches their pages through
 * the direct map. tree_lock held for all here.
 */
#ifndef CAPS_H
#define CAPS_H

#include "layout.h"
#include "slot.h"
#include "types.h"

struct account;
struct domain;

#define CAPS_PER_PAGE (PAGE_SIZE / sizeof(struct slot))
#define CAPS_PAGES (CB_SELECTORS / CAPS_PER_PAGE)

/* Makes the shared empty page and table. Boot. */
void caps_boot(void);

/*
 * The tables of an empty space; returns the PDPT for PML4[PML4_CAPS], NULL: exhausted (what was made is in the
 * account's hands: caps_free_step).
 */
u64 *caps_alloc(struct account *a);

/* The page of slots that holds `sel`; NULL: it has never been made. */
struct slot *caps_page(struct domain *d, u32 sel);

/* The same, made and paid by the domain's account if need be; NULL: exhausted. */
struct slot *caps_page_make(struct domain *d, u32 sel);

/* One bounded step of freeing the pages and tables of a space whose slots are all empty. True: none is left. */
bool caps_free_step(struct account *a, u64 *caps);

/* The slot in the linear table of the domain that is loaded on this CPU. One memory access to its word. */
#ifdef UNIT_TEST
const struct slot *caps_linear(u32 sel); /* the test's */
#else
static inline const struct slot *caps_linear(u32 sel)
{
    return (const struct slot *)CAP_BASE + sel % CB_SELECTORS;
}
#endif

#endif
