/* SPDX-License-Identifier: GPL-2.0-only */
/* A vCPU's state in messages: the part that does not depend on the vendor. See virt.h for the rest. */
#include "cpu_init.h"
#include "fpu.h"
#include "kstring.h"
#include "log.h"
#include "mce.h"
#include "vcpu.h"
#include "virt.h"
#include "virt_state.h"

#define VECTOR_LAST 30u /* the last exception that can be injected; 31 is reserved */
#define UPCALL_FIRST 32u

/* Groups that change nothing about how the guest is entered. */
#define GROUPS_PLAIN (CB_GROUP_ACDB | CB_GROUP_BSD | CB_GROUP_R8_R15 | CB_GROUP_RSP | CB_GROUP_RIP | CB_GROUP_RFLAGS)

#define INJECT_VECTOR 0xffu

/* Those that push an error code: APM 2, 8.2. */
#define VECTORS_WITH_ERROR (1u << EXCEPTION_DF | 0x1fu << 10 | 1u << EXCEPTION_AC)

unsigned vcpu_inject_exception(struct vcpu *v, u32 vector, u32 error)
{
    if (v->inject == (CB_INJECT_VALID | CB_INJECT_TYPE_INTR | v->upcall_vector))
        atomic_fetch_or(&v->hazards, VCPU_HAZARD_UPCALL);
    v->inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | vector;
    if (VECTORS_WITH_ERROR >> vector & 1)
        v->inject |= CB_INJECT_ERROR;
    v->inject_error = error;
    vcpu_set_special(v);
    return VIRT_EXIT_HANDLED;
}

unsigned vcpu_machine_check(struct vcpu *v)
{
    u64 bank;

    switch (mce_take(&bank)) {
    case MCE_GO_ON: return VIRT_EXIT_HANDLED;
    case MCE_CONTEXT:
        log_printf("corbel: a machine check (%lx) in memory that a guest uses: vCPU number %u", bank, v->number);
        return vcpu_report(v, CB_EXIT_EXCEPTION, EXCEPTION_MC, 0);
    default: panic("machine check, status %lx", bank);
    }
}

static void inject_get(const struct vcpu *v, struct cb_state *out)
{
    out->inject = v->inject;
    if (v->window_to_vmm)
        out->inject |= CB_INJECT_WINDOW;
    if (v->nmi_window_to_vmm)
        out->inject |= CB_INJECT_NMI_WINDOW;
    out->inject_error = v->inject_error;
    if (v->nmi != VCPU_NMI_OPEN)
        out->blocked |= CB_BLOCKED_NMI;
    out->upcall_vector = v->upcall_vector;
}

/* What the hardware would take; 0: nothing is injected. */
static u32 inject_check(u32 inject)
{
    u32 vector = inject & INJECT_VECTOR, type = inject & INJECT_TYPE, error = 0;

    if (!(inject & CB_INJECT_VALID))
        return 0;
    switch (type) {
    case CB_INJECT_TYPE_INTR:
    case CB_INJECT_TYPE_SOFT:
        break;
    case CB_INJECT_TYPE_NMI:
        vector = EXCEPTION_NMI;
        break;
    case CB_INJECT_TYPE_EXCEPTION:
        if (vector == EXCEPTION_NMI || vector > VECTOR_LAST)
            return 0;
        error = inject & CB_INJECT_ERROR;
        break;
    default:
        return 0;
    }
    return CB_INJECT_VALID | type | vector | error;
}

static void inject_put(struct vcpu *v, const struct cb_state *in)
{
    u32 inject = IN(inject), vector = IN(upcall_vector);

    v->inject = inject_check(inject);
    v->inject_error = IN(inject_error);
    v->window_to_vmm = inject & CB_INJECT_WINDOW;
    v->nmi_window_to_vmm = inject & CB_INJECT_NMI_WINDOW;
    if (!(IN(blocked) & CB_BLOCKED_NMI))
        v->nmi = VCPU_NMI_OPEN;
    else if (v->nmi == VCPU_NMI_OPEN)
        v->nmi = VCPU_NMI_BLOCKED;
    if (vector >= UPCALL_FIRST && vector <= INJECT_VECTOR)
        v->upcall_vector = vector;
}

