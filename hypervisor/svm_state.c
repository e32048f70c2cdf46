/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AMD-V: a vCPU's state between VMCB and messages. What comes from a message is hostile and may change while it is
 * read: each field is read once. Nothing here can make the guest's state harm the host; whether it makes sense,
 * VMRUN says (exit INVALID).
 */
#include "svm.h"

#define SEGMENT_ATTR 0xfffu
#define SEGMENT_DPL(attr) ((u32)(attr) >> 5 & 3u)

#define RFLAGS_VM (1ull << 17)
#define EFER_FFXSR (1ull << 14)
#define EFER_TCE (1ull << 15)
#define EFER_GUEST (EFER_SCE | EFER_LME | EFER_NXE | EFER_FFXSR | EFER_TCE)

void svm_reset(struct vmcb *vmcb)
{
    const struct vmcb_segment data = { .attr = 0x93, .limit = 0xffff };

    vmcb->es = vmcb->ss = vmcb->ds = vmcb->fs = vmcb->gs = data;
    vmcb->cs = (struct vmcb_segment){ .sel = 0xf000, .attr = 0x9b, .limit = 0xffff, .base = 0xffff0000 };
    vmcb->gdtr = vmcb->idtr = (struct vmcb_segment){ .limit = 0xffff };
    vmcb->ldtr = (struct vmcb_segment){ .attr = 0x82, .limit = 0xffff };
    vmcb->tr = (struct vmcb_segment){ .attr = 0x80 | TYPE_TSS_AVAILABLE, .limit = 0xffff };
    vmcb->cpl = 0;
    vmcb->efer = EFER_SVME;
    vmcb->cr0 = CR0_RESET;
    vmcb->cr2 = vmcb->cr3 = vmcb->cr4 = 0;
    vmcb->dr6 = DR6_RESET;
    vmcb->dr7 = DR7_RESET;
    vmcb->rflags = RFLAGS_1;
    vmcb->rip = 0xfff0;
    vmcb->rsp = vmcb->rax = 0;
    vmcb->star = vmcb->lstar = vmcb->cstar = vmcb->sfmask = vmcb->kernel_gs_base = 0;
    vmcb->sysenter_cs = vmcb->sysenter_esp = vmcb->sysenter_eip = 0;
    vmcb->g_pat = PAT_RESET;
    vmcb->interrupt_shadow = 0;
    vmcb->clean = 0;
}

static void segment_get(const struct vmcb_segment *s, struct cb_segment *out)
{
    out->sel = s->sel;
    out->attr = s->attr;
    if (!(s->attr & SEGMENT_PRESENT))
        out->attr |= SEGMENT_UNUSABLE;
    out->limit = s->limit;
    out->base = s->base;
}

static void segment_put(struct vmcb_segment *s, const struct cb_segment *in)
{
    u16 attr = IN(attr);

    if (attr & SEGMENT_UNUSABLE)
        attr &= (u16)~SEGMENT_PRESENT;
    s->attr = attr & SEGMENT_ATTR;
    s->sel = IN(sel);
    s->limit = IN(limit);
    s->base = canonical(IN(base));
}

static void table_get(const struct vmcb_segment *s, struct cb_segment *out)
{
    *out = (struct cb_segment){ .limit = s->limit, .base = s->base };
}

static void table_put(struct vmcb_segment *s, const struct cb_segment *in)
{
    s->limit = IN(limit) & 0xffff;
    s->base = canonical(IN(base));
}

/* The task register is busy for VT-x and for those who read it; QEMU wants it available in the VMCB. */
static void tr_get(const struct vmcb_segment *s, struct cb_segment *out)
{
    segment_get(s, out);
    if ((s->attr & SEGMENT_TYPE) == TYPE_TSS_AVAILABLE)
        out->attr |= TYPE_TSS_BUSY;
}

static void tr_put(struct vmcb_segment *s, const struct cb_segment *in)
{
    segment_put(s, in);
    if ((s->attr & SEGMENT_TYPE) == TYPE_TSS_BUSY)
        s->attr = (u16)((s->attr & ~SEGMENT_TYPE) | TYPE_TSS_AVAILABLE);
}

/* The privilege level is the VMCB's own field; the stack segment's copy may be old (APM 2, 15.5.1). */
static void ss_get(const struct vmcb *vmcb, struct cb_segment *out)
{
    segment_get(&vmcb->ss, out);
    out->attr = (u16)((out->attr & ~(3u << 5)) | (vmcb->cpl & 3u) << 5);
}

