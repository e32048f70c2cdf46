/* SPDX-License-Identifier: GPL-2.0-only */
#include "ctx.h"

#include "call.h"
#include "event.h"
#include "fpu.h"
#include "log.h"
#include "portal.h"
#include "sched.h"
#include "thread.h"
#include "vcpu.h"
#include "x86.h"

#define SYSCALL_LENGTH 2u

static void ctx_lose_handler(struct ctx *c);

bool ctx_init(struct ctx *c, struct domain *d, u32 cpu_id, u8 flags)
{
    c->domain = d;
    c->home = &d->space.cpus[cpu_id];
    c->cpu = cpu_id;
    c->state = CTX_NEW;
    c->flags = flags;
    c->left = CTX_CHAIN_MAX;
    list_init(&c->helpers);
    list_init(&c->waiters);
    list_init(&c->wait_node);
    list_init(&c->portal_node);
    list_init(&c->domain_node);
    list_init(&c->grace_node);
    list_init(&c->job.node);
    c->utcb = account_page(c->obj.account);
    c->fpu = account_page(c->obj.account);
    if (c->fpu)
        fpu_init_state(c->fpu);
    return c->utcb && c->fpu;
}

void ctx_free(struct ctx *c)
{
    account_page_free(c->obj.account, c->fpu);
    account_page_free(c->obj.account, c->utcb);
    account_object_free(&c->obj);
}

/* What dies waits for a grace period, whose interrupt the news can share. */
#define OPS_NO_KICK (CTX_OP_PORTAL_GONE | CTX_OP_UNSCHED)

/*
 * The hazard is set before the lock is dropped: whatever was posted before a grace period began is carried out
 * before the home CPU passes it. The model of posts is tests/model/post.pml.
 */
void ctx_post(struct ctx *c, u32 ops)
{
    struct cpu *home = cpu_of(c->cpu);
    u32 before;

    lock_take(&home->post_lock);
    before = atomic_load_explicit(&c->post_ops, memory_order_relaxed);
    atomic_store_explicit(&c->post_ops, before | ops, memory_order_relaxed);
    if (!before) {
        c->post_next = home->posts;
        home->posts = c;
        atomic_fetch_or(&home->hazards, HAZARD_POSTS);
    }
    lock_drop(&home->post_lock);
    if ((ops & ~OPS_NO_KICK) && !(before & ~OPS_NO_KICK) && home->id != cpu.id)
        cpu_kick(home->id);
}

static void ctx_start(struct ctx *c)
{
    if (c->state == CTX_NEW)
        c->state = CTX_READY;
    if (c->sched && c->sched->state == SCHED_UNBOUND)
        sched_enqueue(c->sched);
}

static void ctx_lose_sched(struct ctx *c)
{
    if (!c->sched || !c->sched->obj.dying)
        return;
    sched_dequeue(c->sched);
    c->sched = NULL;
}

bool ctx_heeds_recall(const struct ctx *c)
{
    u32 standing = __atomic_load_n(&c->standing, __ATOMIC_RELAXED);

    if (ctx_is_vcpu(c))
        return !vcpu_is_recalled(c);
    if (standing >> 8 & CTX_FLAG_EXIT)
        return false;
    switch ((enum ctx_state)(standing & 0xff)) {
    case CTX_CALLING:
    case CTX_HELPING:
    case CTX_REMOTE:
    case CTX_WAITING: return true;
    default: return false;
    }
}

static void ctx_recall(struct ctx *c)
{
    if (ctx_is_vcpu(c))
        vcpu_recall(vcpu_of(c));
    else
        ctx_abort(c);
}

static void ctx_wake(struct ctx *c)
{
    if (ctx_is_vcpu(c))
        vcpu_wake(vcpu_of(c));
    else
        event_wake(c);
}

static struct portal *ctx_take_dead_portals(struct thread *t)
{
    struct portal *first;

    lock_take(&cpu.post_lock);
    first = t->dead_portals;
    t->dead_portals = NULL;
    lock_drop(&cpu.post_lock);
    return first;
}

/*
 * Portals of the handler `c` have died: who came through one of them, and who waits to do so, is told. They exist until
 * this CPU passes the grace period that follows.
 */
