/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signalling takes no lock but that of the post (ctx.c). A thread that is about to wait publishes itself
 * (receiver), then looks once more for badge bits and for the end of the event; whoever signals or kills writes
 * that first and then looks for a receiver. All sequentially consistent: one of them sees the other. A receiver's
 * memory outlives whoever has found it (reap.c). Models: tests/model/event.pml (threads), bind.pml (vCPUs).
 */
#include "event.h"

#include <corbel/event.h>

#include "call.h"
#include "irq.h"
#include "log.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

/*
 * Sets the badge bits, for a thread to take; NULL: none waits. A vCPU that has been bound meanwhile is the receiver, too;
 * the bits stay then, since others may be among them by now: event_unbind().
 */
static struct ctx *event_set(struct event *e, u64 badge)
{
    atomic_fetch_or(&e->pending, badge);
    return atomic_load(&e->receiver);
}

void event_signal(struct event *e, u64 badge)
{
    struct ctx *receiver = atomic_load(&e->receiver);

    atomic_fetch_add_explicit(&e->signals, 1, memory_order_relaxed);
    if (!receiver || !ctx_is_vcpu(receiver))
        receiver = event_set(e, badge);
    if (receiver && ctx_is_vcpu(receiver))
        vcpu_signal(vcpu_of(receiver), e->port);
    else if (receiver)
        ctx_post(receiver, CTX_OP_WAKE);
}

/* The thread that waits for the event, on this CPU, gets these bits of it. */
static inline void event_give_now(struct event *e, struct ctx *waiter, u64 bits)
{
    atomic_store_explicit(&e->receiver, NULL, memory_order_release);
    waiter->event = NULL;
    waiter->regs.rsi = bits;
    waiter->regs.rax = CB_OK;
    waiter->state = CTX_READY;
    ctx_unblock(waiter);
}

static NOINLINE void event_give_in_time(struct event *e, struct ctx *waiter, u64 bits)
{
    timerq_remove(&cpu.timers, &waiter->timer);
    event_give_now(e, waiter, bits);
}

static inline void event_give(struct event *e, struct ctx *waiter, u64 bits)
{
    if (waiter->timer.queued)
        event_give_in_time(e, waiter, bits);
    else
        event_give_now(e, waiter, bits);
}

void event_signal_here(struct event *e, u64 badge)
{
    struct ctx *receiver = atomic_load(&e->receiver);

    if (!receiver || receiver->cpu != cpu.id || receiver->state != CTX_WAITING) {
        event_signal(e, badge);
        return;
    }
    atomic_fetch_add_explicit(&e->signals, 1, memory_order_relaxed);
    if (ctx_is_vcpu(receiver))
        vcpu_signal_here(vcpu_of(receiver), e->port);
    else
        event_give(e, receiver, atomic_exchange(&e->pending, 0) | badge);
}

/*
 * The badge stands beside the slot's word: if the word is the same before and after, it belongs to it (at worst to
 * another capability to the same event at the same place). The linear table may show an old translation (call.c):
 * then the slot itself.
 */
static u64 signal_badge(u32 sel, u64 word)
{
    const struct slot *s = caps_linear(sel);
    u64 badge = __atomic_load_n(&s->badge, __ATOMIC_ACQUIRE);

    if (slot_word(s) != word) {
        s = slot_find(cpu_domain(), sel);
        badge = __atomic_load_n(&s->badge, __ATOMIC_ACQUIRE);
        if (slot_word(s) != word)
            return 0; /* the capability has just gone */
    }
    return badge;
}

static NOINLINE status_t signal_slow(struct regs *r)
{
    u64 badge, word;
    status_t status = call_target(r, CB_TYPE_EVENT, CB_RIGHT_SIGNAL, &word);

    if (status)
        return status;
    badge = signal_badge(CALL_SEL(r), word);
    if (!badge)
        return FAULT(BAD_CAP, 0);
    event_signal_here(slot_word_object(word), badge);
    return CB_OK;
}

status_t event_do_signal(struct regs *r)
{
    const struct slot *s = caps_linear(CALL_SEL(r));
    u64 word = slot_word(s), badge = __atomic_load_n(&s->badge, __ATOMIC_ACQUIRE);

    if (CALL_FLAGS(r) || !badge || slot_word(s) != word || !slot_word_is(word, CB_TYPE_EVENT, CB_RIGHT_SIGNAL))
        return signal_slow(r);
    event_signal_here(slot_word_object(word), badge);
    return CB_OK;
}

void event_leave(struct ctx *waiter)
{
    atomic_store_explicit(&waiter->event->receiver, NULL, memory_order_release);
    waiter->event = NULL;
    if (waiter->timer.queued)
        timerq_remove(&cpu.timers, &waiter->timer);
}

void event_wake(struct ctx *waiter)
{
    u64 bits;

    if (waiter->state != CTX_WAITING || !waiter->event)
        return;
    bits = atomic_exchange(&waiter->event->pending, 0);
    if (bits)
        event_give(waiter->event, waiter, bits);
}

void event_timeout(struct ctx *waiter)
{
    event_wake(waiter); /* bits that came at the last moment */
    if (waiter->state != CTX_WAITING || !waiter->event)
        return;
    event_leave(waiter);
    ctx_finish(waiter, FAULT(TIMEOUT, 0));
}

static inline bool event_has_news(struct event *e)
{
    return atomic_load(&e->pending) || __atomic_load_n(&e->obj.dying, __ATOMIC_SEQ_CST);
}

