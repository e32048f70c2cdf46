/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables against a naive model: which page of a window is mapped to what. */
#include <criterion/criterion.h>

#include <corbel/call.h>

#include "fake.h"
#include "pte.h"
#include "slot.h"

#define WINDOW_PAGES 4096u /* 16 MiB from WINDOW on, across two page directories' entries */
#define WINDOW 0x3fff000000ull
#define MAPPINGS 24u

struct mapping {
    u64 first, pages, base;
};

static u64 model[WINDOW_PAGES]; /* host-physical + 1, 0: nothing */
static struct mapping mappings[MAPPINGS];

/* Bits that the processor wants to be 0 in an entry (SDM 3C, 29.3.2): all that is not address, or known at that place. */
static u64 ept_reserved(u64 entry, unsigned level)
{
    u64 known = PTE_ADDRESS | EPT_R | EPT_W | EPT_X | EPT_SPLIT;

    if (level == 1 || (entry & PTE_LARGE))
        known |= EPT_TYPE(7) | EPT_A | EPT_D | (level > 1 ? PTE_LARGE : 0);
    return entry & (~known | (entry & PTE_LARGE ? (pte_span(level) - 1) & PTE_ADDRESS : 0));
}

/* What `address` is mapped to, found as the processor does it (APM 2, 5.3; SDM 3C, 29.3.2). False: nothing. */
static bool space_lookup(const struct space *s, u64 address, u64 *out)
{
    const u64 *table = s->root;

    for (unsigned level = s->levels; level > 0; level--) {
        u64 entry = table[pte_index(address, level)];

        if (!(entry & PTE_P))
            return false;
        if (s->format == SPACE_EPT)
            cr_assert_eq(ept_reserved(entry, level), 0, "level %u: %lx", level, (unsigned long)entry);
        if (level == 1 || (entry & PTE_LARGE)) {
            *out = pte_address(entry) + address % pte_span(level);
            return true;
        }
        table = direct(pte_address(entry));
    }
    return false;
}

static bool model_free(u64 first, u64 pages)
{
    for (u64 i = first; i < first + pages; i++) {
        if (model[i])
            return false;
    }
    return true;
}

static void model_set(const struct mapping *m, bool mapped)
{
    for (u64 i = 0; i < m->pages; i++)
        model[m->first + i] = mapped ? m->base + i * PAGE_SIZE + 1 : 0;
}

static void model_check(const struct space *s)
{
    for (u64 i = 0; i < WINDOW_PAGES; i++) {
        u64 at = 0;
        bool mapped = space_lookup(s, WINDOW + i * PAGE_SIZE + 5, &at);

        cr_assert_eq(mapped, model[i] != 0, "page %lu", (unsigned long)i);
        if (mapped)
            cr_assert_eq(at, model[i] - 1 + 5, "page %lu", (unsigned long)i);
    }
}

static void mapping_make(struct space *s, struct account *a, struct mapping *m)
{
    u64 align = fake_below(2) ? 512 : 1;
    status_t status;

    m->first = fake_below(WINDOW_PAGES) / align * align;
    m->pages = 1 + fake_below(align == 512 ? 1024 : 40);
    if (m->first + m->pages > WINDOW_PAGES)
        m->pages = WINDOW_PAGES - m->first;
    m->base = (1ull << 32) + fake_below(1 << 16) * align * PAGE_SIZE;
    status = space_map(s, a, WINDOW + m->first * PAGE_SIZE, m->base, m->pages, CB_MAP_READ, MEM_WB);
    if (!model_free(m->first, m->pages)) {
        cr_assert_neq(status, CB_OK);
        m->pages = 0;
    } else if (CB_STATUS_CODE(status) == CB_TOO_LARGE) {
        m->pages = 0; /* small tables stand where large pages would fit */
    } else {
        cr_assert_eq(status, CB_OK, "%s", cb_status_name(status));
        model_set(m, true);
    }
}

static void random_mappings(enum space_format format)
{
    struct account *a;
    struct space s = { 0 };
    u64 used;

    fake_init();
    a = fake_account(0, 2048);
    s.cpus = account_page(a);
    used = a->used;
    cr_assert_eq(space_init(&s, a, format), CB_OK);
    for (unsigned n = 0; n < 3000; n++) {
        struct mapping *m = &mappings[fake_below(MAPPINGS)];

        if (m->pages) {
            u64 generation = s.generation;

            space_unmap(&s, WINDOW + m->first * PAGE_SIZE, m->pages);
            cr_assert_gt(s.generation, generation);
            model_set(m, false);
            m->pages = 0;
        } else {
            mapping_make(&s, a, m);
        }
        if (n % 100 == 0)
            model_check(&s);
    }
    for (unsigned i = 0; i < MAPPINGS; i++) {
        if (mappings[i].pages)
            space_unmap(&s, WINDOW + mappings[i].first * PAGE_SIZE, mappings[i].pages);
    }
    while (s.root)
        space_free_step(&s, a);
    cr_assert_eq(a->used, used, "tables were lost");
}

