/* SPDX-License-Identifier: GPL-2.0-only */
/* Posted work, and calls between CPUs, on the host. */
#include "ctx_world.h"

#include <criterion/criterion.h>

#include "vcpu.h"

TestSuite(ctx, .init = world_init);

/* ---- Posts ---- */

static void post_again(void)
{
    cr_assert_lt(interrupts, 100, "the queue is worked off until it is empty, which it never is");
    for (unsigned i = 0; i < 4; i++)
        ctx_post(&callers[i].ctx, CTX_OP_RECALL);
}

/* A storm of posts costs one round at a time, with interrupts taken in it. */
Test(ctx, who_posts_meanwhile_waits_for_the_next_round)
{
    for (unsigned i = 0; i < 4; i++)
        ctx_post(&callers[i].ctx, CTX_OP_RECALL);
    at_interrupt = post_again;
    ctx_run_posts();
    cr_assert_eq(interrupts, 3);
    cr_assert(cpu_hazards() & HAZARD_POSTS);
    at_interrupt = NULL;
    ctx_run_posts();
    for (unsigned i = 0; i < 4; i++)
        cr_assert(ctx_is_quiet(&callers[i].ctx));
    cr_assert_null(cpu.posts);
}

static void post_start(void)
{
    ctx_post(&callers[1].ctx, CTX_OP_START);
    at_interrupt = NULL;
}

Test(ctx, what_is_posted_during_the_work_is_not_lost)
{
    callers[1].ctx.state = CTX_NEW;
    ctx_post(&callers[1].ctx, CTX_OP_RECALL); /* the last in the queue is the first to be worked for */
    ctx_post(&callers[0].ctx, CTX_OP_RECALL);
    at_interrupt = post_start;
    world_exit();
    cr_assert_eq(callers[1].ctx.state, CTX_READY);
    cr_assert(ctx_is_quiet(&callers[1].ctx));
}

Test(ctx, one_interrupt_for_many_posts)
{
    callers[0].ctx.cpu = callers[1].ctx.cpu = 1;
    for (unsigned i = 0; i < 10; i++)
        ctx_post(&callers[0].ctx, CTX_OP_RECALL);
    cr_assert_eq(kicks, 1);
    ctx_post(&callers[0].ctx, CTX_OP_WAKE);
    cr_assert_eq(kicks, 1);
    ctx_post(&callers[1].ctx, CTX_OP_PORTAL_GONE | CTX_OP_UNSCHED); /* a grace period follows */
    cr_assert_eq(kicks, 1);
    ctx_post(&callers[1].ctx, CTX_OP_KILL);
    cr_assert_eq(kicks, 2);
}

/* Nobody who runs pays for what is done for others. */
Test(ctx, posted_work_is_billed_to_its_context)
{
    sched_enqueue(&scheds[0]);
    sched_pick();
    for (unsigned i = 1; i < 101; i++)
        ctx_post(&callers[i].ctx, CTX_OP_RECALL);
    ctx_run_posts();
    cr_assert_geq(scheds[1].consumed, 1);
    cr_assert_geq(scheds[100].consumed, 1);
    sched_yield();
    cr_assert_lt(scheds[0].consumed, 50);
}

/* A recall is posted only to who is blocked where a recall reaches. */
Test(ctx, recalls_without_effect)
{
    static struct vcpu v = { .ctx.flags = CTX_FLAG_VCPU };
    struct ctx *c = &callers[0].ctx;

    for (enum ctx_state s = CTX_NEW; s <= CTX_STOPPED; s++) {
        bool blocked = s == CTX_CALLING || s == CTX_HELPING || s == CTX_REMOTE || s == CTX_WAITING;

        c->state = (u8)s;
        c->flags = 0;
        cr_assert_eq(ctx_heeds_recall(c), blocked, "state %u", s);
        c->flags = CTX_FLAG_EXIT;
        cr_assert_not(ctx_heeds_recall(c), "state %u, in an exception", s);
    }
    cr_assert(ctx_heeds_recall(&v.ctx));
    v.recalled = true;
    cr_assert_not(ctx_heeds_recall(&v.ctx));
}

