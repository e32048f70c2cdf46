/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-x: a vCPU's state between VMCS and messages. What comes from a message is hostile and may change while it is read:
 * each field is read once. Nothing here can make the guest's state harm the host; whether it makes sense, VM entry
 * says (exit INVALID).
 */
#include "shadow.h"
#include "vmx.h"

static enum vmcs_field segment_field(enum vmcs_field of_es, enum vmcs_segment s)
{
    return of_es + 2u * s;
}

/* Attributes and access rights have the same bits, but for a gap of four behind the first eight (25.4.1). */
static u32 rights_of(u16 attr)
{
    u32 rights = (attr & 0xffu) | (attr & 0xf00u) << 4;

    return (attr & SEGMENT_UNUSABLE) || !(attr & SEGMENT_PRESENT) ? rights | VMCS_RIGHTS_UNUSABLE : rights;
}

static u16 attr_of(u32 rights)
{
    return (u16)((rights & 0xffu) | (rights >> 4 & 0xf00u) | (rights & VMCS_RIGHTS_UNUSABLE ? SEGMENT_UNUSABLE : 0));
}

static void segment_write(enum vmcs_segment s, u16 sel, u16 attr, u32 limit, u64 base)
{
    vmcs_write(segment_field(VMCS_GUEST_ES_SEL, s), sel);
    vmcs_write(segment_field(VMCS_GUEST_ES_RIGHTS, s), rights_of(attr));
    vmcs_write(segment_field(VMCS_GUEST_ES_LIMIT, s), limit);
    vmcs_write(segment_field(VMCS_GUEST_ES_BASE, s), canonical(base));
}

static void segment_get(enum vmcs_segment s, struct cb_segment *out)
{
    out->sel = (u16)vmcs_read(segment_field(VMCS_GUEST_ES_SEL, s));
    out->attr = attr_of((u32)vmcs_read(segment_field(VMCS_GUEST_ES_RIGHTS, s)));
    out->limit = (u32)vmcs_read(segment_field(VMCS_GUEST_ES_LIMIT, s));
    out->base = vmcs_read(segment_field(VMCS_GUEST_ES_BASE, s));
}

/* The task register is always busy (27.3.1.2). */
static void segment_put(enum vmcs_segment s, const struct cb_segment *in)
{
    u16 attr = IN(attr);

    if (s == VMCS_TR && (attr & SEGMENT_TYPE) == TYPE_TSS_AVAILABLE)
        attr |= TYPE_TSS_BUSY;
    segment_write(s, IN(sel), attr, IN(limit), IN(base));
}

static void table_put(enum vmcs_field base, enum vmcs_field limit, const struct cb_segment *in)
{
    vmcs_write(base, canonical(IN(base)));
    vmcs_write(limit, IN(limit) & 0xffff);
}

static void table_get(enum vmcs_field base, enum vmcs_field limit, struct cb_segment *out)
{
    *out = (struct cb_segment){ .limit = (u32)vmcs_read(limit), .base = vmcs_read(base) };
}

/* ---- Control registers ---- */

/* What the guest sees: its own bits from the register, the others from the shadow. */
static u64 cr0_get(const struct vmx *x)
{
    u64 mask = ~VMX_CR0_OWNED | vmx_machine.cr0_fixed;

    return (vmcs_read(VMCS_GUEST_CR0) & ~mask) | (x->cr0_shadow & mask);
}

static void cr0_put(struct vmx *x, u64 value)
{
    x->cr0_shadow = value;
    vmcs_write(VMCS_CR0_SHADOW, value);
    vmcs_write(VMCS_GUEST_CR0, (value & VMX_CR0_OWNED) | vmx_machine.cr0_fixed);
}

static void cr4_put(struct vmx *x, u64 value)
{
    x->cr4_shadow = value;
    vmcs_write(VMCS_CR4_SHADOW, value);
    vmcs_write(VMCS_GUEST_CR4, (value & VMX_CR4_OWNED) | vmx_machine.cr4_fixed);
}

