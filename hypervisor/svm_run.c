/* SPDX-License-Identifier: GPL-2.0-only */
/* AMD-V: into the guest and back, and what the exits mean. */
#include "cpu.h"
#include "cpu_init.h"
#include "domain.h"
#include "fpu.h"
#include "io.h"
#include "mce.h"
#include "offsets.h"
#include "svm.h"
#include "vcpu_enter.h"
#include "virt.h"

ASSERT_OFFSET(struct cpu, virt_physical, CPU_VIRT_PHYSICAL);

#define INJECT_VECTOR_TYPE 0x7ffu /* of CB_INJECT_*, and of EVENTINJ */

/* Lengths of instructions that exist in one encoding, where the hardware does not tell (NRIPS missing). */
#define LENGTH_VMMCALL 3u
#define LENGTH_HLT 1u
#define LENGTH_INVD 2u /* WBINVD too */
#define LENGTH_MAX 15u

/* What the end of any instruction does with these flags. */
static NOINLINE void svm_skip_flags(struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->rflags &= ~RFLAGS_RF;
    if (!(vmcb->rflags & RFLAGS_TF) || (v->inject & CB_INJECT_VALID))
        return;
    vmcb->dr6 |= DR6_STEP;
    vmcb->clean &= ~VMCB_CLEAN_DR;
    if (v->exception_bitmap & 1u << EXCEPTION_DB) {
        v->step_to_vmm = true;
        vcpu_set_special(v);
    } else {
        (void)vcpu_inject_exception(v, EXCEPTION_DB, 0);
    }
}

static ALWAYS_INLINE void svm_step(struct vcpu *v, struct vmcb *vmcb, u32 bytes)
{
    vmcb->rip += bytes;
    vmcb->interrupt_shadow &= ~SVM_SHADOW;
    if (vmcb->rflags & (RFLAGS_TF | RFLAGS_RF))
        svm_skip_flags(v, vmcb);
}

void svm_skip(struct vcpu *v, u32 bytes)
{
    svm_step(v, svm_vmcb(v), bytes);
}

/*
 * The guest's DR0 to DR3 are in the registers only from its first access to them, or to DR7, which arms them, until the next
 * exit; or while it has breakpoints armed: then intercept_dr_* is clear.
 */
static bool svm_dr_live(const struct vmcb *vmcb)
{
    return !vmcb->intercept_dr_write;
}

static void svm_dr_intercept(struct vmcb *vmcb, bool wanted)
{
    vmcb->intercept_dr_read = wanted ? VMCB_INTERCEPT_DR_READ : 0;
    vmcb->intercept_dr_write = wanted ? VMCB_INTERCEPT_DR_WRITE : 0;
    vmcb->clean &= ~VMCB_CLEAN_INTERCEPTS;
}

static void svm_dr_enter(struct vmcb *vmcb)
{
    if (!svm_dr_live(vmcb)) {
        if (!(vmcb->dr7 & DR7_ENABLED))
            return;
        svm_dr_intercept(vmcb, false);
    }
    debug_addresses_load(vmcb->dr);
}

static void svm_dr_leave(struct vmcb *vmcb)
{
    if (!svm_dr_live(vmcb))
        return;
    debug_addresses_store(vmcb->dr);
    if (!(vmcb->dr7 & DR7_ENABLED))
        svm_dr_intercept(vmcb, true);
}

/* XCR0 and TSC_AUX, if they are not what the host has. */
static void svm_switch(struct vcpu *v)
{
    if (!v->switches)
        return;
    if (v->xcr0 != fpu_features && features.xsave)
        xsetbv(v->xcr0);
    if (v->tsc_aux && features.rdtscp)
        wrmsr(MSR_TSC_AUX, v->tsc_aux);
}

static NOINLINE void svm_switch_back_what(struct vcpu *v)
{
    if (features.xsave) {
        if (svm_hides_xcr0)
            v->xcr0 = xgetbv() & fpu_features;
        xsetbv(fpu_features);
    }
    if (v->tsc_aux && features.rdtscp)
        wrmsr(MSR_TSC_AUX, 0);
    v->switches |= v->xcr0 != fpu_features;
}

/* XSETBV leaves the guest on hardware, but not on QEMU: what the guest has set is found out afterwards. */
static ALWAYS_INLINE void svm_switch_back(struct vcpu *v)
{
    if (v->switches || (svm_hides_xcr0 && xgetbv() != fpu_features))
        svm_switch_back_what(v);
}

