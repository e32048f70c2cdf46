/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel memory: every page that an account has ever given out belongs to exactly one object, or is free; and each
 * account's figures say the same.
 */
#include "dump.h"

#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "event.h"
#include "portal.h"
#include "pte.h"
#include "thread.h"
#include "vcpu.h"
#include "vmx.h"

#define AREA "accounts"

enum page_kind { PAGE_UNKNOWN, PAGE_TOP, PAGE_FREE, PAGE_SLAB, PAGE_DATA };

struct page {
    u8 kind;       /* enum page_kind */
    bool partial;  /* slab: found on its account's list */
    u32 blocks;    /* slab: objects found in it */
};

static struct page *pages;
static u64 page_count;
static const u32 class_size[ACCOUNT_CLASSES] = ACCOUNT_CLASS_SIZES;

static struct account *account_of(const struct thing *t)
{
    return (struct account *)(void *)t->obj;
}

/* The page at a kernel address becomes the account's, for `kind`. */
static struct page *claim(const struct account *payer, const void *kernel, enum page_kind kind)
{
    struct thing *t = thing_expect(payer, CB_TYPE_ACCOUNT, AREA, "who pays");
    const struct account *top = t ? AT(account_of(t)->top) : NULL;
    u64 at = dump_translate((u64)kernel), n = at / PAGE_SIZE;

    if (!top)
        return NULL;
    if (at < top->base || at >= top->base + top->fresh * PAGE_SIZE || n >= page_count) {
        bad(AREA, "%p is not in the ram of the account that is said to pay for it", kernel);
        return NULL;
    }
    if (pages[n].kind == PAGE_SLAB && kind == PAGE_SLAB)
        return &pages[n];
    if (pages[n].kind != PAGE_UNKNOWN) {
        bad(AREA, "the page at %lx is in use twice", at);
        return NULL;
    }
    pages[n].kind = (u8)kind;
    t->claimed++;
    seen("pages of kernel memory in use", 1);
    return &pages[n];
}

static void claim_physical(const struct account *payer, u64 at)
{
    claim(payer, (const void *)(DIRECT_BASE + at), PAGE_DATA);
}

/* ---- What each kind of object has ---- */

static void claim_tables(const struct account *payer, const u64 *table, unsigned level)
{
    for (u32 i = 0; table && level > 1 && i < PTE_ENTRIES; i++) {
        if (!(table[i] & PTE_P) || (table[i] & (PTE_LARGE | PTE_HOLE)))
            continue;
        claim_physical(payer, pte_address(table[i]));
        claim_tables(payer, dump_physical(pte_address(table[i]), PAGE_SIZE), level - 1);
    }
}

static void claim_domain(const struct domain *d)
{
    const struct account *a = d->obj.account;
    const struct space_cpu *cpus = dump_at(d->space.cpus, PAGE_SIZE);

    claim(a, d->space.cpus, PAGE_DATA);
    claim(a, d->caps, PAGE_DATA);
    claim_tables(a, dump_at(d->caps, PAGE_SIZE), 4); /* its leaves are pages of the account, too */
    if (d->space.root) {
        claim(a, d->space.root, PAGE_DATA);
        claim_tables(a, dump_at(d->space.root, PAGE_SIZE), d->space.levels);
    }
    for (u32 i = 0; cpus && i < dump_cpu_count(); i++) {
        if (cpus[i].pml4)
            claim_physical(a, cpus[i].pml4);
        if (cpus[i].user_pml4)
            claim_physical(a, cpus[i].user_pml4);
    }
    if (d->io_bitmap) {
        claim(a, d->io_bitmap, PAGE_DATA);
        claim(a, d->io_bitmap_high, PAGE_DATA);
    }
}

static void claim_backend(const struct vcpu *v)
{
    const struct vmx *x = dump_at(v->hw, sizeof(*x));

    claim(v->ctx.obj.account, v->hw, PAGE_DATA);
    if (x && (u64)SYMBOL(const struct virt_ops *, NULL, virt) == dump_symbol_address(NULL, "vmx_ops", 0)) {
        claim_physical(v->ctx.obj.account, x->vmcs);
        if (x->apic)
            claim(v->ctx.obj.account, x->apic, PAGE_DATA);
    }
}

