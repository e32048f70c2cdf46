/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables: every translation belongs to a mapping in the tree, or to a UTCB or event page; and the other way
 * round. No memory of the kernel is mapped anywhere but in the direct map, and there only while an account has it.
 */
#include "dump.h"

#include <stdlib.h>

#include "account.h"
#include "pte.h"
#include "thread.h"
#include "vcpu.h"

#define AREA "mappings"

/* What a space should translate; sorted by address. */
struct range {
    u64 domain, address, bytes;
    u64 base, end;   /* host-physical: all that it may reach; one page of the kernel if `kernel` */
    bool kernel, writable, executable;
    u64 next;        /* of what was found: the host-physical address that is to follow */
    u64 found;       /* bytes */
};

static struct range *ranges;
static u32 range_count, range_room;

static void range_add(struct range r)
{
    if (range_count == range_room) {
        range_room = MAX(4096u, range_room * 2);
        ranges = realloc(ranges, range_room * sizeof(*ranges));
        if (!ranges)
            abort();
    }
    ranges[range_count++] = r;
}

static void page_add(const struct ctx *c, u64 address, const void *page)
{
    u64 base = dump_translate((u64)page);

    range_add((struct range){ (u64)c->domain, address, PAGE_SIZE, base, base + PAGE_SIZE, true, true, false, 0, 0 });
}

static int range_order(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    if (x->domain != y->domain)
        return x->domain < y->domain ? -1 : 1;
    return x->address < y->address ? -1 : x->address > y->address;
}

static void collect(void)
{
    range_count = 0;
    for (u32 i = 0; i < cap_count; i++) {
        const struct slot *s = caps[i].slot, *frame = caps[i].parent ? caps[i].parent->slot : NULL;
        u32 rights = frame ? slot_word_rights(slot_word(frame)) : 0;

        if (slot_word_type(slot_word(s)) != CB_TYPE_MAPPING || !frame)
            continue;
        range_add((struct range){ (u64)s->mapping.domain, s->mapping.address, s->mapping.pages * PAGE_SIZE, frame->frame.base,
                                  frame->frame.base + frame->frame.pages * PAGE_SIZE, false, rights & CB_RIGHT_WRITE,
                                  rights & CB_RIGHT_EXEC, 0, 0 });
        seen("mappings", 1);
    }
    for (u32 i = 0; i < thing_count; i++) {
        const struct ctx *c = (const struct ctx *)(const void *)things[i].obj;
        const struct vcpu *v = (const struct vcpu *)(const void *)c;

        if (c->obj.dying)
            continue;
        if (c->obj.type == CB_TYPE_THREAD || c->obj.type == CB_TYPE_VCPU)
            page_add(c, c->utcb_address, c->utcb);
        if (c->obj.type == CB_TYPE_VCPU)
            page_add(c, c->utcb_address - PAGE_SIZE, v->page);
    }
    qsort(ranges, range_count, sizeof(*ranges), range_order);
    for (u32 i = 1; i < range_count; i++)
        if (ranges[i].domain == ranges[i - 1].domain && ranges[i].address < ranges[i - 1].address + ranges[i - 1].bytes)
            bad(AREA, "domain %lx has two mappings at %lx", ranges[i].domain, ranges[i].address);
}

static struct range *range_of(u64 domain, u64 address)
{
    u32 low = 0, high = range_count;

