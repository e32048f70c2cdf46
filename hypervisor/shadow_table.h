/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow page tables: guest-linear to host-physical, in the format that the hardware walks. They are a TLB that the
 * hypervisor fills (a "virtual TLB"): nobody watches whether the guest changes its own tables, so what was filled stays
 * until the guest says INVLPG, loads CR3, or changes the paging bits of CR0 and CR4, as with a real TLB. Their pages
 * are a fixed number; when they run out, all is thrown away and begun anew.
 *
 * Used by the vCPU's home CPU only, while the vCPU is not in the guest. Whether the hardware's TLB must be flushed is
 * collected in `stale`.
 */
#ifndef SHADOW_TABLE_H
#define SHADOW_TABLE_H

#include "types.h"

struct walk;

#define SHADOW_TABLES 240u /* pages for one vCPU's tables: they reach some 400 MiB in 4 KiB pages */

struct shadow_table {
    u64 *page[SHADOW_TABLES];    /* constant; direct map. The first is the root, of level 4 */
    u64 *local[SHADOW_TABLES];   /* entries that point to tables in which something ends with a load of CR3 */
    u64 *free;                   /* list of pages given back, through their first words */
    u32 used;                    /* pages that have been taken since all was thrown away; behind them all are free */
    u32 local_count;
    bool stale;                  /* something was taken away or made stricter since the caller cleared it */
};

/* All pages are set, and empty. */
void shadow_table_init(struct shadow_table *t);

struct shadow_fill {
    u64 linear;
    u64 leaf;           /* what the space has there ... */
    u32 leaf_level;     /* ... and its level */
    bool user, write;   /* the access */
    bool smep;          /* the guest has turned that on */
};

/*
 * Enters the page of `linear` that `w` has found, never with more rights than guest and space give; unless the guest's
 * CR0.WP is clear, so that its kernel may write to what is read-only: the walk has allowed that.
 */
void shadow_table_fill(struct shadow_table *t, const struct shadow_fill *f, const struct walk *w);

void shadow_table_drop(struct shadow_table *t, u64 linear); /* INVLPG */
void shadow_table_drop_local(struct shadow_table *t);       /* load of CR3: all but global pages */
void shadow_table_drop_all(struct shadow_table *t);

#endif
