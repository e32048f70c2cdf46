/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow paging: the walk of a guest's tables against tables that were made from a description, level by level, of what
 * they say.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <corbel/call.h>

#include "fake.h"
#include "kpage.h"
#include "pte.h"
#include "shadow_walk.h"
#include "slot.h"
#include "x86.h"

#define GUEST_BASE (32ull << 20) /* in the arena: guest-physical 0 to 8 MiB; another 2 MiB are only to be read */
#define GUEST_PAGES 2048u
#define READ_ONLY (16ull << 20)  /* guest-physical */
#define NOWHERE (64ull << 20)

struct mode {
    const char *name;
    unsigned top;     /* levels */
    unsigned bytes;   /* of an entry */
    bool pse;
};

static const struct mode modes[] = {
    { "4 levels", 4, 8, true },
    { "PAE", 3, 8, true },
    { "2 levels", 2, 4, true },
    { "2 levels without large pages", 2, 4, false },
};

/* What an entry is meant to say. */
struct meant {
    bool present, write, user, no_exec, accessed, dirty, large, global, reserved;
};

static struct space space;
static struct paging paging;
static struct meant meant[5]; /* by level */
static u64 at[5];             /* guest-physical address of the entry */
static u64 linear;

static bool window_open;

void *kpage_window(u64 address)
{
    window_open = true;
    return direct(address);
}

void kpage_window_close(void)
{
    window_open = false;
}

static void world_init(void)
{
    struct account *a;

    fake_init();
    a = fake_account(0, 2048);
    space = (struct space){ .cpus = account_page(a) };
    cr_assert_eq(space_init(&space, a, SPACE_NPT), CB_OK);
    cr_assert_eq(space_map(&space, a, 0, GUEST_BASE, GUEST_PAGES, CB_MAP_READ | CB_MAP_WRITE, MEM_WB), CB_OK);
    cr_assert_eq(space_map(&space, a, READ_ONLY, GUEST_BASE + GUEST_PAGES * PAGE_SIZE, 512, CB_MAP_READ, MEM_WB), CB_OK);
    walk_physical_bits = 40;
    walk_pages_1g = true;
}

static void *guest(u64 address)
{
    u64 behind = address >= READ_ONLY ? address - READ_ONLY + GUEST_PAGES * PAGE_SIZE : address;

    return direct(GUEST_BASE + behind);
}

static u64 entry_value(const struct mode *m, const struct meant *e, unsigned level, u64 address)
{
    u64 value = address;
    bool pdpte = m->top == 3 && level == 3;

    value |= e->present ? PTE_P : 0;
    if (!pdpte) {
        value |= (e->write ? PTE_W : 0) | (e->user ? PTE_U : 0) | (e->accessed ? PTE_A : 0);
        value |= (e->dirty ? PTE_D : 0) | (e->global ? PTE_G : 0) | (e->large && level > 1 ? PTE_LARGE : 0);
        value |= m->bytes == 8 && e->no_exec ? PTE_NX : 0;
    }
    if (e->reserved)
        value |= m->bytes == 8 ? 1ull << 45 : 1ull << 21; /* beyond the physical address; of a 4 MiB page */
    return value;
}

static u64 span(const struct mode *m, unsigned level)
{
    return m->bytes == 8 ? pte_span(level) : level == 2 ? 1ull << 22 : PAGE_SIZE;
}

static u64 entry_at(const struct mode *m, u64 table, unsigned level)
{
    unsigned index_bits = m->bytes == 8 ? 9 : 10;
    u64 index = linear >> (PAGE_SHIFT + index_bits * (level - 1)) & ((1u << index_bits) - 1);

    return table + (m->top == 3 && level == 3 ? index & 3 : index) * m->bytes;
}

/* No two levels share one. */
static u64 table_at(unsigned level)
{
    return PAGE_SIZE * (level * 256 + fake_below(256));
}

static bool chance(unsigned one_in)
{
    return fake_below(one_in) == 0;
}

