/* SPDX-License-Identifier: GPL-2.0-only */
#include "reap_world.h"

#include <criterion/criterion.h>
#include <string.h>

#include "call.h"
#include "cpu_init.h"
#include "event.h"
#include "io.h"
#include "irq.h"
#include "kpage.h"
#include "mitigations.h"
#include "portal.h"
#include "random.h"
#include "reap.h"
#include "thread.h"
#include "trap.h"
#include "vcpu.h"
#include "virt.h"

#define TURNS_MAX 200000u

struct domain *world;
struct account *world_account;
unsigned world_threads;

static struct ctx own, *caller = &own;
static struct ctx *posts; /* killed threads that their CPU has not let go of, perhaps */
static u64 grace_wanted, grace_passed;

/* ---- The machine ---- */

const struct virt_ops *virt;
struct syscall_registers cpu_syscall;
u32 defences;

enum space_format virt_format(void)
{
    return SPACE_NPT;
}

struct cpu *cpu_of(u32 id)
{
    cr_assert_eq(id, 0);
    return &cpu;
}

void kpage_pml4_init(u64 *pml4, u32 cpu_id)
{
    (void)pml4, (void)cpu_id;
}

void kpage_user_pml4_init(u64 *pml4, u32 cpu_id)
{
    (void)pml4, (void)cpu_id;
}

void entry_flush_user(u64 user, u64 kernel)
{
    (void)user, (void)kernel;
}

void mitigations_barrier(void)
{
}

void io_unload(void)
{
}

void io_free(struct domain *d)
{
    (void)d;
}

bool kernel_preempt(void)
{
    return random_below(4) == 0;
}

/* ---- Grace periods ---- */

u64 grace_next(void)
{
    return grace_wanted + 1;
}

u64 grace_begin(void)
{
    return ++grace_wanted;
}

bool grace_over(u64 epoch)
{
    return epoch <= grace_passed;
}

status_t grace_settle(u64 epoch)
{
    if (epoch >= grace_next())
        epoch = grace_begin();
    return grace_over(epoch) ? CALL_AGAIN : CALL_BLOCKED_AGAIN;
}

u64 world_mark(void)
{
    return grace_next();
}

bool world_passed(u64 mark)
{
    return grace_over(mark);
}

/* ---- Objects that do nothing ---- */

/* In bounded steps, as the real one: it says when it is done. `calls` and `handled`: when it was killed, when unlinked. */
bool thread_kill(struct thread *t)
{
    cr_assert_eq(t->calls, 0, "killed twice");
    cr_assert_leq(t->ctx.domain->obj.dying, 1, "its domain is taken apart before it has stopped");
    if (random_below(3) == 0)
        return false;
    list_remove(&t->ctx.domain_node);
    t->calls = grace_next();
    t->ctx.post_ops = random_below(2) ? CTX_OP_KILL : 0;
    t->ctx.post_next = posts;
    posts = &t->ctx;
    return true;
}

void thread_free(struct thread *t)
{
    cr_assert_neq(t->calls, 0, "freed alive");
    cr_assert(grace_over(t->calls), "freed before a grace period was over");
    cr_assert(t->handled && grace_over(t->handled), "freed while a CPU may have found it before it was unlinked");
    cr_assert(list_empty(&t->ctx.domain_node));
    cr_assert_eq(t->ctx.post_ops, 0, "freed while its CPU still works for it");
    for (struct ctx **at = &posts; *at; at = &(*at)->post_next) {
        if (*at == &t->ctx) {
            *at = t->ctx.post_next;
            break;
        }
    }
    world_threads--;
    account_object_free(&t->ctx.obj);
}

bool vcpu_kill(struct vcpu *v)
{
    (void)v;
    return true;
}

void vcpu_free(struct vcpu *v)
{
    (void)v;
}

bool sched_kill(struct sched *s)
{
    (void)s;
    return true;
}

