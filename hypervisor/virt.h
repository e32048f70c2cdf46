/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two vendors' hardware virtualization must offer. vcpu*.c knows only this; svm*.c and vmx*.c
 * implement it.
 */
#ifndef VIRT_H
#define VIRT_H

#include "space.h"
#include "types.h"

struct cb_state;
struct vcpu;

/*
 * Why the hardware left the guest, vendor-neutral. Beyond the exits of corbel/state.h: what the hypervisor handles
 * itself.
 */
enum virt_exit {
    VIRT_EXIT_INTERRUPT = 32, /* a physical interrupt; already taken when run() returns */
    VIRT_EXIT_HYPERCALL,      /* from CPL 0 */
    VIRT_EXIT_FAULT,          /* a second-level fault; the shadow page tables have been filled */
    VIRT_EXIT_HANDLED,        /* the backend has dealt with it completely */
};

struct virt_ops {
    const char *name;
    u64 features;              /* CB_FEATURE_* */
    enum space_format format;  /* of guest-physical spaces, if the hardware walks them */
};

extern const struct virt_ops *virt;    /* NULL: no vCPUs on this machine */
extern const char *virt_missing;       /* then: why not, in words */
extern const char virt_absent[];       /* ... if there is no trace of it: what each probe() says then */
extern bool virt_nested;               /* the hardware walks second-level tables; else shadow.h */
extern bool virt_vapic;                /* it has a virtual APIC for each vCPU: CB_CTRL_VAPIC */
extern const struct virt_ops svm_ops, vmx_ops;

/* Boot CPU: NULL: usable; else why not, in at most 63 characters. */
const char *svm_probe(void);
const char *vmx_probe(void);

/*
 * svm_NAME() or vmx_NAME(). virt_jump.S leads there without a pointer, since a branch through one could be led astray
 * (docs/security.md).
 */
bool virt_turn_on(void);                /* this CPU: sets cpu.virt, cpu.asids. False: refused */
/* allocates v->hw from the vCPU's account, power-up state. False: exhausted. tree_lock held */
bool virt_vcpu_init(struct vcpu *v);
void virt_vcpu_free(struct vcpu *v);   /* tree_lock held */
void virt_vcpu_forget(struct vcpu *v); /* its home CPU: v has died, drop what the CPU keeps of it */
/*
 * Enters the guest until it exits, under the translation tag v->tag; injects v->inject, opens an interrupt
 * window if v->want_window. Returns the class: CB_EXIT_* or VIRT_EXIT_*; v->qual[], v->insn_len filled in, what
 * was to be injected but did not arrive is in v->inject again. The guest's general registers are in
 * v->ctx.regs, but for rsp. Instead of returning it may begin anew on the CPU's empty stack and call vcpu_left(),
 * so that nothing need be saved; then it sets v->mode to VCPU_OUT itself.
 *
 * If VCPU_HAZARD_STATE is clear, all is as at the last entry: the tag without a flush, no window, and nothing to
 * inject but perhaps an upcall.
 * A backend clears it if that holds once it has entered, and need not look at it otherwise; see vcpu_enter.h.
 */
unsigned virt_run(struct vcpu *v);
void virt_get(const struct vcpu *v, u32 groups, struct cb_state *out); /* what v does not hold */
void virt_put(struct vcpu *v, u32 groups, const struct cb_state *in);  /* hostile input, changing while it is read */
void virt_skip(struct vcpu *v, u32 bytes);       /* advances rIP past an instruction; ends a shadow, RF; with TF, #DB is due */
bool virt_stepped(const struct vcpu *v);         /* after virt_skip(): it is */
bool virt_shadowed(const struct vcpu *v);        /* behind STI or MOV SS */
bool virt_interruptible(const struct vcpu *v);   /* RFLAGS.IF and no shadow */
void virt_enable_interrupts(struct vcpu *v);     /* sets RFLAGS.IF */
void virt_ports(struct vcpu *v, bool map);       /* cpu.io_map says which ports leave the guest; or all do, as at first */

/* Boot CPU, before the others start: finds out what the hardware can do. Then each CPU: turns it on. */
void virt_probe(void);
void virt_cpu_init(void);

/* Of guest-physical spaces; and CB_FEATURE_* for user level. There are vCPUs. */
enum space_format virt_format(void);
u64 virt_features(void);

#endif
