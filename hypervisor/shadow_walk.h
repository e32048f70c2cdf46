/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's own page tables, walked in software: what hardware without second-level paging cannot do. The tables lie
 * in guest memory and change at any time: each entry is read once, through the CPU's window page, and accessed and
 * dirty bits are set only where the entry is still the one that was read. APM 2, 5.2 to 5.6; SDM 3A, 4.3 to 4.8.
 */
#ifndef SHADOW_WALK_H
#define SHADOW_WALK_H

#include "types.h"
#include "x86.h"

struct space;

/* What decides how the guest translates addresses, as the guest sees it. */
struct paging {
    u64 cr0, cr3, cr4, efer;
};

/* Page-fault error code (APM 2, 8.4.2), and the kind of access that it tells of. */
#define PF_PRESENT 0x01u
#define PF_WRITE 0x02u
#define PF_USER 0x04u
#define PF_RESERVED 0x08u
#define PF_EXEC 0x10u
#define PF_AC 0x100u /* ours: the access is explicit and RFLAGS.AC set, so that SMAP lets it pass */

/* The level of a page larger than 2 MiB (4 MiB, 1 GiB), and of everything while paging is off. */
#define WALK_LARGER 3u

enum walk_result {
    WALK_OK,
    WALK_FAULT,  /* the guest's own: w->error */
    WALK_MEMORY, /* an entry lies at guest-physical w->address, where the space lacks memory: w->missing_write */
    WALK_AGAIN,  /* an entry has changed meanwhile */
};

struct walk {
    u64 address;  /* guest-physical */
    u32 error;    /* as the guest is to see it */
    u8 level;     /* of the page: 1 4 KiB, 2 2 MiB, WALK_LARGER */
    bool user, write, exec; /* rights that the page has for everybody, CR0.WP aside */
    bool dirty;   /* the entry says that it was written */
    bool global;  /* outlives a load of CR3 */
    bool missing_write; /* WALK_MEMORY: there is memory, but not to be written; false: nothing there */
};

/* Looks up a linear address for an access: PF_WRITE, PF_USER, PF_EXEC, PF_AC. */
enum walk_result walk(const struct paging *p, const struct space *s, u64 linear, u32 access, struct walk *w);

static inline bool paging_long(const struct paging *p)
{
    return (p->cr0 & CR0_PG) && (p->efer & EFER_LME);
}

extern u32 walk_physical_bits; /* of guest-physical addresses; set at boot */
extern bool walk_pages_1g;     /* the guest can have them; set at boot */

#endif