bool sched_free(struct sched *s)
{
    account_object_free(&s->obj);
    return true;
}

bool portal_kill(struct portal *p)
{
    (void)p;
    return true;
}

void event_kill(struct event *e)
{
    cr_assert_null(e->obj.root);
}

/* ---- Calls: as call.c has them, but the linear table of the processor's address space is not there ---- */

static status_t check(const struct slot *s, enum cb_type type, u32 rights, unsigned arg)
{
    u64 word = s ? slot_word(s) : 0;

    if (!word || (type != CB_TYPE_NULL && slot_word_type(word) != type))
        return FAULT(BAD_CAP, arg);
    return rights & ~slot_word_rights(word) ? FAULT(BAD_RIGHT, arg) : CB_OK;
}

status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot)
{
    *slot = slot_find(world, sel);
    return check(*slot, type, rights, arg);
}

status_t call_account(u32 sel, struct account **a)
{
    struct slot *s;
    status_t status = call_slot(sel, CB_TYPE_ACCOUNT, CB_RIGHT_PAY, 0, &s);

    if (status)
        return status;
    *a = slot_word_object(slot_word(s));
    return (*a)->obj.dying || ((*a)->obj.root->flags & (SLOT_REVOKING | SLOT_TOMBSTONE)) ? FAULT(DYING, 0) : CB_OK;
}

status_t call_destination(u64 value, unsigned arg, struct slot **dst)
{
    return HIGH(value) ? FAULT(BAD_PARAM, arg) : slot_reserve(world, LOW(value), arg, dst);
}

status_t call_domain(u32 sel, u32 right, unsigned arg, struct domain **d)
{
    const struct slot *s = slot_find(world, sel);
    status_t status;

    *d = world;
    if (sel != CB_SELF) {
        status = check(s, CB_TYPE_DOMAIN, right, arg);
        if (status)
            return status;
        *d = slot_word_object(slot_word(s));
    }
    return (*d)->obj.dying ? FAULT(DYING, arg) : CB_OK;
}

void call_install(struct slot *dst, struct object *obj, u64 badge)
{
    obj->root = dst;
    slot_insert(dst, obj->account->obj.root, slot_word_make(obj->type, CB_RIGHTS_ALL, obj));
    dst->badge = badge;
}

static void set_registers(u32 flags, u32 sel)
{
    memset(&caller->regs, 0, sizeof(caller->regs));
    caller->regs.rdi = CB_CALL_WORD(0, flags, sel);
    cpu.current = caller;
    cpu.home = &world->space.cpus[0];
}

/* Another CPU passes, as late as it may. */
static void world_pass(bool must)
{
    if (!must && random_below(3))
        return;
    grace_passed = grace_wanted;
    for (struct ctx *c = posts; c; c = c->post_next) { /* a late post is carried out before the next period is over */
        struct thread *t = (struct thread *)(void *)c;

        if (!t->handled)
            t->handled = grace_next(); /* the kill: its CPU has unlinked it, when the others had passed */
        c->post_ops = c->post_ops && random_below(4) ? CTX_OP_RECALL : 0;
    }
}

/* One turn of a call. True: it is over. */
static bool turn(world_call_fn *fn, status_t *status)
{
    *status = fn(&caller->regs);
    cr_assert(!(*status & CALL_BLOCKED));
    return !(*status & (CALL_AGAIN | CALL_BLOCKED_AGAIN));
}

status_t world_call(world_call_fn *fn, u32 flags, u32 sel, u64 a1, u64 a2, u64 a3, u64 a4)
{
    unsigned turns = 0;
    status_t status;

    set_registers(flags, sel);
    caller->regs.rsi = a1;
    caller->regs.rdx = a2;
    caller->regs.r8 = a3;
    caller->regs.r9 = a4;
    while (!turn(fn, &status)) {
        cr_assert_lt(++turns, TURNS_MAX, "a call without an end");
        world_pass(status & CALL_BLOCKED_AGAIN);
    }
    return status;
}