static void svm_intercept(struct vmcb *vmcb, u32 which, bool wanted)
{
    u32 intercepts = wanted ? vmcb->intercept1 | which : vmcb->intercept1 & ~which;

    if (intercepts != vmcb->intercept1) {
        vmcb->intercept1 = intercepts;
        vmcb->clean &= ~VMCB_CLEAN_INTERCEPTS;
    }
}

static void svm_virq(struct vmcb *vmcb, u64 more)
{
    u64 vintr = VMCB_VINTR_MASKING | (vmcb->vintr & VMCB_VINTR_TPR) | more;

    if (vintr != vmcb->vintr) {
        vmcb->vintr = vintr;
        vmcb->clean &= ~VMCB_CLEAN_VINTR;
    }
}

/* V_IRQ only waits for the window, and does not come to be delivered: VINTR leaves the guest first. APM 2, 15.21.4. */
static void svm_window(struct vmcb *vmcb, bool wanted)
{
    svm_intercept(vmcb, VMCB_INTERCEPT1_VINTR, wanted);
    svm_virq(vmcb, wanted ? VMCB_VINTR_NOW : 0);
}

/*
 * QEMU delivers an interrupt of EVENTINJ a second time, at whatever instruction, when it next leaves its loop for a reason
 * of its own (docs/testing.md). One by V_IRQ without its intercept comes once, before the guest's first instruction, unless
 * a physical one comes first: svm_virq_left(). It does not come while the guest has interrupts off, and there can be no
 * window behind it: in these cases EVENTINJ is harmless if guest mode ends before anything else, as by an interrupt to
 * ourselves.
 */
static ALWAYS_INLINE void svm_inject_emulated(const struct vcpu *v, struct vmcb *vmcb)
{
    if ((vmcb->rflags & RFLAGS_IF) && !v->want_window) {
        svm_virq(vmcb, VMCB_VINTR_NOW | VMCB_VINTR_VECTOR((u64)CB_INJECT_VECTOR(v->inject)));
    } else {
        vmcb->event_inj = v->inject;
        cpu_kick(cpu.id);
    }
}

/* Guest mode has ended before the interrupt was delivered, or in the middle of that: it is injected again. */
static void svm_virq_left(struct vcpu *v, struct vmcb *vmcb)
{
    v->inject = CB_INJECT_VALID | CB_INJECT_TYPE_INTR | VMCB_VINTR_VECTOR_OF(vmcb->vintr);
    svm_virq(vmcb, 0);
    vcpu_set_special(v);
}

/*
 * QEMU's VMRUN does not load the interrupt shadow that the exit has stored, and with that, an interrupt would come between STI
 * and HLT. So a guest that leaves where it has entered in a shadow is in it still, unless it has made a step. If a window is
 * wanted, its instruction is executed by a single step, which nobody else sees.
 */
static void svm_shadow_enter_emulated(struct vcpu *v, struct vmcb *vmcb)
{
    v->in_shadow = vmcb->interrupt_shadow & SVM_SHADOW;
    v->shadow_rip = vmcb->rip;
    v->stepping = v->in_shadow && v->want_window && !(v->inject & CB_INJECT_VALID) && !(vmcb->rflags & RFLAGS_TF) &&
                  !(vmcb->dr6 & DR6_STEP);
    if (v->stepping) {
        vmcb->rflags |= RFLAGS_TF;
        svm_window(vmcb, false);
    }
}

static void svm_shadow_leave_emulated(struct vcpu *v, struct vmcb *vmcb)
{
    bool stepped = v->stepping && (vmcb->dr6 & DR6_STEP);

    if (v->stepping) {
        vmcb->rflags &= ~RFLAGS_TF;
        vmcb->dr6 &= ~DR6_STEP;
        vmcb->clean &= ~VMCB_CLEAN_DR;
    }
    if (v->in_shadow && !stepped && vmcb->rip == v->shadow_rip)
        vmcb->interrupt_shadow |= SVM_SHADOW;
    if (vmcb->interrupt_shadow & SVM_SHADOW)
        vcpu_set_special(v);
    v->stepping = stepped;
}

