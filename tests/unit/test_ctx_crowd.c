/* SPDX-License-Identifier: GPL-2.0-only */
/* Many who wait for one handler, on the host. */
#include "ctx_world.h"

#include <criterion/criterion.h>

#include "helpers.h"
#include "random.h"
#include "runqueue.h"

TestSuite(crowd, .init = world_init);

#define STEPS_MAX 20u /* looks at the clock, for what is to take the same time for one as for a thousand */

/* ---- The list ---- */

#define ELEMENTS 40u

static struct sched elements[ELEMENTS];
static struct list head;

/* Takes all out, in order: by priority, and equals as they came (`left` says when). */
static unsigned drain(void)
{
    struct sched *last = NULL;
    unsigned n = 0;

    while (!list_empty(&head)) {
        struct sched *s = helpers_lead(&head);

        cr_assert(list_empty(&s->equals) && list_empty(&s->node) && list_empty(&head));
        helpers_merge(&head, s);
        if (last)
            cr_assert(s->priority < last->priority || (s->priority == last->priority && s->left > last->left));
        last = s;
        n++;
    }
    return n;
}

Test(crowd, a_list_of_helpers)
{
    list_init(&head);
    for (unsigned i = 0; i < ELEMENTS; i++) {
        elements[i].priority = (u8)random_below(6);
        list_init(&elements[i].node);
        list_init(&elements[i].equals);
        list_init(&elements[i].followers);
    }
    for (unsigned round = 0, clock = 0; round < 200; round++) {
        bool in[ELEMENTS] = { false };
        unsigned count = 0;

        for (unsigned n = 0; n < 100; n++) {
            unsigned i = (unsigned)random_below(ELEMENTS);

            if (in[i]) {
                helpers_remove(&elements[i]);
                cr_assert(list_empty(&elements[i].node) && list_empty(&elements[i].equals));
            } else {
                elements[i].left = ++clock;
                helpers_insert(&head, &elements[i]);
            }
            in[i] = !in[i];
            count += in[i] ? 1 : -1u;
            for (struct list *l = head.next; l != &head && l->next != &head; l = l->next)
                cr_assert_gt(helpers_of(l)->priority, helpers_of(l->next)->priority, "a place for each priority");
        }
        cr_assert_eq(drain(), count);
    }
}

/* ---- Handlers ---- */

/* All callers but the first, which is served, wait for a handler that sits in `wait`. */
static void crowd(void)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        sched_enqueue(&scheds[i]);
        sched_pick();
        cr_assert_eq(cpu.current, &callers[i].ctx);
        world_call(i, i % 2);
        if (i == 0)
            cr_assert_eq(ctx_block(&handler.ctx, CTX_WAITING), CALL_BLOCKED);
        world_exit();
    }
    world_check();
    cr_assert_null(cpu.sched);
    cr_assert_eq(queue_length(), 0);
}

/* A signal for the handler puts one of a thousand into the run queue; and so it is when it waits again. */
Test(crowd, a_handler_wakes_and_waits_again)
{
    crowd();
    for (unsigned round = 0; round < 50; round++) {
        clock_reads = 0;
        handler.ctx.state = CTX_READY;
        ctx_unblock(&handler.ctx);
        cr_assert_leq(queue_length(), 1);
        world_check();
        world_exit();
        cr_assert_eq(cpu.current, &handler.ctx);
        cr_assert_eq(ctx_block(&handler.ctx, CTX_WAITING), CALL_BLOCKED);
        world_exit();
        cr_assert_null(cpu.sched);
        cr_assert_eq(queue_length(), 0);
        cr_assert_lt(clock_reads, STEPS_MAX);
        world_check();
    }
}

/* A better one among many of lower priority is the one that runs the handler. */
Test(crowd, the_best_runs_the_handler)
{
    scheds[500].priority = 90;
    scheds[500].bit = 1ull << 90 % 64;
    crowd();
    handler.ctx.state = CTX_READY;
    ctx_unblock(&handler.ctx);
    world_exit();
    cr_assert_eq(cpu.current, &handler.ctx);
    cr_assert_eq(cpu.sched, &scheds[500]);
    world_answer();
    world_exit();
    cr_assert_eq(retried, &callers[500].ctx);
}

/*
 * A handler with a scheduling context of its own rests on that while it serves a caller of its CPU. When it waits, and goes
 * on, the better one of the two runs it.
 */
Test(crowd, a_caller_better_than_the_handlers_own)
{
    scheds[0].priority = 20;
    scheds[0].bit = 1ull << 20;
    sched_enqueue(&handler_sched);
    world_exit();
    cr_assert_eq(handler_sched.state, SCHED_PARKED);
    sched_enqueue(&scheds[0]);
    world_exit();
    world_call(0, 0);
    cr_assert_eq(ctx_block(&handler.ctx, CTX_WAITING), CALL_BLOCKED);
    world_exit();
    handler.ctx.state = CTX_READY;
    ctx_unblock(&handler.ctx);
    cr_assert_eq(runqueue_first(&cpu.runqueue), &scheds[0]);
    world_exit();
    cr_assert_eq(cpu.current, &handler.ctx);
    cr_assert_eq(cpu.sched, &scheds[0]);
}

