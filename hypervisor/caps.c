/* SPDX-License-Identifier: GPL-2.0-only */
#include "caps.h"

#include "account.h"
#include "domain.h"
#include "pte.h"
#include "space.h"

#ifndef UNIT_TEST
#include "x86.h"
#endif

/* Not const: the processor sets accessed bits. Part of the kernel image, hence the physical address. */
static _Alignas(4096) u64 zero_page[PTE_ENTRIES];
static _Alignas(4096) u64 zero_table[PTE_ENTRIES];

#define CAPS_TABLES (CAPS_PAGES / PTE_ENTRIES)
#define CAPS_READ (PTE_P | PTE_A | PTE_NX)
#define CAPS_TABLE (PTE_P | PTE_A)

void caps_boot(void)
{
    for (unsigned i = 0; i < PTE_ENTRIES; i++)
        zero_table[i] = image_physical(zero_page) | CAPS_READ | PTE_HOLE;
}

u64 *caps_alloc(struct account *a)
{
    u64 *pdpt = account_page(a);
    u64 *pd = account_page(a);

    if (!pdpt || !pd) {
        account_page_free(a, pdpt);
        return NULL;
    }
    pdpt[0] = physical(pd) | CAPS_TABLE;
    for (unsigned i = 0; i < CAPS_TABLES; i++)
        pd[i] = image_physical(zero_table) | CAPS_TABLE | PTE_HOLE;
    return pdpt;
}

static u64 *caps_directory(u64 *caps)
{
    return direct(pte_address(caps[0]));
}

/* The table entry that maps the page of `sel`; NULL if its table is the shared one. */
static u64 *caps_entry(u64 *caps, u32 sel)
{
    u64 page = sel % CB_SELECTORS / CAPS_PER_PAGE;
    u64 entry = caps_directory(caps)[page / PTE_ENTRIES];

    if (entry & PTE_HOLE)
        return NULL;
    return (u64 *)direct(pte_address(entry)) + page % PTE_ENTRIES;
}

struct slot *caps_page(struct domain *d, u32 sel)
{
    u64 *entry = caps_entry(d->caps, sel);

    return entry && !(*entry & PTE_HOLE) ? direct(pte_address(*entry)) : NULL;
}

static bool caps_table_make(struct domain *d, u32 sel)
{
    u64 *table = account_page(d->obj.account);
    u64 page = sel % CB_SELECTORS / CAPS_PER_PAGE;

    if (!table)
        return false;
    for (unsigned i = 0; i < PTE_ENTRIES; i++)
        table[i] = image_physical(zero_page) | CAPS_READ | PTE_HOLE;
    caps_directory(d->caps)[page / PTE_ENTRIES] = physical(table) | CAPS_TABLE;
    return true;
}

struct slot *caps_page_make(struct domain *d, u32 sel)
{
    struct slot *page = caps_page(d, sel);
    u64 *entry;

    if (page)
        return page;
    if (!caps_entry(d->caps, sel) && !caps_table_make(d, sel))
        return NULL;
    page = account_page(d->obj.account);
    if (!page)
        return NULL;
    entry = caps_entry(d->caps, sel);
    *entry = physical(page) | CAPS_READ;
#ifndef UNIT_TEST
    /*
     * This CPU may have the shared page in its TLB. Another one may too: there call_lookup() takes the slow way
     * through the direct map before it says that a slot is empty.
     */
    invlpg(caps_linear(sel));
#endif
    return page;
}

bool caps_free_step(struct account *a, u64 *caps)
{
    u64 *pd = caps_directory(caps);

    for (unsigned t = 0; t < CAPS_TABLES; t++) {
        u64 *table = direct(pte_address(pd[t]));

        if (pd[t] & PTE_HOLE)
            continue;
        for (unsigned i = 0; i < PTE_ENTRIES; i++) {
            if (!(table[i] & PTE_HOLE))
                account_page_free(a, direct(pte_address(table[i])));
        }
        account_page_free(a, table);
        pd[t] = PTE_HOLE;
        return false;
    }
    account_page_free(a, pd);
    account_page_free(a, caps);
    return true;
}