/* What follows from EFER.LME and CR0.PG: EFER.LMA and an entry control (27.3.1.1). */
static void efer_put(struct vmx *x, u64 efer)
{
    bool active = (efer & EFER_LME) && (cr0_get(x) & CR0_PG);

    if (active != (bool)(vmcs_read(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE))
        x->paging_changed = true;
    vmcs_write(VMCS_GUEST_EFER, efer | (active ? EFER_LMA : 0));
    vmcs_write(VMCS_ENTRY_CONTROLS, vmx_machine.entry | (active ? VMCS_ENTRY_LONG_MODE : 0));
}

/* PAE paging outside of long mode has four registers of its own, which the guest's MOV to CR3 loads from its memory. */
static bool pae_paging(const struct vmx *x)
{
    return (cr0_get(x) & CR0_PG) && (vmx_cr4(x) & CR4_PAE) && !(vmcs_read(VMCS_ENTRY_CONTROLS) & VMCS_ENTRY_LONG_MODE);
}

static void pdptes_put(const struct cb_state *in)
{
    for (u32 i = 0; i < ARRAY_SIZE(in->pdpte); i++)
        vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, IN(pdpte[i]));
}

static void pdptes_get(const struct vcpu *v, const struct vmx *x, struct cb_state *out)
{
    bool used = !v->shadow && pae_paging(x);

    for (u32 i = 0; i < ARRAY_SIZE(out->pdpte); i++)
        out->pdpte[i] = used ? vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i) : 0;
}

static void control_registers_put(const struct vcpu *v, struct vmx *x, const struct cb_state *in)
{
    u64 cr0 = IN(cr0), cr3 = IN(cr3), cr4 = IN(cr4);

    pdptes_put(in);
    x->cr2 = IN(cr2);
    vmx_apic_cr8_put(v, x, IN(cr8) & 0xf);
    if (cr0 == cr0_get(x) && cr3 == vmcs_read(VMCS_GUEST_CR3) && cr4 == vmx_cr4(x))
        return;
    x->paging_changed = true;
    cr0_put(x, cr0);
    cr4_put(x, cr4);
    vmcs_write(VMCS_GUEST_CR3, cr3);
    efer_put(x, vmcs_read(VMCS_GUEST_EFER) & ~EFER_LMA);
}

static void control_registers_check(struct vmx *x)
{
    u64 cr0 = cr0_get(x), cr4 = vmx_cr4(x);

    if (!x->paging_changed)
        return;
    x->wrong = NULL;
    if ((cr0 & ~(VMX_CR0_OWNED | VMX_CR0_SHADOWED)) || cr0_is_odd(cr0))
        x->wrong = "CR0 has bits that a guest cannot set";
    else if (cr4 & ~vmx_machine.cr4_allowed)
        x->wrong = "CR4 has bits that a guest cannot set";
    else
        x->paging_changed = false;
}

static void control_registers_get(const struct vcpu *v, const struct vmx *x, struct cb_state *out)
{
    out->cr0 = cr0_get(x);
    out->cr2 = x->cr2;
    out->cr3 = vmcs_read(VMCS_GUEST_CR3);
    out->cr4 = vmx_cr4(x);
    out->cr8 = vmx_apic_cr8(v, x);
    pdptes_get(v, x, out);
}

/* ---- System call registers, debug registers ---- */

static void system_get(const struct vmx *x, struct cb_state *out)
{
    out->efer = vmcs_read(VMCS_GUEST_EFER);
    out->star = x->syscall.star;
    out->lstar = x->syscall.lstar;
    out->cstar = x->cstar;
    out->fmask = x->syscall.fmask;
    out->kernel_gs_base = vmx_cpu()->gs_base == x ? rdmsr(MSR_KERNEL_GS_BASE) : x->kernel_gs_base;
    out->sysenter_cs = vmcs_read(VMCS_GUEST_SYSENTER_CS);
    out->sysenter_esp = vmcs_read(VMCS_GUEST_SYSENTER_ESP);
    out->sysenter_eip = vmcs_read(VMCS_GUEST_SYSENTER_EIP);
    out->pat = vmx_machine.nested ? vmcs_read(VMCS_GUEST_PAT) : x->pat;
}

static void system_put(struct vmx *x, const struct cb_state *in)
{
    struct vmx_cpu *c = vmx_cpu();

    if (vmx_machine.nested)
        efer_put(x, IN(efer) & VMX_EFER_GUEST);
    x->syscall.star = IN(star);
    x->syscall.lstar = canonical(IN(lstar));
    x->cstar = canonical(IN(cstar));
    x->syscall.fmask = (u32)IN(fmask);
    x->kernel_gs_base = canonical(IN(kernel_gs_base));
    if (cpu.syscall == &x->syscall) /* what is in the registers is old: the next entry loads them */
        cpu_syscall_restore();
    if (c->gs_base == x)
        c->gs_base = NULL;
    vmcs_write(VMCS_GUEST_SYSENTER_CS, (u32)IN(sysenter_cs));
    vmcs_write(VMCS_GUEST_SYSENTER_ESP, canonical(IN(sysenter_esp)));
    vmcs_write(VMCS_GUEST_SYSENTER_EIP, canonical(IN(sysenter_eip)));
    if (vmx_machine.nested)
        vmcs_write(VMCS_GUEST_PAT, IN(pat));
    else
        x->pat = IN(pat);
}

