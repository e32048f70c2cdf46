/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-x without EPT: exits that shadow page tables need, and the VMCS's side of the control registers. The guest owns no
 * bit of CR0 and CR4: it reads what it wrote, and each change leaves it. Such processors run no guest in real mode, and
 * some have no place for EFER in the VMCS: it is in the lists of registers to load.
 */
#include "shadow.h"
#include "shadow_insn.h"
#include "virt.h"
#include "vmx.h"

static bool code64(const struct paging *p)
{
    return paging_long(p) && (vmcs_read(VMCS_GUEST_ES_RIGHTS + 2u * VMCS_CS) & VMCS_RIGHTS_LONG);
}

static const char *refusal(const struct paging *p)
{
    if (!(p->cr0 & CR0_PE))
        return "real mode needs VT-x with unrestricted guests";
    if ((p->cr0 & ~(VMX_CR0_OWNED | VMX_CR0_SHADOWED)) || cr0_is_odd(p->cr0))
        return "CR0 has bits that a guest cannot set";
    if (p->cr4 & ~shadow_cr4_bits)
        return "CR4 has bits that a guest cannot set";
    return shadow_cr_valid(p) ? NULL : "long mode needs PAE";
}

/* Control registers of the hardware from the guest's. */
static void hardware_set(const struct vcpu *v, struct vmx *x)
{
    const struct paging *p = &v->shadow->guest;
    struct paging hw = shadow_cr_hardware(p);

    x->wrong = refusal(p);
    x->cr0_shadow = p->cr0;
    x->cr4_shadow = p->cr4;
    vmcs_write(VMCS_CR0_SHADOW, p->cr0);
    vmcs_write(VMCS_CR4_SHADOW, p->cr4);
    vmcs_write(VMCS_GUEST_CR0, (hw.cr0 & VMX_CR0_OWNED) | vmx_machine.cr0_fixed);
    vmcs_write(VMCS_GUEST_CR4, (hw.cr4 & VMX_CR4_OWNED) | vmx_machine.cr4_fixed);
    vmcs_write(VMCS_ENTRY_CONTROLS, vmx_machine.entry | (hw.efer & EFER_LMA ? VMCS_ENTRY_LONG_MODE : 0));
    x->guest_efer.value = hw.efer;
}

static void efer_lists_init(struct vmx *x)
{
    x->guest_efer.msr = x->host_efer.msr = MSR_EFER;
    x->host_efer.value = rdmsr(MSR_EFER);
    vmcs_write(VMCS_ENTRY_MSR_LOAD_LIST, physical(&x->guest_efer));
    vmcs_write(VMCS_ENTRY_MSR_LOADS, 1);
    vmcs_write(VMCS_EXIT_MSR_LOAD_LIST, physical(&x->host_efer));
    vmcs_write(VMCS_EXIT_MSR_LOADS, 1);
}

void vmx_shadow_init(const struct vcpu *v, struct vmx *x)
{
    v->shadow->guest = (struct paging){ .cr0 = x->cr0_shadow };
    vmcs_write(VMCS_CR0_MASK, ~0ull);
    x->cr4_mask = ~0ull;
    vmcs_write(VMCS_CR4_MASK, x->cr4_mask);
    vmcs_write(VMCS_EXCEPTIONS, VIRT_EXCEPTIONS | 1u << EXCEPTION_PF);
    efer_lists_init(x);
    hardware_set(v, x);
}

void vmx_shadow_put(struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in)
{
    struct paging to = v->shadow->guest;

    if (groups & CB_GROUP_CR) {
        to.cr0 = IN(cr0);
        to.cr3 = IN(cr3);
        to.cr4 = IN(cr4);
        x->cr2 = IN(cr2);
        x->cr8 = IN(cr8) & 0xf;
    }
    if (groups & CB_GROUP_SYSCALL)
        to.efer = IN(efer) & VMX_EFER_GUEST;
    shadow_cr_set(&v->shadow->guest, &v->shadow->table, &to);
    shadow_settle(v);
    hardware_set(v, x);
}

void vmx_shadow_enter(const struct vcpu *v)
{
    vmcs_write(VMCS_GUEST_CR3, shadow_root(v->shadow));
}

unsigned vmx_shadow_fault(struct vcpu *v, struct vmx *x)
{
    bool user_mode = VMX_RIGHTS_DPL(vmcs_read(VMCS_GUEST_SS_RIGHTS)) == 3;
    bool pass = (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_AC) && !user_mode; /* else it is implicit, from user mode */
    u32 error = (u32)vmcs_read(VMCS_EXIT_EVENT_ERROR);

    return shadow_page_fault(v, vmcs_read(VMCS_QUALIFICATION), error | (pass ? PF_AC : 0), &x->cr2);
}

/* What is to be written to the control register. */
static u64 cr_value(struct vcpu *v, u64 q)
{
    const struct paging *p = &v->shadow->guest;
    u64 value;

    switch (VMCS_CR_ACCESS(q)) {
    case VMCS_CR_CLTS: return p->cr0 & ~CR0_TS;
    case VMCS_CR_LMSW: return (p->cr0 & ~0xeull) | (VMCS_CR_SOURCE(q) & 0xf);
    default:
        value = vmx_register_read(v, VMCS_CR_REGISTER(q));
        return code64(p) ? value : (u32)value;
    }
}

unsigned vmx_shadow_cr(struct vcpu *v, struct vmx *x, u64 q)
{
    struct shadow *s = v->shadow;

    if (VMCS_CR_ACCESS(q) == VMCS_CR_FROM) {
        vmx_register_write(v, VMCS_CR_REGISTER(q), s->guest.cr3);
    } else {
        if (!shadow_cr_write(&s->guest, &s->table, VMCS_CR_NUMBER(q), cr_value(v, q), code64(&s->guest)))
            return vcpu_inject_exception(v, EXCEPTION_GP, 0);
        hardware_set(v, x);
        shadow_settle(v);
    }
    return vmx_skip_handled(v);
}

unsigned vmx_shadow_invlpg(struct vcpu *v)
{
    shadow_table_drop(&v->shadow->table, vmcs_read(VMCS_QUALIFICATION));
    shadow_settle(v);
    return vmx_skip_handled(v);
}
