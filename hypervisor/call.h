/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The call table's kernel side. A call handler gets the caller's registers, checks, commits, writes its results
 * into them and returns the status (which call_end() puts into rax), CALL_AGAIN or CALL_BLOCKED (ctx.h).
 *
 * Arguments and results: corbel/call.h. cpu.current is the caller. What all handlers need is included here.
 */
#ifndef CALL_H
#define CALL_H

#include <corbel/call.h>

#include "account.h"
#include "caps.h"
#include "cpu.h"
#include "ctx.h"
#include "domain.h"
#include "reap.h"
#include "regs.h"
#include "slot.h"
#include "types.h"

#define CALL_FLAGS(r) ((u32)((r)->rdi >> 8) & 0xffffffu)
#define CALL_SEL(r) ((u32)((r)->rdi >> 32))
#define LOW(v) ((u32)(v))
#define HIGH(v) ((u32)((v) >> 32))

/*
 * Reads the capability at `sel` of the current domain once. OK, or BAD_CAP, BAD_RIGHT for argument `arg`. `type`
 * CB_TYPE_NULL takes any. The word decides; the pointer stays valid until this CPU leaves the kernel.
 */
status_t call_lookup_slow(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word) MUST_CHECK;

static inline MUST_CHECK status_t call_lookup(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word)
{
    u64 found = slot_word(caps_linear(sel));
    status_t status = CB_OK;

    if (type == CB_TYPE_NULL || !slot_word_is(found, type, rights))
        status = call_lookup_slow(sel, type, rights, arg, &found);
    *word = found;
    return status;
}

/* The same for the capability that the call is made on; BAD_PARAM if the call has flags, of which it knows none. */
static inline MUST_CHECK status_t call_target(const struct regs *r, enum cb_type type, u32 rights, u64 *word)
{
    status_t status = call_lookup(CALL_SEL(r), type, rights, 0, word);

    return !status && CALL_FLAGS(r) ? FAULT(BAD_PARAM, 0) : status;
}

/* The slot itself (direct map), for calls that derive from it. tree_lock held. OK, BAD_CAP, BAD_RIGHT. */
status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot) MUST_CHECK;

/*
 * Defines the handler of a call without flags that changes capabilities or objects: name_locked(), with tree_lock held.
 */
#define CALL_LOCKED(name)                        \
    status_t name(struct regs *r)                \
    {                                            \
        status_t status;                         \
                                                 \
        if (CALL_FLAGS(r))                       \
            return FAULT(BAD_PARAM, 0);          \
        lock_take(&tree_lock);                   \
        status = name##_locked(r);               \
        lock_drop(&tree_lock);                   \
        return status;                           \
    }

/* The account that `sel` names, able to pay for another object. tree_lock held. */
status_t call_account(u32 sel, struct account **a) MUST_CHECK;

/* The thread or vCPU that `sel` names, argument `arg`, for right CONTROL. */
status_t call_context(u32 sel, unsigned arg, struct ctx **c) MUST_CHECK;

/*
 * Reserves the slot that a create call fills: argument `arg` = selector in the caller's domain (upper half must be
 * 0). tree_lock held.
 */
status_t call_destination(u64 value, unsigned arg, struct slot **dst) MUST_CHECK;

/* The domain that `sel` names for right `right`; CB_SELF: the current one. */
status_t call_domain(u32 sel, u32 right, unsigned arg, struct domain **d) MUST_CHECK;

/* The caller's domain: the one whose capability space is loaded. */
static inline struct domain *cpu_domain(void)
{
    return cpu.home->domain;
}

/* The handler of each call of the table; a call without one does not compile. */
#define HANDLER_null call_null
#define HANDLER_call ipc_call
#define HANDLER_reply ipc_reply
#define HANDLER_signal event_do_signal
#define HANDLER_wait event_wait
#define HANDLER_yield call_yield
#define HANDLER_account_create account_create
#define HANDLER_domain_create domain_create
#define HANDLER_thread_create thread_create
#define HANDLER_vcpu_create vcpu_create
#define HANDLER_sched_create sched_create
#define HANDLER_portal_create portal_create
#define HANDLER_event_create event_create
#define HANDLER_ram_split ram_split
#define HANDLER_frame_create frame_create
#define HANDLER_map map
#define HANDLER_derive derive
#define HANDLER_revoke revoke
#define HANDLER_destroy destroy
#define HANDLER_identify identify
#define HANDLER_counters counters
#define HANDLER_sched_bind sched_bind
#define HANDLER_thread_set thread_set
#define HANDLER_recall recall
#define HANDLER_vcpu_exit vcpu_exit
#define HANDLER_event_bind event_bind
#define HANDLER_irq_bind irq_bind
#define HANDLER_irq_ack irq_ack
#define HANDLER_ioport_grant ioport_grant
#define HANDLER_log_read log_read
#define HANDLER_log_bind log_bind
#define HANDLER_halt vcpu_do_halt
#define HANDLER_timer vcpu_do_timer
#define HANDLER_upcall vcpu_do_upcall
#define HANDLER_tlb_flush vcpu_do_tlb_flush
#define CALL_DECLARE(number, name, type, right) status_t HANDLER_##name(struct regs *r);
CB_CALLS(CALL_DECLARE)
#undef CALL_DECLARE

/* Makes the call that the registers name. */
status_t call_make(struct regs *r) MUST_CHECK;

/* What a handler's result means for `c`, which has made the call. */
static inline void call_end(struct ctx *c, status_t status)
{
    if (status & (CALL_AGAIN | CALL_BLOCKED_AGAIN))
        ctx_call_again(c);
    else if (!(status & CALL_BLOCKED))
        ctx_call_done(c, status);
}

/*
 * The end of all create calls: the object's first capability, with all rights, into the reserved slot. tree_lock
 * held.
 */
void call_install(struct slot *dst, struct object *obj, u64 badge);

#endif
