/* SPDX-License-Identifier: GPL-2.0-only */
#include "space.h"

#include <corbel/call.h>

#include "account.h"
#include "cpu.h"
#include "pte.h"
#include "slot.h"
#include "tlb.h"

bool space_has_1g, space_splits_exec;
u8 space_ept_level = 1;

status_t space_init(struct space *s, struct account *a, enum space_format format)
{
    s->root = account_page(a);
    if (!s->root)
        return FAULT(NO_MEMORY, 0);
    s->format = (u8)format;
    s->levels = format == SPACE_HOST ? 3 : 4;
    s->identity = tlb_identity();
    return CB_OK;
}

u64 space_end(const struct space *s)
{
    return s->levels == 3 ? USER_END : 1ull << 48;
}

static u64 *table_of(u64 entry)
{
    return direct(pte_address(entry));
}

/* A walk towards `address`: stops at a leaf, an empty entry, or `level`. *entry: what stands there, read once. */
static u64 *space_walk(const struct space *s, u64 address, unsigned *level, u64 *entry)
{
    u64 *table = s->root;

    for (unsigned at = s->levels;; at--) {
        u64 *place = &table[pte_index(address, at)];

        *entry = __atomic_load_n(place, __ATOMIC_RELAXED);
        if (at == *level || !(*entry & PTE_P) || (*entry & PTE_LARGE)) {
            *level = at;
            return place;
        }
        table = table_of(*entry);
    }
}

u64 space_find(const struct space *s, u64 address, unsigned *level)
{
    u64 entry;

    *level = 1;
    (void)space_walk(s, address, level, &entry);
    return entry;
}

/* The largest page (as a level) that the hardware knows. */
static unsigned space_largest(const struct space *s)
{
    if (s->format == SPACE_EPT)
        return space_ept_level;
    return space_has_1g ? 3 : 2;
}

/* The largest page (as a level) that fits at this place, by alignment and length. */
static unsigned space_level(const struct space *s, u64 address, u64 base, u64 bytes)
{
    for (unsigned level = space_largest(s); level > 1; level--) {
        if (is_aligned(address | base, pte_span(level)) && bytes >= pte_span(level))
            return level;
    }
    return 1;
}

/*
 * Finds the entry for the next page of a mapping, in tables made on the way. *level is what fits on entry, and what
 * it is on return: smaller if a table stands where a large page could.
 */
static status_t space_entry(struct space *s, struct account *a, u64 address, unsigned *level, u64 **place)
{
    for (;;) {
        unsigned at = *level;
        u64 entry, *table;

        *place = space_walk(s, address, &at, &entry);
        if (at == *level && !(entry & PTE_P))
            return CB_OK;
        if (at == *level && !(entry & PTE_LARGE) && at > 1) {
            *level = at - 1;
            continue;
        }
        if (entry & PTE_P)
            return FAULT(OCCUPIED, 2);
        table = account_page(a);
        if (!table)
            return FAULT(NO_MEMORY, 0);
        **place = physical(table) | (s->format == SPACE_EPT ? EPT_R | EPT_W | EPT_X : PTE_P | PTE_W | PTE_U | PTE_A);
    }
}

static u64 ept_leaf_bits(u32 rights, u32 attr, unsigned level)
{
    u64 bits = EPT_R | EPT_A | EPT_D;

    if (rights & CB_MAP_WRITE)
        bits |= EPT_W;
    if (rights & CB_MAP_EXEC)
        bits |= level > 1 && space_splits_exec ? EPT_SPLIT : EPT_X;
    if (level > 1)
        bits |= PTE_LARGE;
    return bits | EPT_TYPE(attr == MEM_UC ? EPT_TYPE_UC : attr == MEM_WC ? EPT_TYPE_WC : EPT_TYPE_WB);
}

static u64 space_leaf_bits(const struct space *s, u32 rights, u32 attr, unsigned level)
{
    u64 bits = PTE_P | PTE_U | PTE_A | PTE_D;

    if (s->format == SPACE_EPT)
        return ept_leaf_bits(rights, attr, level);
    if (rights & CB_MAP_WRITE)
        bits |= PTE_W;
    if (!(rights & CB_MAP_EXEC))
        bits |= PTE_NX;
    if (level > 1)
        bits |= PTE_LARGE;
    if (attr == MEM_UC)
        bits |= PTE_UC;
    if (attr == MEM_WC)
        bits |= PTE_WC;
    return bits;
}

/* How many entries behind this one, itself included, are in the same table and within `bytes`. */
static unsigned space_run(u64 address, unsigned level, u64 bytes)
{
    u64 left = PTE_ENTRIES - pte_index(address, level);

    return (unsigned)MIN(left, bytes / pte_span(level));
}

/* How many of these entries are empty, up to the first one that is not; the first is. */
static unsigned space_empty(const u64 *entry, unsigned n)
{
    unsigned i = 1;

    while (i < n && !(entry[i] & PTE_P))
        i++;
    return i;
}

/*
 * Are all entries there and empty, and not too many? Makes the tables. Goes from run to run, not from entry to entry: both
 * are many. A large page that a table stands in place of ends its run.
 */
