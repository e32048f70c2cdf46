/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow_table.h"

#include "kstring.h"
#include "pte.h"
#include "shadow_walk.h"
#include "space.h"

/*
 * Bits that the hardware ignores. GLOBAL, in what maps a page: as the guest has it. The others, in what points to a
 * table: DIRECTORY: that is one of level 2. LOCAL: it is on the list `local`. PIECES: in the table are parts of a page
 * that for the guest is as large as the entry's range or larger, so that an INVLPG means them all.
 */
#define SHADOW_GLOBAL (1ull << 9)
#define SHADOW_DIRECTORY SHADOW_GLOBAL
#define SHADOW_LOCAL (1ull << 10)
#define SHADOW_PIECES (1ull << 11)

#define SHADOW_POINTER (PTE_P | PTE_W | PTE_U | PTE_A)
#define LEVEL_ROOT 4u

void shadow_table_init(struct shadow_table *t)
{
    memset(t->page[0], 0, PAGE_SIZE);
    t->used = 1;
}

void shadow_table_drop_all(struct shadow_table *t)
{
    memset(t->page[0], 0, PAGE_SIZE);
    t->used = 1;
    t->free = NULL;
    t->local_count = 0;
    t->stale = true;
}

/* An empty page; NULL: there are no more. */
static u64 *page_take(struct shadow_table *t)
{
    u64 *page = t->free;

    if (page)
        t->free = (u64 *)(uintptr_t)page[0];
    else if (t->used < SHADOW_TABLES)
        page = t->page[t->used++];
    if (page)
        memset(page, 0, PAGE_SIZE);
    return page;
}

static void page_give(struct shadow_table *t, u64 *page)
{
    page[0] = (u64)(uintptr_t)t->free;
    t->free = page;
}

static u64 *table_of(u64 entry)
{
    return direct(pte_address(entry));
}

static bool is_table(u64 entry)
{
    return (entry & PTE_P) && !(entry & PTE_LARGE);
}

/* ---- Filling ---- */

/* What the hardware is to allow. A page becomes writable only when the guest's entry says that it is dirty. */
static u64 leaf_bits(const struct shadow_fill *f, const struct walk *w)
{
    u64 bits = PTE_P | PTE_A | PTE_D | (f->leaf & PTE_UC) | (w->global ? SHADOW_GLOBAL : 0);
    bool user = w->user, write = w->write && w->dirty, exec = w->exec;

    if (f->write && !f->user && !w->write) { /* CR0.WP is clear: not for user mode until it asks */
        exec = exec && !(user && f->smep);
        user = false;
        write = true;
    }
    if (user)
        bits |= PTE_U;
    if (write && (f->leaf & PTE_W))
        bits |= PTE_W;
    if (!exec || (f->leaf & PTE_NX))
        bits |= PTE_NX;
    return bits;
}

/* Does `now` take something away that `old` gave? */
static bool is_stricter(u64 old, u64 now)
{
    const u64 rights = PTE_P | PTE_W | PTE_U | PTE_NX;

    if (!(old & PTE_P))
        return false;
    return ((old ^ now) & ~rights) || (((old ^ PTE_NX) & ~(now ^ PTE_NX)) & rights);
}

static void entry_set(struct shadow_table *t, u64 *entry, u64 value)
{
    t->stale |= is_stricter(*entry, value);
    *entry = value;
}

static void set_local(struct shadow_table *t, u64 *pointer)
{
    if (*pointer & SHADOW_LOCAL)
        return;
    *pointer |= SHADOW_LOCAL;
    t->local[t->local_count++] = pointer;
}

/*
 * The entry for the page, in tables made on the way, and what points to its table. *level: 1 or 2, what is wanted; it
 * becomes 1 where a table stands already. NULL: no more pages.
 */
static u64 *entry_make(struct shadow_table *t, u64 linear, u32 *level, const struct walk *w, u64 **pointer)
{
    u64 *table = t->page[0];

    for (u32 at = LEVEL_ROOT;; at--) {
        u64 *entry = &table[pte_index(linear, at)], *next;

        if (at == *level && !(at == 2 && is_table(*entry)))
            return entry;
        if (at == *level)
            *level = 1;
        if (!is_table(*entry)) {
            next = page_take(t);
            if (!next)
                return NULL;
            entry_set(t, entry, physical(next) | SHADOW_POINTER | (at == 3 ? SHADOW_DIRECTORY : 0));
        }
        if (at == w->level && at > 1)
            *entry |= SHADOW_PIECES;
        *pointer = entry;
        table = table_of(*entry);
    }
}

void shadow_table_fill(struct shadow_table *t, const struct shadow_fill *f, const struct walk *w)
{
    u32 level = w->level >= 2 && f->leaf_level >= 2 ? 2 : 1, wanted = level;
    u64 bits = leaf_bits(f, w), *pointer, *entry = entry_make(t, f->linear, &level, w, &pointer);
    u64 inside = w->address % pte_span(f->leaf_level);

    if (!entry) {
        shadow_table_drop_all(t);
        level = wanted;
        entry = entry_make(t, f->linear, &level, w, &pointer); /* there are always enough for one */
    }
    if (!w->global)
        set_local(t, pointer);
    if (level > 1)
        bits |= PTE_LARGE;
    entry_set(t, entry, align_down(pte_base(f->leaf, f->leaf_level) + inside, pte_span(level)) | bits);
}

/* ---- Taking away ---- */

static void table_clear(struct shadow_table *t, u64 *table)
{
    memset(table, 0, PAGE_SIZE);
    t->stale = true;
}

void shadow_table_drop(struct shadow_table *t, u64 linear)
{
    u64 *table = t->page[0];

    for (u32 at = LEVEL_ROOT; at > 0; at--) {
        u64 *entry = &table[pte_index(linear, at)];

        if (!(*entry & PTE_P))
            return;
        if (at == 1 || (*entry & PTE_LARGE)) {
            entry_set(t, entry, 0);
            return;
        }
        table = table_of(*entry);
        if (!(*entry & SHADOW_PIECES))
            continue;
        if (at > 2) {
            shadow_table_drop_all(t);
        } else {
            *entry &= ~SHADOW_PIECES;
            table_clear(t, table);
        }
        return;
    }
}

/* Of a page directory: the pages that it maps itself. */
static void directory_clear_local(struct shadow_table *t, u64 *table)
{
    for (u32 i = 0; i < PTE_ENTRIES; i++) {
        if ((table[i] & PTE_LARGE) && !(table[i] & SHADOW_GLOBAL))
            entry_set(t, &table[i], 0);
    }
}

/*
 * Pages full of 4 KiB pages go back; with them go the global ones among those, which costs no more than a fault. The list
 * is gone through from its end: nothing in it points into a page that was given back, since those map pages only.
 */
void shadow_table_drop_local(struct shadow_table *t)
{
    while (t->local_count) {
        u64 *pointer = t->local[--t->local_count], *table = table_of(*pointer);

        *pointer &= ~SHADOW_LOCAL;
        if (*pointer & SHADOW_DIRECTORY) {
            directory_clear_local(t, table);
        } else {
            *pointer = 0;
            page_give(t, table);
            t->stale = true;
        }
    }
}