static void system_get(const struct vmcb *vmcb, struct cb_state *out)
{
    out->efer = vmcb->efer & ~EFER_SVME;
    out->star = vmcb->star;
    out->lstar = vmcb->lstar;
    out->cstar = vmcb->cstar;
    out->fmask = vmcb->sfmask;
    out->kernel_gs_base = vmcb->kernel_gs_base;
    out->sysenter_cs = vmcb->sysenter_cs;
    out->sysenter_esp = vmcb->sysenter_esp;
    out->sysenter_eip = vmcb->sysenter_eip;
    out->pat = vmcb->g_pat;
}

static void system_put(struct vmcb *vmcb, const struct cb_state *in)
{
    vmcb->efer = (IN(efer) & EFER_GUEST) | EFER_SVME;
    vmcb->star = IN(star);
    vmcb->lstar = canonical(IN(lstar));
    vmcb->cstar = canonical(IN(cstar));
    vmcb->sfmask = (u32)IN(fmask);
    vmcb->kernel_gs_base = canonical(IN(kernel_gs_base));
    vmcb->sysenter_cs = IN(sysenter_cs);
    vmcb->sysenter_esp = canonical(IN(sysenter_esp));
    vmcb->sysenter_eip = canonical(IN(sysenter_eip));
    vmcb->g_pat = IN(pat);
    vmcb->clean &= ~(VMCB_CLEAN_CR | VMCB_CLEAN_NESTED);
}

static void control_registers_get(const struct vcpu *v, const struct vmcb *vmcb, struct cb_state *out)
{
    out->cr0 = svm_cr0(v, vmcb);
    out->cr2 = vmcb->cr2;
    out->cr3 = vmcb->cr3;
    out->cr4 = svm_cr4(v, vmcb);
    out->cr8 = vmcb->vintr & 0xf;
    for (u32 i = 0; i < ARRAY_SIZE(out->pdpte); i++)
        out->pdpte[i] = 0; /* read from memory whenever they are needed: APM 2, 15.25.10 */
}

static void control_registers_put(struct vcpu *v, struct vmcb *vmcb, const struct cb_state *in)
{
    vmcb->cr0 = IN(cr0);
    vmcb->cr2 = IN(cr2);
    vmcb->cr3 = IN(cr3);
    vmcb->cr4 = IN(cr4);
    vmcb->vintr = (vmcb->vintr & ~VMCB_VINTR_TPR) | (IN(cr8) & 0xf);
    vmcb->clean &= ~(VMCB_CLEAN_CR | VMCB_CLEAN_CR2 | VMCB_CLEAN_VINTR);
    svm_cr_put(v, vmcb);
}

static void rest_get(const struct vcpu *v, const struct vmcb *vmcb, u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_CR)
        control_registers_get(v, vmcb, out);
    if (groups & CB_GROUP_DR) {
        out->dr6 = vmcb->dr6;
        out->dr7 = vmcb->dr7;
        for (u32 i = 0; i < ARRAY_SIZE(vmcb->dr); i++)
            out->dr[i] = vmcb->dr[i];
    }
    if (groups & CB_GROUP_CS_SS) {
        segment_get(&vmcb->cs, &out->cs);
        ss_get(vmcb, &out->ss);
    }
    if (groups & CB_GROUP_DS_ES_FS_GS) {
        segment_get(&vmcb->ds, &out->ds);
        segment_get(&vmcb->es, &out->es);
        segment_get(&vmcb->fs, &out->fs);
        segment_get(&vmcb->gs, &out->gs);
    }
    if (groups & CB_GROUP_LDTR_TR) {
        segment_get(&vmcb->ldtr, &out->ldtr);
        tr_get(&vmcb->tr, &out->tr);
    }
    if (groups & CB_GROUP_GDTR_IDTR) {
        table_get(&vmcb->gdtr, &out->gdtr);
        table_get(&vmcb->idtr, &out->idtr);
    }
    if (groups & CB_GROUP_SYSCALL)
        system_get(vmcb, out);
    if (groups & CB_GROUP_INJECT) {
        out->blocked = vmcb->interrupt_shadow & SVM_SHADOW ? CB_BLOCKED_STI : 0;
        out->pending_debug = 0;
    }
}

void svm_get(const struct vcpu *v, u32 groups, struct cb_state *out)
{
    const struct vmcb *vmcb = svm_vmcb(v);

    if (groups & CB_GROUP_RIP)
        out->rip = vmcb->rip;
    if (groups & CB_GROUP_RSP)
        out->rsp = vmcb->rsp;
    if (groups & CB_GROUP_RFLAGS)
        out->rflags = vmcb->rflags;
    if (groups & GROUPS_REST) {
        rest_get(v, vmcb, groups, out);
        if (v->shadow)
            shadow_get(v->shadow, groups, out);
    }
}