/* The caller, who has claimed the event, takes what is pending, or else says that it does not wait: then with `status`. */
static NOINLINE status_t event_take(struct ctx *c, struct regs *r, status_t status)
{
    u64 bits = atomic_exchange(&c->event->pending, 0);

    event_leave(c);
    if (!bits)
        return status;
    r->rsi = bits;
    return CB_OK;
}

static NOINLINE status_t event_wait_any(struct regs *r)
{
    struct ctx *c = cpu.current, *nobody = NULL;
    struct event *e;
    u64 word;
    status_t status;

    if (ctx_is_vcpu(c))
        return FAULT(BAD_CALL, 0);
    status = call_lookup(CALL_SEL(r), CB_TYPE_EVENT, CB_RIGHT_WAIT, 0, &word);
    if (status)
        return status;
    if (CALL_FLAGS(r) & ~CB_WAIT_POLL)
        return FAULT(BAD_PARAM, 0);
    e = slot_word_object(word);
    if (!atomic_compare_exchange_strong(&e->receiver, &nobody, c))
        return FAULT(BUSY, 0);
    c->event = e;
    if (CALL_FLAGS(r) & CB_WAIT_POLL)
        return event_take(c, r, FAULT(EMPTY, 0));
    if (event_has_news(e))
        return event_take(c, r, FAULT(ABORTED, 0));
    if (r->rsi <= rdtsc())
        return event_take(c, r, FAULT(TIMEOUT, 0));
    if (r->rsi != CB_DEADLINE_NONE) {
        c->timer.kind = TIMER_WAIT;
        timerq_insert(&cpu.timers, &c->timer, r->rsi);
        timer_need(r->rsi);
    }
    return ctx_block(c, CTX_WAITING);
}

/* What is most frequent comes first: a thread that waits without a deadline. */
status_t event_wait(struct regs *r)
{
    struct ctx *c = cpu.current, *nobody = NULL;
    u64 word = slot_word(caps_linear(CALL_SEL(r)));
    struct event *e = slot_word_object(word);

    if (!slot_word_is(word, CB_TYPE_EVENT, CB_RIGHT_WAIT) || CALL_FLAGS(r) || r->rsi != CB_DEADLINE_NONE ||
        ctx_is_vcpu(c) || !atomic_compare_exchange_strong(&e->receiver, &nobody, c))
        return event_wait_any(r);
    c->event = e;
    if (event_has_news(e))
        return event_take(c, r, FAULT(ABORTED, 0));
    return ctx_block(c, CTX_WAITING);
}

/* What is pending was for the vCPU, which has been told. */
void event_unbind(struct event *e)
{
    list_remove(&e->vcpu_node);
    atomic_store(&e->pending, 0);
    atomic_store(&e->receiver, NULL);
}

void event_kill(struct event *e)
{
    struct ctx *receiver;

    /* set by the reaper: seen before `receiver` is read */
    __atomic_store_n(&e->obj.dying, e->obj.dying, __ATOMIC_SEQ_CST);
    receiver = atomic_load(&e->receiver);
    if (receiver && ctx_is_vcpu(receiver))
        event_unbind(e);
    else if (receiver)
        ctx_post(receiver, CTX_OP_EVENT_GONE);
    irq_event_kill(e);
    log_event_kill(e);
}

static status_t event_create_locked(struct regs *r)
{
    struct account *account;
    struct event *e;
    struct slot *dst;
    status_t status = call_account(CALL_SEL(r), &account);

    if (!status)
        status = call_destination(r->rsi, 1, &dst);
    if (status)
        return status;
    e = account_object(account, sizeof(*e), CB_TYPE_EVENT);
    if (!e)
        return FAULT(NO_MEMORY, 0);
    list_init(&e->vcpu_node);
    call_install(dst, &e->obj, 1);
    return CB_OK;
}

CALL_LOCKED(event_create)

static status_t event_bind_locked(struct regs *r)
{
    struct ctx *receiver;
    struct event *e;
    struct vcpu *v;
    u64 word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_EVENT, CB_RIGHT_WAIT, 0, &word);

    if (status)
        return status;
    e = slot_word_object(word);
    if (HIGH(r->rsi))
        return FAULT(BAD_PARAM, 1);
    status = call_lookup(LOW(r->rsi), CB_TYPE_VCPU, CB_RIGHT_CONTROL, 1, &word);
    if (status)
        return status;
    v = slot_word_object(word);
    if (e->obj.dying || v->ctx.obj.dying)
        return FAULT(DYING, e->obj.dying ? 0 : 1);
    if (r->rdx == CB_PORT_TIMER || r->rdx >= CB_PORTS)
        return FAULT(BAD_PARAM, 2);
    receiver = atomic_load(&e->receiver);
    if (receiver && (!ctx_is_vcpu(receiver) || e->port != r->rdx)) /* who signals reads both */
        return FAULT(BUSY, 0);
    e->port = (u32)r->rdx;
    if (!atomic_compare_exchange_strong(&e->receiver, &receiver, &v->ctx))
        return FAULT(BUSY, 0);
    list_remove(&e->vcpu_node);
    list_append(&v->events, &e->vcpu_node);
    if (atomic_exchange(&e->pending, 0)) /* what was signalled before is not lost */
        vcpu_signal(v, e->port);
    return CB_OK;
}

CALL_LOCKED(event_bind)
