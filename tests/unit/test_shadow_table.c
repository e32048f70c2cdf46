/* SPDX-License-Identifier: GPL-2.0-only */
/* Shadow tables against a model TLB; the rights in them; control registers. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake.h"
#include "pte.h"
#include "shadow_cr.h"
#include "shadow_table.h"
#include "shadow_walk.h"
#include "x86.h"

#define PLACES 6u            /* separate ranges of 4 MiB, ... */
#define PLACE_PAGES 1024u
#define SHADOW_IGNORED 0xe00ull

static const u64 places[PLACES] = { 0, 0x400000, 0x7fffffc00000, 0xffff888000000000, 0xffff888000400000, 0xffffffff81000000 };

/* What the model knows of a 4 KiB page. */
struct known {
    u64 entry;               /* as hardware would see it, for this page alone; 0: nothing */
    u64 first, last;         /* the guest's page that it is part of */
    bool global;
};

static struct known known[PLACES][PLACE_PAGES];
static struct shadow_table table;

static void table_init(void)
{
    struct account *a;

    fake_init();
    a = fake_account(0, 2048);
    memset(&table, 0, sizeof(table));
    memset(known, 0, sizeof(known));
    for (u32 i = 0; i < SHADOW_TABLES; i++)
        table.page[i] = account_page_raw(a);
    shadow_table_init(&table);
}

/* What the hardware would find, as an entry for the 4 KiB page. */
static u64 lookup(u64 linear)
{
    const u64 *t = table.page[0];

    for (unsigned level = 4;; level--) {
        u64 entry = t[pte_index(linear, level)];

        if (!(entry & PTE_P))
            return 0;
        if (level == 1 || (entry & PTE_LARGE)) {
            cr_assert_leq(level, 2);
            return (entry & ~(PTE_ADDRESS | PTE_LARGE | SHADOW_IGNORED)) |
                   (pte_base(entry, level) + align_down(linear % pte_span(level), PAGE_SIZE));
        }
        cr_assert_eq(entry & (PTE_W | PTE_U | PTE_NX), PTE_W | PTE_U, "a table limits nothing");
        t = direct(pte_address(entry));
    }
}

static struct known *known_at(u64 linear)
{
    for (u32 i = 0; i < PLACES; i++) {
        if (linear >= places[i] && linear - places[i] < PLACE_PAGES * PAGE_SIZE)
            return &known[i][(linear - places[i]) / PAGE_SIZE];
    }
    return NULL;
}

static u64 random_linear(void)
{
    return places[fake_below(PLACES)] + fake_below(PLACE_PAGES) * PAGE_SIZE;
}

static u64 hardware_entry(const struct walk *w, const struct shadow_fill *f, u64 host)
{
    bool trick = f->write && !f->user && !w->write;
    bool user = w->user && !trick, write = (trick || (w->write && w->dirty)) && (f->leaf & PTE_W);
    bool exec = w->exec && !(f->leaf & PTE_NX) && !(trick && w->user && f->smep);

    return host | PTE_P | PTE_A | PTE_D | (user ? PTE_U : 0) | (write ? PTE_W : 0) | (exec ? 0 : PTE_NX);
}

/* Fills one page as the guest's and the space's tables may have it; the model learns all that is filled with it. */
static void fill_at_random(void)
{
    struct shadow_fill f = { .linear = random_linear(), .leaf_level = (u32)(1 + fake_below(3)),
                             .user = fake_below(2), .write = fake_below(2), .smep = fake_below(2) };
    struct walk w = { .level = (u8)(1 + fake_below(3)), .user = fake_below(2), .exec = fake_below(2),
                      .dirty = fake_below(2), .global = fake_below(2) };
    u64 size = pte_span(w.level), host = fake_below(1 << 20) << 30, both = MIN(MIN(size, pte_span(f.leaf_level)), PAGE_2M), found;
    struct known *k = known_at(f.linear);

    w.write = fake_below(2);
    w.dirty |= f.write;
    w.address = (fake_below(1 << 8) << 30) + (f.linear & (size - 1));
    f.leaf = (host & ~(pte_span(f.leaf_level) - 1)) | PTE_P | (f.write || fake_below(2) ? PTE_W : 0) | (fake_below(2) ? PTE_NX : 0);
    host = pte_base(f.leaf, f.leaf_level) + (w.address & (pte_span(f.leaf_level) - 1));
    shadow_table_fill(&table, &f, &w);
    found = lookup(f.linear);
    cr_assert_eq(found, hardware_entry(&w, &f, align_down(host, PAGE_SIZE)), "%lx", (unsigned long)found);
    if (table.stale) { /* the caller flushes, so that what was forgotten is in no TLB any more */
        for (u32 i = 0; i < PLACES; i++) {
            for (u32 j = 0; j < PLACE_PAGES; j++) {
                if (known[i][j].entry && !lookup(places[i] + j * PAGE_SIZE))
                    known[i][j].entry = 0;
            }
        }
        table.stale = false;
    }
    for (u64 page = align_down(f.linear, both); page < align_down(f.linear, both) + both; page += PAGE_SIZE) {
        u64 now = lookup(page);

        k = known_at(page);
        if (now && ((now ^ found) & ~PTE_ADDRESS) == 0 && now - found == page - f.linear)
            *k = (struct known){ .entry = now, .first = align_down(f.linear, size), .last = align_down(f.linear, size) + size - 1,
                                 .global = w.global };
    }
}