static void ctx_portals_gone(struct ctx *c)
{
    for (struct portal *p = ctx_take_dead_portals(thread_of(c)); p; p = p->dead_next) {
        struct ctx *caller = c->caller;

        while (!list_empty(&p->waiters))
            ctx_lose_handler(CONTAINER_OF(p->waiters.next, struct ctx, portal_node));
        if (caller && c->portal == p && !ctx_lose_callee(caller, "has lost its portal"))
            ctx_drop_callers(caller);
    }
}

static void ctx_run_post(struct ctx *c, u32 ops)
{
    if (ops & CTX_OP_KILL) {
        ctx_kill(c);
        return;
    }
    if (ops & CTX_OP_UNSCHED)
        ctx_lose_sched(c);
    if (ops & CTX_OP_START)
        ctx_start(c);
    if (ops & CTX_OP_WAKE)
        ctx_wake(c);
    if ((ops & CTX_OP_EVENT_GONE) && c->event && c->event->obj.dying)
        ctx_abort(c);
    if (ops & CTX_OP_PORTAL_GONE)
        ctx_portals_gone(c);
    if (ops & CTX_OP_CALLED)
        remote_called(c);
    if (ops & CTX_OP_REPLIED)
        remote_finish(c);
    if (ops & CTX_OP_RECALL)
        ctx_recall(c);
}

/* Takes what is to be done for `c`; CTX_OP_WORKING keeps it from being queued meanwhile. */
static u32 ctx_take_ops(struct ctx *c)
{
    u32 ops;

    lock_take(&cpu.post_lock);
    ops = atomic_load_explicit(&c->post_ops, memory_order_relaxed);
    atomic_store_explicit(&c->post_ops, CTX_OP_WORKING, memory_order_relaxed);
    lock_drop(&cpu.post_lock);
    return ops;
}

/* That has been done. What has come meanwhile is for the next round; nothing: `c` is quiet from now on, and may be freed. */
static void ctx_put_ops(struct ctx *c)
{
    u32 ops;

    lock_take(&cpu.post_lock);
    ops = atomic_load_explicit(&c->post_ops, memory_order_relaxed) & ~CTX_OP_WORKING;
    if (ops) {
        c->post_next = cpu.posts;
        cpu.posts = c;
        cpu_hazard(HAZARD_POSTS);
    }
    atomic_store_explicit(&c->post_ops, ops, memory_order_release);
    lock_drop(&cpu.post_lock);
}

static struct ctx *ctx_take_posts(void)
{
    struct ctx *first;

    lock_take(&cpu.post_lock);
    first = cpu.posts;
    cpu.posts = NULL;
    lock_drop(&cpu.post_lock);
    return first;
}

/* The time goes to whom it is done for, not to what happened to run. */
static u64 ctx_bill(struct ctx *c, u64 since)
{
    u64 now = rdtsc();

    if (c->sched)
        sched_bill(c->sched, now - since, now);
    return now;
}

void ctx_run_posts(void)
{
    struct ctx *next = ctx_take_posts();
    u64 since = rdtsc();

    while (next) {
        struct ctx *c = next;

        next = c->post_next; /* another one when it has been put back */
        ctx_run_post(c, ctx_take_ops(c));
        since = ctx_bill(c, since);
        ctx_put_ops(c);
        if (next)
            interrupts_take();
    }
}

void ctx_call_done(struct ctx *c, status_t status)
{
    c->regs.rax = status;
    if (ctx_is_vcpu(c))
        vcpu_call_done(vcpu_of(c));
}

void ctx_call_again(struct ctx *c)
{
    if (!ctx_is_vcpu(c))
        c->regs.rip -= SYSCALL_LENGTH;
}

void ctx_finish(struct ctx *c, status_t status)
{
    c->state = CTX_READY;
    ctx_call_done(c, status);
    ctx_unblock(c);
}

void ctx_stop_helping(struct ctx *c)
{
    list_remove(&c->wait_node);
    list_remove(&c->portal_node);
}

/*
 * Chains through `c` have changed: scheduling contexts parked at their end look for their way anew, the running one
 * too. None is parked beyond CTX_WALK_MAX.
 */