static void debug_put(struct vmx *x, u64 dr6, u64 dr7)
{
    x->dr6 = (u32)dr6;
    vmcs_write(VMCS_GUEST_DR7, (u32)dr7);
    x->dr_live = dr7 & DR7_ENABLED;
    vmx_controls(x, x->dr_live ? x->primary & ~VMCS_CONTROL_DR : x->primary | VMCS_CONTROL_DR);
}

static void debug_addresses_put(struct vmx *x, const struct cb_state *in)
{
    for (u32 i = 0; i < ARRAY_SIZE(x->dr); i++)
        x->dr[i] = IN(dr[i]);
}

/* ---- All of it ---- */

void vmx_reset(struct vmx *x)
{
    for (enum vmcs_segment s = VMCS_ES; s <= VMCS_GS; s++)
        segment_write(s, 0, 0x93, 0xffff, 0);
    segment_write(VMCS_CS, 0xf000, 0x9b, 0xffff, 0xffff0000);
    segment_write(VMCS_LDTR, 0, 0x82, 0xffff, 0);
    segment_write(VMCS_TR, 0, 0x80 | TYPE_TSS_BUSY, 0xffff, 0);
    table_put(VMCS_GUEST_GDTR_BASE, VMCS_GUEST_GDTR_LIMIT, &(struct cb_segment){ .limit = 0xffff });
    table_put(VMCS_GUEST_IDTR_BASE, VMCS_GUEST_IDTR_LIMIT, &(struct cb_segment){ .limit = 0xffff });
    cr0_put(x, CR0_RESET);
    cr4_put(x, 0);
    vmcs_write(VMCS_GUEST_CR3, 0);
    efer_put(x, 0);
    debug_put(x, DR6_RESET, DR7_RESET);
    vmcs_write(VMCS_GUEST_RFLAGS, RFLAGS_1);
    vmcs_write(VMCS_GUEST_RIP, 0xfff0);
    vmcs_write(VMCS_GUEST_RSP, 0);
    vmcs_write(VMCS_GUEST_PAT, PAT_RESET);
    x->pat = PAT_RESET;
    vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
    vmcs_write(VMCS_GUEST_SYSENTER_CS, 0);
    vmcs_write(VMCS_GUEST_SYSENTER_ESP, 0);
    vmcs_write(VMCS_GUEST_SYSENTER_EIP, 0);
    vmcs_write(VMCS_INTERRUPTIBILITY, 0);
    vmcs_write(VMCS_ACTIVITY, 0);
    vmcs_write(VMCS_PENDING_DEBUG, 0);
}

static void segments_get(u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_CS_SS) {
        segment_get(VMCS_CS, &out->cs);
        segment_get(VMCS_SS, &out->ss);
    }
    if (groups & CB_GROUP_DS_ES_FS_GS) {
        segment_get(VMCS_DS, &out->ds);
        segment_get(VMCS_ES, &out->es);
        segment_get(VMCS_FS, &out->fs);
        segment_get(VMCS_GS, &out->gs);
    }
    if (groups & CB_GROUP_LDTR_TR) {
        segment_get(VMCS_LDTR, &out->ldtr);
        segment_get(VMCS_TR, &out->tr);
    }
    if (groups & CB_GROUP_GDTR_IDTR) {
        table_get(VMCS_GUEST_GDTR_BASE, VMCS_GUEST_GDTR_LIMIT, &out->gdtr);
        table_get(VMCS_GUEST_IDTR_BASE, VMCS_GUEST_IDTR_LIMIT, &out->idtr);
    }
}

static void rest_get(const struct vcpu *v, const struct vmx *x, u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_CR)
        control_registers_get(v, x, out);
    if (groups & CB_GROUP_DR) {
        out->dr6 = x->dr6;
        out->dr7 = vmcs_read(VMCS_GUEST_DR7);
        for (u32 i = 0; i < ARRAY_SIZE(x->dr); i++)
            out->dr[i] = x->dr[i];
    }
    segments_get(groups, out);
    if (groups & CB_GROUP_SYSCALL)
        system_get(x, out);
    if (groups & CB_GROUP_INJECT) {
        out->blocked = (u32)vmcs_read(VMCS_INTERRUPTIBILITY) & (CB_BLOCKED_STI | CB_BLOCKED_MOVSS);
        out->pending_debug = vmcs_read(VMCS_PENDING_DEBUG);
    }
    if ((groups & CB_GROUP_VAPIC) && x->apic)
        vmx_apic_get(x, out);
    if (v->shadow)
        shadow_get(v->shadow, groups, out);
}