Test(space, random_mappings)
{
    random_mappings(SPACE_HOST);
}

Test(space, random_mappings_nested)
{
    random_mappings(SPACE_NPT);
}

Test(space, random_mappings_ept)
{
    space_ept_level = 2;
    random_mappings(SPACE_EPT);
}

Test(space, random_mappings_ept_with_small_pages)
{
    random_mappings(SPACE_EPT);
}

static u64 leaf(const struct space *s, u64 address, unsigned *level)
{
    const u64 *table = s->root;

    for (*level = s->levels;; --*level) {
        u64 entry = table[pte_index(address, *level)];

        if (*level == 1 || !(entry & PTE_P) || (entry & PTE_LARGE))
            return entry;
        cr_assert_eq(entry & ~PTE_ADDRESS, EPT_R | EPT_W | EPT_X, "a table limits nothing");
        table = direct(pte_address(entry));
    }
}

/* Entry by entry: what SDM 3C, tables 29-2 to 29-7 say. Accessed and dirty are set, so that nobody need set them. */
Test(space, ept_entries)
{
    static const struct {
        u64 address, base, pages;
        u32 rights, attr;
        unsigned level;
        u64 bits;
    } rows[] = {
        { 0x1000, 0x5000, 1, CB_MAP_READ, MEM_WB, 1, 0x331 },
        { 0x2000, 0x6000, 1, CB_MAP_READ | CB_MAP_WRITE, MEM_WB, 1, 0x333 },
        { 0x3000, 0x7000, 1, CB_MAP_READ | CB_MAP_EXEC, MEM_WB, 1, 0x335 },
        { 0x4000, 0x8000, 1, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, MEM_UC, 1, 0x307 },
        { 0x5000, 0x9000, 1, CB_MAP_READ | CB_MAP_WRITE, MEM_WC, 1, 0x30b },
        { PAGE_2M, 3 * PAGE_2M, 512, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, MEM_WB, 2, 0x3b7 },
        { PAGE_1G, 5 * PAGE_1G, 512 * 512, CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC, MEM_WB, 3, 0x3b7 },
    };
    struct account *a;
    struct space s = { 0 };

    fake_init();
    space_ept_level = 3;
    a = fake_account(0, 64);
    cr_assert_eq(space_init(&s, a, SPACE_EPT), CB_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned level;
        u64 entry;

        cr_assert_eq(space_map(&s, a, rows[i].address, rows[i].base, rows[i].pages, rows[i].rights, rows[i].attr), CB_OK);
        entry = leaf(&s, rows[i].address, &level);
        cr_assert_eq(level, rows[i].level, "row %u", i);
        cr_assert_eq(entry, rows[i].base | rows[i].bits, "row %u: %lx", i, (unsigned long)entry);
    }
}

static void expect_leaf(const struct space *s, u64 address, unsigned level, u64 entry)
{
    unsigned at;
    u64 is = leaf(s, address, &at);

    cr_expect_eq(at, level, "%lx: level %u instead of %u", (unsigned long)address, at, level);
    cr_expect_eq(is, entry, "%lx: %lx instead of %lx", (unsigned long)address, (unsigned long)is, (unsigned long)entry);
}

