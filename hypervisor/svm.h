/* SPDX-License-Identifier: GPL-2.0-only */
/* AMD-V between svm.c, svm_run.c, svm_state.c and svm_entry.S. APM 2, chapter 15. */
#ifndef SVM_H
#define SVM_H

#include "shadow.h"
#include "types.h"
#include "vcpu.h"
#include "virt_state.h"
#include "vmcb.h"

#define MSR_VM_CR 0xc0010114u
#define VM_CR_SVMDIS (1ull << 4)
#define MSR_VM_HSAVE_PA 0xc0010117u

#define SVM_CPUID 0x8000000au
#define SVM_EDX_NP (1u << 0)
#define SVM_EDX_NRIP_SAVE (1u << 3)
#define SVM_EDX_FLUSH_BY_ASID (1u << 6)
#define SVM_EDX_DECODE (1u << 7)

#define SVM_SHADOW 1ull         /* vmcb->interrupt_shadow */

/* cpu.virt: per-CPU data, in two pages. */
struct svm_cpu {
    u8 host[PAGE_SIZE]; /* a VMCB of the host's FS, GS, TR, LDTR and system call registers, for VMLOAD */
    u8 save[PAGE_SIZE]; /* the processor's own host save area */
};

extern bool svm_flush_by_asid;
extern bool svm_saves_next_rip; /* at exits; and wants it for software events that are injected */
extern bool svm_emulated; /* by QEMU without KVM */
extern bool svm_hides_xcr0; /* XSETBV does not leave the guest */
extern bool svm_decodes;    /* exits say which operands an instruction has */
extern bool svm_hides_cr;   /* svm_cr.c can do its work */

bool svm_turn_on(void);                                              /* svm.c, for virt_jump.S, as are some below */
bool svm_vcpu_init(struct vcpu *v);
void svm_vcpu_free(struct vcpu *v);
bool svm_stepped(const struct vcpu *v);
bool svm_shadowed(const struct vcpu *v);
bool svm_interruptible(const struct vcpu *v);
void svm_enable_interrupts(struct vcpu *v);
void svm_ports(struct vcpu *v, bool map);

static inline struct vmcb *svm_vmcb(const struct vcpu *v)
{
    return v->hw;
}

/* VMRUN with everything that it leaves to software, and where it goes on when the guest has exited. svm_entry.S */
NORETURN void svm_enter(struct vcpu *v, u64 guest);
NORETURN void svm_enter_last(struct vcpu *v, u64 guest);              /* with DEFENCES_GUEST, as far as they are in effect */
NORETURN void svm_exited(struct vcpu *v);                             /* svm_run.c */

unsigned svm_run(struct vcpu *v);
void svm_skip(struct vcpu *v, u32 bytes);

/* svm_cr.c: bits of CR0 and CR4 that are not the guest's; nothing where there are shadow page tables. */
void svm_cr_put(struct vcpu *v, struct vmcb *vmcb);                   /* the VMCB has what the guest is to see */
void svm_cr_leave(struct vcpu *v, struct vmcb *vmcb);                 /* after an exit of a special vCPU */
unsigned svm_cr_exit(struct vcpu *v, struct vmcb *vmcb);

/* What the guest sees. */
static inline u64 svm_cr0(const struct vcpu *v, const struct vmcb *vmcb)
{
    return vmcb->cr0 | v->cr0_hidden;
}

static inline u64 svm_cr4(const struct vcpu *v, const struct vmcb *vmcb)
{
    return vmcb->cr4 ^ v->cr4_hidden;
}

void svm_reset(struct vmcb *vmcb);                                    /* svm_state.c: the power-up state */
void svm_derive_lma(struct vmcb *vmcb);                               /* EFER.LMA from LME and paging */
void svm_get(const struct vcpu *v, u32 groups, struct cb_state *out);
void svm_put(struct vcpu *v, u32 groups, const struct cb_state *in);

/* svm_shadow.c: for vCPUs that have v->shadow. */
void svm_shadow_init(struct vcpu *v, struct vmcb *vmcb);              /* after a reset */
void svm_shadow_put(struct vcpu *v, u32 groups);                      /* the VMCB has the new values for the guest */
bool svm_shadow_enter(const struct vcpu *v, struct vmcb *vmcb);       /* false: this cannot be entered */
unsigned svm_shadow_fault(struct vcpu *v, struct vmcb *vmcb);         /* #PF has left the guest */
unsigned svm_shadow_insn(struct vcpu *v, struct vmcb *vmcb);          /* control registers, INVLPG */

#endif