/* A thousand find the handler waiting again, one by one: interrupts are taken in between, whatever was found before them. */
Test(crowd, a_handler_waits_again_for_another_caller)
{
    for (unsigned before = 0; before < 2; before++) {
        world_init();
        crowd();
        handler.ctx.state = CTX_READY;
        ctx_unblock(&handler.ctx);
        world_exit();
        world_answer();
        sched_dequeue(&scheds[0]);
        world_exit();
        cr_assert_eq(handler.ctx.caller, &callers[1].ctx);
        cr_assert_eq(ctx_block(&handler.ctx, CTX_WAITING), CALL_BLOCKED);
        if (before) {
            handler_sched.priority = 90;
            handler_sched.bit = 1ull << 90 % 64;
            sched_enqueue(&handler_sched);
        }
        interrupts = 0;
        world_exit();
        cr_assert_eq(queue_length(), 0);
        cr_assert_geq(interrupts, CALLERS / 16 - 1, "%u, taken %u times", before, interrupts);
    }
}

/* All get their turn, in the order in which they came; each makes its call itself, without a moment out of it. */
Test(crowd, all_are_served)
{
    crowd();
    handler.ctx.state = CTX_READY;
    ctx_unblock(&handler.ctx);
    for (unsigned i = 0; i < CALLERS; i++) {
        world_exit();
        cr_assert_eq(cpu.current, &handler.ctx, "call %u", i);
        cr_assert(i == 0 || retried == handler.ctx.caller);
        world_answer();
        if (cpu.sched)
            sched_dequeue(cpu.sched); /* the caller has come to its end */
        world_exit();
        world_check();
    }
    for (unsigned i = 0; i < CALLERS; i++)
        cr_assert_eq(callers[i].ctx.state, CTX_READY);
}

/* A portal dies: those who wait for it, and they alone, hear of it, with interrupts taken in between. */
Test(crowd, the_waiters_for_a_dead_portal)
{
    crowd();
    handler.dead_portals = &portals[1];
    ctx_post(&handler.ctx, CTX_OP_PORTAL_GONE);
    world_exit();
    for (unsigned i = 1; i < CALLERS; i++) {
        cr_assert_eq(callers[i].ctx.state, i % 2 ? CTX_READY : CTX_HELPING, "caller %u", i);
        if (i % 2)
            cr_assert_eq(callers[i].ctx.regs.rax, FAULT(ABORTED, 0));
    }
    cr_assert_eq(callers[0].ctx.state, CTX_CALLING);
    cr_assert_geq(interrupts, CALLERS / 2);
    world_check();
}

Test(crowd, the_caller_through_a_dead_portal)
{
    crowd();
    handler.dead_portals = &portals[0];
    ctx_post(&handler.ctx, CTX_OP_PORTAL_GONE);
    world_exit();
    for (unsigned i = 0; i < CALLERS; i++)
        cr_assert_eq(callers[i].ctx.state, i % 2 ? CTX_HELPING : CTX_READY, "caller %u", i);
    cr_assert_null(handler.ctx.caller);
    world_check();
}

Test(crowd, the_waiters_for_a_dead_handler)
{
    crowd();
    ctx_post(&handler.ctx, CTX_OP_KILL);
    world_exit();
    for (unsigned i = 0; i < CALLERS; i++) {
        cr_assert_eq(callers[i].ctx.state, CTX_READY, "caller %u", i);
        cr_assert_eq(callers[i].ctx.regs.rax, FAULT(ABORTED, 0));
    }
    cr_assert_geq(interrupts, CALLERS - 1);
    world_check();
}

/* Nobody is forgotten, whatever happens while scheduling contexts follow one another. */
Test(crowd, random_lives)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        scheds[i].priority = (u8)(10 + random_below(3));
        scheds[i].bit = 1ull << scheds[i].priority;
    }
    for (unsigned i = 0; i < 30; i++)
        sched_enqueue(&scheds[i]);
    for (unsigned n = 0; n < 20000; n++) {
        unsigned i = (unsigned)random_below(30), what = (unsigned)random_below(8);

        world_exit();
        if (what == 0 && ctx_heeds_recall(&callers[i].ctx)) {
            ctx_post(&callers[i].ctx, CTX_OP_RECALL);
        } else if (what == 1 && handler.ctx.state == CTX_WAITING) {
            handler.ctx.state = CTX_READY;
            ctx_unblock(&handler.ctx);
        } else if (what == 2 && cpu.sched) {
            sched_yield();
        } else if (cpu.current == &handler.ctx && what & 1) {
            cr_assert_eq(ctx_block(&handler.ctx, CTX_WAITING), CALL_BLOCKED);
        } else if (cpu.current == &handler.ctx) {
            world_answer();
        } else if (cpu.current) {
            world_call((unsigned)(thread_of(cpu.current) - callers), what & 1);
        }
        world_check();
    }
}