/* ---- Calls between CPUs: to the handler's CPU they look the same when the caller's is that one, too ---- */

Test(ctx, a_remote_call)
{
    callers[0].ctx.regs.rsi = 7;
    world_call_remotely(0, 0);
    world_exit();
    cr_assert_eq(cpu.current, &handler.ctx);
    cr_assert_eq(handler.ctx.regs.rsi, 7);
    world_reply(8);
    cr_assert_eq(callers[0].ctx.state, CTX_READY);
    cr_assert_eq(callers[0].ctx.regs.rsi, 8);
    cr_assert_eq(callers[0].ctx.regs.rax, CB_OK);
    cr_assert_eq(handler_sched.state, SCHED_PARKED);
}

/* To call and break off, again and again, interrupts the handler's CPU once, until its scheduler has looked. */
Test(ctx, calls_that_are_broken_off_at_once)
{
    handler.ctx.cpu = portals[0].cpu = 1;
    for (unsigned n = 0; n < 100; n++) {
        world_call_remotely(0, 0);
        cr_assert(remote_leave(&callers[0].ctx));
        callers[0].ctx.state = CTX_READY;
        other.posts = NULL; /* it has seen the post; a scheduling context of higher priority runs */
        handler.ctx.post_ops = 0;
    }
    cr_assert_eq(kicks, 1);
}

Test(ctx, after_a_rest_the_handler_is_told_again)
{
    for (unsigned n = 0; n < 3; n++) {
        world_call_remotely(n, 0);
        cr_assert(remote_leave(&callers[n].ctx));
        callers[n].ctx.state = CTX_READY;
        world_exit();
        cr_assert_eq(handler_sched.state, SCHED_PARKED);
        cr_assert_not(handler.remote.called);
    }
    world_call_remotely(4, 0);
    world_exit();
    cr_assert_eq(handler.remote.serving, &callers[4].ctx);
}

Test(ctx, only_calls_through_the_dying_portal_are_broken_off)
{
    for (unsigned i = 0; i < 8; i++)
        world_call_remotely(i, i % 2);
    portals[1].obj.dying = true;
    cr_assert(remote_close_portal(&portals[1]));
    at_interrupt = NULL;
    ctx_run_posts();
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(callers[i].ctx.state, i % 2 ? CTX_READY : CTX_REMOTE, "caller %u", i);
        cr_assert_eq(callers[i].ctx.remote.state, i % 2 ? REMOTE_LOST : REMOTE_QUEUED);
        if (i % 2)
            cr_assert_eq(callers[i].ctx.regs.rax, FAULT(ABORTED, 0));
    }
}

/* Those that are dying are unlinked, and neither served nor answered. */
Test(ctx, dying_callers_are_not_served)
{
    world_call_remotely(0, 0);
    world_call_remotely(1, 0);
    callers[0].ctx.obj.dying = true;
    world_exit();
    cr_assert_eq(handler.remote.serving, &callers[1].ctx);
    cr_assert_eq(callers[0].ctx.remote.state, REMOTE_LOST);
    callers[1].ctx.obj.dying = true;
    handler.ctx.state = CTX_IDLE;
    cpu.current = NULL;
    remote_reply(&handler.ctx, &(struct regs){ .rsi = 9 });
    cr_assert_neq(callers[1].ctx.regs.rsi, 9);
    cr_assert_eq(callers[1].ctx.remote.state, REMOTE_LOST);
    cr_assert(ctx_is_quiet(&callers[1].ctx));
    cr_assert_null(handler.remote.serving);
}

