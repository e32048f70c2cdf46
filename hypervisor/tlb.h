/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every decision about TLB tags and flushes is made here, and nowhere else: both emulators flush more than hardware
 * does and would hide mistakes. Pure logic, tested on the host against a model TLB.
 *
 * A translation context (a host address space on one CPU, or a vCPU) has an identity and a generation that grows
 * whenever a translation is taken away or made stricter. A CPU has a set of tags (PCIDs or ASIDs); each remembers
 * for which identity and generation it holds entries. Entering a context with a tag whose generation is old needs a
 * flush of that tag.
 */
#ifndef TLB_H
#define TLB_H

#include "types.h"

#define TLB_TAGS_MAX 64u

/*
 * A context may keep the words to load into CR3 ready-made: its table's address alone loads it with tag 0 and flushes
 * that; with a tag and TLB_WORD_KEEP it flushes nothing. When the tag goes to another context, the words become the
 * addresses alone again. `user`: of a second root, if there is one, with a tag of its own, which is flushed when the
 * first one is.
 */
struct tlb_words {
    u64 kernel, user;
};
#define TLB_WORD_KEEP (1ull << 63)
#define TLB_WORD_ADDRESS 0x000ffffffffff000ull
#define TLB_USER_TAG 0x800u /* the tag of a second root, added to that of the first */

struct tlb_tags {
    u32 count;   /* usable tags, numbered from `first`; 0: the CPU has none, every entry flushes */
    u32 first;
    u32 next;    /* the tag to evict next */
    struct {
        u64 identity, generation;
        struct tlb_words *words;
    } __attribute__((aligned(32))) tag[TLB_TAGS_MAX]; /* a power of two, so that a shift finds it */
};

struct tlb_choice {
    u32 tag;     /* hardware number; 0 if there are none */
    bool flush;  /* its old entries must go before or with the entry */
};

void tlb_init(struct tlb_tags *t, u32 first, u32 count);

/*
 * `hint` is kept by the caller per (context, CPU), 0 at first: makes the common case one comparison. Identities are
 * never 0.
 */
struct tlb_choice tlb_enter(struct tlb_tags *t, u64 identity, u64 generation, u32 *hint, struct tlb_words *words);

/* `words` (NULL in tlb_enter(): there are none) are about to be freed. */
void tlb_forget(struct tlb_tags *t, const struct tlb_words *words);

/* Would tlb_enter() choose the same tag as last time, and no flush? */
static inline bool tlb_holds(const struct tlb_tags *t, u64 identity, u64 generation, u32 hint)
{
    return t->tag[hint].identity == identity && t->tag[hint].generation == generation;
}

/* A new identity, never used before. */
u64 tlb_identity(void);

#endif
