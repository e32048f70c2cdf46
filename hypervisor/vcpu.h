/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vCPUs: execution contexts in guest mode. Vendor-neutral part; virt.h is the border to svm.c and vmx.c. vcpu.c:
 * the object; vcpu_run.c: entering and leaving the guest; vcpu_event.c: upcalls, halt, timer, TLB flushes.
 *
 * A hypercall that is not finished at once (the caller blocked, or is to make it again) leaves the guest's
 * instruction pointer at the VMMCALL and `in_call` set: vcpu_run() makes the call again without entering the guest.
 * Whoever has put the final status into rax calls vcpu_call_done().
 */
#ifndef VCPU_H
#define VCPU_H

#include <corbel/event.h>
#include <corbel/state.h>

#include "ctx.h"
#include "slot.h"
#include "tlb.h"

struct shadow;

/* vcpu->mode: what others must do to be noticed. */
enum vcpu_mode {
    VCPU_OUT,    /* nothing: it looks by itself before it enters the guest or halts */
    VCPU_INSIDE, /* in guest mode, or about to be: interrupt its CPU */
    VCPU_HALTED, /* until an upcall is due: post CTX_OP_WAKE */
};

/* vcpu->nmi: can the guest take another one? */
enum vcpu_nmi { VCPU_NMI_OPEN, VCPU_NMI_BLOCKED, VCPU_NMI_IRET /* the guest is about to execute the IRET at nmi_rip */ };

/* vcpu->hazards. */
#define VCPU_HAZARD_UPCALL 0x1u /* an upcall is to be injected; set by any CPU, cleared by its own */
#define VCPU_HAZARD_STATE 0x2u  /* its own CPU: something about it is not as at the last entry, or was special then */
#define VCPU_HAZARD_GUARD 0x4u  /* constant: each entry does what DEFENCES_GUEST says, last of all */

struct vcpu {
    struct ctx ctx;               /* first: a ctx of type CB_TYPE_VCPU is a vcpu */
    struct slot exits[CB_EXIT_COUNT]; /* tree_lock to write: its own portal capabilities, by class */
    u32 number;                   /* constant: within its domain */
    _Atomic u32 hazards;          /* VCPU_HAZARD_*: what must be looked at before it enters the guest */
    _Atomic u64 flushes;          /* tlb.h: grows with every flush of guest translations; any CPU */
    _Atomic u64 entered;          /* flush_clock when it last entered the guest; written by its own CPU */
    _Atomic u8 mode;              /* enum vcpu_mode; written by its own CPU */
    u8 mapped;                    /* constant: pages in the guest's space */
    bool started;                 /* the exit START was answered */
    bool recalled;                /* send RECALL before the next entry */
    bool refused;                 /* why it is `impossible` stands in the log */
    bool in_call;                 /* a hypercall is not finished */
    bool want_window;             /* this entry: tell us when an interrupt can be taken */
    bool window_to_vmm;           /* ... and pass it on as CB_EXIT_WINDOW */
    bool nmi_window_to_vmm;       /* send CB_EXIT_NMI_WINDOW when an NMI can be taken */
    bool step_to_vmm;             /* send the #DB behind an instruction that was skipped */
    bool switches;                /* xcr0 or tsc_aux are not what the host has: to be loaded around the guest */
    u8 nmi;                       /* enum vcpu_nmi */
    u32 ctrl;                     /* CB_CTRL_* */
    u32 upcall_vector;
    u32 exception_bitmap;
    u32 inject, inject_error;     /* CB_INJECT_*: what the next entry injects */
    u32 tag_hint;                 /* tlb.h */
    u32 insn_len;                 /* of the last exit, 0: not known */
    u32 injected;                 /* CB_INJECT_*: what the last entry has injected */
    struct tlb_choice tag;        /* this entry's */
    u64 tag_identity;             /* constant */
    u64 qual[2];                  /* of the last exit */
    u64 nmi_rip;
    u64 shadow_rip;               /* AMD-V in QEMU: where it entered in an interrupt shadow, if it did: */
    bool in_shadow, stepping;     /* ... and leaves it by a single step */
    u64 xcr0;                     /* the guest's */
    u64 tsc_aux;                  /* the guest's; the host's is 0 */
    u64 tsc_offset;               /* guest's TSC = TSC + tsc_offset */
    u64 cr0_hidden, cr4_hidden;   /* AMD-V: bits in which what the guest sees differs from the VMCB (svm_cr.c) */
    const char *impossible;       /* `ctrl` wants what cannot be had: why. Sends INVALID instead of an entry */
    struct cb_event_page *page;   /* direct map; hostile */
    struct list events;           /* tree_lock: events bound to it */
    u64 counters[CB_VCPU_COUNTER_COUNT];
    u64 stolen;                   /* TSC ticks, ever: could have run, but others did; page->stolen shows it */
    struct shadow *shadow;        /* constant: NULL where the hardware has second-level tables */
    void *hw;                     /* backend: direct map, one page */
    u64 hw_physical;              /* constant: where that is */
};
_Static_assert(sizeof(struct vcpu) <= 4032, "fits a size class of accounts");

static inline struct vcpu *vcpu_of(struct ctx *c)
{
    return CONTAINER_OF(c, struct vcpu, ctx);
}

/* Any CPU: is a RECALL to be sent, of which nobody can have heard yet? */
static inline bool vcpu_is_recalled(const struct ctx *c)
{
    return __atomic_load_n(&((const struct vcpu *)(const void *)c)->recalled, __ATOMIC_SEQ_CST);
}

