/* SPDX-License-Identifier: GPL-2.0-only */
/* vCPUs: execution contexts in guest mode. Vendor-neutral part; virt.h is the border to svm.c and vmx.c. */
#ifndef VCPU_H
#define VCPU_H

#include <corbel/event.h>
#include <corbel/state.h>

#include "ctx.h"
#include "slot.h"

struct event;

#define VCPU_COUNTERS 23u
#define VCPU_COUNT_INTERRUPT 16u
#define VCPU_COUNT_HYPERCALL 17u
#define VCPU_COUNT_HALT 18u
#define VCPU_COUNT_FAULT 19u
#define VCPU_COUNT_WINDOW 20u
#define VCPU_COUNT_UPCALL 21u
#define VCPU_COUNT_OTHER 22u

struct vcpu {
    struct ctx ctx;               /* first: a ctx of type CB_TYPE_VCPU is a vcpu */
    u32 number;                   /* constant: within its domain */
    struct cb_event_page *page;   /* direct map; hostile */
    struct slot exits[CB_EXIT_COUNT]; /* its own portal capabilities, by class */
    struct list events;           /* tree_lock: events bound to it */
    _Atomic u32 upcall;           /* an upcall is to be injected; set by any CPU */
    _Atomic u64 flushes;          /* tlb.h: grows with every flush of guest translations */
    _Atomic u8 running;           /* in guest mode now, or about to be (flush requests must interrupt it) */
    bool started;                 /* the exit START was answered */
    bool recalled;                /* send RECALL before the next entry */
    bool halt_enable;             /* WAITING in halt: set RFLAGS.IF afterwards */
    bool want_window;             /* tell us when an interrupt can be taken */
    bool window_to_vmm;           /* ... and pass it on as CB_EXIT_WINDOW */
    u32 ctrl;                     /* CB_CTRL_* */
    u32 upcall_vector;
    u32 exception_bitmap;
    u32 inject, inject_error;     /* CB_INJECT_*: what the next entry injects */
    u64 qual[3];                  /* of the last exit */
    u64 insn_len;                 /* of the last exit, 0: not known */
    u32 tag_hint;                 /* tlb.h */
    u64 tag_identity;
    u64 xcr0;                     /* the guest's */
    u64 counters[VCPU_COUNTERS];
    void *hw;                     /* backend: direct map (VMCB, VMCS) */
    void *hw2;                    /* backend: second page (permission maps) */
};

static inline struct vcpu *vcpu_of(struct ctx *c)
{
    return CONTAINER_OF(c, struct vcpu, ctx);
}

/* Runs the vCPU on this CPU until something else must run or it is blocked; then kernel_exit() goes on. */
void vcpu_run(struct vcpu *v);

/* An event bound to port `port` was signalled: any CPU, interrupt handlers too. */
void vcpu_signal(struct vcpu *v, u32 port);

/* CTX_OP_WAKE, CTX_OP_RECALL at its home CPU. */
void vcpu_wake(struct vcpu *v);
void vcpu_recall(struct vcpu *v);

/* The vCPU's one-shot timer has expired. */
void vcpu_timer(struct vcpu *v);

/* ipc.c: message state in and out, for exits. */
void vcpu_state_get(struct vcpu *v, u32 groups, struct cb_state *out);
void vcpu_state_put(struct vcpu *v, u32 groups, const struct cb_state *in);

void vcpu_kill(struct vcpu *v); /* tree_lock held */
void vcpu_free(struct vcpu *v);

struct regs;
status_t vcpu_create(struct regs *r);
status_t vcpu_exit(struct regs *r);
status_t vcpu_do_halt(struct regs *r);
status_t vcpu_do_timer(struct regs *r);
status_t vcpu_do_upcall(struct regs *r);
status_t vcpu_do_tlb_flush(struct regs *r);

#endif
