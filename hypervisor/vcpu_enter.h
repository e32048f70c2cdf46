/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The short way from a hypercall back into the guest, for vcpu_run.c and the backends. A backend takes it for a vCPU
 * that was not special (VCPU_HAZARD_STATE) when it entered the guest:
 *
 *     v->insn_len is set
 *     if (vcpu_hypercall(v)) {
 *         skip the instruction
 *         if (vcpu_ready(v))
 *             enter the guest, without a look at anything but the general registers
 *     }
 *     vcpu_left_after_call();
 */
#ifndef VCPU_ENTER_H
#define VCPU_ENTER_H

#include "call.h"
#include "cpu.h"
#include "domain.h"
#include "event.h"
#include "reap.h"
#include "vcpu.h"

/* The frequent ones, without flags, do not wait for call_make()'s comparisons. */
static inline status_t vcpu_make(struct regs *r)
{
    if ((u32)r->rdi == CB_CALL_signal)
        return event_do_signal(r);
    return (u32)r->rdi == CB_CALL_null ? CB_OK : call_make(r);
}

/* Makes the call. True: it is complete, but for the guest's instruction pointer. */
static inline bool vcpu_call(struct vcpu *v)
{
    status_t status = vcpu_make(&v->ctx.regs);
    bool over = !(status & (CALL_AGAIN | CALL_BLOCKED_AGAIN | CALL_BLOCKED));

    v->in_call = !over;
    if (over)
        v->ctx.regs.rax = status;
    else if (!(status & CALL_BLOCKED))
        vcpu_set_special(v); /* before the guest goes on, it is made again */
    return over;
}

static inline bool vcpu_hypercall(struct vcpu *v)
{
    v->counters[CB_VCPU_COUNTER_HYPERCALL]++;
    return vcpu_call(v);
}

static inline void vcpu_out(struct vcpu *v)
{
    atomic_store_explicit(&v->mode, VCPU_OUT, memory_order_release);
}

/* Read after VCPU_INSIDE has been announced, so that whoever makes it grow either is seen or interrupts. */
static inline u64 vcpu_generation(const struct vcpu *v)
{
    /* Pairs with the release in space_unmap(). */
    return atomic_load(&v->ctx.domain->space.generation) + atomic_load(&v->flushes);
}

/* Are there no translations to be flushed at this entry? */
static inline bool vcpu_tag_holds(const struct vcpu *v)
{
    return tlb_holds(&cpu.asids, v->tag_identity, vcpu_generation(v), v->tag_hint);
}

/*
 * Announces the entry of the current context. Whoever sets a hazard or asks for a flush after this has seen VCPU_INSIDE,
 * and its interrupt ends guest mode (tests/model/vcpu.pml).
 */
static inline void vcpu_announce(struct vcpu *v)
{
    atomic_store(&v->mode, VCPU_INSIDE);
    atomic_store_explicit(&v->entered, atomic_load(&vcpu_flush_clock), memory_order_relaxed);
}

/* Announced: does the guest go on as it was left, with nothing to be looked at first? */
static inline bool vcpu_is_quiet(const struct vcpu *v)
{
    return !((cpu_hazards() & HAZARD_EXIT) | atomic_load_explicit(&v->hazards, memory_order_relaxed)) &&
           vcpu_tag_holds(v);
}

/* True: `v` is still what runs, it goes on as it was left, and its entry has been announced. */
static inline bool vcpu_ready(struct vcpu *v)
{
    if (cpu.current != &v->ctx)
        return false; /* `mode` may be another one by now */
    vcpu_announce(v);
    if (vcpu_is_quiet(v))
        return true;
    vcpu_out(v);
    return false;
}

#endif
