/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two vendors' hardware virtualization must offer. vcpu.c knows only this; svm.c (and later vmx.c) implement it.
 */
#ifndef VIRT_H
#define VIRT_H

#include "space.h"
#include "types.h"

struct cb_state;
struct vcpu;

/* Why the hardware left the guest, vendor-neutral. Beyond the exits of corbel/state.h: what the hypervisor handles itself. */
enum virt_exit {
    VIRT_EXIT_INTERRUPT = 32, /* a physical interrupt; already taken when run() returns */
    VIRT_EXIT_HYPERCALL,      /* from CPL 0 */
    VIRT_EXIT_HANDLED,        /* the backend has dealt with it completely */
};

struct virt_ops {
    const char *name;
    enum space_format format;  /* of guest-physical spaces */
    bool (*cpu_init)(void);    /* this CPU: turn it on. False: refused */
    status_t (*vcpu_init)(struct vcpu *v) MUST_CHECK; /* allocates hardware state from the vCPU's account; tree_lock held */
    void (*vcpu_free)(struct vcpu *v);
    /*
     * Enters the guest until it exits; injects what vcpu.c asked for (v->inject, v->want_window). Returns the class: CB_EXIT_* or VIRT_EXIT_*;
     * v->qual[] filled in. General registers are in v->ctx.regs on return, except what get() must fetch.
     */
    unsigned (*run)(struct vcpu *v);
    void (*get)(const struct vcpu *v, u32 groups, struct cb_state *out);
    void (*put)(struct vcpu *v, u32 groups, const struct cb_state *in); /* hostile input */
    void (*skip)(struct vcpu *v, u32 bytes);       /* advances rIP past an instruction; ends an STI or MOV SS shadow */
    bool (*interruptible)(const struct vcpu *v);   /* RFLAGS.IF and no shadow */
    void (*enable_interrupts)(struct vcpu *v);     /* sets RFLAGS.IF */
};

extern const struct virt_ops *virt;    /* NULL: no vCPUs on this machine */
extern const char *virt_missing;       /* then: why not, in words */
extern const struct virt_ops svm_ops;

/* Boot CPU, before the others start: finds out what the hardware can do. Then each CPU: turns it on. */
void virt_probe(void);
void virt_cpu_init(void);

#endif