/* Where it saves the next instruction pointer, the processor also returns there from a software event. APM 2, 15.20. */
static void svm_inject(struct vcpu *v, struct vmcb *vmcb)
{
    v->injected = v->inject;
    if (v->inject & CB_INJECT_VALID) {
        if (svm_emulated && (v->inject & INJECT_TYPE) == CB_INJECT_TYPE_INTR)
            svm_inject_emulated(v, vmcb);
        else
            vmcb->event_inj = (v->inject & INJECT_MASK) | (u64)v->inject_error << 32;
        if (svm_saves_next_rip)
            vmcb->next_rip = vmcb->rip;
        if (!(vmcb->cr0 & CR0_PE)) /* real mode has no error codes */
            vmcb->event_inj &= ~(u64)CB_INJECT_ERROR;
        if ((v->inject & INJECT_TYPE) == CB_INJECT_TYPE_NMI)
            v->nmi = VCPU_NMI_BLOCKED;
    }
    v->inject = 0;
}

/* What is injected into a vCPU that is not special. */
static void svm_inject_upcall(struct vcpu *v, struct vmcb *vmcb)
{
    v->injected = v->inject;
    if (!v->inject)
        return;
    if (svm_emulated)
        svm_inject_emulated(v, vmcb);
    else
        vmcb->event_inj = v->inject;
    v->inject = 0;
}

/* Everything about the entry that is not always the same. */
static void svm_prepare(struct vcpu *v, struct vmcb *vmcb)
{
    if (vmcb->asid != v->tag.tag) {
        vmcb->asid = v->tag.tag;
        vmcb->clean &= ~VMCB_CLEAN_ASID;
    }
    vmcb->tlb_control = VMCB_TLB_NOTHING;
    if (v->tag.flush)
        vmcb->tlb_control = svm_flush_by_asid ? VMCB_TLB_FLUSH_ASID : VMCB_TLB_FLUSH_ALL;
    svm_window(vmcb, v->want_window);
    if (svm_emulated)
        svm_shadow_enter_emulated(v, vmcb);
    svm_inject(v, vmcb);
    /* IRET ends the time in which no further NMI is taken; the processor does not keep track itself. */
    svm_intercept(vmcb, VMCB_INTERCEPT1_IRET, v->nmi == VCPU_NMI_BLOCKED);
    svm_dr_enter(vmcb);
    if (!vmcb->tlb_control && !v->want_window && !(v->injected & INJECT_TYPE) && v->nmi == VCPU_NMI_OPEN &&
        !svm_dr_live(vmcb) && !v->in_shadow && !v->nmi_window_to_vmm)
        atomic_fetch_and_explicit(&v->hazards, ~VCPU_HAZARD_STATE, memory_order_relaxed);
}

/*
 * An event whose delivery the exit interrupted is injected again. But the instruction that raises a software
 * interrupt, INT3 or INTO is executed again, unless the event was injected. APM 2, 15.7.2.
 */
static void svm_requeue(struct vcpu *v, const struct vmcb *vmcb)
{
    u32 info = (u32)vmcb->exit_int_info, type = info & INJECT_TYPE, vector = CB_INJECT_VECTOR(info);
    bool soft = type == CB_INJECT_TYPE_SOFT ||
                (type == CB_INJECT_TYPE_EXCEPTION && (vector == EXCEPTION_BP || vector == EXCEPTION_OF));

    if ((u32)vmcb->exit_code == VMEXIT_INVALID || (u32)vmcb->exit_code == VMEXIT_SHUTDOWN)
        return;
    if (soft && (info & INJECT_VECTOR_TYPE) != (v->injected & INJECT_VECTOR_TYPE))
        return;
    if (type == CB_INJECT_TYPE_NMI)
        v->nmi = VCPU_NMI_OPEN;
    v->inject = info & INJECT_MASK;
    v->inject_error = (u32)(vmcb->exit_int_info >> 32);
    vcpu_set_special(v);
}

/*
 * The exception goes to the VMM, or on to the guest. #DB and #AC come in between an interrupt and its handler only where a
 * guest lets user mode handle interrupts.
 */
static unsigned svm_exception(struct vcpu *v, struct vmcb *vmcb, u32 vector)
{
    if (vector == EXCEPTION_MC)
        return vcpu_machine_check(v);
    if (vector == EXCEPTION_PF && v->shadow)
        return svm_shadow_fault(v, vmcb);
    if (vector == EXCEPTION_DB && v->stepping)
        return VIRT_EXIT_HANDLED;
    if (!(v->exception_bitmap & 1u << vector))
        return vcpu_inject_exception(v, vector, 0);
    if (vector == EXCEPTION_PF) {
        vmcb->cr2 = vmcb->exit_info2; /* an intercepted #PF has not written it (APM 2, 15.12.15) */
        vmcb->clean &= ~VMCB_CLEAN_CR2;
    }
    return vcpu_report(v, CB_EXIT_EXCEPTION, vector, vmcb->exit_info1);
}