/* Nothing is in the tables that the model does not know. */
static void check_all(void)
{
    u32 pages = 0;

    for (u32 i = 0; i < PLACES; i++) {
        for (u32 j = 0; j < PLACE_PAGES; j++) {
            u64 now = lookup(places[i] + j * PAGE_SIZE);

            cr_assert(!now || now == known[i][j].entry, "%lx: %lx instead of %lx", (unsigned long)(places[i] + j * PAGE_SIZE),
                      (unsigned long)now, (unsigned long)known[i][j].entry);
        }
    }
    for (u64 *p = table.free; p; p = (u64 *)(uintptr_t)p[0])
        pages++;
    cr_assert(pages < table.used && table.local_count < table.used);
}

static void forget(bool all, u64 linear)
{
    for (u32 i = 0; i < PLACES; i++) {
        for (u32 j = 0; j < PLACE_PAGES; j++) {
            struct known *k = &known[i][j];

            if (k->entry && (all ? !k->global : linear >= k->first && linear <= k->last))
                k->entry = 0;
        }
    }
}

Test(shadow_table, model)
{
    table_init();
    for (unsigned n = 0; n < 30000; n++) {
        u64 linear = random_linear();

        switch (fake_below(200)) {
        case 0 ... 20:
            shadow_table_drop(&table, linear);
            cr_assert_eq(lookup(linear), 0);
            forget(false, linear);
            break;
        case 21:
        case 22:
            shadow_table_drop_local(&table);
            forget(true, 0);
            cr_assert_eq(table.local_count, 0);
            break;
        case 23:
            if (fake_below(20) == 0) {
                shadow_table_drop_all(&table);
                cr_assert(table.stale);
                memset(known, 0, sizeof(known));
            }
            break;
        default: fill_at_random(); break;
        }
        if (n % 50 == 0)
            check_all();
    }
}

/* Whatever is taken away or made stricter is told; what is only added is not. */
Test(shadow_table, tells_what_must_be_flushed)
{
    struct shadow_fill f = { .linear = 0x1000, .leaf = PAGE_SIZE | PTE_P | PTE_W, .leaf_level = 1 };
    struct walk w = { .level = 1, .user = true, .write = true, .exec = true };

    table_init();
    shadow_table_fill(&table, &f, &w);
    w.dirty = true; /* becomes writable */
    shadow_table_fill(&table, &f, &w);
    cr_assert_not(table.stale);
    w.exec = false;
    shadow_table_fill(&table, &f, &w);
    cr_assert(table.stale);
    table.stale = false;
    w.exec = true;
    shadow_table_fill(&table, &f, &w);
    cr_assert_not(table.stale);
    f.leaf = 2 * PAGE_SIZE | PTE_P | PTE_W;
    shadow_table_fill(&table, &f, &w);
    cr_assert(table.stale);
    table.stale = false;
    shadow_table_drop(&table, 0x2000);
    cr_assert_not(table.stale);
    shadow_table_drop(&table, 0x1000);
    cr_assert(table.stale);
    table.stale = false;
    shadow_table_drop_local(&table);
    cr_assert(table.stale, "the CPU may remember the table that has gone");
}

/* More page tables than there are pages: all is thrown away, and the last one is there. */
Test(shadow_table, begins_anew_when_pages_run_out)
{
    struct shadow_fill f = { .leaf = PAGE_SIZE | PTE_P, .leaf_level = 1 };
    struct walk w = { .level = 1, .user = true };

    table_init();
    for (u32 i = 0; i < 2 * SHADOW_TABLES; i++) {
        f.linear = i * PAGE_1G;
        shadow_table_fill(&table, &f, &w);
        cr_assert_neq(lookup(f.linear), 0);
        cr_assert_eq(lookup(0) == 0, i >= (SHADOW_TABLES - 2) / 2, "%u", i); /* a root, a PDPT, two for each GiB */
    }
    cr_assert(table.stale);
}

static const struct paging native = { .cr0 = CR0_PG | CR0_WP | CR0_PE, .cr4 = CR4_PAE | CR4_PGE,
                                     .efer = EFER_LME | EFER_LMA | EFER_NXE };

