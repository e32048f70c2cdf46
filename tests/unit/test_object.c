/* SPDX-License-Identifier: GPL-2.0-only */
/* How objects are made: by whom, of what, what is refused, and that a refusal leaves nothing behind. */
#include "object_world.h"

#include <criterion/criterion.h>

#include "fake.h"
#include "space.h"

enum {
    LESS = OBJECT_FREE, /* a capability with too few rights */
    CEILING, SCHED, HANDLER, THREAD, PORTAL, GUEST, VCPU, EVENT, CHILD, INTO, CHAIN
};

#define UTCB 0x400000ull
#define ENTRY 0x500000ull
#define MS 1000u

static struct sched *ceiling;

static void setup(void)
{
    object_init();
    ceiling = sched_alloc(account, NULL, 0, 100, MS, MS);
    call_install(slot_find(self, CEILING), &ceiling->obj, 0);
}

TestSuite(object, .init = setup);

static status_t thread_at(u32 sel, u32 cpu_id, u64 utcb, u64 entry)
{
    return object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(sel, CB_SELF), cpu_id, utcb, entry, 0);
}

static status_t portal_at(u32 sel, u32 handler)
{
    return object_call(CB_CALL_portal_create, OBJECT_ACCOUNT, CB_PAIR(sel, handler), ENTRY, 0, 0, 0);
}

static status_t sched_under(u32 above, u64 priority, u64 budget, u64 period)
{
    return object_call(CB_CALL_sched_create, OBJECT_ACCOUNT, CB_PAIR(SCHED, above), priority, budget, period, 0);
}

static void clear(u32 sel)
{
    struct slot *s = slot_find(self, sel);

    if (slot_used(s))
        cr_assert(slot_remove(s));
}

/* ---- Rights ---- */

Test(object, who_pays)
{
    object_give(LESS, OBJECT_ACCOUNT, CB_RIGHTS_ALL & ~CB_RIGHT_PAY);
    cr_assert_eq(object_call(CB_CALL_sched_create, LESS, CB_PAIR(SCHED, CEILING), 1, MS, MS, 0), FAULT(BAD_RIGHT, 0));
    cr_assert_eq(object_call(CB_CALL_sched_create, CEILING, CB_PAIR(SCHED, CEILING), 1, MS, MS, 0), FAULT(BAD_CAP, 0));
    cr_assert_eq(object_call(CB_CALL_sched_create, EVENT, CB_PAIR(SCHED, CEILING), 1, MS, MS, 0), FAULT(BAD_CAP, 0));
    account->obj.root->flags |= SLOT_REVOKING;
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), FAULT(DYING, 0));
    account->obj.root->flags = 0;
    account->obj.dying = 1;
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), FAULT(DYING, 0));
}

Test(object, where_it_goes)
{
    struct domain *d;

    cr_assert_eq(sched_under(CEILING, 1, MS, MS), CB_OK);
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), FAULT(OCCUPIED, 1));
    cr_assert_eq(thread_at(CEILING, 0, UTCB, ENTRY), FAULT(OCCUPIED, 1));
    cr_assert_eq(object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(THREAD, CEILING), 0, UTCB, ENTRY, 0),
                 FAULT(BAD_CAP, 1));
    object_give(LESS, OBJECT_SELF, CB_RIGHTS_ALL & ~CB_RIGHT_POPULATE);
    cr_assert_eq(object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(THREAD, LESS), 0, UTCB, ENTRY, 0),
                 FAULT(BAD_RIGHT, 1));
    d = fake_domain(account, GUEST);
    cr_assert_eq(object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(THREAD, INTO), 0, UTCB, ENTRY, 0), FAULT(BAD_CAP, 1));
    slot_insert(slot_find(self, INTO), account->obj.root, slot_word_make(CB_TYPE_DOMAIN, CB_RIGHTS_ALL, d));
    d->obj.dying = 1;
    cr_assert_eq(object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(THREAD, INTO), 0, UTCB, ENTRY, 0), FAULT(DYING, 1));
    d->obj.dying = 0;
    cr_assert_eq(object_call(CB_CALL_thread_create, OBJECT_ACCOUNT, CB_PAIR(THREAD, INTO), 0, UTCB, ENTRY, 0), CB_OK);
    self->obj.dying = 1;
    cr_assert_eq(thread_at(HANDLER, 0, UTCB, ENTRY), FAULT(DYING, 1));
}