static void segments_put(struct vmcb *vmcb, u32 groups, const struct cb_state *in)
{
    if (groups & CB_GROUP_CS_SS) {
        segment_put(&vmcb->cs, &in->cs);
        segment_put(&vmcb->ss, &in->ss);
        vmcb->clean &= ~VMCB_CLEAN_SEGMENTS;
    }
    if (groups & CB_GROUP_DS_ES_FS_GS) {
        segment_put(&vmcb->ds, &in->ds);
        segment_put(&vmcb->es, &in->es);
        segment_put(&vmcb->fs, &in->fs);
        segment_put(&vmcb->gs, &in->gs);
        vmcb->clean &= ~VMCB_CLEAN_SEGMENTS;
    }
    if (groups & CB_GROUP_LDTR_TR) {
        segment_put(&vmcb->ldtr, &in->ldtr);
        tr_put(&vmcb->tr, &in->tr);
    }
    if (groups & CB_GROUP_GDTR_IDTR) {
        table_put(&vmcb->gdtr, &in->gdtr);
        table_put(&vmcb->idtr, &in->idtr);
        vmcb->clean &= ~VMCB_CLEAN_DT;
    }
}

void svm_derive_lma(struct vmcb *vmcb)
{
    u64 efer = vmcb->efer & ~EFER_LMA;

    vmcb->efer = efer | ((efer & EFER_LME) && (vmcb->cr0 & CR0_PG) ? EFER_LMA : 0);
}

/* What follows from other state: EFER.LMA, and the privilege level from the mode. APM 2, 15.5.1. */
static void derived_put(struct vmcb *vmcb)
{
    svm_derive_lma(vmcb);
    if (!(vmcb->cr0 & CR0_PE))
        vmcb->cpl = 0;
    else if (vmcb->rflags & RFLAGS_VM)
        vmcb->cpl = 3;
    else
        vmcb->cpl = (u8)SEGMENT_DPL(vmcb->ss.attr);
    vmcb->clean &= ~(VMCB_CLEAN_CR | VMCB_CLEAN_SEGMENTS);
}

static void rest_put(struct vcpu *v, struct vmcb *vmcb, u32 groups, const struct cb_state *in)
{
    if (groups & CB_GROUP_RFLAGS)
        vmcb->rflags = (IN(rflags) & RFLAGS_ALL) | RFLAGS_1;
    if (groups & CB_GROUP_CR)
        control_registers_put(v, vmcb, in);
    if (groups & CB_GROUP_DR) {
        vmcb->dr6 = (u32)IN(dr6);
        vmcb->dr7 = (u32)IN(dr7);
        for (u32 i = 0; i < ARRAY_SIZE(vmcb->dr); i++)
            vmcb->dr[i] = IN(dr[i]);
        vmcb->clean &= ~VMCB_CLEAN_DR;
    }
    segments_put(vmcb, groups, in);
    if (groups & CB_GROUP_SYSCALL)
        system_put(vmcb, in);
    if (groups & CB_GROUP_INJECT)
        vmcb->interrupt_shadow = IN(blocked) & (CB_BLOCKED_STI | CB_BLOCKED_MOVSS) ? SVM_SHADOW : 0;
    if (groups & CB_GROUP_CTRL) {
        vmcb->tsc_offset = v->tsc_offset;
        vmcb->intercept_exceptions = v->exception_bitmap | VIRT_EXCEPTIONS | (v->shadow ? 1u << EXCEPTION_PF : 0);
        vmcb->clean &= ~VMCB_CLEAN_INTERCEPTS;
    }
    if (groups & (CB_GROUP_CR | CB_GROUP_CS_SS | CB_GROUP_RFLAGS | CB_GROUP_SYSCALL))
        derived_put(vmcb);
}

void svm_put(struct vcpu *v, u32 groups, const struct cb_state *in)
{
    struct vmcb *vmcb = svm_vmcb(v);

    if (groups & CB_GROUP_RIP)
        vmcb->rip = IN(rip);
    if (groups & CB_GROUP_RSP)
        vmcb->rsp = IN(rsp);
    if (groups & (GROUPS_REST | CB_GROUP_RFLAGS))
        rest_put(v, vmcb, groups, in);
    if (v->shadow && (groups & (CB_GROUP_CR | CB_GROUP_SYSCALL)))
        svm_shadow_put(v, groups);
}