/* Registers and tables of one page; returns the level that maps it, and where that page is. */
static unsigned make(const struct mode *m, u64 *page)
{
    unsigned level = m->top;
    u64 table = table_at(level);
    bool nxe = m->bytes == 8 && !chance(4);

    linear = fake_random();
    linear = m->top == 4 ? (u64)((s64)(linear << 16) >> 16) : (u32)linear;
    paging = (struct paging){
        .cr0 = CR0_PG | CR0_PE | (chance(3) ? 0 : CR0_WP),
        .cr3 = table | (m->top == 3 ? 0x20 * fake_below(128) : 0x18),
        .cr4 = (m->bytes == 8 ? CR4_PAE : 0) | (m->pse ? CR4_PSE : 0) | (chance(2) ? CR4_PGE : 0) |
               (chance(2) ? CR4_SMEP : 0) | (chance(2) ? CR4_SMAP : 0),
        .efer = (m->top == 4 ? EFER_LME | EFER_LMA : 0) | (nxe ? EFER_NXE : 0),
    };
    if (m->top == 3)
        table = paging.cr3;
    for (;; level--) {
        struct meant *e = &meant[level];
        bool can_be_large = (level == 2 && m->pse) || (level == 3 && m->top == 4), large, last;
        u64 next, value;

        *e = (struct meant){ .present = !chance(12), .write = !chance(3), .user = !chance(3), .no_exec = chance(4) && nxe,
                             .accessed = chance(2), .dirty = chance(2), .global = chance(2) };
        large = can_be_large && chance(3);
        last = large || level == 1;
        e->large = large || (level == 2 && m->bytes == 4 && !m->pse && chance(2)); /* ignored without PSE */
        e->reserved = e->present && chance(15) && (m->bytes == 8 || large);
        /* What the page holds does not matter; it may be anywhere. */
        next = last ? align_down(fake_below(1ull << (m->bytes == 8 ? 40 : 32)), span(m, level))
                    : table_at(level - 1);
        if (!last && chance(20))
            next = chance(2) ? NOWHERE : READ_ONLY + level * PAGE_SIZE;
        at[level] = entry_at(m, table, level);
        value = entry_value(m, e, level, next);
        memcpy(guest(at[level]), &value, m->bytes);
        if (last) {
            *page = next + linear % span(m, level);
            return level;
        }
        if (next == NOWHERE) {
            at[level - 1] = entry_at(m, NOWHERE, level - 1);
            return level - 1;
        }
        table = next;
    }
}

/* What hardware would do (SDM 3A, 4.6 and 4.7), said from what is meant. */
static enum walk_result expected(const struct mode *m, unsigned last, u32 access, struct walk *w)
{
    bool nxe = paging.efer & EFER_NXE, user = access & PF_USER, bad = false;
    u32 error = access & (PF_WRITE | PF_USER);

    if ((paging.cr4 & CR4_SMEP) || (m->bytes == 8 && nxe))
        error |= access & PF_EXEC;
    w->user = w->write = w->exec = true;
    for (unsigned level = m->top; level >= last; level--) {
        const struct meant *e = &meant[level];

        w->error = error;
        w->address = at[level];
        if (at[level] >= NOWHERE)
            return WALK_MEMORY;
        if (!e->present)
            return WALK_FAULT;
        w->error = error | PF_PRESENT | PF_RESERVED;
        if (e->reserved)
            return WALK_FAULT;
        if (m->top == 3 && level == 3)
            continue;
        w->user &= e->user;
        w->write &= e->write;
        w->exec &= !e->no_exec;
    }
    if (user)
        bad |= !w->user;
    else if (access & PF_EXEC)
        bad |= w->user && (paging.cr4 & CR4_SMEP);
    else
        bad |= w->user && (paging.cr4 & CR4_SMAP) && !(access & PF_AC);
    if (access & PF_EXEC)
        bad |= !w->exec;
    if (access & PF_WRITE)
        bad |= !w->write && (user || (paging.cr0 & CR0_WP));
    w->error = error | PF_PRESENT;
    if (bad)
        return WALK_FAULT;
    for (unsigned level = m->top; level >= last; level--) {
        bool set = !(m->top == 3 && level == 3) &&
                   (!meant[level].accessed || (level == last && (access & PF_WRITE) && !meant[level].dirty));

        w->address = at[level];
        if (set && at[level] >= READ_ONLY)
            return WALK_MEMORY;
    }
    return WALK_OK;
}

static void check_marks(const struct mode *m, unsigned last, u32 access, bool ok)
{
    for (unsigned level = m->top; level >= last; level--) {
        bool pdpte = m->top == 3 && level == 3;
        u64 value = 0;

        if (at[level] >= NOWHERE)
            return;
        memcpy(&value, guest(at[level]), m->bytes);
        if (pdpte)
            continue;
        if (ok)
            cr_assert(value & PTE_A, "%s, level %u: not accessed", m->name, level);
        cr_assert_eq((bool)(value & PTE_D), meant[level].dirty || (ok && level == last && (access & PF_WRITE)),
                     "%s, level %u: dirty", m->name, level);
    }
}