/* No large page can be executed (iTLB multihit): where one is, 512 smaller ones take its place, and its neighbours stay. */
Test(space, large_pages_are_executed_in_pieces)
{
    const u32 rights = CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC;
    const u64 base = 7 * PAGE_1G, fetch = PAGE_1G + 3 * PAGE_2M + 5 * PAGE_SIZE;
    struct account *a;
    struct space s = { 0 };
    u64 used, at;

    fake_init();
    space_ept_level = 3;
    space_splits_exec = true;
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_EPT), CB_OK);
    cr_assert_eq(space_map(&s, a, PAGE_1G, base, 512 * 512, rights, MEM_WB), CB_OK);
    cr_assert_eq(space_map(&s, a, 0x1000, 0x5000, 1, rights, MEM_WB), CB_OK);
    cr_assert_eq(space_map(&s, a, PAGE_2M, PAGE_2M, 512, CB_MAP_READ | CB_MAP_WRITE, MEM_WB), CB_OK);
    expect_leaf(&s, fetch, 3, base | EPT_SPLIT | 0x3b3);
    expect_leaf(&s, 0x1000, 1, 0x5000 | 0x337);
    used = a->used;
    cr_expect(space_split(&s, a, fetch));
    expect_leaf(&s, fetch, 2, (base + 3 * PAGE_2M) | EPT_SPLIT | 0x3b3);
    expect_leaf(&s, 2 * PAGE_1G - 1, 2, (base + PAGE_1G - PAGE_2M) | EPT_SPLIT | 0x3b3);
    cr_expect(space_split(&s, a, fetch));
    expect_leaf(&s, fetch, 1, (base + 3 * PAGE_2M + 5 * PAGE_SIZE) | 0x337);
    expect_leaf(&s, fetch + PAGE_2M, 2, (base + 4 * PAGE_2M) | EPT_SPLIT | 0x3b3);
    cr_expect_eq(a->used, used + 2);
    cr_expect(space_split(&s, a, fetch), "somebody else has split it: the instruction is fetched again");
    cr_expect_eq(a->used, used + 2);
    cr_expect(!space_split(&s, a, PAGE_2M), "it is not executable");
    cr_expect(!space_split(&s, a, 4 * PAGE_1G), "there is nothing");
    space_unmap(&s, PAGE_1G, 512 * 512);
    cr_expect(!space_lookup(&s, fetch, &at));
    cr_expect(!space_lookup(&s, fetch + PAGE_2M, &at));
    a->quota = a->used;
    cr_assert_eq(space_map(&s, a, 2 * PAGE_1G, base, 512 * 512, rights, MEM_WB), CB_OK);
    cr_expect(!space_split(&s, a, 2 * PAGE_1G), "the account is exhausted");
    expect_leaf(&s, 2 * PAGE_1G, 3, base | EPT_SPLIT | 0x3b3);
}

/* However many pieces a mapping has by now, each part of it that is unmapped at once has no more than a mapping may have. */
Test(space, what_has_been_split_is_unmapped_in_parts)
{
    const u32 rights = CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC;
    u64 pages = 20 * 512, address = PAGE_1G;
    struct account *a;
    struct space s = { 0 };
    unsigned parts = 0;

    fake_init();
    space_ept_level = 2;
    space_splits_exec = true;
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_EPT), CB_OK);
    cr_assert_eq(space_map(&s, a, address, 7 * PAGE_1G, pages, rights, MEM_WB), CB_OK);
    cr_expect_eq(space_unmap_part(&s, address, pages), pages, "twenty entries");
    for (u64 at = 0; at < pages; at += 512)
        cr_assert(at == 512 || space_split(&s, a, address + at * PAGE_SIZE));
    for (u64 part; pages; pages -= part, address += part * PAGE_SIZE, parts++) {
        u64 entry;

        part = space_unmap_part(&s, address, pages);
        cr_assert(part && part <= MIN(pages, SPACE_MAP_MAX + 1024));
        space_unmap(&s, address, part);
        cr_expect(!space_lookup(&s, address + (part - 1) * PAGE_SIZE, &entry));
        cr_expect(part == pages || space_lookup(&s, address + part * PAGE_SIZE, &entry), "the next part is still there");
    }
    cr_expect_gt(parts, 5);
}

/* So it takes several holds of the lock to revoke the frame. */
Test(space, what_has_been_split_is_revoked_in_parts)
{
    const u64 pages = 20 * 512;
    struct account *a;
    struct domain *d;
    struct slot *frame, *mapping;
    unsigned parts = 1;

    fake_init();
    space_ept_level = 2;
    space_splits_exec = true;
    a = fake_account(0, 128);
    d = fake_domain(a, 1);
    cr_assert_eq(space_init(&d->space, a, SPACE_EPT), CB_OK);
    cr_assert_eq(slot_reserve(d, 2, 0, &frame), CB_OK);
    slot_insert(frame, NULL, slot_word_make(CB_TYPE_FRAME, CB_RIGHTS_ALL, NULL));
    cr_assert_eq(slot_reserve(d, 3, 0, &mapping), CB_OK);
    cr_assert_eq(space_map(&d->space, a, 0, PAGE_1G, pages, CB_MAP_READ | CB_MAP_EXEC, MEM_WB), CB_OK);
    mapping->mapping.address = 0;
    mapping->mapping.pages = pages;
    mapping->mapping.domain = d;
    slot_insert(mapping, frame, slot_word_make(CB_TYPE_MAPPING, 0, NULL));
    for (u64 at = 0; at < pages; at += 512)
        cr_assert(space_split(&d->space, a, at * PAGE_SIZE));
    while (slot_prune(frame) != SLOT_DONE)
        parts++;
    cr_expect_geq(parts, pages / SPACE_MAP_MAX);
    cr_expect(!slot_used(mapping));
    for (u64 at = 0, entry; at < pages; at++)
        cr_assert(!space_lookup(&d->space, at * PAGE_SIZE, &entry));
}

