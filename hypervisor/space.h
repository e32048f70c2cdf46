/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address spaces: the page tables of a domain (host-virtual for threads, guest-physical for vCPUs), and the
 * kernel's sparse direct map. Tables are pages of the domain's account. tree_lock held for all that changes tables.
 */
#ifndef SPACE_H
#define SPACE_H

#include <stdatomic.h>

#include "layout.h"
#include "tlb.h"
#include "types.h"

struct account;
struct domain;

enum space_format { SPACE_HOST, SPACE_NPT, SPACE_EPT };

/* What it takes to load the tables of a space's domain on one CPU. */
struct space_cpu {
    struct tlb_words words; /* to load; its CPU sets them, any CPU may take TLB_WORD_KEEP away */
    u64 pml4;               /* host-physical, 0: no context of the domain has lived here yet; constant then */
    u64 user_pml4;          /* the same, of the root for user mode; 0: none of its own */
    struct domain *domain;  /* constant */
    u32 tag_hint;           /* tlb.h */
};

struct space {
    struct space_cpu *cpus; /* constant; direct map, one page: CPUS_MAX of them */
    u64 *root;          /* direct map: PDPT (host: 512 GiB) or PML4 (guest: 256 TiB) */
    u8 levels;          /* 3 or 4 */
    u8 format;          /* enum space_format */
    u64 identity;       /* tlb.h */
    _Atomic u64 generation; /* tlb.h: grows when a translation was taken away */
};

#define SPACE_MAP_MAX 1024u /* table entries that one mapping may take */

extern bool space_has_1g; /* the processor maps 1 GiB pages; set at boot */
extern bool space_splits_exec; /* large pages of extended page tables are executed only in pieces; set at boot */
extern u8 space_ept_level; /* the largest pages of extended page tables: 1 4 KiB, 2 2 MiB, 3 1 GiB; set at boot */

/* s->cpus is set already. */
status_t space_init(struct space *s, struct account *a, enum space_format format) MUST_CHECK;

/* First address behind the space. */
u64 space_end(const struct space *s);

/*
 * Maps pages at `address`; rights CB_MAP_*, attr MEM_*. Uses 1 GiB, 2 MiB and 4 KiB pages as they fit. OCCUPIED
 * (argument 2) if anything is mapped there, TOO_LARGE (3), NO_MEMORY (0): then nothing is mapped, though tables
 * made stay.
 */
status_t space_map(struct space *s, struct account *a, u64 address, u64 base, u64 pages, u32 rights, u32 attr) MUST_CHECK;

/*
 * An instruction at `address` could not be fetched. Where that is because a large page must not be executed as one, smaller
 * ones take its place, in a table that the account pays for. True: it is to be fetched again. False: it is something else, or the
 * account is exhausted.
 */
bool space_split(struct space *s, struct account *a, u64 address) MUST_CHECK;

/* Unmaps what one space_map() mapped, or a part of it that space_unmap_part() has found; bumps the generation. */
void space_unmap(struct space *s, u64 address, u64 pages);

/* How many of these pages, from the first on, can be unmapped in one hold of the lock: all, if nothing has been split. */
u64 space_unmap_part(const struct space *s, u64 address, u64 pages);

/*
 * What maps `address` (the entry, and its level), read as hardware reads it: without a lock, while others change the
 * tables. PTE_P clear: nothing. The space's domain must not be freed meanwhile.
 */
u64 space_find(const struct space *s, u64 address, unsigned *level);

/* One bounded step of freeing the tables of a space from which all was unmapped; s->root is NULL when all are gone. */
void space_free_step(struct space *s, struct account *a);

/* The direct map: addresses of frames that the kernel owns. */
#ifdef UNIT_TEST
extern char *direct_arena; /* the host's stand-in for physical memory */
static inline void *direct(u64 physical) { return direct_arena + physical; }
static inline u64 physical(const void *p) { return (u64)((const char *)p - direct_arena); }
#else
static inline void *direct(u64 physical) { return (void *)(uintptr_t)(DIRECT_BASE + physical); }
static inline u64 physical(const void *p) { return (u64)(uintptr_t)p - DIRECT_BASE; }
#endif

/* Of something in the kernel's image. */
static inline u64 image_physical(const void *p) { return (u64)(uintptr_t)p - KERNEL_BASE; }

/* Bytes of physical address space for which tables of the direct map were made at boot; memory beyond is not used. */
extern u64 direct_limit;

/* Makes 2 MiB granules present in the direct map, or takes them out (kernel mappings' generation grows). In kpage.c. */
void direct_map(u64 base, u64 pages);
void direct_unmap(u64 base, u64 pages);
extern _Atomic u64 kernel_generation; /* grows when a kernel mapping was taken away */

#endif
