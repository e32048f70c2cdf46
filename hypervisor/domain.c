/* SPDX-License-Identifier: GPL-2.0-only */
#include "domain.h"

#include "account.h"
#include "call.h"
#include "caps.h"
#include "ctx.h"
#include "irq.h"
#include "kpage.h"
#include "pte.h"
#include "virt.h"
#include "x86.h"

/* Reads a generation before the entry that depends on it. Pairs with the release in space_unmap(). */
static u64 generation(const struct domain *d)
{
    return atomic_load_explicit(&d->space.generation, memory_order_acquire);
}

/* The only place that loads a domain's tables. */
static void domain_load_tables(struct domain *d, struct tlb_choice choice)
{
    write_cr3(d->cpus[cpu.id].pml4 | choice.tag | (choice.flush ? 0 : CR3_NOFLUSH));
}

static struct tlb_choice domain_choose(struct domain *d)
{
    return tlb_enter(&cpu.pcids, d->space.identity, generation(d), &d->cpus[cpu.id].tag_hint);
}

void domain_load(struct domain *d)
{
    if (cpu.domain == d)
        return;
    domain_load_tables(d, domain_choose(d));
    cpu.domain = d;
    io_unload();
    if (cpu.guest_left && !d->guest)
        virt->leave();
}

void domain_refresh(void)
{
    struct domain *d = cpu.domain;
    struct tlb_choice choice;

    if (!d)
        return;
    if (d->obj.dying && !(cpu.current && cpu.current->domain == d)) {
        write_cr3(cpu.pml4);
        cpu.domain = NULL;
        io_unload();
        return;
    }
    choice = domain_choose(d);
    if (choice.flush)
        domain_load_tables(d, choice);
}

status_t domain_add_cpu(struct domain *d, u32 cpu_id)
{
    u64 *pml4;

    if (d->cpus[cpu_id].pml4)
        return CB_OK;
    pml4 = account_page(d->obj.account);
    if (!pml4)
        return FAULT(NO_MEMORY, 0);
    kpage_pml4_init(pml4, cpu_id);
    if (!d->guest)
        pml4[PML4_USER] = physical(d->space.root) | PTE_P | PTE_W | PTE_U | PTE_A;
    pml4[PML4_CAPS] = physical(d->caps) | PTE_P | PTE_A;
    d->cpus[cpu_id].pml4 = physical(pml4);
    return CB_OK;
}

struct domain *domain_alloc(struct account *a, bool guest)
{
    struct domain *d = account_object(a, sizeof(*d), CB_TYPE_DOMAIN);

    if (!d)
        return NULL;
    d->guest = guest;
    list_init(&d->contexts);
    d->cpus = account_page(a);
    d->caps = caps_alloc(a);
    if (!d->cpus || !d->caps || space_init(&d->space, a, guest ? virt->format : SPACE_HOST)) {
        if (d->caps)
            caps_free(a, d->caps);
        if (d->cpus)
            account_page_free(a, d->cpus);
        account_object_free(&d->obj);
        return NULL;
    }
    return d;
}

bool domain_free_step(struct domain *d)
{
    struct account *a = d->obj.account;

    if (!space_free_tables(&d->space, a, 64))
        return false;
    caps_free(a, d->caps);
    for (u32 i = 0; i < cpu_count; i++) {
        if (d->cpus[i].pml4)
            account_page_free(a, direct(d->cpus[i].pml4));
    }
    account_page_free(a, d->cpus);
    io_free(d);
    account_object_free(&d->obj);
    return true;
}

static status_t domain_create_locked(struct regs *r, bool guest)
{
    struct account *account;
    struct domain *d;
    struct slot *dst;
    status_t status = call_account(CALL_SEL(r), &account);

    if (!status)
        status = call_destination(r->rsi, 1, &dst);
    if (status)
        return status;
    d = domain_alloc(account, guest);
    if (!d)
        return FAULT(NO_MEMORY, 0);
    call_install(dst, &d->obj, 0);
    return CB_OK;
}

status_t domain_create(struct regs *r)
{
    bool guest = CALL_FLAGS(r) & CB_DOMAIN_GUEST;
    status_t status;

    if (CALL_FLAGS(r) & ~CB_DOMAIN_GUEST)
        return FAULT(BAD_PARAM, 0);
    if (guest && !virt)
        return FAULT(UNSUPPORTED, 0);
    lock_take(&tree_lock);
    status = domain_create_locked(r, guest);
    lock_drop(&tree_lock);
    return status;
}