/* Of the instruction before `next` (0: not known), where the guest has left; else `usual`. */
static u32 svm_length(const struct vmcb *vmcb, u64 next, u32 usual)
{
    u64 length;

    if (!next)
        return usual;
    length = next - vmcb->rip;
    return length - 1 < LENGTH_MAX ? (u32)length : usual;
}

static u32 svm_usual_length(u32 code)
{
    switch (code) {
    case VMEXIT_VMMCALL: return LENGTH_VMMCALL;
    case VMEXIT_HLT: return LENGTH_HLT;
    default: return 0;
    }
}

static u64 svm_io_string(u64 info)
{
    u64 what = CB_IO_STRING | (info & VMCB_IO_REP ? CB_IO_REP : 0);

    if (!svm_decodes)
        return what;
    what |= info & VMCB_IO_ADDRESS_16 ? 2u << 28 : info & VMCB_IO_ADDRESS_32 ? 4u << 28 : info & VMCB_IO_ADDRESS_64 ? 8u << 28 : 0;
    return what | (info & VMCB_IO_IN ? 0 : VMCB_IO_SEGMENT(info) << 32); /* INS has no choice but ES */
}

static unsigned svm_io(struct vcpu *v, const struct vmcb *vmcb)
{
    u64 info = vmcb->exit_info1, what = (u16)(info >> 16) | VMCB_IO_WIDTH(info) << 16;

    v->insn_len = svm_length(vmcb, vmcb->exit_info2, 0);
    what |= info & VMCB_IO_IN ? CB_IO_IN : 0;
    if (info & VMCB_IO_STRING)
        what |= svm_io_string(info);
    return vcpu_report(v, CB_EXIT_IO, what, vmcb->exit_info2);
}

static unsigned svm_memory(struct vcpu *v, const struct vmcb *vmcb)
{
    u64 info = vmcb->exit_info1, what = CB_MEMORY_READ;

    if (info & VMCB_NPF_WRITE)
        what = CB_MEMORY_WRITE;
    else if (info & VMCB_NPF_EXEC)
        what = CB_MEMORY_EXEC;
    if (info & VMCB_NPF_PRESENT)
        what |= CB_MEMORY_PRESENT;
    if (info & VMCB_NPF_TABLE)
        what |= CB_MEMORY_TABLE;
    return vcpu_report(v, CB_EXIT_MEMORY, what, vmcb->exit_info2);
}

/* Without the entry there was no event either. */
static void svm_inject_again(struct vcpu *v)
{
    v->inject = v->injected;
    if ((v->inject & (CB_INJECT_VALID | INJECT_TYPE)) == (CB_INJECT_VALID | CB_INJECT_TYPE_NMI))
        v->nmi = VCPU_NMI_OPEN;
    vcpu_set_special(v);
}

/*
 * The hardware refused the state. On QEMU some refusals write the host's state into the save area: its CR3 tells, and
 * the vCPU is as after power-up then.
 */
static unsigned svm_invalid(struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->clean = 0;
    vcpu_not_entered(v);
    if (vmcb->cr3 == read_cr3()) {
        svm_reset(vmcb);
        svm_cr_put(v, vmcb);
        if (v->shadow)
            svm_shadow_init(v, vmcb);
        v->ctx.regs.rax = 0;
    }
    return vcpu_report(v, CB_EXIT_INVALID, vmcb->exit_code, 0);
}

/* APM 2, 15.14.1. What caused it, if it was an event, has been queued. */
static unsigned svm_task_switch(struct vcpu *v, const struct vmcb *vmcb)
{
    u64 what = (u16)vmcb->exit_info1, reason = CB_TASK_CALL;

    if (vmcb->exit_info2 & VMCB_TASK_IRET)
        reason = CB_TASK_IRET;
    else if (vmcb->exit_info2 & VMCB_TASK_JUMP)
        reason = CB_TASK_JUMP;
    else if (vmcb->exit_int_info & CB_INJECT_VALID)
        reason = CB_TASK_EVENT;
    return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_TASK_SWITCH, what | reason << 16);
}

