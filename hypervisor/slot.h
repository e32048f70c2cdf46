/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capability slots and the derivation tree.
 *
 * The tree is one list of all capabilities in depth-first order, each with its depth: the descendants of a
 * slot are the slots behind it that are deeper. Only leaves are removed, so the list is a valid tree at any
 * time. The links are in the slots, so deriving allocates nothing.
 *
 * The word holds type, rights and object together, so that one read decides a call: readers take no lock
 * and read it once. All writers, and readers of anything else here, hold tree_lock.
 */
#ifndef SLOT_H
#define SLOT_H

#include <stdatomic.h>

#include <corbel/cap.h>

#include "lock.h"
#include "object.h"
#include "types.h"

struct domain;

/* word: bits 7:0 type, bits 15:8 rights, bits 63:16 address of the object (its low 48 bits; it is canonical). */
#define SLOT_RIGHTS_SHIFT 8
#define SLOT_OBJECT_SHIFT 16
#define SLOT_DEPTH_MAX 128u

#define SLOT_REVOKING 0x1u  /* flags: nothing more may be derived from it, nor from what is below it */
#define SLOT_TOMBSTONE 0x2u /* a top account's first capability, while its ram is being cleared */

struct slot {
    _Atomic u64 word;
    struct slot *next, *prev;
    struct slot *parent;   /* what it was derived from; NULL: a root of the tree */
    u16 depth;             /* 1: a root */
    u16 flags;
    u32 attr;              /* frame: memory type, MEM_* */
    union {
        /* unmapped: the grace period after which nobody reaches memory through what was below it and has gone */
        struct { u64 base, pages, unmapped; } ram, frame;
        struct { u64 address, pages; struct domain *domain; } mapping;
        u64 badge;         /* event */
    };
};
_Static_assert(sizeof(struct slot) == 64, "a slot is a cache line");

#define MEM_WB 0u /* normal memory */
#define MEM_UC 1u /* device registers */
#define MEM_WC 2u /* frame buffers */

extern struct lock tree_lock;

static inline u64 slot_word_make(enum cb_type type, u32 rights, const void *object)
{
    return (u64)type | (u64)rights << SLOT_RIGHTS_SHIFT | (u64)(uintptr_t)object << SLOT_OBJECT_SHIFT;
}

static inline enum cb_type slot_word_type(u64 word)
{
    return (enum cb_type)(word & 0xff);
}

static inline u32 slot_word_rights(u64 word)
{
    return (u32)(word >> SLOT_RIGHTS_SHIFT) & 0xff;
}

/* Is it a capability of this type, with these rights? */
static inline bool slot_word_is(u64 word, enum cb_type type, u32 rights)
{
    u64 wanted = (u64)type | (u64)rights << SLOT_RIGHTS_SHIFT;

    return ((word ^ wanted) & (0xff | wanted)) == 0;
}

static inline void *slot_word_object(u64 word)
{
    return (void *)(uintptr_t)((s64)word >> SLOT_OBJECT_SHIFT); /* the address is canonical */
}

/* Is it that of an object (object.h)? */
static inline bool slot_word_is_object(u64 word)
{
    return slot_word_type(word) >= CB_TYPE_ACCOUNT && slot_word_type(word) <= CB_TYPE_EVENT;
}

static inline u64 slot_word(const struct slot *s)
{
    return atomic_load_explicit(&s->word, memory_order_relaxed);
}

/* Makes the tree empty. Boot and unit tests. */
void slot_init(void);

/*
 * The slot of `sel` in a domain, NULL if its page does not exist (then it is empty). Direct-map address.
 */
struct slot *slot_find(struct domain *d, u32 sel);

/*
 * An empty slot to fill, its page allocated from the domain's account if need be.
 * OCCUPIED, NO_MEMORY, BAD_PARAM (selector 0) with argument number `arg`. tree_lock held.
 */
status_t slot_reserve(struct domain *d, u32 sel, unsigned arg, struct slot **out) MUST_CHECK;

/* Can something be derived from `s`, which is argument `arg`? OK, TOO_DEEP, DYING. tree_lock held. */
status_t slot_derivable(const struct slot *s, unsigned arg) MUST_CHECK;

/*
 * Fills the empty slot `s` as a child of `parent` (NULL: a root of the tree). Sets `word` last: what belongs to the type
 * has been filled in. tree_lock held.
 */
void slot_insert(struct slot *s, struct slot *parent, u64 word);

/* Has it been filled (or is it a tombstone)? tree_lock held. */
static inline bool slot_used(const struct slot *s)
{
    return s->next != NULL;
}

static inline bool slot_has_children(const struct slot *s)
{
    return s->next->parent == s;
}

/* Pages of a ram that its children take, from the front on. tree_lock held. */
u64 slot_ram_used(const struct slot *ram);

/* The grace period after which nobody reaches memory through `s`, if it goes now, or what was below it. tree_lock held. */
u64 slot_unmapped(const struct slot *s);

/*
 * A mapping whose large pages have been split may be too much to unmap for one hold of the lock: unmaps a part of it then.
 * True: it has, and slot_remove() is not due yet. tree_lock held.
 */
bool slot_shrink(struct slot *s) MUST_CHECK;

/*
 * Removes what is below `s`, leaf by leaf, as much of it as one hold of tree_lock should take. Until all of it is done
 * nothing can be derived below `s`. BLOCKED: a tombstone is in the way.
 */
enum slot_prune { SLOT_DONE, SLOT_MORE, SLOT_BLOCKED };
enum slot_prune slot_prune(struct slot *s) MUST_CHECK;

/*
 * Empties a slot without descendants: unmaps a mapping, kills the object if this is its first capability. The first
 * capability of a top account stays as a tombstone, useless but in the tree, until the account's ram is clean. tree_lock
 * held. True: the slot is empty now; false: it is a tombstone.
 */
bool slot_remove(struct slot *s);

/* The ram below which the tombstone stands is clean, and free a grace period later. tree_lock held. */
void slot_exhume(struct slot *tombstone);

#endif
