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
#define SLOT_DEPTH_MAX 1024u

#define SLOT_REVOKING 0x1u  /* flags: nothing more may be derived from it */
#define SLOT_TOMBSTONE 0x2u /* a top account's first capability, while its ram is being cleared */

struct slot {
    _Atomic u64 word;
    struct slot *next, *prev;
    struct domain *domain; /* whose space it is in; NULL inside an object (a vCPU's exit portals) */
    u32 depth;
    u32 flags;
    union {
        struct { u64 base, pages, used; } ram;      /* used: pages split off from the front */
        struct { u64 base, pages, attr; } frame;    /* attr: memory type, MEM_* */
        struct { u64 address, pages, reserved; } mapping;
        u64 badge;                                  /* event */
        struct { struct slot *next; u64 epoch; } grave; /* tombstone: reap.c */
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

/* Fills the empty slot `s` as a child of `parent` (NULL: a root of the tree). Sets `word` last. tree_lock held. */
void slot_insert(struct slot *s, struct slot *parent, struct domain *d, u64 word);

/* Has it been filled (or is it a tombstone)? tree_lock held. */
static inline bool slot_used(const struct slot *s)
{
    return s->next != NULL;
}

static inline bool slot_has_children(const struct slot *s)
{
    return s->next->depth > s->depth;
}

/* The first of its descendants that has none itself; `s` if it has none. Bounded by SLOT_DEPTH_MAX. tree_lock held. */
struct slot *slot_leaf(struct slot *s);

/*
 * Empties a slot without descendants: unmaps a mapping, kills the object if this is its first capability. The first
 * capability of a top account stays as a tombstone, useless but in the tree, until the account's ram is free
 * (account_release). tree_lock held. True: the slot is empty now; false: it is a tombstone.
 */
bool slot_remove(struct slot *s);

/* Takes a slot out of the tree, whatever it holds. tree_lock held. */
void slot_unlink(struct slot *s);

#endif