Test(object, time_comes_from_time)
{
    object_give(LESS, CEILING, CB_RIGHTS_ALL & ~CB_RIGHT_CONTROL);
    cr_assert_eq(sched_under(LESS, 1, MS, MS), FAULT(BAD_RIGHT, 1));
    cr_assert_eq(sched_under(OBJECT_ACCOUNT, 1, MS, MS), FAULT(BAD_CAP, 1));
    cr_assert_eq(sched_under(CEILING, 0, MS, MS), FAULT(BAD_PARAM, 2));
    cr_assert_eq(sched_under(CEILING, 101, MS, MS), FAULT(BAD_PARAM, 2));
    cr_assert_eq(sched_under(CEILING, 100, 49, MS), FAULT(BAD_PARAM, 3));
    cr_assert_eq(sched_under(CEILING, 100, MS + 1, MS), FAULT(BAD_PARAM, 3));
    cr_assert_eq(sched_under(CEILING, 100, 50, 99), FAULT(BAD_PARAM, 4));
    cr_assert_eq(sched_under(CEILING, 100, 50, 1000001), FAULT(BAD_PARAM, 4));
    ceiling->obj.dying = 1;
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), FAULT(DYING, 1));
    cr_assert_eq(ceiling->children.next, &ceiling->children);
}

/* Whoever was given a part of a CPU's time makes no more of it: all that is made under it shares its budget. */
Test(object, a_budget_is_shared)
{
    struct budget *b;
    struct sched *limited;
    unsigned made = 1;

    cr_assert_eq(sched_under(CEILING, 50, 50, MS), CB_OK);
    limited = object_at(SCHED);
    b = limited->budget;
    cr_assert_not_null(b);
    cr_assert_eq(b->members, 1);
    for (u32 sel = CHAIN;; sel++, made++) {
        status_t status = object_call(CB_CALL_sched_create, OBJECT_ACCOUNT, CB_PAIR(sel, SCHED), 50, MS, MS, 0);
        const struct sched *s = status ? NULL : object_at(sel);

        if (status == FAULT(BUSY, 1))
            break;
        cr_assert_eq(status, CB_OK);
        cr_assert_eq(s->budget, b);
        cr_assert_eq(s->cpu, limited->cpu);
    }
    cr_assert_eq(made, BUDGET_MEMBERS);
    cr_assert_eq(object_call(CB_CALL_sched_create, OBJECT_ACCOUNT, CB_PAIR(PORTAL, SCHED), 50, 50, MS, 0),
                 FAULT(BAD_PARAM, 3), "a budget within a budget");
    cr_assert_not(sched_free(limited), "others share its budget");
    for (u32 sel = CHAIN; sel < CHAIN + made - 1; sel++)
        cr_assert(sched_free(object_at(sel)));
    cr_assert(sched_free(limited));
}

Test(object, time_is_bound_once_and_here)
{
    struct sched *s;

    cr_assert_eq(thread_at(THREAD, 0, UTCB, ENTRY), CB_OK);
    cr_assert_eq(thread_at(HANDLER, 1, UTCB + PAGE_SIZE, ENTRY), CB_OK);
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), CB_OK);
    s = object_at(SCHED);
    cr_assert_eq(object_call(CB_CALL_sched_bind, SCHED, HANDLER, 0, 0, 0, 0), FAULT(BAD_CPU, 1));
    cr_assert_eq(object_call(CB_CALL_sched_bind, SCHED, CEILING, 0, 0, 0, 0), FAULT(BAD_CAP, 1));
    object_give(LESS, THREAD, CB_RIGHTS_ALL & ~CB_RIGHT_CONTROL);
    cr_assert_eq(object_call(CB_CALL_sched_bind, SCHED, LESS, 0, 0, 0, 0), FAULT(BAD_RIGHT, 1));
    cr_assert_eq(object_call(CB_CALL_sched_bind, SCHED, THREAD, 0, 0, 0, 0), CB_OK);
    cr_assert_eq(s->bound, object_at(THREAD));
    cr_assert_eq(object_call(CB_CALL_sched_bind, SCHED, THREAD, 0, 0, 0, 0), FAULT(BUSY, 0));
    cr_assert_eq(object_call(CB_CALL_sched_bind, CEILING, THREAD, 0, 0, 0, 0), FAULT(BUSY, 1));
}

/* Time that was given is taken back with all that was made of it. */
Test(object, time_dies_with_its_ceiling)
{
    cr_assert_eq(sched_under(CEILING, 1, MS, MS), CB_OK);
    while (!sched_kill(ceiling))
        continue;
    cr_assert_eq(reaped, object_at(SCHED));
    cr_assert(list_empty(&ceiling->children));
}