Test(shadow_cr, what_processors_refuse)
{
    struct paging p = native;

    table_init();
    cr_assert_not(shadow_cr_write(&p, &table, 0, CR0_PG, false), "PG without PE");
    cr_assert_not(shadow_cr_write(&p, &table, 0, CR0_PG | CR0_PE | CR0_NW, false), "NW without CD");
    cr_assert_not(shadow_cr_write(&p, &table, 0, p.cr0 | 1ull << 32, true));
    cr_assert_not(shadow_cr_write(&p, &table, 0, CR0_PE, true), "64-bit code turns paging off");
    cr_assert_not(shadow_cr_write(&p, &table, 3, 1ull << 60, true));
    cr_assert_not(shadow_cr_write(&p, &table, 4, CR4_PGE, true), "long mode without PAE");
    cr_assert_not(shadow_cr_write(&p, &table, 4, CR4_PAE | CR4_PCIDE, true));
    cr_assert_not(shadow_cr_write(&p, &table, 8, 0, true));
    cr_assert(!memcmp(&p, &native, sizeof(p)));
    cr_assert_not(table.stale);
    cr_assert(shadow_cr_write(&p, &table, 0, CR0_PE, false));
    cr_assert(!(p.efer & EFER_LMA) && table.stale);
    cr_assert(shadow_cr_write(&p, &table, 4, 0, false));
    cr_assert_not(shadow_cr_write(&p, &table, 0, CR0_PG | CR0_PE, false), "long mode without PAE");
    cr_assert(shadow_cr_write(&p, &table, 4, CR4_PAE, false) && shadow_cr_write(&p, &table, 0, CR0_PG | CR0_PE, false));
    cr_assert(p.efer & EFER_LMA);
}

Test(shadow_cr, the_hardware_pages_in_any_case)
{
    struct paging p = { .cr0 = 0x10 }, hw = shadow_cr_hardware(&p);

    cr_assert_eq(hw.cr0, 0x10 | CR0_PG | CR0_WP);
    cr_assert_eq(hw.cr4, CR4_PAE | CR4_MCE);
    cr_assert_eq(hw.efer, EFER_NXE);
    p.efer = EFER_LME | EFER_SCE; /* on its way to long mode */
    cr_assert_eq(shadow_cr_hardware(&p).efer, EFER_NXE | EFER_SCE);
    p = native;
    p.cr4 |= CR4_MCE;
    hw = shadow_cr_hardware(&p);
    cr_assert(!memcmp(&p, &hw, sizeof(p)));
    cr_assert(shadow_cr_valid(&p));
    p.cr0 |= CR0_CD | CR0_NW;
    cr_assert(shadow_cr_valid(&p));
    cr_assert_eq(shadow_cr_hardware(&p).cr0, native.cr0, "the real caches stay on");
    p.cr0 &= ~CR0_CD;
    cr_assert_not(shadow_cr_valid(&p));
    p.cr0 = native.cr0;
    p.cr4 &= ~CR4_PAE;
    cr_assert_not(shadow_cr_valid(&p));
    p = (struct paging){ .cr0 = CR0_PE, .cr4 = CR4_SMEP | CR4_SMAP };
    cr_assert_eq(shadow_cr_hardware(&p).cr4, CR4_PAE | CR4_MCE, "what is everybody's would be forbidden to the kernel");
}

Test(shadow_cr, what_ends_with_which_write)
{
    struct shadow_fill f = { .linear = 0x1000, .leaf = PAGE_SIZE | PTE_P, .leaf_level = 1 };
    struct walk local = { .level = 1 }, global = { .level = 1, .global = true };
    struct paging p = native;

    table_init();
    for (u32 step = 0; step < 5; step++) {
        f.linear = 0x1000;
        shadow_table_fill(&table, &f, &local);
        f.linear = PAGE_1G;
        shadow_table_fill(&table, &f, &global);
        switch (step) {
        case 0: cr_assert(shadow_cr_write(&p, &table, 3, 0x5000, true)); break;
        case 1: cr_assert(shadow_cr_write(&p, &table, 0, p.cr0 | CR0_TS, true)); break;
        case 2: cr_assert(shadow_cr_write(&p, &table, 4, p.cr4 ^ CR4_PGE, true)); break;
        case 3: cr_assert(shadow_cr_write(&p, &table, 0, p.cr0 & ~CR0_WP, true)); break;
        default: shadow_cr_set(&p, &table, &native); break;
        }
        cr_assert_eq(lookup(0x1000) != 0, step == 1, "step %u", step);
        cr_assert_eq(lookup(PAGE_1G) != 0, step <= 1, "step %u", step);
    }
    table.stale = false;
    shadow_cr_set(&p, &table, &native);
    cr_assert_not(table.stale, "nothing has changed");
}