Test(space, large_pages_are_used)
{
    struct account *a;
    struct space s = { 0 };
    u64 used;

    fake_init();
    space_has_1g = true;
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_NPT), CB_OK);
    used = a->used;
    cr_assert_eq(space_map(&s, a, PAGE_1G, PAGE_1G, PAGE_1G / PAGE_SIZE, CB_MAP_READ, MEM_WB), CB_OK);
    cr_assert_eq(a->used, used + 1, "one PDPT");
    cr_assert_eq(space_map(&s, a, 4 * PAGE_2M, PAGE_2M, PAGE_2M / PAGE_SIZE, CB_MAP_READ, MEM_WB), CB_OK);
    cr_assert_eq(a->used, used + 2, "and one page directory");
}

Test(space, too_large_is_refused_and_maps_nothing)
{
    struct account *a;
    struct space s = { 0 };
    u64 at;

    fake_init();
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_HOST), CB_OK);
    cr_assert_eq(CB_STATUS_CODE(space_map(&s, a, 0, PAGE_SIZE, 1025, CB_MAP_READ, MEM_WB)), CB_TOO_LARGE);
    cr_assert_not(space_lookup(&s, 0, &at));
    cr_assert_eq(space_map(&s, a, 0, PAGE_SIZE, 1024, CB_MAP_READ, MEM_WB), CB_OK);
}

Test(space, exhausted_account)
{
    struct account *a;
    struct space s = { 0 };
    u64 at;

    fake_init();
    a = fake_account(0, 3);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_HOST), CB_OK);
    cr_assert_eq(CB_STATUS_CODE(space_map(&s, a, 0, PAGE_SIZE, 1, CB_MAP_READ, MEM_WB)), CB_NO_MEMORY);
    cr_assert_not(space_lookup(&s, 0, &at));
}

/* A table where a large page could stand is not taken for one when both are unmapped in one go. */
Test(space, a_large_page_beside_a_table)
{
    struct account *a;
    struct space s = { 0 };
    u64 used;

    fake_init();
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    used = a->used;
    cr_assert_eq(space_init(&s, a, SPACE_NPT), CB_OK);
    cr_assert_eq(space_map(&s, a, 5 * PAGE_2M, PAGE_SIZE, 1, CB_MAP_READ, MEM_WB), CB_OK);
    space_unmap(&s, 5 * PAGE_2M, 1);
    cr_assert_eq(space_map(&s, a, 4 * PAGE_2M, 4 * PAGE_2M, 1024, CB_MAP_READ, MEM_WB), CB_OK);
    space_unmap(&s, 4 * PAGE_2M, 1024);
    while (s.root)
        space_free_step(&s, a);
    cr_assert_eq(a->used, used, "a table was lost");
}

Test(space, rights)
{
    static const enum space_format formats[] = { SPACE_HOST, SPACE_NPT };

    for (u32 i = 0; i < ARRAY_SIZE(formats); i++) {
        for (u32 rights = 0; rights < 4; rights++) {
            struct account *a;
            struct space s = { 0 };
            unsigned level;
            u64 entry;

            fake_init();
            a = fake_account(0, 64);
            s.cpus = account_page(a);
            cr_assert_eq(space_init(&s, a, formats[i]), CB_OK);
            cr_assert_eq(space_map(&s, a, 0, PAGE_SIZE, 1, CB_MAP_READ | (rights & 1 ? CB_MAP_WRITE : 0) |
                                                               (rights & 2 ? CB_MAP_EXEC : 0), MEM_WB), CB_OK);
            entry = space_find(&s, 0, &level);
            cr_assert_eq(level, 1);
            cr_assert_eq(!!(entry & PTE_W), rights & 1);
            cr_assert_eq(!(entry & PTE_NX), !!(rights & 2));
            cr_assert(entry & PTE_U);
        }
    }
}

/* Whoever enters the space next flushes: no word says that the tag may be kept. */
Test(space, ready_made_words_are_taken_back)
{
    struct account *a;
    struct space s = { 0 };

    fake_init();
    a = fake_account(0, 64);
    s.cpus = account_page(a);
    cr_assert_eq(space_init(&s, a, SPACE_HOST), CB_OK);
    cr_assert_eq(space_map(&s, a, 0, PAGE_SIZE, 1, CB_MAP_READ, MEM_WB), CB_OK);
    s.cpus[0].pml4 = 0x5000;
    s.cpus[0].user_pml4 = 0x6000;
    s.cpus[0].words.kernel = 0x5000 | 3 | TLB_WORD_KEEP;
    s.cpus[0].words.user = 0x6000 | 3 | TLB_USER_TAG | TLB_WORD_KEEP;
    space_unmap(&s, 0, 1);
    cr_assert_eq(s.cpus[0].words.kernel, 0x5000);
    cr_assert_eq(s.cpus[0].words.user, 0x6000);
}