/* ---- Portals ---- */

Test(object, portals)
{
    cr_assert_eq(thread_at(HANDLER, 0, UTCB, 0), CB_OK);
    cr_assert_eq(thread_at(THREAD, 0, UTCB + PAGE_SIZE, ENTRY), CB_OK);
    cr_assert_eq(portal_at(PORTAL, THREAD), FAULT(BAD_PARAM, 1));
    object_give(LESS, HANDLER, CB_RIGHTS_ALL & ~CB_RIGHT_CONTROL);
    cr_assert_eq(portal_at(PORTAL, LESS), FAULT(BAD_RIGHT, 1));
    cr_assert_eq(object_call(CB_CALL_portal_create, OBJECT_ACCOUNT, CB_PAIR(PORTAL, HANDLER), USER_END, 0, 0, 0),
                 FAULT(BAD_PARAM, 2));
    cr_assert_eq(object_call(CB_CALL_portal_create, OBJECT_ACCOUNT, CB_PAIR(PORTAL, HANDLER), ENTRY, 0,
                             CB_PAIR(0, CB_LEVELS), 0), FAULT(BAD_PARAM, 4));
    cr_assert_eq(portal_at(PORTAL, HANDLER), CB_OK);
    ((struct thread *)object_at(HANDLER))->ctx.obj.dying = 1;
    cr_assert_eq(portal_at(EVENT, HANDLER), FAULT(DYING, 1));
    cr_assert(thread_kill(object_at(HANDLER)));
    cr_assert_eq(reaped, object_at(PORTAL), "nobody answers there any more");
    cr_assert_null(portal_handler(object_at(PORTAL)));
}

static status_t exceptions_to(u32 sel)
{
    return object_call(CB_CALL_thread_set, THREAD, CB_THREAD_EXCEPTION, sel, 0, 0, 0);
}

Test(object, exception_portals)
{
    const struct thread *t;

    cr_assert_eq(thread_at(HANDLER, 0, UTCB, 0), CB_OK);
    cr_assert_eq(thread_at(THREAD, 0, UTCB + PAGE_SIZE, ENTRY), CB_OK);
    cr_assert_eq(portal_at(PORTAL, HANDLER), CB_OK);
    t = object_at(THREAD);
    object_give(LESS, PORTAL, CB_RIGHTS_ALL & ~CB_RIGHT_CALL);
    cr_assert_eq(exceptions_to(LESS), FAULT(BAD_RIGHT, 2));
    cr_assert_eq(exceptions_to(THREAD), FAULT(BAD_CAP, 2));
    cr_assert_eq(exceptions_to(PORTAL), CB_OK);
    cr_assert_eq(slot_word_object(slot_word(&t->exception)), object_at(PORTAL));
    cr_assert_eq(t->exception.parent, slot_find(self, PORTAL));
    cr_assert_eq(exceptions_to(CB_SEL_NULL), CB_OK);
    cr_assert_not(slot_used(&t->exception));
}

/* A portal that has been handed on as often as can be is not handed on once more. */
Test(object, an_exception_portal_too_deep)
{
    u32 last = PORTAL;

    cr_assert_eq(thread_at(HANDLER, 0, UTCB, 0), CB_OK);
    cr_assert_eq(thread_at(THREAD, 0, UTCB + PAGE_SIZE, ENTRY), CB_OK);
    cr_assert_eq(portal_at(PORTAL, HANDLER), CB_OK);
    for (u32 sel = CHAIN; slot_find(self, last)->depth < SLOT_DEPTH_MAX; last = sel++)
        object_give(sel, last, CB_RIGHTS_ALL);
    cr_assert_eq(exceptions_to(last), FAULT(TOO_DEEP, 2));
    cr_assert_eq(exceptions_to(last - 1), CB_OK);
    slot_find(self, PORTAL)->flags |= SLOT_REVOKING;
    cr_assert_eq(exceptions_to(last - 1), FAULT(DYING, 2));
}

Test(object, an_exception_portal_of_another_cpu)
{
    cr_assert_eq(thread_at(HANDLER, 1, UTCB, 0), CB_OK);
    cr_assert_eq(thread_at(THREAD, 0, UTCB + PAGE_SIZE, ENTRY), CB_OK);
    cr_assert_eq(portal_at(PORTAL, HANDLER), CB_OK);
    cr_assert_eq(exceptions_to(PORTAL), FAULT(BAD_CPU, 2));
}

/* ---- Threads and vCPUs ---- */