static unsigned svm_rare_exit(struct vcpu *v, struct vmcb *vmcb, u32 code)
{
    switch (code) {
    case VMEXIT_EXCEPTION ... VMEXIT_EXCEPTION_LAST:
        return svm_exception(v, vmcb, code - VMEXIT_EXCEPTION);
    case VMEXIT_CR0_READ ... VMEXIT_CR15_WRITE:
    case VMEXIT_CR0_SELECTIVE: return v->shadow ? svm_shadow_insn(v, vmcb) : svm_cr_exit(v, vmcb);
    case VMEXIT_INVLPG: return svm_shadow_insn(v, vmcb);
    case VMEXIT_DR0_READ ... VMEXIT_DR3_READ:
    case VMEXIT_DR0_WRITE ... VMEXIT_DR3_WRITE:
    case VMEXIT_DR7_WRITE:
        svm_dr_intercept(vmcb, false);
        vcpu_set_special(v);
        return VIRT_EXIT_HANDLED;
    case VMEXIT_IRET:
        v->nmi = VCPU_NMI_IRET;
        v->nmi_rip = vmcb->rip;
        vcpu_set_special(v);
        return VIRT_EXIT_HANDLED;
    case VMEXIT_WBINVD:
    case VMEXIT_INVD:
        svm_skip(v, v->insn_len ? v->insn_len : LENGTH_INVD);
        return VIRT_EXIT_HANDLED;
    case VMEXIT_NMI: /* was taken at STGI */
    case VMEXIT_INIT:
        return VIRT_EXIT_HANDLED;
    case VMEXIT_RDPMC: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_RDPMC, 0);
    case VMEXIT_MONITOR: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_MONITOR, 0);
    case VMEXIT_MWAIT:
    case VMEXIT_MWAIT_ARMED: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_MWAIT, 0);
    case VMEXIT_XSETBV: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_XSETBV, 0);
    case VMEXIT_RDPRU: return vcpu_inject_exception(v, EXCEPTION_UD, 0); /* counters of what others do, too */
    case VMEXIT_TASK_SWITCH: return svm_task_switch(v, vmcb);
    case VMEXIT_INVLPGA:
    case VMEXIT_VMRUN:
    case VMEXIT_VMLOAD ... VMEXIT_SKINIT: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_VIRT, 0);
    case VMEXIT_SHUTDOWN: /* perhaps of a machine check while the guest's CR4.MCE was clear */
        return mce_pending() ? vcpu_machine_check(v) : CB_EXIT_SHUTDOWN;
    case VMEXIT_INVALID:
        svm_inject_again(v);
        return svm_invalid(v, vmcb);
    default: return vcpu_report(v, CB_EXIT_OTHER, code, 0);
    }
}

/* From user mode the call does not exist. */
static unsigned svm_vmmcall(struct vcpu *v, const struct vmcb *vmcb)
{
    if (vmcb->cpl == 0)
        return VIRT_EXIT_HYPERCALL;
    return vcpu_inject_exception(v, EXCEPTION_UD, 0);
}

static unsigned svm_cpuid(struct vcpu *v, const struct vmcb *vmcb)
{
    v->insn_len = svm_length(vmcb, vmcb->next_rip, 0);
    return vcpu_report(v, CB_EXIT_CPUID, v->shadow ? v->shadow->guest.cr4 : svm_cr4(v, vmcb), v->xcr0);
}

static unsigned svm_exit(struct vcpu *v, struct vmcb *vmcb)
{
    u32 code = (u32)vmcb->exit_code;

    v->qual[0] = v->qual[1] = 0;
    v->insn_len = code > VMEXIT_VINTR && code < VMEXIT_NPF ? svm_length(vmcb, vmcb->next_rip, svm_usual_length(code)) : 0;
    switch (code) {
    case VMEXIT_INTR:
        interrupts_take();
        return VIRT_EXIT_INTERRUPT;
    case VMEXIT_VMMCALL: return svm_vmmcall(v, vmcb);
    case VMEXIT_HLT: return CB_EXIT_HLT;
    case VMEXIT_VINTR: return CB_EXIT_WINDOW;
    case VMEXIT_NPF: return svm_memory(v, vmcb);
    case VMEXIT_MSR: return vmcb->exit_info1 & 1 ? CB_EXIT_WRMSR : CB_EXIT_RDMSR;
    default: return svm_rare_exit(v, vmcb, code);
    }
}

/*
 * QEMU does not come back from a guest that is about to enter long mode with PAE off: it refuses the host's own CR0
 * then. It cannot be kept from a guest that gets there without an exit.
 */