    while (low < high) {
        u32 middle = (low + high) / 2;
        struct range *r = &ranges[middle];

        if (r->domain == domain && address >= r->address && address - r->address < r->bytes)
            return r;
        if (r->domain < domain || (r->domain == domain && r->address < address))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* May user mode, or a guest, read and execute there? */
static bool entry_open(const struct space *s, u64 entry)
{
    return s->format == SPACE_EPT ? entry & EPT_R : entry & PTE_U;
}

static bool entry_executable(const struct space *s, u64 entry)
{
    return s->format == SPACE_EPT ? entry & EPT_X : !(entry & PTE_NX);
}

static void leaf(const struct space *s, u64 domain, u64 address, u64 entry, u64 bytes)
{
    u64 base = pte_address(entry) & ~(bytes - 1);
    struct range *r = range_of(domain, address);

    seen("translations", 1);
    if (!r || address + bytes > r->address + r->bytes) {
        bad(AREA, "domain %lx: %lx leads to %lx, but no mapping says so", domain, address, base);
        return;
    }
    if (base < r->base || base + bytes > r->end || (r->found && base != r->next))
        bad(AREA, "domain %lx: %lx leads to %lx, where its frame is not", domain, address, base);
    if ((entry & PTE_W && !r->writable) || (entry_executable(s, entry) && !r->executable) || !entry_open(s, entry))
        bad(AREA, "domain %lx: %lx has rights that its frame has not", domain, address);
    if (!r->kernel && page_is_kernel(base, bytes))
        bad(AREA, "domain %lx: %lx leads to memory of the kernel, %lx", domain, address, base);
    r->next = base + bytes;
    r->found += bytes;
}

static void table(const struct space *s, u64 domain, const u64 *entries, unsigned level, u64 address)
{
    for (u32 i = 0; entries && i < PTE_ENTRIES; i++) {
        u64 at = address + i * pte_span(level);

        if (!(entries[i] & PTE_P))
            continue;
        if (level == 1 || (entries[i] & PTE_LARGE)) {
            leaf(s, domain, at, entries[i], pte_span(level));
            continue;
        }
        if (!dump_physical(pte_address(entries[i]), PAGE_SIZE))
            bad(AREA, "domain %lx: the table for %lx is nowhere", domain, at);
        table(s, domain, dump_physical(pte_address(entries[i]), PAGE_SIZE), level - 1, at);
    }
}

/* A domain's top-level table on a CPU: the shared parts, and nothing else. `user`: where its own part should be, if anywhere. */
static void top_table(const struct thing *t, const u64 *pml4, u32 cpu_id, u64 user)
{
    const struct domain *d = (const struct domain *)(const void *)t->obj;
    const u64 *direct_map = dump_at((void *)dump_symbol_address("kpage.c", "direct_pml4", PML4_DIRECT_COUNT * 8),
                                    PML4_DIRECT_COUNT * 8);

    for (u32 i = 0; i < PTE_ENTRIES; i++) {
        u64 want = 0;

        if (i >= PML4_DIRECT && i < PML4_DIRECT + PML4_DIRECT_COUNT)
            want = pte_address(direct_map[i - PML4_DIRECT]);
        else if (i == PML4_KERNEL)
            want = dump_cpu(cpu_id) ? dump_cpu(cpu_id)->kernel_pdpt : 0;
        else if (i == PML4_CAPS)
            want = dump_translate((u64)d->caps);
        else if (i == PML4_USER)
            want = user;
        if (pte_address(pml4[i]) != want)
            bad(AREA, "domain %lx: entry %u of its table for CPU %u is %lx", t->kernel, i, cpu_id, pml4[i]);
        if ((pml4[i] & PTE_U) && i != PML4_USER)
            bad(AREA, "domain %lx: entry %u of its table for CPU %u is open to user mode", t->kernel, i, cpu_id);
    }
    seen("top-level tables", 1);
}

/*
 * What of the kernel user mode's own root maps: code of the ways in, descriptor tables, and those of the CPU's pages
 * that the ways in need. Nothing else, and no page that is another one in the kernel's root.
 */
static void kernel_part(const struct thing *t, const u64 *entries, unsigned level, u64 at, u32 cpu_id)
{
    u64 text = dump_symbol_address(NULL, "entry_text", 0), text_end = dump_symbol_address(NULL, "entry_text_end", 0);
    u64 idt = dump_symbol_address(NULL, "cpu_idt", PAGE_SIZE);

    for (u32 i = 0; entries && i < PTE_ENTRIES; i++) {
        u64 address = at + i * pte_span(level), e = entries[i];

        if (!(e & PTE_P))
            continue;
        if (level > 1 && !(e & PTE_LARGE)) {
            kernel_part(t, dump_physical(pte_address(e), PAGE_SIZE), level - 1, address, cpu_id);
            continue;
        }
        if ((e & (PTE_U | PTE_LARGE)) || !((address >= text && address < text_end) || address == idt ||
              (address >= CPU_TSS && address < CPU_TSS + 4 * PAGE_SIZE) || address == CPU_ENTRY ||
              (address >= CPU_GDT && address < CPU_GDT + CPU_GDT_SIZE) ||
              address == CPU_NMI_TOP - PAGE_SIZE || address == CPU_MC_TOP - PAGE_SIZE || address == CPU_DF_TOP - PAGE_SIZE))
            bad(AREA, "domain %lx: in user mode, CPU %u has %lx mapped by %lx", t->kernel, cpu_id, address, e);
        if ((e & PTE_W) && (address < CPU_LOCAL || address == CPU_TSS || address >= CPU_GDT))
            bad(AREA, "domain %lx: in user mode, CPU %u has %lx mapped for writing", t->kernel, cpu_id, address);
        seen("kernel pages that user mode's tables map", 1);
    }
}

static void user_table(const struct thing *t, const u64 *pml4, u32 cpu_id)
{
    const struct domain *d = (const struct domain *)(const void *)t->obj;

    for (u32 i = 0; i < PTE_ENTRIES; i++) {
        u64 want = i == PML4_USER ? dump_translate((u64)d->space.root) : 0;

        if (i == PML4_KERNEL)
            want = dump_cpu(cpu_id) ? dump_cpu(cpu_id)->user_pdpt : 0;
        if (pte_address(pml4[i]) != want || ((pml4[i] & PTE_U) && i != PML4_USER))
            bad(AREA, "domain %lx: entry %u of its table for user mode on CPU %u is %lx", t->kernel, i, cpu_id, pml4[i]);
    }
    kernel_part(t, dump_physical(pte_address(pml4[PML4_KERNEL]), PAGE_SIZE), 3, -pte_span(4), cpu_id); /* the last 512 GiB */
    seen("top-level tables for user mode", 1);
}

static void check_domain(const struct thing *t)
{
    const struct domain *d = (const struct domain *)(const void *)t->obj;
    const struct space_cpu *cpus = dump_at(d->space.cpus, PAGE_SIZE);

    if (d->space.root)
        table(&d->space, t->kernel, dump_at(d->space.root, PAGE_SIZE), d->space.levels, 0);
    for (u32 i = 0; cpus && d->space.root && i < dump_cpu_count(); i++) {
        const u64 *pml4 = cpus[i].pml4 ? dump_physical(cpus[i].pml4, PAGE_SIZE) : NULL;
        const u64 *user = cpus[i].user_pml4 ? dump_physical(cpus[i].user_pml4, PAGE_SIZE) : NULL;

        if (pml4)
            top_table(t, pml4, i, d->guest || user ? 0 : dump_translate((u64)d->space.root));
        if (user)
            user_table(t, user, i);
    }
    seen("domains", 1);
}

/* ---- The direct map: what the kernel owns, and nothing else ---- */

static void granule(u64 at, u64 entry)
{
    seen("2 MiB granules in the direct map", 1);
    if ((pte_address(entry) & ~(PAGE_2M - 1)) != at || (entry & PTE_U) || !(entry & PTE_LARGE) || !(entry & PTE_NX))
        bad(AREA, "the direct map's entry for %lx is %lx", at, entry);
    if (!page_is_kernel(at, PAGE_2M))
        bad(AREA, "%lx is in the direct map, but no account has it", at);
}

static void check_direct(void)
{
    u64 limit = SYMBOL(u64, NULL, direct_limit);
    const u64 *pml4 = dump_at((void *)dump_symbol_address("kpage.c", "direct_pml4", PML4_DIRECT_COUNT * 8),
                              PML4_DIRECT_COUNT * 8);

    for (u64 at = 0; at < MIN(limit, DIRECT_SIZE); at += PAGE_2M) {
        u64 entry = pml4[pte_index(at, 4) % PML4_DIRECT_COUNT];

        for (unsigned level = 3; level > 1 && (entry & PTE_P); level--) {
            const u64 *entries = dump_physical(pte_address(entry), PAGE_SIZE);

            entry = entries ? entries[pte_index(at, level)] : 0;
        }
        if (entry & PTE_P)
            granule(at, entry);
    }
    for (u32 i = 0; i < thing_count; i++) {
        const struct account *a = (const struct account *)(const void *)things[i].obj;

        if (a->obj.type == CB_TYPE_ACCOUNT && !a->obj.account)
            seen("2 MiB granules of top accounts", a->pages / (PAGE_2M / PAGE_SIZE));
    }
}

void check_mappings(void)
{
    collect();
    for (u32 i = 0; i < thing_count; i++)
        if (things[i].obj->type == CB_TYPE_DOMAIN)
            check_domain(&things[i]);
    for (u32 i = 0; i < range_count; i++)
        if (ranges[i].found != ranges[i].bytes)
            bad(AREA, "domain %lx: of the mapping at %lx only %lu of %lu bytes are there", ranges[i].domain, ranges[i].address,
                ranges[i].found, ranges[i].bytes);
    check_direct();
}