static status_t space_prepare(struct space *s, struct account *a, u64 address, u64 base, u64 bytes)
{
    unsigned entries = 0;

    for (u64 done = 0; done < bytes;) {
        unsigned level = space_level(s, address + done, base + done, bytes - done), n, i;
        u64 *entry;
        status_t status = space_entry(s, a, address + done, &level, &entry);

        if (status)
            return status;
        n = space_run(address + done, level, bytes - done);
        i = space_empty(entry, n);
        if (i < n && (level == 1 || (entry[i] & PTE_LARGE)))
            return FAULT(OCCUPIED, 2);
        entries += i;
        if (entries > SPACE_MAP_MAX)
            return FAULT(TOO_LARGE, 3);
        done += i * pte_span(level);
    }
    return CB_OK;
}

status_t space_map(struct space *s, struct account *a, u64 address, u64 base, u64 pages, u32 rights, u32 attr)
{
    u64 bytes = pages << PAGE_SHIFT;
    status_t status = space_prepare(s, a, address, base, bytes);

    if (status)
        return status;
    for (u64 done = 0; done < bytes;) {
        unsigned level = space_level(s, address + done, base + done, bytes - done), n;
        u64 *entry, bits, span;

        (void)space_entry(s, a, address + done, &level, &entry); /* as prepared */
        bits = (base + done) | space_leaf_bits(s, rights, attr, level);
        span = pte_span(level);
        n = space_run(address + done, level, bytes - done);
        if (level > 1)
            n = space_empty(entry, n);
        for (unsigned i = 0; i < n; i++, bits += span)
            entry[i] = bits;
        done += n * span;
    }
    return CB_OK;
}

/* Nothing is taken away, and what the TLB still has of the large page allows the same: there is nothing to flush. */
bool space_split(struct space *s, struct account *a, u64 address)
{
    unsigned level = 1;
    u64 entry, *place = space_walk(s, address, &level, &entry), *table, bits;

    if (s->format != SPACE_EPT || !(entry & EPT_R))
        return false;
    if (entry & EPT_X)
        return true; /* another vCPU was faster */
    if (!(entry & EPT_SPLIT))
        return false;
    table = account_page(a);
    if (!table)
        return false;
    bits = entry & ~PTE_ADDRESS;
    if (level == 2)
        bits = (bits & ~(EPT_SPLIT | PTE_LARGE)) | EPT_X;
    for (u32 i = 0; i < PTE_ENTRIES; i++)
        table[i] = (pte_base(entry, level) + i * pte_span(level - 1)) | bits;
    __atomic_store_n(place, physical(table) | EPT_R | EPT_W | EPT_X, __ATOMIC_RELEASE);
    return true;
}

u64 space_unmap_part(const struct space *s, u64 address, u64 pages)
{
    u64 bytes = pages << PAGE_SHIFT, done = 0;

    if (!space_splits_exec || pages <= SPACE_MAP_MAX)
        return pages;
    for (unsigned entries = 0, i; done < bytes && entries < SPACE_MAP_MAX; entries += i) {
        unsigned level = 1, n;
        u64 entry, *place = space_walk(s, address + done, &level, &entry);

        n = space_run(address + done, level, bytes - done);
        for (i = 1; i < n && (level == 1 || (place[i] & PTE_LARGE)); i++)
            continue;
        done += i * pte_span(level);
    }
    return done >> PAGE_SHIFT;
}

void space_unmap(struct space *s, u64 address, u64 pages)
{
    u64 bytes = pages << PAGE_SHIFT;

    for (u64 done = 0; done < bytes;) {
        unsigned level = 1, n, i = 0;
        u64 entry, *place = space_walk(s, address + done, &level, &entry);

        n = space_run(address + done, level, bytes - done);
        do {
            place[i++] = 0;
        } while (i < n && (level == 1 || (place[i] & PTE_LARGE)));
        done += i * pte_span(level);
    }
    /*
     * Entries first, then the generation (pairs with its loads in domain.c and vcpu_run.c), then the ready-made words:
     * domain_load_tables() makes one and then looks at the generation, so one of the two takes it back.
     */
    atomic_fetch_add(&s->generation, 1);
    for (u32 i = 0; i < cpu_count; i++) {
        struct space_cpu *home = &s->cpus[i];

        /* The kernel's last (words_set() in domain.c: first): it is the one that domain.c looks at. */
        __atomic_store_n(&home->words.user, home->user_pml4, __ATOMIC_SEQ_CST);
        __atomic_store_n(&home->words.kernel, home->pml4, __ATOMIC_SEQ_CST);
    }
}

#define FREE_EFFORT 2048u /* entries that one step looks at: more than on one way to the last table */
#define FREE_TABLE 4u     /* freeing a table is as much work as looking at so many */
#define LEVELS_MAX 4u

/* Depth first, and from the beginning in each step: nothing but tables is left, and those that are freed are skipped. */
void space_free_step(struct space *s, struct account *a)
{
    unsigned level = s->levels, at[LEVELS_MAX + 1] = { 0 };
    u64 *table[LEVELS_MAX + 1];

    table[level] = s->root;
    for (unsigned effort = 0; effort < FREE_EFFORT;) {
        unsigned i = at[level];

        while (i < PTE_ENTRIES && !(table[level][i] & PTE_P))
            i++;
        effort += i - at[level] + FREE_TABLE;
        at[level] = i;
        if (i < PTE_ENTRIES) {
            table[level - 1] = table_of(table[level][i]);
            level--;
            at[level] = level == 1 ? PTE_ENTRIES : 0;
            continue;
        }
        account_page_free(a, table[level]);
        if (level++ == s->levels) {
            s->root = NULL;
            return;
        }
        table[level][at[level]] = 0;
    }
}