Test(object, threads_that_are_refused)
{
    cr_assert_eq(thread_at(THREAD, 2, UTCB, ENTRY), FAULT(BAD_CPU, 2));
    cr_assert_eq(thread_at(THREAD, 0, UTCB + 8, ENTRY), FAULT(BAD_PARAM, 3));
    cr_assert_eq(thread_at(THREAD, 0, USER_END, ENTRY), FAULT(BAD_PARAM, 3));
    cr_assert_eq(thread_at(THREAD, 0, UTCB, USER_END), FAULT(BAD_PARAM, 4));
    cr_assert_eq(thread_at(THREAD, 0, UTCB, ENTRY), CB_OK);
    cr_assert_eq(thread_at(HANDLER, 0, UTCB, ENTRY), FAULT(OCCUPIED, 3));
}

/* A guest, with an account of its own that has `pages` left. */
static struct domain *guest(u64 pages)
{
    struct domain *d = fake_domain(account, GUEST);

    d->guest = true;
    clear(CHILD);
    cr_assert_eq(object_call(CB_CALL_account_create, OBJECT_ACCOUNT, CHILD, pages, 0, 0, 0), CB_OK);
    atomic_store(&slot_find(self, GUEST)->word, 0);
    slot_insert(slot_find(self, GUEST), account->obj.root, slot_word_make(CB_TYPE_DOMAIN, CB_RIGHTS_ALL, d));
    return d;
}

static status_t vcpu_at(u64 address)
{
    return object_call(CB_CALL_vcpu_create, CHILD, CB_PAIR(VCPU, GUEST), CB_PAIR(0, 0), address, 0, 0);
}

Test(object, vcpus_that_are_refused)
{
    struct domain *d = guest(64);

    cr_assert_eq(object_call(CB_CALL_vcpu_create, CHILD, CB_PAIR(VCPU, CB_SELF), 0, UTCB, 0, 0), FAULT(BAD_CAP, 1));
    cr_assert_eq(object_call(CB_CALL_vcpu_create, CHILD, CB_PAIR(VCPU, GUEST), CB_PAIR(2, 0), UTCB, 0, 0),
                 FAULT(BAD_CPU, 2));
    cr_assert_eq(object_call(CB_CALL_vcpu_create, CHILD, CB_PAIR(VCPU, GUEST), CB_PAIR(0, CB_GUEST_VCPUS), UTCB, 0, 0),
                 FAULT(BAD_PARAM, 2));
    cr_assert_eq(vcpu_at(space_end(&d->space) - PAGE_SIZE), FAULT(BAD_PARAM, 3));
    cr_assert_eq(vcpu_at(UTCB), CB_OK);
    cr_assert_eq(vcpu_at(UTCB + 2 * PAGE_SIZE), FAULT(OCCUPIED, 2));
}

/* Whatever cannot be had: nothing of it stays. */
Test(object, creation_is_all_or_nothing)
{
    status_t status = CB_OK;

    for (u64 pages = 1; pages < 16; pages++) {
        struct account *child;

        setup();
        (void)guest(pages);
        child = object_at(CHILD);
        status = vcpu_at(UTCB);
        if (!status)
            break;
        cr_assert_eq(status, FAULT(NO_MEMORY, 0));
        cr_assert_eq(child->used, 0);
    }
    cr_assert_eq(status, CB_OK);
    for (u64 pages = 1; pages < 16; pages++) {
        struct account *child;

        setup();
        (void)guest(pages);
        child = object_at(CHILD);
        status = object_call(CB_CALL_thread_create, CHILD, CB_PAIR(THREAD, CB_SELF), 0, UTCB, ENTRY, 0);
        if (!status)
            break;
        cr_assert_eq(status, FAULT(NO_MEMORY, 0));
        cr_assert_eq(child->used, 0);
    }
    cr_assert_eq(status, CB_OK);
}

/*
 * The second page has no place in the guest's space: the first one is visible to the guest already, and stays what it is
 * until all CPUs have flushed it.
 */