/* SDM 1, 13.3: what XSETBV takes. */
static bool xcr0_valid(u64 x)
{
    u64 avx512 = x & XCR0_AVX512;

    return !(x & ~fpu_features) && (x & XCR0_X87) && (!(x & XCR0_AVX) || (x & XCR0_SSE)) &&
           (!avx512 || (avx512 == XCR0_AVX512 && (x & XCR0_AVX)));
}

/* Who has an APIC may find an interrupt in it when it executes HLT behind STI: so HLT must be its VMM's to answer for. */
static const char *control_check(u32 ctrl)
{
    if (!(ctrl & CB_CTRL_VAPIC))
        return NULL;
    if (!virt_vapic)
        return "the machine has no virtual APIC";
    return ctrl & CB_CTRL_HLT ? NULL : "a virtual APIC needs exits for HLT";
}

static void switches_update(struct vcpu *v)
{
    v->switches = (features.xsave && v->xcr0 != fpu_features) || (features.rdtscp && v->tsc_aux);
}

static void control_put(struct vcpu *v, const struct cb_state *in)
{
    u64 xcr0 = IN(xcr0);

    v->ctrl = IN(ctrl) & (CB_CTRL_HLT | CB_CTRL_UPCALL | CB_CTRL_VAPIC);
    v->impossible = control_check(v->ctrl);
    v->exception_bitmap = IN(exception_bitmap) & ~(1u << EXCEPTION_NMI | 1u << EXCEPTION_MC);
    v->tsc_offset = IN(tsc_offset);
    if (xcr0_valid(xcr0))
        v->xcr0 = xcr0;
    switches_update(v);
}

/* Groups CTRL, and VAPIC where there is none. */
static void control_get(const struct vcpu *v, u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_CTRL) {
        out->ctrl = v->ctrl;
        out->exception_bitmap = v->exception_bitmap;
        out->xcr0 = v->xcr0;
        out->tsc_offset = v->tsc_offset;
    }
    if ((groups & CB_GROUP_VAPIC) && !virt_vapic) {
        memset(out->apic, 0, sizeof(out->apic));
        memset(out->apic_eoi_exit, 0, sizeof(out->apic_eoi_exit));
        out->apic_page = 0;
    }
}

void vcpu_state_get(struct vcpu *v, u32 groups, struct cb_state *out)
{
    regs_get(&v->ctx.regs, groups, out);
    virt_get(v, groups, out);
    if (groups & CB_GROUP_RIP)
        out->insn_len = v->insn_len;
    if (groups & CB_GROUP_QUAL) {
        out->qual[0] = v->qual[0];
        out->qual[1] = v->qual[1];
    }
    if (groups & CB_GROUP_INJECT)
        inject_get(v, out);
    if (groups & CB_GROUP_SYSCALL)
        out->tsc_aux = v->tsc_aux;
    if (groups & (CB_GROUP_CTRL | CB_GROUP_VAPIC))
        control_get(v, groups, out);
}

void vcpu_state_put(struct vcpu *v, u32 groups, const struct cb_state *in)
{
    regs_put(&v->ctx.regs, groups, in);
    if (groups & CB_GROUP_INJECT)
        inject_put(v, in);
    if (groups & CB_GROUP_CTRL)
        control_put(v, in);
    if (groups & CB_GROUP_SYSCALL) {
        v->tsc_aux = (u32)IN(tsc_aux);
        switches_update(v);
    }
    if (groups & ~GROUPS_PLAIN)
        vcpu_set_special(v);
    virt_put(v, groups, in);
    if ((groups & CB_GROUP_RIP) && vcpu_is_special(v)) {
        v->started = true;
        v->in_call = false; /* it goes on from the new place, and makes the call again if that is a call */
        reap_abandon(&v->ctx);
    }
}