void vmx_get(const struct vcpu *v, u32 groups, struct cb_state *out)
{
    const struct vmx *x = vmx_of(v);

    if (groups & CB_GROUP_RSP)
        out->rsp = vmcs_read(VMCS_GUEST_RSP);
    if (groups & CB_GROUP_RIP)
        out->rip = vmcs_read(VMCS_GUEST_RIP);
    if (groups & CB_GROUP_RFLAGS)
        out->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
    if (groups & GROUPS_REST)
        rest_get(v, x, groups, out);
}

static void segments_put(u32 groups, const struct cb_state *in)
{
    if (groups & CB_GROUP_CS_SS) {
        segment_put(VMCS_CS, &in->cs);
        segment_put(VMCS_SS, &in->ss);
    }
    if (groups & CB_GROUP_DS_ES_FS_GS) {
        segment_put(VMCS_DS, &in->ds);
        segment_put(VMCS_ES, &in->es);
        segment_put(VMCS_FS, &in->fs);
        segment_put(VMCS_GS, &in->gs);
    }
    if (groups & CB_GROUP_LDTR_TR) {
        segment_put(VMCS_LDTR, &in->ldtr);
        segment_put(VMCS_TR, &in->tr);
    }
    if (groups & CB_GROUP_GDTR_IDTR) {
        table_put(VMCS_GUEST_GDTR_BASE, VMCS_GUEST_GDTR_LIMIT, &in->gdtr);
        table_put(VMCS_GUEST_IDTR_BASE, VMCS_GUEST_IDTR_LIMIT, &in->idtr);
    }
}

/* Single-stepping in a shadow: entry wants to see the #DB that is due behind it (27.3.1.5). */
static void blocked_put(const struct vcpu *v, u32 blocked, u64 pending)
{
    blocked &= VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS;
    pending &= VMCS_PENDING_ALL;
    if (blocked)
        pending = (pending & ~VMCS_PENDING_STEP) | (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF ? VMCS_PENDING_STEP : 0);
    vmcs_write(VMCS_PENDING_DEBUG, pending);
    vmcs_write(VMCS_INTERRUPTIBILITY, blocked | (v->nmi == VCPU_NMI_OPEN ? 0 : VMCS_BLOCKED_NMI));
}

static void rest_put(struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in)
{
    if (v->shadow && (groups & (CB_GROUP_CR | CB_GROUP_SYSCALL)))
        vmx_shadow_put(v, x, groups, in);
    else if (groups & CB_GROUP_CR)
        control_registers_put(v, x, in);
    if (groups & CB_GROUP_DR) {
        debug_put(x, IN(dr6), IN(dr7));
        debug_addresses_put(x, in);
    }
    segments_put(groups, in);
    if (groups & CB_GROUP_SYSCALL)
        system_put(x, in);
    if (!v->shadow && (groups & (CB_GROUP_CR | CB_GROUP_SYSCALL)))
        control_registers_check(x);
    if (groups & CB_GROUP_INJECT)
        blocked_put(v, IN(blocked), IN(pending_debug));
    if (groups & CB_GROUP_CTRL) {
        vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
        vmcs_write(VMCS_EXCEPTIONS, v->exception_bitmap | VIRT_EXCEPTIONS | (v->shadow ? 1u << EXCEPTION_PF : 0));
    }
    if ((groups & (CB_GROUP_CTRL | CB_GROUP_VAPIC)) && x->apic)
        vmx_apic_put(v, x, groups, in);
}

void vmx_put(struct vcpu *v, u32 groups, const struct cb_state *in)
{
    struct vmx *x = vmx_of(v);

    if (groups & CB_GROUP_RSP)
        vmcs_write(VMCS_GUEST_RSP, IN(rsp));
    if (groups & CB_GROUP_RIP)
        vmcs_write(VMCS_GUEST_RIP, IN(rip));
    if (groups & CB_GROUP_RFLAGS)
        vmcs_write(VMCS_GUEST_RFLAGS, (IN(rflags) & RFLAGS_ALL) | RFLAGS_1);
    if (groups & GROUPS_REST)
        rest_put(v, x, groups, in);
}