/* A handler whose caller is broken off goes on, on its own scheduling context. */
Test(ctx, a_handler_that_loses_its_caller_goes_on)
{
    struct ctx *c = &callers[0].ctx;

    c->state = CTX_CALLING;
    c->callee = &handler.ctx;
    handler.ctx.caller = c;
    handler.ctx.state = CTX_WAITING; /* blocked, and both scheduling contexts parked on it */
    scheds[0].state = SCHED_PARKED;
    list_append(&handler.ctx.helpers, &scheds[0].node);
    list_append(&handler.ctx.helpers, &handler_sched.node);
    handler.ctx.state = CTX_READY;
    ctx_abort(c);
    cr_assert_eq(c->state, CTX_READY);
    cr_assert_eq(c->regs.rax, FAULT(ABORTED, 0));
    cr_assert_null(handler.ctx.caller);
    sched_dequeue(&scheds[0]);
    world_exit();
    cr_assert_eq(cpu.current, &handler.ctx);
    cr_assert_eq(cpu.sched, &handler_sched);
}

/* The same in the middle of a chain: what it runs on has been parked on itself, not at the chain's end. */
Test(ctx, a_handler_in_a_call_that_loses_its_caller_goes_on)
{
    struct ctx *c = &callers[0].ctx, *next = &callers[1].ctx;

    c->state = CTX_CALLING;
    c->callee = &handler.ctx;
    handler.ctx.caller = c;
    handler.ctx.state = CTX_CALLING;
    handler.ctx.callee = next;
    next->caller = &handler.ctx;
    list_append(&handler.ctx.helpers, &handler_sched.node);
    ctx_abort(c);
    world_exit();
    cr_assert_eq(cpu.sched, &handler_sched);
    cr_assert_eq(cpu.current, next);
}

static void post_to_handler(void)
{
    ctx_post(&handler.ctx, CTX_OP_RECALL);
    at_interrupt = NULL;
}

/* Something is done for a context, with interrupts open in between, and more comes for it. */
Test(ctx, what_is_posted_to_one_that_is_being_worked_for)
{
    world_call(0, 0);
    world_call(1, 1);
    handler.dead_portals = &portals[1];
    ctx_post(&handler.ctx, CTX_OP_PORTAL_GONE);
    at_interrupt = post_to_handler;
    ctx_run_posts();
    cr_assert_eq(callers[1].ctx.regs.rax, FAULT(ABORTED, 0));
    cr_assert_eq(handler.ctx.post_ops, CTX_OP_RECALL);
    cr_assert_eq(cpu.posts, &handler.ctx);
    cr_assert(cpu_hazards() & HAZARD_POSTS);
}

Test(ctx, calls_come_by_priority)
{
    static const u8 priorities[] = { 5, 20, 10, 20 };
    static const unsigned order[] = { 1, 3, 2, 0 };

    for (unsigned i = 0; i < 4; i++) {
        scheds[i].priority = priorities[i];
        scheds[i].bit = 1ull << priorities[i];
        world_call_remotely(i, 0);
    }
    world_exit();
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(handler.remote.serving, &callers[order[i]].ctx);
        world_reply(i);
        sched_dequeue(&scheds[order[i]]);
        world_exit();
    }
}

Test(ctx, all_of_a_message)
{
    struct regs *r = &callers[0].ctx.regs;

    *r = (struct regs){ .rsi = 1, .rdx = 2, .r8 = 3, .r9 = 4 };
    world_call_remotely(0, 0);
    world_exit();
    cr_assert(handler.ctx.regs.rsi == 1 && handler.ctx.regs.rdx == 2 && handler.ctx.regs.r8 == 3 && handler.ctx.regs.r9 == 4);
    handler.ctx.state = CTX_IDLE;
    cpu.current = NULL;
    remote_reply(&handler.ctx, &(struct regs){ .rsi = 5, .rdx = 6, .r8 = 7, .r9 = 8 });
    world_exit();
    cr_assert(r->rsi == 5 && r->rdx == 6 && r->r8 == 7 && r->r9 == 8);
    cr_assert_eq(r->rax, CB_OK);
}

/* Whoever destroys it has broken off what was queued, and nothing comes afterwards. */
Test(ctx, no_call_begins_at_a_dying_portal)
{
    world_run(0);
    portals[1].obj.dying = true;
    cr_assert_eq(remote_call(&callers[0].ctx, &portals[1], false), FAULT(ABORTED, 0));
    cr_assert(list_empty(&portals[1].callers));
    cr_assert_eq(callers[0].ctx.state, CTX_READY);
}

