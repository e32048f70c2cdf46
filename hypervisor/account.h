/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accounts: kernel memory that user level handed over. A top account owns ram (in 2 MiB granules, present in the
 * direct map while it uses them); its children have quotas of pages. All memory given out is zeroed, but for raw pages.
 *
 * Objects come from slabs of the account that pays (so that accounts never share a page);
 * tables take pages. All functions here: tree_lock held.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "object.h"
#include "types.h"

#define ACCOUNT_CLASSES 7u
#define ACCOUNT_CLASS_SIZES { 64, 128, 256, 512, 960, 1984, 4032 } /* of blocks */
#define ACCOUNT_GRANULES_MAX 4096u /* 2 MiB granules in a top account: 8 GiB */

/* A page cut into equal blocks; this header is its first 64 bytes. On its account's list while it has free blocks. */
struct slab {
    struct slab *next, *prev;
    void *free;  /* list through the first word of each free block */
    u32 class;
    u32 used;    /* blocks in use */
    u64 reserved[4];
};
_Static_assert(sizeof(struct slab) == 64, "blocks are aligned to cache lines");

struct account {
    struct object obj;       /* .account: the parent, NULL for a top account */
    struct account *top;     /* constant */
    u64 quota;               /* pages it may use, children's quotas included */
    u64 used;                /* pages in use, children's quotas included */
    void *free_pages;        /* top: list through the first word of each free page */
    u64 base, pages;         /* top: its ram, host-physical; the account itself lies in the first page */
    u64 fresh;               /* top: pages from here on have never been given out */
    struct slot *tombstone;  /* top: its first capability, while it dies */
    bool permanent;          /* the boot account: never given back */
    struct slab *partial[ACCOUNT_CLASSES]; /* slabs with free blocks */
};

struct slot;

/* A zeroed page or block; NULL: exhausted. Counted against the account's quota. Raw: whatever was in it is in it. */
void *account_page(struct account *a);
void *account_page_raw(struct account *a);
void account_page_free(struct account *a, void *page); /* NULL: nothing */
void *account_object(struct account *a, u64 size, enum cb_type type); /* struct object filled in, root NULL */
void account_object_free(struct object *obj);

/*
 * The top account over the ram [base, base + pages): the struct lies in its first page. Its granules enter the direct map
 * (space.h: direct_map()) as pages of them are given out for the first time.
 */
struct account *account_top(u64 base, u64 pages);

/* The first capability of `a` is going: a top account's stays as a tombstone (true). */
bool account_bury(struct account *a, struct slot *root);

/*
 * A dead account after its grace period: one bounded step of giving back what it was made of. DONE: the account is
 * no more. GRACE: it needs another grace period. MORE: call again.
 */
enum account_step { ACCOUNT_DONE, ACCOUNT_GRACE, ACCOUNT_MORE };
enum account_step account_release(struct account *a);

#endif
