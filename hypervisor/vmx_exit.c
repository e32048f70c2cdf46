/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x: what the exits mean. SDM 3C, chapter 28. */
#include "domain.h"
#include "io.h"
#include "lock.h"
#include "slot.h"
#include "virt.h"
#include "vmx.h"

#define DR6_HITS 0xfull /* B0 to B3 */
#define DR6_CAUSES 0x600full

static void vmx_block_nmi(struct vcpu *v, bool blocked)
{
    u64 now = vmcs_read(VMCS_INTERRUPTIBILITY) & ~(u64)VMCS_BLOCKED_NMI;

    v->nmi = blocked ? VCPU_NMI_BLOCKED : VCPU_NMI_OPEN;
    vcpu_set_special(v);
    vmcs_write(VMCS_INTERRUPTIBILITY, now | (blocked ? VMCS_BLOCKED_NMI : 0));
}

void vmx_soft_move(s64 bytes)
{
    u64 rip = vmcs_read(VMCS_GUEST_RIP) + (u64)bytes;

    vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_ES_RIGHTS + 2u * VMCS_CS) & VMCS_RIGHTS_LONG ? rip : (u32)rip);
}

/*
 * An event whose delivery the exit interrupted is injected again (28.2.4). But the instruction that raises a software
 * interrupt or exception is executed again, unless the event was injected.
 */
void vmx_requeue(struct vcpu *v)
{
    u32 event = (u32)vmcs_read(VMCS_VECTORING), type = event & INJECT_TYPE;

    if (!(event & CB_INJECT_VALID))
        return;
    if (type >= CB_INJECT_TYPE_SOFT && (v->injected & INJECT_TYPE) != type)
        return;
    if (type >= CB_INJECT_TYPE_SOFT)
        vmx_soft_move(1);
    if (type == CB_INJECT_TYPE_NMI)
        vmx_block_nmi(v, false);
    v->inject = event & INJECT_MASK;
    v->inject_error = (u32)vmcs_read(VMCS_VECTORING_ERROR);
    vcpu_set_special(v);
}

/* A fault in an IRET that had let NMIs in again: it will be executed again (28.2.3). */
static void vmx_iret_faulted(struct vcpu *v, u64 info)
{
    if ((info & VMCS_EVENT_NMI_UNBLOCKED) && !(v->inject & CB_INJECT_VALID))
        vmx_block_nmi(v, true);
}

unsigned vmx_skip_handled(struct vcpu *v)
{
    vmx_skip(v, v->insn_len);
    return VIRT_EXIT_HANDLED;
}

/* A #DB that left the guest has not written DR6 and DR7 (28.1). */
static void vmx_debug(struct vcpu *v, struct vmx *x, u32 event)
{
    u64 cause = vmcs_read(VMCS_QUALIFICATION) & DR6_CAUSES;

    x->dr6 = (x->dr6 & ~DR6_HITS) | cause;
    vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~VMX_DR7_GD);
    if ((event & INJECT_TYPE) == VMCS_EVENT_PRIVILEGED_SOFT && !(v->exception_bitmap & 1u << EXCEPTION_DB))
        vmx_skip(v, v->insn_len); /* INT1: what is injected returns behind it */
    vmcs_write(VMCS_PENDING_DEBUG, 0); /* it is this one */
    /* Entry wants to see this where a shadow and single-stepping meet (27.3.1.5). */
    if ((cause & DR6_STEP) && !vmx_interruptible(v) && (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF) &&
        (vmcs_read(VMCS_INTERRUPTIBILITY) & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS)))
        vmcs_write(VMCS_PENDING_DEBUG, VMCS_PENDING_STEP);
}

/*
 * The exception goes to the VMM, or on to the guest. #DB and #AC come in between an interrupt and its handler only where a
 * guest lets user mode handle interrupts.
 */