static void walk_at_random(const struct mode *m)
{
    static const u32 accesses[] = { 0, PF_WRITE, PF_EXEC };
    unsigned seen[3] = { 0 };

    world_init();
    for (unsigned n = 0; n < 20000; n++) {
        u64 page = 0;
        unsigned last = make(m, &page);
        u32 access = accesses[fake_below(3)] | (chance(2) ? PF_USER : chance(2) ? PF_AC : 0);
        struct walk w, x = { 0 };
        enum walk_result result = expected(m, last, access, &x);

        seen[result]++;
        cr_assert_eq(walk(&paging, &space, linear, access, &w), result, "%s, %u", m->name, n);
        cr_assert(!window_open);
        if (result == WALK_FAULT)
            cr_assert_eq(w.error, x.error, "%s, %u: error %x instead of %x", m->name, n, w.error, x.error);
        if (result == WALK_MEMORY) {
            cr_assert_eq(w.address, x.address);
            cr_assert_eq(w.missing_write, x.address < NOWHERE);
            continue;
        }
        check_marks(m, last, access, result == WALK_OK);
        if (result != WALK_OK)
            continue;
        cr_assert_eq(w.address, page, "%s, %u: %lx instead of %lx", m->name, n, (unsigned long)w.address, (unsigned long)page);
        cr_assert_eq(w.level, last == 1 ? 1 : span(m, last) == PAGE_2M ? 2 : WALK_LARGER);
        cr_assert(w.user == x.user && w.write == x.write && w.exec == x.exec);
        cr_assert_eq(w.dirty, meant[last].dirty || (access & PF_WRITE));
        cr_assert_eq(w.global, meant[last].global && (paging.cr4 & CR4_PGE));
    }
    cr_assert(seen[WALK_OK] > 1000 && seen[WALK_FAULT] > 1000 && seen[WALK_MEMORY] > 100, "%s: %u, %u, %u", m->name,
              seen[WALK_OK], seen[WALK_FAULT], seen[WALK_MEMORY]);
}

Test(shadow_walk, four_levels)
{
    walk_at_random(&modes[0]);
}

Test(shadow_walk, pae)
{
    walk_at_random(&modes[1]);
}

Test(shadow_walk, two_levels)
{
    walk_at_random(&modes[2]);
}

Test(shadow_walk, two_levels_without_large_pages)
{
    walk_at_random(&modes[3]);
}

Test(shadow_walk, without_paging_addresses_are_physical)
{
    struct walk w;

    world_init();
    paging = (struct paging){ .cr0 = CR0_PE };
    cr_assert_eq(walk(&paging, &space, 0x123456789, PF_WRITE, &w), WALK_OK);
    cr_assert(w.address == 0x23456789 && w.write && w.user && w.exec && w.dirty && w.level == WALK_LARGER);
}

/* PML4 and page directory entries of 2 MiB pages, that have bits which only smaller and larger pages may have. */
Test(shadow_walk, reserved_bits_depend_on_the_level)
{
    u64 *table;
    struct walk w;

    world_init();
    paging = (struct paging){ .cr0 = CR0_PG | CR0_PE, .cr3 = PAGE_SIZE, .cr4 = CR4_PAE, .efer = EFER_LME };
    table = guest(0);
    memset(table, 0, 4 * PAGE_SIZE);
    table[512] = 2 * PAGE_SIZE | PTE_P | PTE_LARGE;
    cr_assert(walk(&paging, &space, 0, 0, &w) == WALK_FAULT && w.error == (PF_PRESENT | PF_RESERVED));
    table[512] = 2 * PAGE_SIZE | PTE_P | PTE_NX; /* EFER.NXE is clear */
    cr_assert(walk(&paging, &space, 0, 0, &w) == WALK_FAULT && w.error == (PF_PRESENT | PF_RESERVED));
    table[512] = 2 * PAGE_SIZE | PTE_P;
    table[1024] = 3 * PAGE_SIZE | PTE_P;
    table[1536] = PTE_P | PTE_LARGE | 0x1000; /* PAT */
    cr_assert_eq(walk(&paging, &space, 0x1234, 0, &w), WALK_OK);
    cr_assert_eq(w.address, 0x1234);
    table[1536] = PTE_P | PTE_LARGE | 0x2000;
    cr_assert(walk(&paging, &space, 0, 0, &w) == WALK_FAULT && w.error == (PF_PRESENT | PF_RESERVED));
    table[1024] = PTE_P | PTE_LARGE;
    cr_assert(walk(&paging, &space, 0x1234567, 0, &w) == WALK_OK && w.level == WALK_LARGER && w.address == 0x1234567);
    walk_pages_1g = false;
    cr_assert(walk(&paging, &space, 0, 0, &w) == WALK_FAULT && w.error == (PF_PRESENT | PF_RESERVED));
}
