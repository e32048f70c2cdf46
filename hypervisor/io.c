/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O ports: a bitmap per domain (0: allowed), in two pages of its account. Domains without ports cost nothing.
 *
 * Threads: it is mapped behind this CPU's TSS when one of them first touches a port, and taken from there when another
 * domain is loaded: so none stays that may belong to somebody else by then.
 *
 * vCPUs: it is copied to this CPU's map, which the hardware looks at, when one of them leaves the guest at a port of
 * its domain; from then on this vCPU, and no other one, uses the map. Ports are never taken back, so an old copy allows
 * too little at worst: the access leaves the guest, and the map is copied again. That a map is written by its own CPU
 * alone is what VT-x wants (SDM 3C, 25.11.4: nobody is in a guest who uses it); and AMD-V wants it to be in one piece.
 */
#include "io.h"

#include "bootmem.h"
#include "call.h"
#include "cpu_init.h"
#include "kpage.h"
#include "kstring.h"
#include "space.h"
#include "vcpu.h"
#include "virt.h"

#define PORTS 0x10000u
#define PORTS_PER_PAGE (PORTS / 2)

static status_t bitmap_make(struct domain *d)
{
    struct account *a = d->obj.account;
    u8 *low = account_page(a), *high = account_page(a);

    if (!low || !high) {
        account_page_free(a, low);
        return FAULT(NO_MEMORY, 0);
    }
    memset(low, 0xff, PAGE_SIZE);
    memset(high, 0xff, PAGE_SIZE);
    d->io_bitmap_high = high;
    __atomic_store_n(&d->io_bitmap, low, __ATOMIC_RELEASE); /* other CPUs look at it without the lock */
    return CB_OK;
}

static u8 *bitmap_byte(const struct domain *d, u32 port)
{
    u8 *page = port < PORTS_PER_PAGE ? d->io_bitmap : d->io_bitmap_high;

    return &page[port % PORTS_PER_PAGE / 8];
}

/* Whole words where it can: all ports are a thousand steps. Returns how many ports were allowed, 1 at least. */
static u32 bitmap_allow(struct domain *d, u32 port, u32 count)
{
    u32 words = MIN(count, PORTS_PER_PAGE - port % PORTS_PER_PAGE) / 64;
    u8 *byte = bitmap_byte(d, port);

    if (port % 64 == 0 && words) {
        memset(byte, 0, words * sizeof(u64));
        return words * 64;
    }
    __atomic_store_n(byte, (u8)(*byte & ~(1u << port % 8)), __ATOMIC_RELAXED);
    return 1;
}

static bool bitmap_allows(const struct domain *d, u32 port)
{
    return port < PORTS && !(__atomic_load_n(bitmap_byte(d, port), __ATOMIC_RELAXED) >> port % 8 & 1);
}

static status_t ioport_grant_locked(struct regs *r)
{
    struct domain *d;
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_IOPORT, CB_RIGHT_CONTROL, 0, &word);

    if (status)
        return status;
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    if (r->rdx >= PORTS)
        return FAULT(BAD_PARAM, 2);
    if (!r->r8 || r->r8 > PORTS - r->rdx)
        return FAULT(BAD_PARAM, 3);
    status = call_domain(LOW(r->rsi), CB_RIGHT_INSERT, 1, &d);
    if (!status && !d->io_bitmap)
        status = bitmap_make(d);
    for (u32 i = 0; !status && i < LOW(r->r8);)
        i += bitmap_allow(d, LOW(r->rdx) + i, LOW(r->r8) - i);
    return status;
}

CALL_LOCKED(ioport_grant)

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
    kpage_io_bitmap(0, 0);
    cpu.io_domain = NULL;
    cpu_hazard_over(HAZARD_IO);
}

void io_cpu_init(void)
{
    cpu.io_map = bootmem_pages(IO_MAP_PAGES);
    memset(cpu.io_map, 0xff, IO_MAP_PAGES * PAGE_SIZE);
}

bool io_exit(struct vcpu *v, u32 port, u32 width)
{
    const struct domain *d = v->ctx.domain;

    if (!__atomic_load_n(&d->io_bitmap, __ATOMIC_ACQUIRE))
        return false;
    for (u32 i = 0; i < width; i++) {
        if (!bitmap_allows(d, port + i))
            return false;
    }
    if (cpu.io_vcpu && cpu.io_vcpu != v)
        virt_ports(cpu.io_vcpu, false);
    memcpy(cpu.io_map, d->io_bitmap, PAGE_SIZE);
    memcpy(cpu.io_map + PAGE_SIZE, d->io_bitmap_high, PAGE_SIZE);
    cpu.io_vcpu = v;
    virt_ports(v, true);
    return true;
}

void io_forget(const struct vcpu *v)
{
    if (cpu.io_vcpu == v)
        cpu.io_vcpu = NULL;
}

void io_free(struct domain *d)
{
    account_page_free(d->obj.account, d->io_bitmap);
    account_page_free(d->obj.account, d->io_bitmap_high);
}
