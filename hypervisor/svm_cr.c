/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AMD-V: bits of control registers on which the host depends. CR0.CD and NW would be the real ones, and a processor without
 * caches slows down the other thread of its core; without CR4.MCE a machine check is a shutdown; and PKRU, which comes with
 * CR4.PKE, is switched by nobody. The guest sees CD, NW and MCE as it has written them; the real ones stay as the host needs
 * them. That takes exits, and a processor that says which general register a MOV means (decode assists: all since 2011, but
 * not QEMU's); on others, these bits are the guest's.
 */
#include "cpu_init.h"
#include "shadow_cr.h"
#include "svm.h"
#include "virt.h"
#include "x86.h"

#define HOST_CR0 (CR0_CD | CR0_NW)
#define HOST_CR4 CR4_MCE
#define GUEST_NEVER (CR4_PKE | CR4_CET) /* what a message says of them is ignored */

#define CR_BIT(n) (1u << (n))
#define CR0_ET (1ull << 4)
#define ATTR_L 0x200u /* of a code segment: 64-bit */

/* exit_info1 of a MOV; LMSW and SMSW have none. APM 2, 15.8.1. */
#define INFO_MOV (1ull << 63)
#define INFO_REGISTER(info) ((u32)(info) & 0xfu)

bool svm_hides_cr;

/* The exits for what is hidden: reading is one only where it matters. */
static void cr_intercept(const struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->intercept1 |= VMCB_INTERCEPT1_CR0_SELECTIVE;
    vmcb->intercept_cr_write = CR_BIT(4);
    vmcb->intercept_cr_read = (u16)((v->cr0_hidden ? CR_BIT(0) : 0) | (v->cr4_hidden ? CR_BIT(4) : 0));
    vmcb->clean &= ~VMCB_CLEAN_INTERCEPTS;
}

void svm_cr_put(struct vcpu *v, struct vmcb *vmcb)
{
    if (!svm_hides_cr || v->shadow)
        return;
    v->cr0_hidden = cr0_is_odd(vmcb->cr0) ? 0 : vmcb->cr0 & HOST_CR0; /* for the processor to refuse */
    v->cr4_hidden = ~vmcb->cr4 & HOST_CR4;
    vmcb->cr0 &= ~v->cr0_hidden;
    vmcb->cr4 = (vmcb->cr4 & ~GUEST_NEVER) | HOST_CR4;
    vmcb->clean &= ~VMCB_CLEAN_CR;
    cr_intercept(v, vmcb);
}

/* LMSW and SMSW do not say what they move, and need not: they reach no bit that is hidden. Until the next exit. */
static unsigned cr_let(struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->intercept1 &= ~VMCB_INTERCEPT1_CR0_SELECTIVE;
    vmcb->intercept_cr_read &= (u16)~CR_BIT(0);
    vmcb->clean &= ~VMCB_CLEAN_INTERCEPTS;
    vcpu_set_special(v);
    return VIRT_EXIT_HANDLED;
}

void svm_cr_leave(struct vcpu *v, struct vmcb *vmcb)
{
    if (!svm_hides_cr || v->shadow || (vmcb->intercept1 & VMCB_INTERCEPT1_CR0_SELECTIVE))
        return;
    vmcb->cr0 &= ~HOST_CR0;
    vmcb->clean &= ~VMCB_CLEAN_CR;
    cr_intercept(v, vmcb);
}

static u64 *general_register(struct vcpu *v, struct vmcb *vmcb, u32 number)
{
    u64 *at = regs_numbered(&v->ctx.regs, number);

    return at ? at : &vmcb->rsp;
}

static bool cr_write(struct vcpu *v, struct vmcb *vmcb, u32 number, u64 value, bool code64)
{
    struct paging p = { svm_cr0(v, vmcb), vmcb->cr3, svm_cr4(v, vmcb), vmcb->efer };
    u64 offered = shadow_cr4_bits | (features.pcid ? CR4_PCIDE : 0);

    if (number == 0 ? !shadow_cr0_valid(&p, value, code64) : !shadow_cr4_valid(&p, value, offered))
        return false;
    if (number == 0)
        p.cr0 = value | CR0_ET;
    else
        p.cr4 = value;
    vmcb->cr0 = p.cr0;
    vmcb->cr4 = p.cr4;
    svm_derive_lma(vmcb);
    svm_cr_put(v, vmcb);
    atomic_fetch_add(&v->flushes, 1); /* what was found with other bits is not to be used */
    return true;
}

unsigned svm_cr_exit(struct vcpu *v, struct vmcb *vmcb)
{
    u32 code = (u32)vmcb->exit_code, number = code == VMEXIT_CR0_SELECTIVE ? 0 : code % 16;
    bool code64 = (vmcb->efer & EFER_LMA) && (vmcb->cs.attr & ATTR_L);
    u64 info = vmcb->exit_info1, *general;

    if (!(info & INFO_MOV))
        return cr_let(v, vmcb);
    general = general_register(v, vmcb, INFO_REGISTER(info));
    if (code < VMEXIT_CR0_WRITE)
        *general = number == 0 ? svm_cr0(v, vmcb) : svm_cr4(v, vmcb);
    else if (!cr_write(v, vmcb, number, code64 ? *general : (u32)*general, code64))
        return vcpu_inject_exception(v, EXCEPTION_GP, 0);
    svm_skip(v, v->insn_len);
    return VIRT_EXIT_HANDLED;
}