/* The size of the object's block, other pages claimed. */
static u64 claim_parts(const struct thing *t)
{
    const struct object *obj = t->obj;
    const struct ctx *c = (const struct ctx *)(const void *)obj;
    const struct vcpu *v = (const struct vcpu *)(const void *)obj;

    switch (obj->type) {
    case CB_TYPE_DOMAIN: claim_domain((const struct domain *)(const void *)obj); return sizeof(struct domain);
    case CB_TYPE_VCPU:
        claim(obj->account, v->page, PAGE_DATA);
        claim_backend(v);
        claim(obj->account, c->fpu, PAGE_DATA);
        claim(obj->account, c->utcb, PAGE_DATA);
        return sizeof(struct vcpu);
    case CB_TYPE_THREAD:
        claim(obj->account, c->fpu, PAGE_DATA);
        claim(obj->account, c->utcb, PAGE_DATA);
        return sizeof(struct thread);
    case CB_TYPE_ACCOUNT: return sizeof(struct account);
    case CB_TYPE_SCHED: return sizeof(struct sched) + (sched_own(t) ? sizeof(struct budget) : 0);
    case CB_TYPE_PORTAL: return sizeof(struct portal);
    default: return sizeof(struct event);
    }
}

/* Its block lies in a slab of the account that pays, whose blocks are as small as they can be. */
static void claim_block(const struct thing *t, u64 size)
{
    struct slab *kernel = (struct slab *)(t->kernel & ~(PAGE_SIZE - 1));
    struct page *page = claim(t->obj->account, kernel, PAGE_SLAB);
    const struct slab *slab = page ? dump_at(kernel, PAGE_SIZE) : NULL;

    if (!slab)
        return;
    page->blocks++;
    if (slab->class >= ACCOUNT_CLASSES || (t->kernel % PAGE_SIZE - sizeof(*slab)) % class_size[slab->class] ||
        class_size[slab->class] < size)
        bad(AREA, "the object at %lx does not fit its slab", t->kernel);
}

/* ---- Accounts ---- */

static void check_slab(const struct page *page, const struct slab *slab, u64 kernel)
{
    u32 room, free = 0;

    if (slab->class >= ACCOUNT_CLASSES)
        return; /* was said */
    room = (u32)((PAGE_SIZE - sizeof(*slab)) / class_size[slab->class]);
    for (void **block = slab->free; block && free <= room; free++) {
        if (((u64)block & ~(PAGE_SIZE - 1)) != kernel || !AT(block)) {
            bad(AREA, "a free block of the slab at %lx is elsewhere: %p", kernel, (void *)block);
            return;
        }
        block = *AT(block);
    }
    if (slab->used != page->blocks || slab->used + free != room)
        bad(AREA, "the slab at %lx: %u blocks in use, %u found, %u free of %u", kernel, slab->used, page->blocks, free, room);
    if (page->partial != (free != 0))
        bad(AREA, "the slab at %lx has %u free blocks, and is%s on its account's list", kernel, free,
            page->partial ? "" : " not");
}

static void check_partial(const struct thing *t)
{
    for (u32 i = 0; i < ACCOUNT_CLASSES; i++) {
        const struct slab *before = NULL;
        u32 n = 0;

        for (const struct slab *s = account_of(t)->partial[i]; s && n++ < page_count;) {
            const struct slab *slab = AT(s);
            u64 at = dump_translate((u64)s) / PAGE_SIZE;

            if (!slab || at >= page_count || slab->class != i || slab->prev != before || pages[at].kind != PAGE_SLAB) {
                bad(AREA, "account %lx: its list of slabs is broken at %p", t->kernel, (const void *)s);
                break;
            }
            pages[at].partial = true;
            before = s;
            s = slab->next;
        }
    }
}