static inline bool vcpu_is_special(const struct vcpu *v)
{
    return atomic_load_explicit(&v->hazards, memory_order_relaxed) & VCPU_HAZARD_STATE;
}

/* For backends: nothing is due at this entry beyond what was at the last one. */
static inline bool vcpu_enters_plainly(const struct vcpu *v)
{
    return !(atomic_load_explicit(&v->hazards, memory_order_relaxed) & (VCPU_HAZARD_STATE | VCPU_HAZARD_GUARD));
}

/* Home CPU: makes the next entry look at everything. */
static inline void vcpu_set_special(struct vcpu *v)
{
    atomic_fetch_or_explicit(&v->hazards, VCPU_HAZARD_STATE, memory_order_relaxed);
}

/* For backends: the entry has not taken place, nor has the flush that was perhaps due with it. */
static inline void vcpu_not_entered(struct vcpu *v)
{
    atomic_fetch_add(&v->flushes, 1);
    vcpu_set_special(v);
}

/*
 * Runs the vCPU, which is cpu.current. Returns if something else must be done first, or if it has left the guest
 * already (virt.h); kernel_exit() goes on.
 */
void vcpu_run(struct vcpu *v);

/*
 * For backends: the vCPU, which is cpu.current and was entered by virt_run(), has left the guest for this reason; the
 * stack is empty.
 */
NORETURN void vcpu_left(struct vcpu *v, unsigned class);

/* The same for an exit that the VMM always deals with, and for a hypercall whose rdi says `call`, without flags. */
NORETURN void vcpu_left_to_vmm(struct vcpu *v, unsigned class);
NORETURN void vcpu_left_to_call(struct vcpu *v);

/* After a hypercall from which the guest does not go on at once: kernel_exit(), or a shorter way into another guest. */
NORETURN void vcpu_left_after_call(void);

/* For backends: an exit that the VMM is told of, with what. Returns its class. */
static inline unsigned vcpu_report(struct vcpu *v, unsigned class, u64 qual0, u64 qual1)
{
    v->qual[0] = qual0;
    v->qual[1] = qual1;
    return class;
}

/*
 * For backends: the guest is to get an exception (`error`: if it has an error code). An event in whose delivery it was
 * raised is lost, but for an upcall. Returns the class of the exit (virt.h) from which that follows.
 */
unsigned vcpu_inject_exception(struct vcpu *v, u32 vector, u32 error);

/* For backends: a machine check has left the guest. Returns the class of the exit that follows from it. */
unsigned vcpu_machine_check(struct vcpu *v);

/* The current vCPU: sends an exit to its VMM. May not return, and must be all that kernel_exit() has to do. */
void vcpu_deliver(struct vcpu *v, unsigned class);

/* Home CPU: sends the last exit again, after its handler was busy. */
void vcpu_exit_again(struct vcpu *v, unsigned class);

/*
 * entry.S: the current context `h` replies to an exit of `v`, with these groups and message word 0; no hazard is set,
 * and the message information is valid.
 */
NORETURN void vcpu_replied(struct vcpu *v, struct ctx *h, u32 groups, u64 word);
/* Likewise to a `call`; the message, in registers alone, is in v's. */
NORETURN void vcpu_answered(struct vcpu *v, struct ctx *h);

/*
 * Home CPU: the hypercall that `v` is in has its status in rax, its results in the other registers; skips the
 * instruction.
 */
void vcpu_call_done(struct vcpu *v);

/* An event bound to port `port` was signalled: any CPU, interrupt handlers too. */
void vcpu_signal(struct vcpu *v, u32 port);
void vcpu_signal_here(struct vcpu *v, u32 port); /* home CPU, by a call; `v` waits */

/* CTX_OP_WAKE, CTX_OP_RECALL at its home CPU. */
void vcpu_wake(struct vcpu *v);
void vcpu_recall(struct vcpu *v);

/* cpu.current, about to block: an upcall wakes it from now on (vcpu_wake()). False: one is due already. */
bool vcpu_listen(struct vcpu *v);

/* Home CPU: the vCPU's one-shot timer has expired. */
void vcpu_timer(struct vcpu *v);

/* vcpu_run.c and vcpu_event.c between themselves. */
/* cpu.current, its instruction skipped, blocks unless an upcall is due; deaf: for good. True: it has */
bool vcpu_halt(struct vcpu *v, bool deaf);
/* Counts flushes of guest TLBs: a vCPU that entered the guest at `entered` has carried out all up to then. */
extern _Atomic u64 vcpu_flush_clock;

/*
 * ipc.c: message state in and out, for exits. The reply to an exit comes to vcpu_state_put() with whatever groups
 * it has. `in` is hostile, and each field of it read once.
 */
void vcpu_state_get(struct vcpu *v, u32 groups, struct cb_state *out);
void vcpu_state_put(struct vcpu *v, u32 groups, const struct cb_state *in);
#define VCPU_SKIP_MAX 15u /* CB_GROUP_SKIP: what is taken of message word 0 */

/* Home CPU: v has died. */
void vcpu_forget(struct vcpu *v);

/*
 * reap.c, tree_lock held. Kill: one step of cutting it off from all that leads to it; true when done. Free: a grace
 * period later.
 */
bool vcpu_kill(struct vcpu *v);
void vcpu_free(struct vcpu *v);

#endif
