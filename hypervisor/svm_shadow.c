/* SPDX-License-Identifier: GPL-2.0-only */
/* AMD-V without nested paging: exits that shadow page tables need, and the VMCB's side of the control registers. */
#include "shadow_insn.h"
#include "svm.h"
#include "virt.h"

#define ATTR_L 0x200u  /* of a code segment: 64-bit, and 32-bit */
#define ATTR_D 0x400u
#define CODE_MAX 15u
#define CR_BIT(n) (1u << (n))

static bool code64(const struct vcpu *v)
{
    return paging_long(&v->shadow->guest) && (svm_vmcb(v)->cs.attr & ATTR_L);
}

/* Control registers of the hardware from the guest's; those are read without an exit that are the same. */
static void hardware_set(struct vcpu *v, struct vmcb *vmcb)
{
    const struct paging *p = &v->shadow->guest;
    struct paging hw = shadow_cr_hardware(p);

    vmcb->cr0 = hw.cr0;
    vmcb->cr4 = hw.cr4;
    vmcb->efer = hw.efer | EFER_SVME;
    vmcb->intercept_cr_write = CR_BIT(0) | CR_BIT(3) | CR_BIT(4);
    vmcb->intercept_cr_read = (u16)(CR_BIT(3) | (hw.cr0 != p->cr0 ? CR_BIT(0) : 0) | (hw.cr4 != p->cr4 ? CR_BIT(4) : 0));
    vmcb->clean &= ~(VMCB_CLEAN_CR | VMCB_CLEAN_INTERCEPTS);
}

void svm_shadow_init(struct vcpu *v, struct vmcb *vmcb)
{
    v->shadow->guest = (struct paging){ .cr0 = vmcb->cr0 };
    vmcb->nested_control = 0;
    vmcb->intercept_exceptions |= 1u << EXCEPTION_PF;
    vmcb->intercept1 |= VMCB_INTERCEPT1_INVLPG;
    hardware_set(v, vmcb);
}

void svm_shadow_put(struct vcpu *v, u32 groups)
{
    struct vmcb *vmcb = svm_vmcb(v);
    struct paging to = v->shadow->guest;

    if (groups & CB_GROUP_CR) {
        to.cr0 = vmcb->cr0;
        to.cr3 = vmcb->cr3;
        to.cr4 = vmcb->cr4;
    }
    if (groups & CB_GROUP_SYSCALL)
        to.efer = vmcb->efer & ~EFER_SVME;
    shadow_cr_set(&v->shadow->guest, &v->shadow->table, &to);
    shadow_settle(v);
    hardware_set(v, vmcb);
}

bool svm_shadow_enter(const struct vcpu *v, struct vmcb *vmcb)
{
    u64 root = shadow_root(v->shadow);

    if (vmcb->cr3 != root) {
        vmcb->cr3 = root;
        vmcb->clean &= ~VMCB_CLEAN_CR;
    }
    return shadow_cr_valid(&v->shadow->guest);
}

unsigned svm_shadow_fault(struct vcpu *v, struct vmcb *vmcb)
{
    bool pass = (vmcb->rflags & RFLAGS_AC) && vmcb->cpl != 3; /* else it is implicit, from user mode */

    vmcb->clean &= ~VMCB_CLEAN_CR2;
    return shadow_page_fault(v, vmcb->exit_info2, (u32)vmcb->exit_info1 | (pass ? PF_AC : 0), &vmcb->cr2);
}

/* *size: bytes of code that could be read. */
static struct insn instruction(struct vcpu *v, const struct vmcb *vmcb, u32 *size)
{
    struct insn_context c = {
        .regs = &v->ctx.regs,
        .rsp = vmcb->rsp,
        .rip = vmcb->rip,
        .cr0 = v->shadow->guest.cr0,
        .mode = code64(v) ? 64 : vmcb->cs.attr & ATTR_D ? 32 : 16,
        .base = { vmcb->es.base, vmcb->cs.base, vmcb->ss.base, vmcb->ds.base, vmcb->fs.base, vmcb->gs.base },
    };
    u8 code[CODE_MAX];
    u64 linear = c.mode == 64 ? vmcb->rip : (u32)(vmcb->cs.base + vmcb->rip);

    *size = shadow_fetch(v, linear, vmcb->cpl == 3, code, sizeof(code));
    return insn_decode(code, *size, &c);
}

static void register_write(struct vcpu *v, struct vmcb *vmcb, const struct insn *insn, u64 value)
{
    u64 *at = regs_numbered(&v->ctx.regs, insn->reg);

    if (!at)
        at = &vmcb->rsp;
    *at = insn->bytes == 8 ? value : insn->bytes == 4 ? (u32)value : (*at & ~0xffffull) | (u16)value;
}

static u64 cr_read(const struct paging *p, u32 number)
{
    return number == 0 ? p->cr0 : number == 3 ? p->cr3 : p->cr4;
}

unsigned svm_shadow_insn(struct vcpu *v, struct vmcb *vmcb)
{
    struct shadow *s = v->shadow;
    u32 size;
    struct insn insn = instruction(v, vmcb, &size);

    switch (insn.op) {
    case INSN_CR_WRITE:
        if (!shadow_cr_write(&s->guest, &s->table, insn.number, insn.value, code64(v)))
            return vcpu_inject_exception(v, EXCEPTION_GP, 0);
        hardware_set(v, vmcb);
        break;
    case INSN_CR_READ: register_write(v, vmcb, &insn, cr_read(&s->guest, insn.number)); break;
    case INSN_INVLPG: shadow_table_drop(&s->table, insn.value); break;
    case INSN_INVLPG_ALL: shadow_table_drop_all(&s->table); break;
    case INSN_UNKNOWN: /* LMSW or SMSW with memory */
        if (!size)
            return VIRT_EXIT_HANDLED; /* the guest has changed its tables: it tries again, and faults */
        return vcpu_report(v, CB_EXIT_OTHER, (u32)vmcb->exit_code, 0);
    }
    shadow_settle(v);
    svm_skip(v, insn.length);
    return VIRT_EXIT_HANDLED;
}