static void check_slabs(void)
{
    for (u32 i = 0; i < thing_count; i++) {
        u64 kernel = things[i].kernel & ~(PAGE_SIZE - 1), n = dump_translate(kernel) / PAGE_SIZE;

        if (!things[i].obj->account || n >= page_count || pages[n].kind != PAGE_SLAB || !pages[n].blocks)
            continue;
        check_slab(&pages[n], dump_at((void *)kernel, PAGE_SIZE), kernel);
        pages[n].blocks = 0; /* once for each page */
        seen("slabs", 1);
    }
}

static void check_top(const struct thing *t)
{
    const struct account *a = account_of(t);
    u64 free = 0, lost = 0, n = a->base / PAGE_SIZE;

    if (dump_translate(t->kernel) != a->base || a->fresh > a->pages || n + a->pages > page_count || a->quota != a->pages) {
        bad(AREA, "top account %lx is not what its ram says", t->kernel);
        return;
    }
    pages[n].kind = PAGE_TOP;
    for (void **page = a->free_pages; page && free < a->pages; page = *AT(page), free++) {
        u64 at = dump_translate((u64)page) / PAGE_SIZE;

        if (at < n || at >= n + a->fresh || (u64)page % PAGE_SIZE || pages[at].kind != PAGE_UNKNOWN || !AT(page)) {
            bad(AREA, "account %lx: the page at %p is free, but in use or not its own", t->kernel, (void *)page);
            break;
        }
        pages[at].kind = PAGE_FREE;
    }
    for (u64 i = 0; i < a->fresh; i++)
        lost += pages[n + i].kind == PAGE_UNKNOWN;
    if (lost)
        bad(AREA, "account %lx: %lu pages have leaked", t->kernel, lost);
    seen("free pages of kernel memory", free);
}

static void check_figures(const struct thing *t)
{
    const struct account *a = account_of(t);
    u64 used = t->claimed + t->quotas + (a->obj.account ? 0 : 1);

    if (a->used != used || a->used > a->quota)
        bad(AREA, "account %lx: %lu of %lu pages in use, but %lu were found, and %lu given to children", t->kernel, a->used,
            a->quota, used - t->quotas, t->quotas);
    seen("accounts", 1);
}

void check_accounts(void)
{
    page_count = 0;
    while (dump_physical(page_count * PAGE_SIZE, PAGE_SIZE))
        page_count++;
    free(pages);
    pages = calloc(page_count, sizeof(*pages));
    if (!pages)
        abort();
    for (u32 i = 0; i < thing_count; i++) {
        struct thing *t = &things[i], *parent;
        u64 size = claim_parts(t);

        if (t->obj->account)
            claim_block(t, size);
        parent = t->obj->type == CB_TYPE_ACCOUNT && t->obj->account ? thing_find(t->obj->account) : NULL;
        if (parent)
            parent->quotas += account_of(t)->quota;
        if (parent && account_of(t)->top != account_of(parent)->top)
            bad(AREA, "account %lx has not its parent's ram", t->kernel);
    }
    for (u32 i = 0; i < thing_count; i++)
        if (things[i].obj->type == CB_TYPE_ACCOUNT)
            check_partial(&things[i]);
    check_slabs();
    for (u32 i = 0; i < thing_count; i++) {
        if (things[i].obj->type != CB_TYPE_ACCOUNT)
            continue;
        if (!things[i].obj->account)
            check_top(&things[i]);
        check_figures(&things[i]);
    }
}

bool page_is_kernel(u64 from, u64 bytes)
{
    u64 image = dump_symbol_address(NULL, "image_end", 0) - KERNEL_BASE;
    u64 boot_base = SYMBOL(u64, NULL, bootmem_base), boot_end = SYMBOL(u64, NULL, bootmem_end);

    if ((from < image && from + bytes > KERNEL_LOAD) || (from < boot_end && from + bytes > boot_base))
        return true;
    for (u32 i = 0; i < thing_count; i++) {
        const struct account *a = account_of(&things[i]);

        if (things[i].obj->type == CB_TYPE_ACCOUNT && !a->obj.account && from < a->base + a->pages * PAGE_SIZE &&
            from + bytes > a->base)
            return true;
    }
    return false;
}