static void ctx_unlink_chain(struct ctx *c)
{
    for (unsigned n = 0; ctx_callee(c) && n < CTX_WALK_MAX; n++)
        c = c->callee;
    ctx_unblock(c);
    cpu.chain_changes++; /* after that: whom it has made ready looks for its way in any case */
    cpu_hazard(HAZARD_RESCHED);
}

/* Cuts the link between `c` and the handler that it calls or waits for. */
static void ctx_leave_callee(struct ctx *c)
{
    ctx_unlink_chain(c);
    if (c->state == CTX_CALLING) {
        ctx_unblock(c->callee); /* its own scheduling context takes over (remote_next()) */
        c->callee->caller = NULL;
    } else {
        ctx_stop_helping(c);
    }
}

void ctx_abort(struct ctx *c)
{
    switch ((enum ctx_state)c->state) {
    case CTX_WAITING:
        if (ctx_is_vcpu(c))
            return;
        event_leave(c);
        break;
    case CTX_HELPING:
        if ((c->flags & CTX_FLAG_AGAIN))
            return;
        ctx_leave_callee(c);
        break;
    case CTX_CALLING:
        if (ctx_in_exit(c))
            return;
        ctx_leave_callee(c);
        break;
    case CTX_REMOTE:
        if (!remote_leave(c))
            return;
        c->remote.outstanding = false;
        break;
    default: return;
    }
    ctx_finish(c, FAULT(ABORTED, 0));
}

bool ctx_lose_callee(struct ctx *c, const char *why)
{
    if (!ctx_in_exit(c)) {
        ctx_abort(c);
        return true;
    }
    ctx_leave_callee(c);
    c->state = CTX_STOPPED;
    log_printf("corbel: a %s stops: the handler of its %s %s", ctx_is_vcpu(c) ? "vCPU" : "thread",
               ctx_is_vcpu(c) ? "exit" : "exception", why);
    return false;
}

/* `c` waits for a handler or portal that is no more. Interrupts are open for a moment, since there may be many such. */
static void ctx_lose_handler(struct ctx *c)
{
    if (c->flags & CTX_FLAG_AGAIN) {
        ctx_leave_callee(c);
        c->state = CTX_READY; /* sends its exit again, and finds nobody */
    } else {
        ctx_abort(c);
    }
    interrupts_take();
}

static void ctx_drop_waiters(struct ctx *c)
{
    while (!list_empty(&c->waiters))
        ctx_lose_handler(CONTAINER_OF(c->waiters.next, struct ctx, wait_node));
}

void ctx_drop_callers(struct ctx *c)
{
    while (c) {
        struct ctx *caller = c->caller;

        ctx_drop_waiters(c);
        if (c->state == CTX_STOPPED && !ctx_is_vcpu(c))
            remote_stop(c);
        /* A handler that stops for want of another one leaves its own caller in the lurch. */
        c = caller && !ctx_lose_callee(caller, "has died") ? caller : NULL;
    }
}

/*
 * The scheduling context that runs `c` may well be that of a caller or helper, which goes on: it looks for its way
 * anew.
 */
void ctx_stop(struct ctx *c)
{
    reap_abandon(c);
    c->state = CTX_STOPPED;
    ctx_drop_callers(c);
    cpu.current = NULL;
}

void ctx_kill(struct ctx *c)
{
    ctx_drop_callers(c);
    if (c->state == CTX_REMOTE || c->remote.outstanding)
        (void)remote_leave(c);
    switch ((enum ctx_state)c->state) {
    case CTX_WAITING:
        if (!ctx_is_vcpu(c))
            event_leave(c);
        break;
    case CTX_GRACE: grace_leave(c); break;
    case CTX_CALLING:
    case CTX_HELPING: ctx_leave_callee(c); break;
    default: break;
    }
    timerq_remove(&cpu.timers, &c->timer);
    if (c->sched) {
        sched_dequeue(c->sched);
        /* sched_bind() may give it to another context of this CPU from now on. */
        __atomic_store_n(&c->sched->bound, NULL, __ATOMIC_RELEASE);
        c->sched = NULL;
    }
    c->state = CTX_STOPPED;
    ctx_unblock(c);
    fpu_forget(c);
    if (ctx_is_vcpu(c))
        vcpu_forget(vcpu_of(c));
    if (cpu.current == c)
        cpu.current = NULL;
    cpu_hazard(HAZARD_RESCHED);
}