static bool svm_refused(const struct vmcb *vmcb)
{
    return !(vmcb->cr0 & CR0_PG) && svm_emulated && (vmcb->efer & EFER_LME) && !(vmcb->cr4 & CR4_PAE);
}

/* As it was left. */
static NORETURN void svm_go_on(struct vcpu *v, struct vmcb *vmcb)
{
    vmcb->rax = v->ctx.regs.rax;
    svm_enter(v, v->hw_physical);
}

static NOINLINE NORETURN void svm_run_special(struct vcpu *v, struct vmcb *vmcb)
{
    svm_prepare(v, vmcb);
    svm_switch(v);
    vmcb->rax = v->ctx.regs.rax;
    svm_enter_last(v, v->hw_physical);
}

unsigned svm_run(struct vcpu *v)
{
    struct vmcb *vmcb = svm_vmcb(v);

    if (svm_refused(vmcb) || (v->shadow && !svm_shadow_enter(v, vmcb))) {
        vmcb->exit_code = VMEXIT_INVALID;
        v->insn_len = 0;
        return svm_invalid(v, vmcb);
    }
    if (!vcpu_enters_plainly(v) || (vmcb->dr7 & DR7_ENABLED))
        svm_run_special(v, vmcb);
    svm_inject_upcall(v, vmcb);
    svm_switch(v);
    svm_go_on(v, vmcb);
}

/* What svm_prepare() has done beyond the usual comes to its end. */
static void svm_finish(struct vcpu *v, struct vmcb *vmcb)
{
    svm_dr_leave(vmcb);
    svm_cr_leave(v, vmcb);
    if (svm_emulated)
        svm_shadow_leave_emulated(v, vmcb);
    if (v->nmi == VCPU_NMI_IRET && vmcb->rip != v->nmi_rip)
        v->nmi = VCPU_NMI_OPEN;
}

/* A hypercall from a guest that needs no more than it needed when it entered. */
static bool svm_is_plain_call(const struct vcpu *v, const struct vmcb *vmcb)
{
    return (u32)vmcb->exit_code == VMEXIT_VMMCALL && vmcb->cpl == 0 && (vmcb->cr0 & CR0_PG) &&
           !(vmcb->dr7 & DR7_ENABLED) && !vcpu_is_special(v);
}

static NORETURN void svm_leave(struct vcpu *v)
{
    svm_switch_back(v);
    vcpu_left_after_call();
}

/* Ports of the guest's own do not leave it twice. */
static NORETURN void svm_port(struct vcpu *v, const struct vmcb *vmcb)
{
    u64 info = vmcb->exit_info1;

    if (v->ctx.domain->io_bitmap && io_exit(v, (u16)(info >> 16), VMCB_IO_WIDTH(info)))
        vcpu_left(v, VIRT_EXIT_HANDLED);
    vcpu_left_to_vmm(v, svm_io(v, vmcb));
}

NORETURN void svm_exited(struct vcpu *v)
{
    struct vmcb *vmcb = svm_vmcb(v);

    vcpu_out(v);
    v->ctx.regs.rax = vmcb->rax;
    vmcb->clean = VMCB_CLEAN_ALL;
    vmcb->event_inj = 0;
    if (svm_is_plain_call(v, vmcb)) {
        v->insn_len = svm_length(vmcb, vmcb->next_rip, LENGTH_VMMCALL);
        if ((u32)v->ctx.regs.rdi == CB_CALL_call) {
            svm_switch_back(v);
            vcpu_left_to_call(v);
        }
        if (vcpu_hypercall(v)) {
            svm_step(v, vmcb, v->insn_len);
            if (vcpu_ready(v))
                svm_go_on(v, vmcb);
        }
        svm_leave(v);
    }
    svm_switch_back(v);
    if (vcpu_is_special(v) || (vmcb->interrupt_shadow & SVM_SHADOW))
        svm_finish(v, vmcb);
    if ((u32)vmcb->exit_code == VMEXIT_CPUID) /* not in the middle of the delivery of an event */
        vcpu_left_to_vmm(v, svm_cpuid(v, vmcb));
    if ((u32)vmcb->exit_code == VMEXIT_IOIO)
        svm_port(v, vmcb);
    if ((vmcb->vintr & VMCB_VINTR_IRQ) && !(vmcb->intercept1 & VMCB_INTERCEPT1_VINTR))
        svm_virq_left(v, vmcb);
    else if (vmcb->exit_int_info & CB_INJECT_VALID)
        svm_requeue(v, vmcb);
    vcpu_left(v, svm_exit(v, vmcb));
}