static unsigned vmx_exception(struct vcpu *v, struct vmx *x)
{
    u32 event = (u32)vmcs_read(VMCS_EXIT_EVENT), vector = CB_INJECT_VECTOR(event);

    if ((event & INJECT_TYPE) == CB_INJECT_TYPE_NMI) {
        __asm__ volatile("int %0" : : "i"(EXCEPTION_NMI)); /* whose IRET lets the next one in */
        return VIRT_EXIT_HANDLED;
    }
    if (vector == EXCEPTION_MC)
        return vcpu_machine_check(v);
    if ((event & INJECT_TYPE) >= VMCS_EVENT_PRIVILEGED_SOFT)
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    vmx_requeue(v);
    vmx_iret_faulted(v, event);
    if (vector == EXCEPTION_DB)
        vmx_debug(v, x, event);
    if (vector == EXCEPTION_PF && v->shadow)
        return vmx_shadow_fault(v, x);
    if (!(v->exception_bitmap & 1u << vector))
        return vcpu_inject_exception(v, vector, 0);
    if (vector == EXCEPTION_PF)
        x->cr2 = vmcs_read(VMCS_QUALIFICATION);
    return vcpu_report(v, CB_EXIT_EXCEPTION, vector, event & CB_INJECT_ERROR ? vmcs_read(VMCS_EXIT_EVENT_ERROR) : 0);
}

/* A large page that must not be executed as one gives way to smaller ones. */
static bool vmx_split(const struct vcpu *v)
{
    struct domain *d = v->ctx.domain;
    bool done;

    if (!space_splits_exec)
        return false;
    lock_take(&tree_lock);
    done = space_split(&d->space, d->obj.account, vmcs_read(VMCS_GUEST_PHYSICAL));
    lock_drop(&tree_lock);
    return done;
}

static unsigned vmx_memory(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION), what = CB_MEMORY_READ;

    vmx_requeue(v);
    vmx_iret_faulted(v, q);
    if ((q & VMCS_EPT_EXEC) && vmx_split(v))
        return VIRT_EXIT_FAULT;
    if (q & VMCS_EPT_WRITE)
        what = CB_MEMORY_WRITE;
    else if (q & VMCS_EPT_EXEC)
        what = CB_MEMORY_EXEC;
    if (q & VMCS_EPT_ALLOWED)
        what |= CB_MEMORY_PRESENT;
    if ((q & VMCS_EPT_LINEAR) && !(q & VMCS_EPT_FINAL))
        what |= CB_MEMORY_TABLE;
    return vcpu_report(v, CB_EXIT_MEMORY, what, vmcs_read(VMCS_GUEST_PHYSICAL));
}

u64 vmx_io_string(u64 q)
{
    u64 what = CB_IO_STRING | (q & VMCS_IO_REP ? CB_IO_REP : 0), info;

    if (!vmx_machine.io_told)
        return what;
    info = vmcs_read(VMCS_EXIT_INSN_INFO);
    what |= 2u << (VMCS_IO_ADDRESS(info) & 3) << 28;
    return what | (q & VMCS_IO_IN ? 0 : VMCS_IO_SEGMENT(info) << 32); /* INS has no choice but ES */
}

/* The guest's domain has ports. */
static unsigned vmx_port(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    return io_exit(v, VMCS_IO_PORT(q), VMCS_IO_WIDTH(q)) ? VIRT_EXIT_HANDLED : vmx_io(v);
}

/* From user mode the call does not exist. */
static unsigned vmx_vmcall(struct vcpu *v)
{
    if (VMX_RIGHTS_DPL(vmcs_read(VMCS_GUEST_SS_RIGHTS)) == 0)
        return VIRT_EXIT_HYPERCALL;
    return vcpu_inject_exception(v, EXCEPTION_UD, 0);
}

/* Those of SYSCALL are the guest's own; NULL: the VMM answers for it. */
static u64 *vmx_msr(struct vmx *x, u32 msr)
{
    switch (msr) {
    case MSR_STAR: return &x->syscall.star;
    case MSR_LSTAR: return &x->syscall.lstar;
    case VMX_MSR_CSTAR: return &x->cstar;
    case MSR_FMASK: return &x->syscall.fmask;
    default: return NULL;
    }
}

static unsigned vmx_rdmsr(struct vcpu *v, struct vmx *x)
{
    const u64 *at = vmx_msr(x, (u32)v->ctx.regs.rcx);

    if (!at)
        return CB_EXIT_RDMSR;
    v->ctx.regs.rax = (u32)*at;
    v->ctx.regs.rdx = *at >> 32;
    return vmx_skip_handled(v);
}

