/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signalling takes no lock but that of the post (ctx.c). A thread that is about to wait publishes itself
 * (receiver), then looks once more for badge bits and for the end of the event; whoever signals or kills writes
 * that first and then looks for a receiver. All sequentially consistent: one of them sees the other.
 */
#include "event.h"

#include <corbel/event.h>

#include "account.h"
#include "call.h"
#include "caps.h"
#include "cpu.h"
#include "ctx.h"
#include "irq.h"
#include "log.h"
#include "reap.h"
#include "timer.h"
#include "vcpu.h"
#include "x86.h"

void event_signal(struct event *e, u64 badge)
{
    struct ctx *receiver = atomic_load(&e->receiver);

    atomic_fetch_add_explicit(&e->signals, 1, memory_order_relaxed);
    if (!receiver || !ctx_is_vcpu(receiver)) {
        atomic_fetch_or(&e->pending, badge);
        receiver = atomic_load(&e->receiver);
        if (!receiver)
            return;
        if (!ctx_is_vcpu(receiver)) {
            ctx_post(receiver, CTX_OP_WAKE);
            return;
        }
        atomic_store(&e->pending, 0); /* bound in between */
    }
    vcpu_signal(vcpu_of(receiver), e->port);
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

status_t event_do_signal(struct regs *r)
{
    u64 badge, word;
    status_t status = call_lookup(CALL_SEL(r), CB_TYPE_EVENT, CB_RIGHT_SIGNAL, 0, &word);

    if (status)
        return status;
    if (CALL_FLAGS(r))
        return FAULT(BAD_PARAM, 0);
    badge = signal_badge(CALL_SEL(r), word);
    if (!badge)
        return FAULT(BAD_CAP, 0);
    event_signal(slot_word_object(word), badge);
    return CB_OK;
}

void event_leave(struct ctx *waiter)
{
    atomic_store(&waiter->event->receiver, NULL);
    waiter->event = NULL;
    timerq_remove(&cpu.timers, &waiter->timer);
}

void event_wake(struct ctx *waiter)
{
    u64 bits;

    if (waiter->state != CTX_WAITING || !waiter->event)
        return;
    bits = atomic_exchange(&waiter->event->pending, 0);
    if (!bits)
        return;
    event_leave(waiter);
    waiter->regs.rsi = bits;
    ctx_finish(waiter, CB_OK);
}

void event_timeout(struct ctx *waiter)
{
    event_wake(waiter); /* bits that came at the last moment */
    if (waiter->state != CTX_WAITING || !waiter->event)
        return;
    event_leave(waiter);
    ctx_finish(waiter, FAULT(TIMEOUT, 0));
}

/* Puts the caller to sleep on `e`, unless something happens meanwhile. */
static status_t event_sleep(struct ctx *c, struct event *e, struct regs *r)
{
    struct ctx *nobody = NULL;
    u64 deadline = r->rsi, bits;

    if (!atomic_compare_exchange_strong(&e->receiver, &nobody, c))
        return FAULT(BUSY, 0);
    c->event = e;
    bits = atomic_exchange(&e->pending, 0);
    if (bits || __atomic_load_n(&e->obj.dying, __ATOMIC_SEQ_CST)) {
        event_leave(c);
        r->rsi = bits ? bits : r->rsi;
        return bits ? CB_OK : FAULT(ABORTED, 0);
    }
    c->timer.kind = TIMER_WAIT;
    if (deadline != CB_DEADLINE_NONE) {
        timerq_insert(&cpu.timers, &c->timer, deadline);
        timer_need(deadline);
    }
    ctx_block(c, CTX_WAITING);
    return CALL_BLOCKED;
}

status_t event_wait(struct regs *r)
{
    struct ctx *c = cpu.current;
    struct event *e;
    u64 word, bits;
    status_t status;

    if (ctx_is_vcpu(c))
        return FAULT(BAD_CALL, 0);
    status = call_lookup(CALL_SEL(r), CB_TYPE_EVENT, CB_RIGHT_WAIT, 0, &word);
    if (status)
        return status;
    if (CALL_FLAGS(r) & ~CB_WAIT_POLL)
        return FAULT(BAD_PARAM, 0);
    e = slot_word_object(word);
    if (atomic_load(&e->receiver))
        return FAULT(BUSY, 0);
    bits = atomic_exchange(&e->pending, 0);
    if (bits) {
        r->rsi = bits;
        return CB_OK;
    }
    if (CALL_FLAGS(r) & CB_WAIT_POLL)
        return FAULT(EMPTY, 0);
    if (r->rsi <= rdtsc())
        return FAULT(TIMEOUT, 0);
    return event_sleep(c, e, r);
}

void event_unbind(struct event *e)
{
    list_remove(&e->vcpu_node);
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

status_t event_create(struct regs *r)
{
    return call_locked(r, event_create_locked);
}

static status_t event_bind_locked(struct regs *r)
{
    struct ctx *nobody = NULL;
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
    if (atomic_load(&e->receiver))
        return FAULT(BUSY, 0);
    e->port = (u32)r->rdx;
    if (!atomic_compare_exchange_strong(&e->receiver, &nobody, &v->ctx))
        return FAULT(BUSY, 0);
    list_append(&v->events, &e->vcpu_node);
    if (atomic_exchange(&e->pending, 0)) /* what was signalled before is not lost */
        vcpu_signal(v, e->port);
    return CB_OK;
}

status_t event_bind(struct regs *r)
{
    return call_locked(r, event_bind_locked);
}
