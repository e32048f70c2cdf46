/* SPDX-License-Identifier: GPL-2.0-only */
#include "domain.h"

#include "call.h"
#include "cpu_init.h"
#include "io.h"
#include "kpage.h"
#include "mitigations.h"
#include "offsets.h"
#include "pte.h"
#include "trap.h"
#include "virt.h"

_Static_assert(sizeof(struct space_cpu) * CPUS_MAX <= PAGE_SIZE, "one page for all CPUs");
ASSERT_OFFSET(struct space_cpu, words.kernel, SPACE_CPU_CR3);
ASSERT_OFFSET(struct space_cpu, words.user, SPACE_CPU_USER);

/* Sequentially consistent, as are the writes of space_unmap(). */
static u64 generation(const struct domain *d)
{
    return atomic_load(&d->space.generation);
}

/* In the other order than space_unmap(): then the kernel's never keeps anything for long if the user's does not. */
static void words_set(struct space_cpu *home, u64 kernel, u64 user)
{
    __atomic_store_n(&home->words.kernel, kernel, __ATOMIC_SEQ_CST);
    __atomic_store_n(&home->words.user, user, __ATOMIC_SEQ_CST);
}

/* Loads kernel tables; those of the root for user mode are flushed if theirs are. */
static void load(const struct space_cpu *home, u64 word, bool flush)
{
    u64 tag = word & ~TLB_WORD_ADDRESS;

    if (flush && tag && home->user_pml4)
        entry_flush_user(home->user_pml4 | tag | TLB_USER_TAG, word);
    else
        write_cr3(word | (flush ? 0 : TLB_WORD_KEEP));
}

/*
 * From the second root, entry.S comes back by this word. It may keep what space_unmap() wants flushed: a kernel root
 * that has a second one maps nothing of user mode.
 */
static void entry_prepare(const struct space_cpu *home)
{
    if (home->user_pml4)
        kpage_entry()->kernel = __atomic_load_n(&home->words.kernel, __ATOMIC_RELAXED);
}

/*
 * Loads the tables, and makes the words ready with which entry.S loads them next time. Beside entry.S and
 * domain_load_plain() the only place that writes a domain's tables into CR3. post_lock: a domain that is freed may have
 * tags here (domain_free_step()).
 */
static void domain_load_tables(struct space_cpu *home)
{
    u64 now = generation(home->domain), word;
    struct tlb_choice choice;

    lock_take(&cpu.post_lock);
    choice = tlb_enter(&cpu.pcids, home->domain->space.identity, now, &home->tag_hint, &home->words);
    lock_drop(&cpu.post_lock);
    word = home->pml4 | choice.tag;
    load(home, word, choice.flush);
    if (choice.tag) {
        u64 user = home->user_pml4 ? home->user_pml4 | choice.tag | TLB_USER_TAG | TLB_WORD_KEEP : 0;

        words_set(home, word | TLB_WORD_KEEP, user);
        if (generation(home->domain) != now)
            words_set(home, home->pml4, home->user_pml4);
    }
    entry_prepare(home);
}

/* Would entry.S have to flush? */
static bool word_flushes(const struct space_cpu *home)
{
    return cpu.pcids.count && !(__atomic_load_n(&home->words.kernel, __ATOMIC_RELAXED) & TLB_WORD_KEEP);
}

void domain_load(struct space_cpu *home)
{
    if (cpu.home == home && !word_flushes(home))
        return;
    if (word_flushes(home))
        domain_load_tables(home);
    else
        write_cr3(__atomic_load_n(&home->words.kernel, __ATOMIC_RELAXED));
    entry_prepare(home);
    if (cpu.home == home)
        return;
    cpu.home = home;
    selectors_clear();
    if (defends(DEFENCES_SWITCH))
        mitigations_barrier();
    io_unload();
    if (!home->domain->guest)
        cpu_syscall_restore();
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

void domain_flush_user(void)
{
    if (cpu.home->user_pml4)
        load(cpu.home, read_cr3(), true);
}

status_t domain_add_cpu(struct domain *d, u32 cpu_id)
{
    struct space_cpu *home = &d->space.cpus[cpu_id];
    struct account *a = d->obj.account;
    bool two = !d->guest && defends(DEFENCE(ROOTS));
    u64 *pml4, *user;

    if (home->pml4)
        return CB_OK;
    pml4 = account_page(a);
    user = two && pml4 ? account_page(a) : pml4;
    if (!user) {
        account_page_free(a, pml4);
        return FAULT(NO_MEMORY, 0);
    }
    kpage_pml4_init(pml4, cpu_id);
    if (two)
        kpage_user_pml4_init(user, cpu_id);
    if (!d->guest)
        user[PML4_USER] = physical(d->space.root) | PTE_P | PTE_W | PTE_U | PTE_A;
    pml4[PML4_CAPS] = physical(d->caps) | PTE_P | PTE_A;
    home->domain = d;
    home->pml4 = home->words.kernel = physical(pml4);
    home->user_pml4 = home->words.user = two ? physical(user) : 0;
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
        while (d->caps && !caps_free_step(a, d->caps))
            continue;
        account_page_free(a, d->space.cpus);
        account_object_free(&d->obj);
        return NULL;
    }
    return d;
}

static void free_cpus(struct domain *d)
{
    struct account *a = d->obj.account;

    for (u32 i = 0; i < cpu_count; i++) {
        struct space_cpu *home = &d->space.cpus[i];
        struct cpu *c = cpu_of(i);

        if (!home->pml4)
            continue;
        lock_take(&c->post_lock);
        tlb_forget(&c->pcids, &home->words);
        lock_drop(&c->post_lock);
        account_page_free(a, direct(home->pml4));
        if (home->user_pml4)
            account_page_free(a, direct(home->user_pml4));
    }
    account_page_free(a, d->space.cpus);
}

bool domain_free_step(struct domain *d)
{
    struct account *a = d->obj.account;

    if (d->space.root) {
        space_free_step(&d->space, a);
        return false;
    }
    if (d->caps) {
        if (caps_free_step(a, d->caps))
            d->caps = NULL;
        return false;
    }
    free_cpus(d);
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
