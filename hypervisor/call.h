/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The call table's kernel side. A call handler gets the caller's registers, checks, commits, writes its results
 * into them and returns the status (which call_dispatch() puts into rax), CALL_AGAIN or CALL_BLOCKED (reap.h).
 *
 * handler: CALL_ARG1 (rsi) ... see corbel/call.h. cpu.current is the caller.
 */
#ifndef CALL_H
#define CALL_H

#include <corbel/call.h>

#include "account.h"
#include "cpu.h"
#include "domain.h"
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
status_t call_lookup(u32 sel, enum cb_type type, u32 rights, unsigned arg, u64 *word) MUST_CHECK;

/* The slot itself (direct map), for calls that derive from it. tree_lock held. OK, BAD_CAP, BAD_RIGHT. */
status_t call_slot(u32 sel, enum cb_type type, u32 rights, unsigned arg, struct slot **slot) MUST_CHECK;

/*
 * For calls without flags that change capabilities or objects: refuses flags, and makes the call with tree_lock
 * held.
 */
status_t call_locked(struct regs *r, status_t (*call)(struct regs *)) MUST_CHECK;

/* The account that `sel` names, able to pay for another object. tree_lock held. */
status_t call_account(u32 sel, struct account **a) MUST_CHECK;

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

/*
 * Makes the call in cpu.current's registers; called by syscall entry and by the hypercall exit. True: the same context
 * goes on at once, with the call's results in its registers.
 */
bool call_dispatch(void);

/* The call's handler alone, and what call_dispatch() does with the status that it gives. */
extern status_t (*const call_table[CB_CALL_TABLE])(struct regs *);
static inline status_t call_make(struct regs *r)
{
    return call_table[r->rdi % CB_CALL_TABLE](r);
}

/*
 * The end of all create calls: the object's first capability, with all rights, into the reserved slot. tree_lock
 * held.
 */
void call_install(struct slot *dst, struct object *obj, u64 badge);

#endif