bool world_call_abandoned(unsigned turns, world_call_fn *fn, u32 flags, u32 sel, status_t *status)
{
    set_registers(flags, sel);
    for (unsigned i = 0; i < turns; i++) {
        if (i)
            world_pass(*status & CALL_BLOCKED_AGAIN);
        if (turn(fn, status))
            return false;
    }
    reap_abandon(caller);
    return true;
}

void world_call_killed(unsigned turns, u32 thread, world_call_fn *fn, u32 flags, u32 sel)
{
    status_t status = CB_OK;

    caller = slot_word_object(slot_word(world_slot(thread)));
    set_registers(flags, sel);
    for (unsigned i = 0; i < turns; i++) {
        if (i)
            world_pass(status & CALL_BLOCKED_AGAIN);
        if (turn(fn, &status))
            break;
    }
    caller = &own;
}

void world_idle(void)
{
    for (unsigned turns = 0, quiet = 0; quiet < 20; turns++) {
        cr_assert_lt(turns, TURNS_MAX, "work without an end");
        if (reap_pending()) {
            quiet = 0;
            reap_step();
        } else {
            quiet++;
        }
        world_pass(quiet > 10);
    }
}

/* ---- Creation ---- */

static struct object *make(u32 account, u32 dst, u64 size, enum cb_type type, status_t *status)
{
    struct account *a;
    struct object *obj;
    struct slot *s;

    *status = call_account(account, &a);
    if (!*status)
        *status = call_destination(dst, 1, &s);
    if (*status)
        return NULL;
    obj = account_object(a, size, type);
    if (obj)
        call_install(s, obj, 1);
    else
        *status = FAULT(NO_MEMORY, 0);
    return obj;
}

status_t world_thread(u32 account, u32 dst, u32 domain)
{
    struct domain *d;
    status_t status = call_domain(domain, CB_RIGHT_POPULATE, 1, &d);
    struct object *obj;
    struct ctx *c;

    if (!status)
        status = domain_add_cpu(d, 0);
    obj = status ? NULL : make(account, dst, sizeof(struct thread), CB_TYPE_THREAD, &status);
    if (!obj)
        return status;
    c = (struct ctx *)(void *)obj;
    c->domain = d;
    list_init(&c->job.node);
    list_append(&d->contexts, &c->domain_node);
    world_threads++;
    return CB_OK;
}

status_t world_event(u32 account, u32 dst)
{
    status_t status;

    (void)make(account, dst, sizeof(struct event), CB_TYPE_EVENT, &status);
    return status;
}

struct slot *world_slot(u32 sel)
{
    return slot_find(world, sel);
}

void world_init(void)
{
    struct slot *s;

    fake_init();
    world_idle(); /* what the test before left behind */
    grace_wanted = grace_passed = 0;
    caller = &own;
    list_init(&own.job.node);
    world_threads = 0;
    world_account = fake_account(0, 4096);
    world = fake_domain(world_account, WORLD_SELF);
    cr_assert_eq(domain_add_cpu(world, 0), CB_OK);
    for (u32 sel = WORLD_ACCOUNT; sel < WORLD_END; sel++) /* so that no call pays for pages of slots */
        cr_assert_eq(slot_reserve(world, sel, 0, &s), CB_OK);
    slot_insert(world_slot(WORLD_ACCOUNT), world_account->obj.root,
                slot_word_make(CB_TYPE_ACCOUNT, CB_RIGHTS_ALL, world_account));
    s = world_slot(WORLD_RAM);
    slot_insert(s, NULL, slot_word_make(CB_TYPE_RAM, CB_RIGHTS_ALL, NULL));
    s->ram.base = WORLD_RAM_BASE;
    s->ram.pages = WORLD_RAM_PAGES;
    s->ram.unmapped = 0;
}