Test(object, a_vcpu_that_is_half_mapped)
{
    struct domain *d = guest(64);
    struct account *child = object_at(CHILD);
    unsigned level;
    u64 page, used;

    cr_assert_eq(space_map(&d->space, account, UTCB + PAGE_SIZE, 0x200000, 1, CB_MAP_READ, MEM_WB), CB_OK);
    cr_assert_eq(vcpu_at(UTCB), FAULT(OCCUPIED, 3));
    cr_assert_not(slot_used(slot_find(self, VCPU)));
    page = space_find(&d->space, UTCB, &level);
    cr_assert_not_null(reaped, "the page belongs to nobody, and the guest may write it");
    used = child->used;
    cr_assert_gt(used, 0);
    cr_assert(vcpu_kill((struct vcpu *)reaped));
    cr_assert_eq(space_find(&d->space, UTCB, &level) & 1, 0, "still mapped");
    cr_assert_neq(space_find(&d->space, UTCB + PAGE_SIZE, &level) & 1, 0, "somebody else's mapping");
    cr_assert_eq(child->used, used, "freed before a grace period");
    vcpu_free((struct vcpu *)reaped);
    cr_assert_eq(child->used, 0);
    (void)page;
}

/* The first page has no place: nobody has seen anything. */
Test(object, a_vcpu_that_is_not_mapped)
{
    struct domain *d = guest(64);
    struct account *child = object_at(CHILD);

    cr_assert_eq(space_map(&d->space, account, UTCB, 0x200000, 1, CB_MAP_READ, MEM_WB), CB_OK);
    cr_assert_eq(vcpu_at(UTCB), FAULT(OCCUPIED, 3));
    cr_assert_eq(child->used, 0);
    cr_assert_null(d->vcpus[0]);
}

/* ---- What capabilities say ---- */

static struct regs identified(u32 sel)
{
    struct regs r = { .rdi = CB_CALL_WORD(CB_CALL_identify, 0, sel) };

    cr_assert_eq(call_make(&r), CB_OK);
    return r;
}

Test(object, identities)
{
    struct slot *ram = slot_find(self, PORTAL), *frame = slot_find(self, EVENT);
    struct regs r;

    slot_insert(ram, NULL, slot_word_make(CB_TYPE_RAM, CB_RIGHT_SPLIT, NULL));
    ram->ram.base = PAGE_2M;
    ram->ram.pages = 100;
    r = identified(PORTAL);
    cr_assert(r.rsi == CB_TYPE_RAM && r.rdx == CB_RIGHT_SPLIT && r.r8 == 100 && r.r9 == 100);
    slot_insert(frame, ram, slot_word_make(CB_TYPE_FRAME, CB_RIGHTS_ALL, NULL));
    frame->frame.base = PAGE_2M;
    frame->frame.pages = 30;
    r = identified(PORTAL);
    cr_assert(r.r8 == 100 && r.r9 == 70, "what is free of it");
    r = identified(EVENT);
    cr_assert(r.rsi == CB_TYPE_FRAME && r.r8 == 30);
    r = identified(OBJECT_ACCOUNT);
    cr_assert(r.rsi == CB_TYPE_ACCOUNT && r.r8 == account->quota - account->used && r.r9 == account->quota);
    r = identified(CEILING);
    cr_assert(r.rsi == CB_TYPE_SCHED && r.rdx == CB_RIGHTS_ALL);
    r = identified(SCHED);
    cr_assert(r.rsi == CB_TYPE_NULL && r.rdx == 0 && r.r8 == 0 && r.r9 == 0);
}

static status_t count(u32 sel, u64 first, struct regs *r)
{
    *r = (struct regs){ .rdi = CB_CALL_WORD(CB_CALL_counters, 0, sel), .rsi = first };
    return call_make(r);
}

Test(object, counters_have_an_end)
{
    struct vcpu *v;
    struct regs r;

    (void)guest(64);
    cr_assert_eq(vcpu_at(UTCB), CB_OK);
    v = object_at(VCPU);
    for (u32 i = 0; i < CB_VCPU_COUNTER_COUNT; i++)
        v->counters[i] = 1000 + i;
    cr_assert_eq(count(VCPU, CB_VCPU_COUNTER_COUNT - 2, &r), CB_OK);
    cr_assert(r.rsi == 1000 + CB_VCPU_COUNTER_COUNT - 2 && r.rdx == 1000 + CB_VCPU_COUNTER_COUNT - 1 && r.r8 == 0 && r.r10 == 0);
    cr_assert_eq(count(VCPU, UINT64_MAX, &r), CB_OK);
    cr_assert(r.rsi == 0 && r.rdx == 0 && r.r8 == 0, "no number wraps round");
    cr_assert_eq(count(PORTAL, 0, &r), FAULT(BAD_CAP, 0));
    object_give(LESS, VCPU, CB_RIGHTS_ALL & ~CB_RIGHT_READ);
    cr_assert_eq(count(LESS, 0, &r), FAULT(BAD_RIGHT, 0));
}