static unsigned vmx_wrmsr(struct vcpu *v, struct vmx *x)
{
    u64 value = v->ctx.regs.rdx << 32 | (u32)v->ctx.regs.rax;
    u32 msr = (u32)v->ctx.regs.rcx;
    bool address = msr == MSR_LSTAR || msr == VMX_MSR_CSTAR;
    u64 *at = vmx_msr(x, msr);

    if (!at)
        return CB_EXIT_WRMSR;
    if ((address && value != canonical(value)) || (msr == MSR_FMASK && value >> 32))
        return vcpu_inject_exception(v, EXCEPTION_GP, 0);
    *at = value;
    cpu_syscall_restore(); /* the next entry loads what is new */
    return vmx_skip_handled(v);
}

u64 vmx_register_read(struct vcpu *v, u32 number)
{
    const u64 *at = regs_numbered(&v->ctx.regs, number);

    return at ? *at : vmcs_read(VMCS_GUEST_RSP);
}

void vmx_register_write(struct vcpu *v, u32 number, u64 value)
{
    u64 *at = regs_numbered(&v->ctx.regs, number);

    if (at)
        *at = value;
    else
        vmcs_write(VMCS_GUEST_RSP, value);
}

/*
 * A write that would change bits which the guest does not own. Once the shadow has them, the instruction no longer
 * leaves the guest: it is executed again, and the hardware sees to everything else.
 */
static unsigned vmx_cr0_write(struct vcpu *v, struct vmx *x, u64 value)
{
    if ((value & ~(VMX_CR0_OWNED | VMX_CR0_SHADOWED)) || cr0_is_odd(value) || ((value & CR0_PG) && !(value & CR0_PE)))
        return vcpu_inject_exception(v, EXCEPTION_GP, 0);
    x->cr0_shadow = value;
    vmcs_write(VMCS_CR0_SHADOW, value);
    return VIRT_EXIT_HANDLED;
}

static unsigned vmx_cr4_write(struct vcpu *v, struct vmx *x, u64 value)
{
    if (value & ~vmx_machine.cr4_allowed)
        return vcpu_inject_exception(v, EXCEPTION_GP, 0);
    x->cr4_shadow = value;
    vmcs_write(VMCS_CR4_SHADOW, value);
    return VIRT_EXIT_HANDLED;
}

/* CR8 is a number to remember: there is no APIC that looks at it. With a virtual one it does not leave the guest. */
static unsigned vmx_cr8(struct vcpu *v, struct vmx *x, u64 q)
{
    u64 value;

    if (VMCS_CR_ACCESS(q) == VMCS_CR_TO) {
        value = vmx_register_read(v, VMCS_CR_REGISTER(q));
        if (value > 0xf)
            return vcpu_inject_exception(v, EXCEPTION_GP, 0);
        x->cr8 = value;
    } else {
        vmx_register_write(v, VMCS_CR_REGISTER(q), x->cr8);
    }
    return vmx_skip_handled(v);
}

static unsigned vmx_cr(struct vcpu *v, struct vmx *x)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    u32 access = VMCS_CR_ACCESS(q), number = VMCS_CR_NUMBER(q);

    if (number == 8 && access <= VMCS_CR_FROM)
        return vmx_cr8(v, x, q);
    if (v->shadow)
        return vmx_shadow_cr(v, x, q);
    if (number == 0 && access == VMCS_CR_TO)
        return vmx_cr0_write(v, x, vmx_register_read(v, VMCS_CR_REGISTER(q)));
    if (number == 4 && access == VMCS_CR_TO)
        return vmx_cr4_write(v, x, vmx_register_read(v, VMCS_CR_REGISTER(q)));
    return vcpu_report(v, CB_EXIT_CR, number | (access == VMCS_CR_FROM ? 0 : CB_CR_WRITE) | VMCS_CR_REGISTER(q) << 8, 0);
}

static unsigned vmx_task_switch(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    vmx_requeue(v);
    return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_TASK_SWITCH, VMCS_TASK_SELECTOR(q) | VMCS_TASK_REASON(q) << 16);
}

