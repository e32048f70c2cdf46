/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flush decisions against a model of several CPUs' TLBs, which, unlike the emulators' TLBs, never forget
 * anything by themselves. The model follows the rules of the hypervisor: a translation is taken away, the context's
 * generation grows, and it may be used by nobody once every CPU has passed a point at which it enters its current
 * context anew.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "fake.h"
#include "tlb.h"

#define CPUS 3u
#define CONTEXTS 9u
#define PAGES 4u
#define TAGS 8u
#define TABLE(context) (((context) + 1ull) << PAGE_SHIFT)

struct context {
    u64 identity, generation;
    u64 page[PAGES];    /* what it maps: 0 nothing, else a number never used twice */
    u32 hint[CPUS];
    u64 word[CPUS];     /* what a CPU would load without asking */
};

struct model_cpu {
    struct tlb_tags tags;
    u32 current;                 /* context */
    u32 tag;
    u64 cached[TAGS][PAGES];     /* by hardware tag */
};

static struct context contexts[CONTEXTS];
static struct model_cpu cpus[CPUS];
static u64 last_value;

static void model_init(u32 tag_count)
{
    memset(contexts, 0, sizeof(contexts));
    memset(cpus, 0, sizeof(cpus));
    for (u32 i = 0; i < CONTEXTS; i++)
        contexts[i].identity = tlb_identity();
    for (u32 i = 0; i < CONTEXTS; i++) {
        for (u32 cpu_id = 0; cpu_id < CPUS; cpu_id++)
            contexts[i].word[cpu_id] = TABLE(i);
    }
    for (u32 i = 0; i < CPUS; i++)
        tlb_init(&cpus[i].tags, tag_count ? 1 : 0, tag_count);
}

static void model_load(struct model_cpu *c, u32 context, u32 tag, bool flush)
{
    cr_assert_lt(tag, TAGS);
    c->current = context;
    c->tag = tag;
    if (flush)
        memset(c->cached[tag], 0, sizeof(c->cached[tag]));
}

static void model_enter(u32 cpu_id, u32 context)
{
    struct model_cpu *c = &cpus[cpu_id];
    struct context *x = &contexts[context];
    struct tlb_choice choice = tlb_enter(&c->tags, x->identity, x->generation, &x->hint[cpu_id], &x->word[cpu_id]);

    model_load(c, context, choice.tag, choice.flush);
    if (choice.tag)
        x->word[cpu_id] = TABLE(context) | choice.tag | TLB_WORD_KEEP;
}

/* As entry.S does it. */
static void model_enter_fast(u32 cpu_id, u32 context)
{
    u64 word = contexts[context].word[cpu_id];

    cr_assert_eq(word & TLB_WORD_ADDRESS, TABLE(context));
    model_load(&cpus[cpu_id], context, (u32)(word & ~TLB_WORD_KEEP & ~TLB_WORD_ADDRESS), !(word & TLB_WORD_KEEP));
}

/* The CPU touches a page of its current context: through its TLB if that knows the page, else it walks and caches. */
static void model_access(u32 cpu_id, u32 page)
{
    struct model_cpu *c = &cpus[cpu_id];
    u64 *cached = &c->cached[c->tag][page];
    u64 now = contexts[c->current].page[page];

    if (!*cached)
        *cached = now;
    cr_assert_eq(*cached, now, "CPU %u, context %u, page %u: stale translation", cpu_id, c->current, page);
}

/* Takes a translation away, then does what a grace period does: each CPU looks at its current context's generation. */
static void model_unmap(u32 context, u32 page)
{
    contexts[context].page[page] = 0;
    contexts[context].generation++;
    for (u32 i = 0; i < CPUS; i++)
        contexts[context].word[i] = TABLE(context);
    for (u32 i = 0; i < CPUS; i++)
        model_enter(i, cpus[i].current);
}

static void model_run(u32 tag_count)
{
    model_init(tag_count);
    for (unsigned n = 0; n < 200000; n++) {
        u32 cpu_id = (u32)fake_below(CPUS), context = (u32)fake_below(CONTEXTS), page = (u32)fake_below(PAGES);

        switch (fake_below(10)) {
        case 0: model_unmap(context, page); break;
        case 1:
            if (!contexts[context].page[page])
                contexts[context].page[page] = ++last_value;
            break;
        case 2:
        case 3: model_enter(cpu_id, context); break;
        case 4:
        case 5: model_enter_fast(cpu_id, context); break;
        default: model_access(cpu_id, page); break;
        }
    }
}

Test(tlb, model_without_tags)
{
    model_run(0);
}

Test(tlb, model_with_one_tag)
{
    model_run(1);
}

Test(tlb, model_with_fewer_tags_than_contexts)
{
    model_run(3);
}

Test(tlb, model_with_many_tags)
{
    model_run(7);
}

Test(tlb, re_entry_needs_no_flush)
{
    struct tlb_tags tags;
    u32 hint = 0, other = 0;

    tlb_init(&tags, 1, 4);
    cr_assert(tlb_enter(&tags, 100, 0, &hint, NULL).flush);
    cr_assert(tlb_enter(&tags, 200, 0, &other, NULL).flush);
    cr_assert_not(tlb_enter(&tags, 100, 0, &hint, NULL).flush);
    cr_assert(tlb_enter(&tags, 100, 1, &hint, NULL).flush);
    cr_assert_not(tlb_enter(&tags, 100, 1, &hint, NULL).flush);
    cr_assert_not(tlb_enter(&tags, 200, 0, &other, NULL).flush);
}

Test(tlb, a_word_loses_its_tag_with_it)
{
    struct tlb_tags tags;
    u32 hint = 0, other = 0, third = 0;
    u64 word = TABLE(0) | 1 | TLB_WORD_KEEP, freed = TABLE(1) | 1 | TLB_WORD_KEEP;

    tlb_init(&tags, 1, 1);
    tlb_enter(&tags, 100, 0, &hint, &word);
    tlb_enter(&tags, 200, 0, &other, &freed);
    cr_assert_eq(word, TABLE(0));
    tlb_forget(&tags, &freed);
    tlb_enter(&tags, 300, 0, &third, NULL);
    cr_assert_eq(freed, TABLE(1) | 1 | TLB_WORD_KEEP);
}

Test(tlb, no_tags_always_flush)
{
    struct tlb_tags tags;
    u32 hint = 0;

    tlb_init(&tags, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct tlb_choice choice = tlb_enter(&tags, 7, 0, &hint, NULL);

        cr_assert(choice.flush);
        cr_assert_eq(choice.tag, 0);
    }
}
