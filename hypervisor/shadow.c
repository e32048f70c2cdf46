/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow.h"

#include "account.h"
#include "cpu.h"
#include "cpu_init.h"
#include "domain.h"
#include "kpage.h"
#include "kstring.h"
#include "pte.h"
#include "vcpu.h"
#include "virt.h"
#include "x86.h"

#define INJECT_EXCEPTION (CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION)
#define INJECT_WHAT (CB_INJECT_VALID | 0x7ffu)
#define PAE_ENTRIES 4u

/*
 * The four entries that PAE paging begins with must lie below 4 GiB, where pages of accounts need not be: each CPU has
 * four in the kernel's image, for the vCPU that it runs.
 */
static u64 pae_roots[CPUS_MAX][PAE_ENTRIES] __attribute__((aligned(64)));

void shadow_probe(void)
{
    u64 missing = 0;

    walk_physical_bits = features.physical_bits;
    walk_pages_1g = features.pages_1g;
    missing |= features.fsgsbase ? 0 : CR4_FSGSBASE;
    missing |= features.xsave ? 0 : CR4_OSXSAVE;
    missing |= features.smep ? 0 : CR4_SMEP;
    missing |= features.smap ? 0 : CR4_SMAP;
    missing |= features.umip ? 0 : CR4_UMIP;
    shadow_cr4_bits &= ~missing;
}

bool shadow_create(struct vcpu *v)
{
    struct account *a = v->ctx.obj.account;
    struct shadow *s = account_page(a);

    v->shadow = s;
    for (u32 i = 0; s && i < SHADOW_TABLES; i++) {
        s->table.page[i] = account_page_raw(a); /* all at once would be long: each is cleared when it is used */
        if (!s->table.page[i])
            return false;
    }
    if (s)
        shadow_table_init(&s->table);
    return s;
}

void shadow_free(struct vcpu *v)
{
    struct account *a = v->ctx.obj.account;

    if (!v->shadow)
        return;
    for (u32 i = 0; i < SHADOW_TABLES && v->shadow->table.page[i]; i++)
        account_page_free(a, v->shadow->table.page[i]);
    account_page_free(a, v->shadow);
}

void shadow_get(const struct shadow *s, u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_CR) {
        out->cr0 = s->guest.cr0;
        out->cr3 = s->guest.cr3;
        out->cr4 = s->guest.cr4;
    }
    if (groups & CB_GROUP_SYSCALL)
        out->efer = s->guest.efer;
}

u64 shadow_refresh(struct vcpu *v)
{
    struct shadow *s = v->shadow;
    /* Pairs with the release in space_unmap(). Each is read once: the tag must not be newer than the tables. */
    u64 generation = atomic_load(&v->ctx.domain->space.generation), flushes = atomic_load(&v->flushes);

    if (generation != s->generation || flushes != s->flushes) {
        shadow_table_drop_all(&s->table);
        s->table.stale = false; /* what has grown flushes the tag */
        s->generation = generation;
        s->flushes = flushes;
    }
    return generation + flushes;
}

void shadow_settle(struct vcpu *v)
{
    if (!v->shadow->table.stale)
        return;
    v->shadow->table.stale = false;
    v->shadow->flushes++;
    atomic_fetch_add(&v->flushes, 1);
}

u64 shadow_root(const struct shadow *s)
{
    const u64 *root = s->table.page[0], *table;

    if (paging_long(&s->guest))
        return physical(root);
    table = root[0] & PTE_P ? direct(pte_address(root[0])) : NULL;
    for (u32 i = 0; i < PAE_ENTRIES; i++)
        pae_roots[cpu.id][i] = table && (table[i] & PTE_P) ? pte_address(table[i]) | PTE_P : 0;
    return image_physical(pae_roots[cpu.id]);
}

/*
 * The guest's own fault. If it came in the delivery of a page fault or double fault, it becomes worse (APM 2, 8.2.9).
 */
