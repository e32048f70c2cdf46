/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O ports: a bitmap per domain (0: allowed), in two pages of its account. It is mapped behind this CPU's TSS when
 * a thread first touches a port, and made invalid there when another domain is loaded; domains without ports cost
 * nothing.
 */
#include "account.h"
#include "call.h"
#include "cpu.h"
#include "cpu_init.h"
#include "domain.h"
#include "irq.h"
#include "kpage.h"
#include "space.h"
#include "kstring.h"

#define PORTS 0x10000u
#define PORTS_PER_PAGE (PORTS / 2)

static status_t bitmap_make(struct domain *d)
{
    struct account *a = d->obj.account;
    u8 *low = account_page(a), *high = account_page(a);

    if (!low || !high) {
        if (low)
            account_page_free(a, low);
        return FAULT(NO_MEMORY, 0);
    }
    memset(low, 0xff, PAGE_SIZE);
    memset(high, 0xff, PAGE_SIZE);
    d->io_bitmap_high = high;
    d->io_bitmap = low;
    return CB_OK;
}

static void bitmap_allow(struct domain *d, u32 port)
{
    u8 *page = port < PORTS_PER_PAGE ? d->io_bitmap : d->io_bitmap_high;

    page[port % PORTS_PER_PAGE / 8] &= (u8)~(1u << port % 8);
}

static status_t grant(u32 sel, u32 first, u32 count)
{
    struct domain *d;
    status_t status = call_domain(sel, CB_RIGHT_INSERT, 1, &d);

    if (!status && !d->io_bitmap)
        status = bitmap_make(d);
    if (status)
        return status;
    for (u32 i = 0; i < count; i++)
        bitmap_allow(d, first + i);
    return CB_OK;
}

status_t ioport_grant(struct regs *r)
{
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_IOPORT, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    if (r->rdx >= PORTS)
        return FAULT(BAD_PARAM, 2);
    if (!r->r8 || r->r8 > PORTS - r->rdx)
        return FAULT(BAD_PARAM, 3);
    lock_take(&tree_lock);
    status = grant(LOW(r->rsi), LOW(r->rdx), LOW(r->r8));
    lock_drop(&tree_lock);
    return status;
}

bool io_fault(struct domain *d)
{
    if (!d->io_bitmap || cpu.io_domain == d)
        return false;
    kpage_io_bitmap(physical(d->io_bitmap), physical(d->io_bitmap_high));
    domain_flush_user();
    cpu_set_io_bitmap(true);
    cpu.io_domain = d;
    cpu_hazard(HAZARD_IO);
    return true;
}

void io_unload(void)
{
    if (!cpu.io_domain)
        return;
    cpu_set_io_bitmap(false);
    cpu.io_domain = NULL;
    cpu_hazard_over(HAZARD_IO);
}

void io_free(struct domain *d)
{
    if (!d->io_bitmap)
        return;
    account_page_free(d->obj.account, d->io_bitmap);
    account_page_free(d->obj.account, d->io_bitmap_high);
    d->io_bitmap = d->io_bitmap_high = NULL;
}
