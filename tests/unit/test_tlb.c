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
#define USER_TABLE(context) (((context) + 0x100ull) << PAGE_SHIFT) /* of a second root */

struct context {
    u64 identity, generation;
    u64 page[PAGES];    /* what it maps: 0 nothing, else a number never used twice */
    u32 hint[CPUS];
    struct tlb_words words[CPUS]; /* what a CPU would load without asking */
};

struct model_cpu {
    struct tlb_tags tags;
    u32 current;                 /* context */
    u32 tag, user_tag;
    u64 cached[TAGS][PAGES];     /* by hardware tag */
    u64 user_cached[TAGS][PAGES]; /* ... less TLB_USER_TAG */
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
            contexts[i].words[cpu_id] = (struct tlb_words){ TABLE(i), USER_TABLE(i) };
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

/* The root for user mode is loaded on the way out. */
static void model_load_user(struct model_cpu *c, u64 word)
{
    u32 tag = (u32)(word & ~TLB_WORD_KEEP & ~TLB_WORD_ADDRESS);

    cr_assert_eq(word & TLB_WORD_ADDRESS, USER_TABLE(c->current));
    cr_assert(tag == 0 || (tag & TLB_USER_TAG));
    c->user_tag = tag & ~TLB_USER_TAG;
    cr_assert_lt(c->user_tag, TAGS);
    if (!(word & TLB_WORD_KEEP))
        memset(c->user_cached[c->user_tag], 0, sizeof(c->user_cached[0]));
}

static void model_enter(u32 cpu_id, u32 context)
{
    struct model_cpu *c = &cpus[cpu_id];
    struct context *x = &contexts[context];
    struct tlb_choice choice = tlb_enter(&c->tags, x->identity, x->generation, &x->hint[cpu_id], &x->words[cpu_id]);

    model_load(c, context, choice.tag, choice.flush);
    if (choice.tag && choice.flush)
        memset(c->user_cached[choice.tag], 0, sizeof(c->user_cached[0]));
    if (choice.tag) {
        x->words[cpu_id].kernel = TABLE(context) | choice.tag | TLB_WORD_KEEP;
        x->words[cpu_id].user = USER_TABLE(context) | choice.tag | TLB_USER_TAG | TLB_WORD_KEEP;
    }
    model_load_user(c, x->words[cpu_id].user);
}

/* As entry.S does it. */
static void model_enter_fast(u32 cpu_id, u32 context)
{
    u64 word = contexts[context].words[cpu_id].kernel;

    cr_assert_eq(word & TLB_WORD_ADDRESS, TABLE(context));
    model_load(&cpus[cpu_id], context, (u32)(word & ~TLB_WORD_KEEP & ~TLB_WORD_ADDRESS), !(word & TLB_WORD_KEEP));
    model_load_user(&cpus[cpu_id], contexts[context].words[cpu_id].user);
}

/* The CPU touches a page of its current context: through its TLB if that knows the page, else it walks and caches. */
static void model_access(u32 cpu_id, u32 page)
{
    struct model_cpu *c = &cpus[cpu_id];
    u64 *cached[] = { &c->cached[c->tag][page], &c->user_cached[c->user_tag][page] };
    u64 now = contexts[c->current].page[page];

    for (unsigned i = 0; i < 2; i++) {
        if (!*cached[i])
            *cached[i] = now;
        cr_assert_eq(*cached[i], now, "CPU %u, context %u, page %u, root %u: stale translation", cpu_id, c->current,
                     page, i);
    }
}

/* Takes a translation away, then does what a grace period does: each CPU looks at its current context's generation. */
static void model_unmap(u32 context, u32 page)
{
    contexts[context].page[page] = 0;
    contexts[context].generation++;
    for (u32 i = 0; i < CPUS; i++)
        contexts[context].words[i] = (struct tlb_words){ TABLE(context), USER_TABLE(context) };
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
    struct tlb_words words = { TABLE(0) | 1 | TLB_WORD_KEEP, USER_TABLE(0) | 1 | TLB_USER_TAG | TLB_WORD_KEEP };
    struct tlb_words freed = { TABLE(1) | 1 | TLB_WORD_KEEP, 0 };

    tlb_init(&tags, 1, 1);
    tlb_enter(&tags, 100, 0, &hint, &words);
    tlb_enter(&tags, 200, 0, &other, &freed);
    cr_assert_eq(words.kernel, TABLE(0));
    cr_assert_eq(words.user, USER_TABLE(0));
    tlb_forget(&tags, &freed);
    tlb_enter(&tags, 300, 0, &third, NULL);
    cr_assert_eq(freed.kernel, TABLE(1) | 1 | TLB_WORD_KEEP);
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

/*
 * VT-x (SDM 3C, 29.4.1): what was found through an extended page table alone is tagged with the table's address,
 * what was found through a guest's page table and it, with the vCPU's tag and that address. A table's address may
 * have been another space's before.
 */
#define ROOTS 3u
#define VCPUS 6u /* two for each space */

struct guest_space {
    u64 identity, generation;
    u64 page[PAGES];
};

struct guest {
    u64 identity, flushes;
    u32 root;
    u32 at[PAGES];        /* its own page table: guest-virtual to guest-physical */
    u32 tag_hint[CPUS], space_hint[CPUS];
};

static struct guest_space spaces[ROOTS];
static struct guest guests[VCPUS];
static struct {
    struct tlb_tags tags, spaces;
    u32 current, tag;
    u64 physical[ROOTS][PAGES];
    u64 combined[TAGS][ROOTS][PAGES];
} vmx_cpus[CPUS];

static void vmx_enter_model(u32 cpu_id, u32 number)
{
    __typeof__(&vmx_cpus[0]) c = &vmx_cpus[cpu_id];
    struct guest *g = &guests[number];
    struct guest_space *s = &spaces[g->root];
    struct tlb_choice choice = tlb_enter(&c->tags, g->identity, s->generation + g->flushes, &g->tag_hint[cpu_id],
                                         NULL);

    c->current = number;
    c->tag = choice.tag;
    if (!choice.flush)
        return;
    memset(c->combined[choice.tag], 0, sizeof(c->combined[choice.tag])); /* INVVPID, or no tags at all */
    if (tlb_enter(&c->spaces, s->identity, s->generation, &g->space_hint[cpu_id], NULL).flush) { /* INVEPT */
        memset(c->physical[g->root], 0, sizeof(c->physical[g->root]));
        for (u32 tag = 0; tag < TAGS; tag++)
            memset(c->combined[tag][g->root], 0, sizeof(c->combined[tag][g->root]));
    }
}

static void vmx_enter_all(void)
{
    for (u32 i = 0; i < CPUS; i++)
        vmx_enter_model(i, vmx_cpus[i].current);
}

static void vmx_access(u32 cpu_id, u32 page)
{
    __typeof__(&vmx_cpus[0]) c = &vmx_cpus[cpu_id];
    const struct guest *g = &guests[c->current];
    u64 *combined = &c->combined[c->tag][g->root][page], *physical = &c->physical[g->root][g->at[page]];
    u64 now = spaces[g->root].page[g->at[page]];

    if (!*combined) {
        if (!*physical)
            *physical = now;
        *combined = *physical;
    }
    cr_assert_eq(*combined, now, "CPU %u, vCPU %u, page %u: stale translation", cpu_id, c->current, page);
}

/* The space dies, and its table's page becomes another space's, with new vCPUs. */
static void vmx_replace(u32 root)
{
    spaces[root] = (struct guest_space){ .identity = tlb_identity() };
    for (u32 i = 0; i < VCPUS; i++) {
        if (guests[i].root == root)
            guests[i] = (struct guest){ .identity = tlb_identity(), .root = root };
    }
    vmx_enter_all();
}

static void vmx_model_run(u32 tag_count, u32 space_count)
{
    memset(vmx_cpus, 0, sizeof(vmx_cpus));
    for (u32 i = 0; i < VCPUS; i++)
        guests[i] = (struct guest){ .identity = tlb_identity(), .root = i % ROOTS };
    for (u32 i = 0; i < ROOTS; i++)
        spaces[i] = (struct guest_space){ .identity = tlb_identity() };
    for (u32 i = 0; i < CPUS; i++) {
        tlb_init(&vmx_cpus[i].tags, tag_count ? 1 : 0, tag_count);
        tlb_init(&vmx_cpus[i].spaces, 0, space_count);
    }
    vmx_enter_all();
    for (unsigned n = 0; n < 200000; n++) {
        u32 cpu_id = (u32)fake_below(CPUS), number = (u32)fake_below(VCPUS), page = (u32)fake_below(PAGES);
        struct guest_space *s = &spaces[number % ROOTS];

        switch (fake_below(10)) {
        case 0: /* space_unmap() */
            s->page[page] = 0;
            s->generation++;
            vmx_enter_all();
            break;
        case 1:
            if (!s->page[page])
                s->page[page] = ++last_value;
            break;
        case 2: /* the guest changes its page table, and flushes */
            guests[number].at[page] = (u32)fake_below(PAGES);
            guests[number].flushes++;
            vmx_enter_all();
            break;
        case 3:
        case 4: vmx_enter_model(cpu_id, number); break;
        case 5:
            if (n % 50 == 0)
                vmx_replace(number % ROOTS);
            break;
        default: vmx_access(cpu_id, page); break;
        }
    }
}

Test(tlb, model_of_vmx)
{
    vmx_model_run(7, TLB_TAGS_MAX);
}

Test(tlb, model_of_vmx_with_few_tags)
{
    vmx_model_run(3, 2);
}

Test(tlb, model_of_vmx_without_tags)
{
    vmx_model_run(0, TLB_TAGS_MAX);
}
