/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Into the guest and back. Runs with interrupts off; a physical interrupt ends guest mode, is taken, and leaves its
 * traces in cpu.hazards, v->hazards or v->flushes, which are looked at before the next entry.
 */
#include "fpu.h"
#include "log.h"
#include "mitigations.h"
#include "portal.h"
#include "shadow.h"
#include "vcpu_enter.h"
#include "virt.h"

/*
 * What the next entry injects, unless something is in the queue already: the upcall, now or when an interrupt can be
 * taken. The guest may have looked by itself: then nothing is due. The hazard goes first, since somebody may raise it
 * again in between, and interrupts then. False: it has to wait.
 */
static ALWAYS_INLINE bool vcpu_prepare_upcall(struct vcpu *v)
{
    if (!(v->ctrl & CB_CTRL_UPCALL))
        return true;
    if ((v->inject & CB_INJECT_VALID) || !virt_interruptible(v))
        return false;
    atomic_fetch_and(&v->hazards, ~VCPU_HAZARD_UPCALL);
    if (__atomic_load_n(&v->page->upcall, __ATOMIC_SEQ_CST)) {
        v->inject = CB_INJECT_VALID | CB_INJECT_TYPE_INTR | v->upcall_vector;
        v->counters[CB_VCPU_COUNTER_UPCALL]++;
    }
    return true;
}

/* HLT: it waits for an interrupt, and the only ones are upcalls. */
static void vcpu_hlt(struct vcpu *v)
{
    if (v->ctrl & CB_CTRL_HLT) {
        vcpu_deliver(v, CB_EXIT_HLT);
        return;
    }
    virt_skip(v, v->insn_len);
    if (!virt_stepped(v)) /* #DB ends HLT at once */
        (void)vcpu_halt(v, !virt_interruptible(v));
}

/*
 * What the backend has dealt with may come again at once, without an instruction of the guest in between, at which an interrupt
 * would end guest mode: an exception whose delivery raises one, for ever. So interrupts are taken here.
 */
static void vcpu_handle(struct vcpu *v, unsigned class)
{
    switch (class) {
    case VIRT_EXIT_INTERRUPT:
        v->counters[CB_VCPU_COUNTER_INTERRUPT]++;
        break;
    case VIRT_EXIT_HYPERCALL:
        if (vcpu_hypercall(v))
            virt_skip(v, v->insn_len);
        break;
    case VIRT_EXIT_HANDLED:
        v->counters[CB_VCPU_COUNTER_INSIDE]++;
        interrupts_take();
        break;
    case VIRT_EXIT_FAULT:
        v->counters[CB_VCPU_COUNTER_FAULT]++;
        interrupts_take();
        break;
    case CB_EXIT_HLT:
        vcpu_hlt(v);
        break;
    case CB_EXIT_WINDOW:
        v->counters[CB_VCPU_COUNTER_WINDOW]++;
        if (!v->window_to_vmm)
            break;
        v->window_to_vmm = false;
        vcpu_deliver(v, CB_EXIT_WINDOW);
        break;
    default:
        vcpu_deliver(v, class);
        break;
    }
}

/* An exit for which no instruction has left the guest, unless it is in the middle of a hypercall. */
static void vcpu_deliver_unasked(struct vcpu *v, unsigned class)
{
    if (!v->in_call)
        v->insn_len = 0;
    v->qual[0] = v->qual[1] = 0;
    vcpu_deliver(v, class);
}

static NOINLINE void vcpu_refuse(struct vcpu *v)
{
    if (!v->refused)
        log_printf("corbel: a vCPU (number %u) cannot be entered: %s", v->number, v->impossible);
    v->refused = true;
    vcpu_deliver_unasked(v, CB_EXIT_INVALID);
}

/* What must be done before the guest may go on. False: nothing. */
static bool vcpu_do_first(struct vcpu *v)
{
    if (!v->started) {
        vcpu_deliver_unasked(v, CB_EXIT_START);
    } else if (v->recalled) {
        __atomic_store_n(&v->recalled, false, __ATOMIC_SEQ_CST);
        vcpu_deliver_unasked(v, CB_EXIT_RECALL);
    } else if (v->impossible) {
        vcpu_refuse(v);
    } else if (v->step_to_vmm) {
        v->step_to_vmm = false;
        v->insn_len = 0;
        vcpu_deliver(v, vcpu_report(v, CB_EXIT_EXCEPTION, EXCEPTION_DB, 0));
    } else if (v->nmi_window_to_vmm && v->nmi == VCPU_NMI_OPEN && !virt_shadowed(v)) {
        v->nmi_window_to_vmm = false;
        vcpu_deliver_unasked(v, CB_EXIT_NMI_WINDOW);
    } else if (v->in_call) {
        if (vcpu_call(v))
            virt_skip(v, v->insn_len);
    } else {
        return false;
    }
    return true;
}

/* Announced: it goes on as it was left, but perhaps for an upcall. */
static inline bool vcpu_is_usual(struct vcpu *v)
{
    u32 hazards = atomic_load_explicit(&v->hazards, memory_order_relaxed);

    return !((cpu_hazards() & HAZARD_EXIT) | (hazards & ~VCPU_HAZARD_UPCALL)) && vcpu_tag_holds(v) &&
           (!(hazards & VCPU_HAZARD_UPCALL) || vcpu_prepare_upcall(v));
}

/* Announced, and not like the last entry. False: something else must be done first. */
static NOINLINE bool vcpu_prepare(struct vcpu *v)
{
    u32 hazards;

    if (vcpu_is_special(v)) {
        vcpu_out(v);
        if (vcpu_do_first(v))
            return false;
        vcpu_announce(v);
    }
    hazards = atomic_load(&v->hazards);
    if (cpu_hazards() & HAZARD_EXIT) {
        vcpu_out(v);
        return false;
    }
    if ((hazards & VCPU_HAZARD_STATE) || !vcpu_tag_holds(v)) {
        vcpu_set_special(v);
        v->tag = tlb_enter(&cpu.asids, v->tag_identity, v->shadow ? shadow_refresh(v) : vcpu_generation(v), &v->tag_hint,
                           NULL);
    } else {
        v->tag.flush = false; /* the entry is guarded, and nothing else */
    }
    v->want_window = v->window_to_vmm;
    if ((hazards & VCPU_HAZARD_UPCALL) && !vcpu_prepare_upcall(v))
        v->want_window = true;
    if (v->want_window)
        vcpu_set_special(v);
    return true;
}

void vcpu_run(struct vcpu *v)
{
    unsigned class;

    vcpu_announce(v);
    if (!vcpu_is_usual(v) && !vcpu_prepare(v))
        return;
    if (cpu.fpu_owner != &v->ctx) /* the guest's CR0 decides whether it is open to it */
        fpu_take(&v->ctx);
    class = virt_run(v);
    vcpu_out(v);
    vcpu_handle(v, class);
}

NORETURN void vcpu_left(struct vcpu *v, unsigned class)
{
    vcpu_handle(v, class);
    kernel_exit();
}

void vcpu_call_done(struct vcpu *v)
{
    if (!v->in_call)
        return;
    v->in_call = false;
    vcpu_out(v); /* it may have listened for upcalls */
    virt_skip(v, v->insn_len);
}
