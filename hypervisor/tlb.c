/* SPDX-License-Identifier: GPL-2.0-only */
#include "tlb.h"

#include <stdatomic.h>

void tlb_init(struct tlb_tags *t, u32 first, u32 count)
{
    *t = (struct tlb_tags){ .first = first, .count = MIN(count, TLB_TAGS_MAX) };
}

struct tlb_choice tlb_enter(struct tlb_tags *t, u64 identity, u64 generation, u32 *hint, struct tlb_words *words)
{
    u32 i = *hint;
    bool flush;

    if (!t->count)
        return (struct tlb_choice){ .tag = 0, .flush = true };

    flush = i >= t->count || t->tag[i].identity != identity;
    if (flush) {
        i = t->next;
        t->next = i + 1 == t->count ? 0 : i + 1;
        *hint = i;
        if (t->tag[i].words) {
            t->tag[i].words->kernel &= TLB_WORD_ADDRESS;
            t->tag[i].words->user &= TLB_WORD_ADDRESS;
        }
        t->tag[i].words = words;
        t->tag[i].identity = identity;
    }
    flush |= t->tag[i].generation != generation;
    t->tag[i].generation = generation;
    return (struct tlb_choice){ .tag = t->first + i, .flush = flush };
}

void tlb_forget(struct tlb_tags *t, const struct tlb_words *words)
{
    for (u32 i = 0; i < t->count; i++) {
        if (t->tag[i].words == words)
            t->tag[i].words = NULL;
    }
}

u64 tlb_identity(void)
{
    static _Atomic u64 last;

    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}
