/* SPDX-License-Identifier: GPL-2.0-only */
#include "domain.h"

#include "account.h"
#include "call.h"
#include "caps.h"
#include "ctx.h"
#include "irq.h"
#include "kpage.h"
#include "offsets.h"
#include "pte.h"
#include "virt.h"
#include "x86.h"

_Static_assert(sizeof(struct space_cpu) * CPUS_MAX <= PAGE_SIZE, "one page for all CPUs");
ASSERT_OFFSET(struct space_cpu, cr3, SPACE_CPU_CR3);

/* Sequentially consistent, as are the writes of space_unmap(). */
static u64 generation(const struct domain *d)
{
    return atomic_load(&d->space.generation);
}

/*
 * Loads the tables, and makes the word ready with which entry.S loads them next time. The only place beside entry.S
 * that writes a domain's tables into CR3. post_lock: a domain that is freed may have tags here (domain_free_step()).
 */
static void domain_load_tables(struct space_cpu *home)
{
    u64 now = generation(home->domain), word;
    struct tlb_choice choice;

    lock_take(&cpu.post_lock);
    choice = tlb_enter(&cpu.pcids, home->domain->space.identity, now, &home->tag_hint, &home->cr3);
    lock_drop(&cpu.post_lock);
    word = home->pml4 | choice.tag;
    write_cr3(word | (choice.flush ? 0 : TLB_WORD_KEEP));
    if (!choice.tag)
        return;
    __atomic_store_n(&home->cr3, word | TLB_WORD_KEEP, __ATOMIC_SEQ_CST);
    if (generation(home->domain) != now)
        __atomic_store_n(&home->cr3, home->pml4, __ATOMIC_RELAXED);
}

/* Would entry.S have to flush? */
static bool word_flushes(const struct space_cpu *home)
{
    return cpu.pcids.count && !(__atomic_load_n(&home->cr3, __ATOMIC_RELAXED) & TLB_WORD_KEEP);
}

void domain_load(struct space_cpu *home)
{
    if (cpu.home == home && !word_flushes(home))
        return;
    if (word_flushes(home))
        domain_load_tables(home);
    else
        write_cr3(__atomic_load_n(&home->cr3, __ATOMIC_RELAXED));
    if (cpu.home == home)
        return;
    cpu.home = home;
    io_unload();
    if (cpu.guest_left && !home->domain->guest)
        virt->leave();
}

void domain_refresh(void)
{
    struct space_cpu *home = cpu.home;

    if (!home)
        return;
    if (home->domain->obj.dying && !(cpu.current && cpu.current->home == home)) {
        write_cr3(cpu.pml4);
        cpu.home = NULL;
        io_unload();
    } else if (word_flushes(home) || !cpu.pcids.count) {
        domain_load_tables(home);
    }
}

status_t domain_add_cpu(struct domain *d, u32 cpu_id)
{
    struct space_cpu *home = &d->space.cpus[cpu_id];
    u64 *pml4;

    if (home->pml4)
        return CB_OK;
    pml4 = account_page(d->obj.account);
    if (!pml4)
        return FAULT(NO_MEMORY, 0);
    kpage_pml4_init(pml4, cpu_id);
    if (!d->guest)
        pml4[PML4_USER] = physical(d->space.root) | PTE_P | PTE_W | PTE_U | PTE_A;
    pml4[PML4_CAPS] = physical(d->caps) | PTE_P | PTE_A;
    home->domain = d;
    home->pml4 = home->cr3 = physical(pml4);
    return CB_OK;
}

struct domain *domain_alloc(struct account *a, bool guest)
{
    struct domain *d = account_object(a, sizeof(*d), CB_TYPE_DOMAIN);

    if (!d)
        return NULL;
    d->guest = guest;
    list_init(&d->contexts);
    d->space.cpus = account_page(a);
    d->caps = caps_alloc(a);
    if (!d->space.cpus || !d->caps || space_init(&d->space, a, guest ? virt_format() : SPACE_HOST)) {
        if (d->caps)
            caps_free(a, d->caps);
        if (d->space.cpus)
            account_page_free(a, d->space.cpus);
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
        struct space_cpu *home = &d->space.cpus[i];
        struct cpu *c = cpu_of(i);

        if (!home->pml4)
            continue;
        lock_take(&c->post_lock);
        tlb_forget(&c->pcids, &home->cr3);
        lock_drop(&c->post_lock);
        account_page_free(a, direct(home->pml4));
    }
    account_page_free(a, d->space.cpus);
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