/* ---- Calls that upcalls interrupt ---- */

/* A vCPU whose call has been interrupted, and is being handled; its registers have had another use since. */
static struct ctx *interrupted(void)
{
    struct vcpu *v = world_vcpu();
    struct ctx *c = &v->ctx;

    c->regs.rsi = 7;
    cr_assert_eq(remote_call(c, &portals[0], true), CALL_BLOCKED);
    remote_interrupt(c);
    cr_assert_eq(c->state, CTX_READY);
    cr_assert_eq(c->regs.rax, FAULT(INTERRUPTED, 0));
    c->regs.rsi = 1;
    sched_dequeue(c->sched); /* halted */
    world_exit();
    cr_assert_eq(cpu.current, &handler.ctx);
    cr_assert_eq(handler.ctx.regs.rsi, 7);
    return c;
}

Test(ctx, a_reply_waits_for_the_vcpu)
{
    struct ctx *c = interrupted();

    world_reply(8);
    cr_assert_eq(c->regs.rsi, 1);
    cr_assert_eq(remote_resume(c), CB_OK);
    cr_assert_eq(c->regs.rsi, 8);
    cr_assert_eq(remote_resume(c), FAULT(EMPTY, 0));
}

Test(ctx, a_dropped_call_is_not_answered)
{
    struct ctx *c = interrupted();

    cr_assert_eq(remote_drop(c), CB_OK);
    world_reply(8);
    cr_assert_eq(c->regs.rsi, 1);
    cr_assert_eq(remote_resume(c), FAULT(EMPTY, 0));
    cr_assert_eq(remote_drop(c), CB_OK);
}

Test(ctx, a_call_while_the_reply_is_being_written_is_made_again)
{
    struct ctx *c = interrupted();

    handler.remote.serving = NULL; /* begin_reply(), on another CPU */
    list_remove(&c->remote.node);
    c->remote.state = REMOTE_REPLYING;
    cr_assert_eq(remote_drop(c), CALL_AGAIN);
    cr_assert_eq(remote_call(c, &portals[0], false), CALL_AGAIN);
    cr_assert(c->remote.outstanding);
    c->remote.state = REMOTE_REPLIED;
    cr_assert_eq(remote_drop(c), CB_OK);
    cr_assert_not(c->remote.outstanding);
}

Test(ctx, an_outstanding_call_ends_with_its_vcpu)
{
    struct ctx *c = interrupted();

    ctx_kill(c);
    cr_assert_null(handler.remote.serving);
    cr_assert_eq(c->remote.state, REMOTE_LOST);
    world_exit();
    world_reply(8);
    cr_assert(ctx_is_quiet(c));
}

Test(ctx, a_recall_breaks_an_outstanding_call_off)
{
    struct ctx *c = interrupted();

    remote_recall(c);
    cr_assert_null(handler.remote.serving);
    cr_assert_eq(remote_resume(c), FAULT(ABORTED, 0));
    cr_assert_eq(remote_resume(c), FAULT(EMPTY, 0));
}

/* An upcall that is due when the wait begins is not waited for. */
Test(ctx, an_upcall_before_the_wait)
{
    struct vcpu *v = world_vcpu();

    v->hazards = VCPU_HAZARD_UPCALL;
    cr_assert_eq(remote_call(&v->ctx, &portals[0], true), FAULT(INTERRUPTED, 0));
    cr_assert_eq(v->ctx.state, CTX_READY);
    cr_assert_eq(remote_resume(&v->ctx), FAULT(INTERRUPTED, 0));
    v->hazards = 0;
    cr_assert_eq(remote_resume(&v->ctx), CALL_BLOCKED);
    world_exit();
    world_reply(8);
    cr_assert_eq(v->ctx.state, CTX_READY);
    cr_assert_eq(v->ctx.regs.rsi, 8);
}