static unsigned fault_inject(struct vcpu *v, u32 error)
{
    u32 event = v->inject & INJECT_WHAT;

    if (event == (INJECT_EXCEPTION | EXCEPTION_PF))
        return vcpu_inject_exception(v, EXCEPTION_DF, 0);
    if (event != (INJECT_EXCEPTION | EXCEPTION_DF))
        return vcpu_inject_exception(v, EXCEPTION_PF, error);
    vcpu_set_special(v);
    return CB_EXIT_SHUTDOWN;
}

static unsigned fault_own(struct vcpu *v, u64 linear, u32 error, u64 *cr2)
{
    *cr2 = linear;
    if (!(v->exception_bitmap & 1u << EXCEPTION_PF))
        return fault_inject(v, error);
    return vcpu_report(v, CB_EXIT_EXCEPTION, EXCEPTION_PF, error);
}

/* The guest's tables allow it. Does the space? */
static unsigned fault_fill(struct vcpu *v, const struct shadow_fill *from, u32 access, const struct walk *w)
{
    const struct space *space = &v->ctx.domain->space;
    struct shadow_fill f = *from;
    u64 what = access & PF_WRITE ? CB_MEMORY_WRITE : access & PF_EXEC ? CB_MEMORY_EXEC : CB_MEMORY_READ;

    f.leaf = w->address < space_end(space) ? space_find(space, w->address, &f.leaf_level) : 0;
    if (!(f.leaf & PTE_P))
        return vcpu_report(v, CB_EXIT_MEMORY, what, w->address);
    if (((access & PF_WRITE) && !(f.leaf & PTE_W)) || ((access & PF_EXEC) && (f.leaf & PTE_NX)))
        return vcpu_report(v, CB_EXIT_MEMORY, what | CB_MEMORY_PRESENT, w->address);
    shadow_table_fill(&v->shadow->table, &f, w);
    shadow_settle(v);
    return VIRT_EXIT_FAULT;
}

unsigned shadow_page_fault(struct vcpu *v, u64 linear, u32 error, u64 *cr2)
{
    u32 access = error & (PF_WRITE | PF_USER | PF_EXEC | PF_AC);
    const struct paging *p = &v->shadow->guest;
    /* Outside of long mode, only hostile segments reach further than 4 GiB; the hardware's tables do not. */
    const struct shadow_fill f = {
        .linear = paging_long(p) ? linear : (u32)linear,
        .user = access & PF_USER,
        .write = access & PF_WRITE,
        .smep = p->cr4 & CR4_SMEP,
    };
    struct walk w;

    switch (walk(p, &v->ctx.domain->space, linear, access, &w)) {
    case WALK_OK: return fault_fill(v, &f, access, &w);
    case WALK_FAULT: return fault_own(v, linear, w.error, cr2);
    case WALK_MEMORY:
        return vcpu_report(v, CB_EXIT_MEMORY, CB_MEMORY_TABLE | (w.missing_write ? CB_MEMORY_WRITE | CB_MEMORY_PRESENT :
                                                                 CB_MEMORY_READ), w.address);
    case WALK_AGAIN: break;
    }
    return VIRT_EXIT_FAULT; /* the guest tries again */
}

/* As far as the page goes. */
static u32 fetch_page(const struct vcpu *v, u64 linear, bool user, u8 *to, u32 size)
{
    const struct space *space = &v->ctx.domain->space;
    u32 bytes = (u32)MIN(size, PAGE_SIZE - linear % PAGE_SIZE);
    unsigned level;
    struct walk w;
    u64 leaf, at;

    if (walk(&v->shadow->guest, space, linear, PF_EXEC | (user ? PF_USER : 0), &w) != WALK_OK ||
        w.address >= space_end(space))
        return 0;
    leaf = space_find(space, w.address, &level);
    if (!(leaf & PTE_P))
        return 0;
    at = pte_base(leaf, level) + w.address % pte_span(level);
    memcpy(to, (const u8 *)kpage_window(align_down(at, PAGE_SIZE)) + at % PAGE_SIZE, bytes);
    kpage_window_close();
    return bytes;
}

u32 shadow_fetch(const struct vcpu *v, u64 linear, bool user, u8 *to, u32 size)
{
    u32 done = fetch_page(v, linear, user, to, size);

    return done && done < size ? done + fetch_page(v, linear + done, user, to + done, size - done) : done;
}