static unsigned vmx_rare_exit(struct vcpu *v, struct vmx *x, u32 reason)
{
    switch (reason) {
    case VMCS_REASON_EXCEPTION: return vmx_exception(v, x);
    case VMCS_REASON_DR:
        x->dr_live = true;
        vcpu_set_special(v);
        vmx_controls(x, x->primary & ~VMCS_CONTROL_DR);
        v->insn_len = 0;
        return VIRT_EXIT_HANDLED;
    case VMCS_REASON_INVD:
    case VMCS_REASON_WBINVD: return vmx_skip_handled(v);
    case VMCS_REASON_NMI_WINDOW: /* vcpu_run.c sees v->nmi */
    case VMCS_REASON_INIT:
    case VMCS_REASON_STARTUP: return VIRT_EXIT_HANDLED;
    case VMCS_REASON_PAUSE:
        interrupts_take();
        vmx_skip(v, v->insn_len);
        return VIRT_EXIT_INTERRUPT;
    case VMCS_REASON_INVLPG: return vmx_shadow_invlpg(v);
    case VMCS_REASON_RDPMC: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_RDPMC, 0);
    case VMCS_REASON_MONITOR: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_MONITOR, 0);
    case VMCS_REASON_MWAIT: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_MWAIT, 0);
    case VMCS_REASON_XSETBV: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_XSETBV, 0);
    case VMCS_REASON_TASK_SWITCH: return vmx_task_switch(v);
    case VMCS_REASON_APIC_ACCESS:
    case VMCS_REASON_APIC_EOI:
    case VMCS_REASON_APIC_WRITE: return vmx_apic_exit(v, x, reason);
    case VMCS_REASON_GETSEC:
    case VMCS_REASON_RSM:
    case VMCS_REASON_VMCLEAR ... VMCS_REASON_VMXON:
    case VMCS_REASON_INVEPT:
    case VMCS_REASON_INVVPID:
    case VMCS_REASON_VMFUNC: return vcpu_report(v, CB_EXIT_INSTRUCTION, CB_INSN_VIRT, 0);
    case VMCS_REASON_TRIPLE_FAULT:
        vmcs_write(VMCS_ACTIVITY, 0); /* in shutdown it could not be entered again */
        return CB_EXIT_SHUTDOWN;
    default: return vcpu_report(v, CB_EXIT_OTHER, reason, vmcs_read(VMCS_QUALIFICATION));
    }
}

/*
 * Exits that are caused by an instruction have its length (28.2.5): reasons 9 to 32, MWAIT, MONITOR, 50 to 63 but for the timer
 * and what comes behind a write to the virtual APIC.
 */
#define REASONS_WITH_LENGTH                                                                            \
    ((0x1ffffffffull & ~0x1ffull) | 1ull << VMCS_REASON_MWAIT | 1ull << VMCS_REASON_MONITOR | 1ull << VMCS_REASON_PAUSE |           \
     (~0ull << VMCS_REASON_INVEPT & ~(1ull << VMCS_REASON_TIMER | 1ull << VMCS_REASON_APIC_WRITE)))

static bool vmx_has_length(u32 reason)
{
    return reason < 64 && (REASONS_WITH_LENGTH >> reason & 1);
}

unsigned vmx_exit(struct vcpu *v, struct vmx *x, u32 reason)
{
    if (vmx_has_length(reason))
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    switch (reason) {
    case VMCS_REASON_INTERRUPT:
    case VMCS_REASON_TIMER:
        interrupts_take();
        return VIRT_EXIT_INTERRUPT;
    case VMCS_REASON_VMCALL: return vmx_vmcall(v);
    case VMCS_REASON_CPUID: return vmx_cpuid(v, x);
    case VMCS_REASON_IO: return vmx_port(v);
    case VMCS_REASON_HLT: return CB_EXIT_HLT;
    case VMCS_REASON_WINDOW: return CB_EXIT_WINDOW;
    case VMCS_REASON_EPT_VIOLATION: return vmx_memory(v);
    case VMCS_REASON_RDMSR: return vmx_rdmsr(v, x);
    case VMCS_REASON_WRMSR: return vmx_wrmsr(v, x);
    case VMCS_REASON_CR: return vmx_cr(v, x);
    default: return vmx_rare_exit(v, x, reason);
    }
}
