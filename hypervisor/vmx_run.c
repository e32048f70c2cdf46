/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x: into the guest and back, and what the exits mean. SDM 3C, chapters 26 to 28. */
#include <corbel/state.h>

#include "cpu_init.h"
#include "domain.h"
#include "fpu.h"
#include "log.h"
#include "vcpu_enter.h"
#include "virt.h"
#include "vmx.h"
#include "x86.h"

#define INJECT_TYPE 0x700u /* of CB_INJECT_*, and of VMCS_ENTRY_EVENT */
#define INJECT_MASK (INJECT_TYPE | 0xffu | CB_INJECT_ERROR | CB_INJECT_VALID)
#define RIGHTS_DPL(rights) ((u32)(rights) >> 5 & 3u)
#define MSR_CSTAR 0xc0000083u
#define DR6_HITS 0xfull /* B0 to B3 */
#define DR6_STEP (1ull << 14)
#define DR6_CAUSES 0x600full

static void vmx_step(u32 bytes)
{
    u64 blocked = vmcs_read(VMCS_INTERRUPTIBILITY);

    vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_RIP) + bytes);
    if (blocked & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS)) /* rarely: not written for nothing */
        vmcs_write(VMCS_INTERRUPTIBILITY, blocked & ~(u64)(VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS));
}

void vmx_skip(struct vcpu *v, u32 bytes)
{
    (void)vmx_of(v);
    vmx_step(bytes);
}

bool vmx_interruptible(const struct vcpu *v)
{
    (void)vmx_of(v);
    return (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF) &&
           !(vmcs_read(VMCS_INTERRUPTIBILITY) & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS));
}

void vmx_enable_interrupts(struct vcpu *v)
{
    (void)vmx_of(v);
    vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_IF);
}

void vmx_controls(struct vmx *x, u32 primary)
{
    if (primary != x->primary) {
        vmcs_write(VMCS_CONTROLS, primary);
        x->primary = primary;
    }
}

static void vmx_block_nmi(struct vcpu *v, bool blocked)
{
    u64 now = vmcs_read(VMCS_INTERRUPTIBILITY) & ~(u64)VMCS_BLOCKED_NMI;

    v->nmi = blocked ? VCPU_NMI_BLOCKED : VCPU_NMI_OPEN;
    vcpu_set_special(v);
    vmcs_write(VMCS_INTERRUPTIBILITY, now | (blocked ? VMCS_BLOCKED_NMI : 0));
}

/* ---- Before and after ---- */

/*
 * SDM 3C, 29.4.3: INVVPID drops what was found through guest page tables, INVEPT what was found through ours. Whatever
 * our tables have lost has made the vCPU's tag old too, so that without a flush of that there is nothing to do.
 */
static void vmx_flush(struct vcpu *v, struct vmx *x)
{
    struct { u64 tag, reserved; } descriptor = { v->tag.tag, 0 };
    struct vmx_cpu *c = vmx_cpu();
    struct space *s = &v->ctx.domain->space;
    bool failed = false;

    if (!v->tag.flush)
        return;
    if (vmx_machine.vpid)
        failed = VMCS_FAILS("invvpid %1, %2", "m"(descriptor), "r"((u64)vmx_machine.invvpid));
    /* Pairs with the release in space_unmap(). */
    if (tlb_enter(&c->epts, s->identity, atomic_load(&s->generation), &x->ept_hint, NULL).flush) {
        descriptor.tag = physical(s->root) | vmx_machine.ept;
        failed |= VMCS_FAILS("invept %1, %2", "m"(descriptor), "r"((u64)vmx_machine.invept));
    }
    if (failed)
        panic("VT-x: a flush is refused");
}

/* The guest's DR0 to DR3 and DR6 are in the registers only from its first access to a debug register until the next exit, or
 * while it has breakpoints armed. */
static void vmx_dr_enter(const struct vmx *x)
{
    if (!x->dr_live)
        return;
    __asm__ volatile("mov %0, %%dr0" : : "r"(x->dr[0]));
    __asm__ volatile("mov %0, %%dr1" : : "r"(x->dr[1]));
    __asm__ volatile("mov %0, %%dr2" : : "r"(x->dr[2]));
    __asm__ volatile("mov %0, %%dr3" : : "r"(x->dr[3]));
    __asm__ volatile("mov %0, %%dr6" : : "r"(x->dr6));
}

static void vmx_dr_leave(struct vmx *x)
{
    if (!x->dr_live)
        return;
    __asm__ volatile("mov %%dr0, %0" : "=r"(x->dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(x->dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(x->dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(x->dr[3]));
    __asm__ volatile("mov %%dr6, %0" : "=r"(x->dr6));
    if (!(vmcs_read(VMCS_GUEST_DR7) & VMX_DR7_ENABLED)) {
        x->dr_live = false;
        vmx_controls(x, x->primary | VMCS_CONTROL_DR);
    }
}

/* What neither VMCS nor vmx_enter() switches, and what another guest or vmx_leave() may have changed. */
static void vmx_msrs_enter(struct vmx *x)
{
    struct vmx_cpu *c = vmx_cpu();

    if (c->syscall != x) {
        wrmsr(MSR_STAR, x->star);
        wrmsr(MSR_LSTAR, x->lstar);
        wrmsr(MSR_FMASK, x->fmask);
        c->syscall = x;
    }
    if (c->gs_base != x) {
        if (c->gs_base)
            c->gs_base->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
        wrmsr(MSR_KERNEL_GS_BASE, x->kernel_gs_base);
        wrmsr(MSR_CSTAR, x->cstar);
        c->gs_base = x;
    }
    cpu.guest_left = true;
}

static void vmx_inject(struct vcpu *v)
{
    u32 inject = v->inject;

    v->injected = inject & CB_INJECT_VALID ? inject : 0;
    if (!(inject & CB_INJECT_VALID))
        return;
    v->inject = 0;
    vmcs_write(VMCS_ENTRY_EVENT, inject & INJECT_MASK);
    vmcs_write(VMCS_ENTRY_EVENT_ERROR, v->inject_error);
    vmcs_write(VMCS_ENTRY_INSN_LEN, 0); /* a software interrupt returns to rip */
    if ((inject & INJECT_TYPE) == CB_INJECT_TYPE_NMI)
        v->nmi = VCPU_NMI_BLOCKED;
}

/* What is not as at the last entry, or what that had beyond the usual. */
static void vmx_prepare(struct vcpu *v, struct vmx *x)
{
    u32 primary = x->primary & ~(VMCS_CONTROL_WINDOW | VMCS_CONTROL_NMI_WINDOW);

    if (v->want_window)
        primary |= VMCS_CONTROL_WINDOW;
    if (v->nmi_window_to_vmm && v->nmi != VCPU_NMI_OPEN)
        primary |= VMCS_CONTROL_NMI_WINDOW;
    vmx_controls(x, primary);
    if (x->vpid != v->tag.tag) {
        x->vpid = v->tag.tag;
        vmcs_write(VMCS_VPID, x->vpid);
    }
    vmx_flush(v, x);
    vmx_inject(v);
    vmx_dr_enter(x);
    if (x->launched && !v->want_window && !(v->injected & INJECT_TYPE) && v->nmi == VCPU_NMI_OPEN && !x->dr_live)
        atomic_fetch_and_explicit(&v->hazards, ~VCPU_HAZARD_STATE, memory_order_relaxed);
}

/* What vmx_prepare() has done beyond the usual comes to its end. */
static void vmx_finish(struct vcpu *v, struct vmx *x)
{
    vmx_dr_leave(x);
    if (v->nmi != VCPU_NMI_OPEN)
        v->nmi = vmcs_read(VMCS_INTERRUPTIBILITY) & VMCS_BLOCKED_NMI ? VCPU_NMI_BLOCKED : VCPU_NMI_OPEN;
}

/* What threads and other guests use, too. */
static void vmx_registers_enter(const struct vcpu *v, struct vmx *x)
{
    u64 cr3 = read_cr3();

    if (x->host_cr3 != cr3) {
        x->host_cr3 = cr3;
        vmcs_write(VMCS_HOST_CR3, cr3);
    }
    vmx_msrs_enter(x);
    if (read_cr2() != x->cr2)
        write_cr2(x->cr2);
    if (v->xcr0 != fpu_features && features.xsave)
        xsetbv(v->xcr0);
}

static void vmx_registers_leave(const struct vcpu *v, struct vmx *x)
{
    x->cr2 = read_cr2();
    if (v->xcr0 != fpu_features && features.xsave)
        xsetbv(fpu_features);
}

/* ---- Exits ---- */

/*
 * An event whose delivery the exit interrupted is injected again (28.2.4). But the instruction that raises a software
 * interrupt or exception is executed again, unless the event was injected.
 */
static void vmx_requeue(struct vcpu *v)
{
    u32 event = (u32)vmcs_read(VMCS_VECTORING), type = event & INJECT_TYPE;

    if (!(event & CB_INJECT_VALID))
        return;
    if (type >= CB_INJECT_TYPE_SOFT && (v->injected & INJECT_TYPE) != type)
        return;
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

static void vmx_exception_inject(struct vcpu *v, u32 vector, bool error)
{
    v->inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | vector | (error ? CB_INJECT_ERROR : 0);
    v->inject_error = 0;
    vcpu_set_special(v);
}

static unsigned vmx_fault(struct vcpu *v, u32 vector)
{
    vmx_exception_inject(v, vector, vector == VMX_VECTOR_GP);
    return VIRT_EXIT_HANDLED;
}

static unsigned vmx_skip_handled(struct vcpu *v)
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
    if ((event & INJECT_TYPE) == VMCS_EVENT_PRIVILEGED_SOFT && !(v->exception_bitmap & 1u << VMX_VECTOR_DB))
        vmx_skip(v, v->insn_len); /* INT1: what is injected returns behind it */
    /* Entry wants to see this where a shadow and single-stepping meet (27.3.1.5). */
    if ((cause & DR6_STEP) && !vmx_interruptible(v) && (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_TF) &&
        (vmcs_read(VMCS_INTERRUPTIBILITY) & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS)))
        vmcs_write(VMCS_PENDING_DEBUG, VMCS_PENDING_STEP);
}

/*
 * The exception goes to the VMM, or on to the guest. An event in whose delivery it was raised is lost in the second
 * case, but for an upcall; #DB and #AC come in between an interrupt and its handler only where a guest lets user
 * mode handle interrupts.
 */
static unsigned vmx_exception(struct vcpu *v, struct vmx *x)
{
    u32 event = (u32)vmcs_read(VMCS_EXIT_EVENT), vector = CB_INJECT_VECTOR(event);

    if ((event & INJECT_TYPE) == CB_INJECT_TYPE_NMI) {
        __asm__ volatile("int %0" : : "i"(EXCEPTION_NMI)); /* whose IRET lets the next one in */
        return VIRT_EXIT_HANDLED;
    }
    if (vector == VMX_VECTOR_MC) {
        __asm__ volatile("int %0" : : "i"(EXCEPTION_MC)); /* the host's handler looks at the banks */
        return VIRT_EXIT_HANDLED;
    }
    if ((event & INJECT_TYPE) >= VMCS_EVENT_PRIVILEGED_SOFT)
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    vmx_requeue(v);
    vmx_iret_faulted(v, event);
    if (vector == VMX_VECTOR_DB)
        vmx_debug(v, x, event);
    if (!(v->exception_bitmap & 1u << vector)) {
        if (v->inject == (CB_INJECT_VALID | CB_INJECT_TYPE_INTR | v->upcall_vector))
            atomic_fetch_or(&v->hazards, VCPU_HAZARD_UPCALL);
        vmx_exception_inject(v, vector, vector == VMX_VECTOR_AC);
        return VIRT_EXIT_HANDLED;
    }
    v->qual[0] = vector;
    if (event & CB_INJECT_ERROR)
        v->qual[1] = vmcs_read(VMCS_EXIT_EVENT_ERROR);
    if (vector == VMX_VECTOR_PF)
        x->cr2 = vmcs_read(VMCS_QUALIFICATION);
    return CB_EXIT_EXCEPTION;
}

static unsigned vmx_memory(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION), what = CB_MEMORY_READ;

    vmx_requeue(v);
    vmx_iret_faulted(v, q);
    if (q & VMCS_EPT_WRITE)
        what = CB_MEMORY_WRITE;
    else if (q & VMCS_EPT_EXEC)
        what = CB_MEMORY_EXEC;
    if (q & VMCS_EPT_ALLOWED)
        what |= CB_MEMORY_PRESENT;
    if ((q & VMCS_EPT_LINEAR) && !(q & VMCS_EPT_FINAL))
        what |= CB_MEMORY_TABLE;
    v->qual[0] = what;
    v->qual[1] = vmcs_read(VMCS_GUEST_PHYSICAL);
    return CB_EXIT_MEMORY;
}

static unsigned vmx_io(struct vcpu *v)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    v->qual[0] = VMCS_IO_PORT(q) | VMCS_IO_WIDTH(q) << 16;
    if (q & VMCS_IO_IN)
        v->qual[0] |= CB_IO_IN;
    if (q & VMCS_IO_STRING)
        v->qual[0] |= CB_IO_STRING;
    if (q & VMCS_IO_REP)
        v->qual[0] |= CB_IO_REP;
    v->qual[1] = vmcs_read(VMCS_GUEST_RIP) + v->insn_len;
    return CB_EXIT_IO;
}

/* From user mode the call does not exist. */
static unsigned vmx_vmcall(struct vcpu *v)
{
    if (RIGHTS_DPL(vmcs_read(VMCS_GUEST_SS_RIGHTS)) == 0)
        return VIRT_EXIT_HYPERCALL;
    return vmx_fault(v, VMX_VECTOR_UD);
}

/* The registers of SYSCALL; all others are the VMM's to answer for. */
static unsigned vmx_wrmsr(struct vcpu *v, struct vmx *x)
{
    u64 value = v->ctx.regs.rdx << 32 | (u32)v->ctx.regs.rax;
    u32 msr = (u32)v->ctx.regs.rcx;
    bool address = msr == MSR_LSTAR || msr == MSR_CSTAR;

    if (msr < MSR_STAR || msr > MSR_FMASK)
        return CB_EXIT_WRMSR;
    if ((address && value != (u64)((s64)(value << 16) >> 16)) || (msr == MSR_FMASK && value >> 32))
        return vmx_fault(v, VMX_VECTOR_GP);
    *(msr == MSR_STAR ? &x->star : msr == MSR_LSTAR ? &x->lstar : msr == MSR_CSTAR ? &x->cstar : &x->fmask) = value;
    wrmsr(msr, value);
    return vmx_skip_handled(v);
}

/* General register by its number in an instruction. */
static u64 *vmx_register(struct vcpu *v, u32 number)
{
    struct regs *r = &v->ctx.regs;
    u64 *const all[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, NULL,    &r->rbp, &r->rsi, &r->rdi,
                           &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

    return all[number];
}

static u64 vmx_register_read(struct vcpu *v, u32 number)
{
    const u64 *at = vmx_register(v, number);

    return at ? *at : vmcs_read(VMCS_GUEST_RSP);
}

/*
 * A write that would change bits which the guest does not own. Once the shadow has them, the instruction no longer
 * leaves the guest: it is executed again, and the hardware sees to everything else.
 */
static unsigned vmx_cr0_write(struct vcpu *v, struct vmx *x, u64 value)
{
    if ((value & ~(VMX_CR0_OWNED | VMX_CR0_SHADOWED)) || ((value & VMX_CR0_NW) && !(value & VMX_CR0_CD)) ||
        ((value & CR0_PG) && !(value & CR0_PE)))
        return vmx_fault(v, VMX_VECTOR_GP);
    x->cr0_shadow = value;
    vmcs_write(VMCS_CR0_SHADOW, value);
    return VIRT_EXIT_HANDLED;
}

static unsigned vmx_cr4_write(struct vcpu *v, struct vmx *x, u64 value)
{
    if (value & ~(VMX_CR4_OWNED | VMX_CR4_MCE))
        return vmx_fault(v, VMX_VECTOR_GP);
    x->cr4_shadow = value;
    vmcs_write(VMCS_CR4_SHADOW, value);
    return VIRT_EXIT_HANDLED;
}

/* CR8 is a number to remember: there is no APIC that looks at it. */
static unsigned vmx_cr8(struct vcpu *v, struct vmx *x, u64 q)
{
    u64 *at = vmx_register(v, VMCS_CR_REGISTER(q)), value;

    if (VMCS_CR_ACCESS(q) == VMCS_CR_TO) {
        value = vmx_register_read(v, VMCS_CR_REGISTER(q));
        if (value > 0xf)
            return vmx_fault(v, VMX_VECTOR_GP);
        x->cr8 = value;
    } else if (at) {
        *at = x->cr8;
    } else {
        vmcs_write(VMCS_GUEST_RSP, x->cr8);
    }
    return vmx_skip_handled(v);
}

static unsigned vmx_cr(struct vcpu *v, struct vmx *x)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);
    u32 access = VMCS_CR_ACCESS(q), number = VMCS_CR_NUMBER(q);

    if (number == 8 && access <= VMCS_CR_FROM)
        return vmx_cr8(v, x, q);
    if (number == 0 && access == VMCS_CR_TO)
        return vmx_cr0_write(v, x, vmx_register_read(v, VMCS_CR_REGISTER(q)));
    if (number == 4 && access == VMCS_CR_TO)
        return vmx_cr4_write(v, x, vmx_register_read(v, VMCS_CR_REGISTER(q)));
    v->qual[0] = number | (access == VMCS_CR_FROM ? 0 : CB_CR_WRITE) | VMCS_CR_REGISTER(q) << 8;
    return CB_EXIT_CR;
}

static unsigned vmx_instruction(struct vcpu *v, u64 which)
{
    v->qual[0] = which;
    return CB_EXIT_INSTRUCTION;
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
    case VMCS_REASON_RDPMC: return vmx_instruction(v, CB_INSN_RDPMC);
    case VMCS_REASON_MONITOR: return vmx_instruction(v, CB_INSN_MONITOR);
    case VMCS_REASON_MWAIT: return vmx_instruction(v, CB_INSN_MWAIT);
    case VMCS_REASON_XSETBV: return vmx_instruction(v, CB_INSN_XSETBV);
    case VMCS_REASON_TASK_SWITCH:
        vmx_requeue(v);
        return vmx_instruction(v, CB_INSN_TASK_SWITCH);
    case VMCS_REASON_GETSEC:
    case VMCS_REASON_RSM:
    case VMCS_REASON_VMCLEAR ... VMCS_REASON_VMXON:
    case VMCS_REASON_INVEPT:
    case VMCS_REASON_INVVPID:
    case VMCS_REASON_VMFUNC: return vmx_instruction(v, CB_INSN_VIRT);
    case VMCS_REASON_TRIPLE_FAULT:
        vmcs_write(VMCS_ACTIVITY, 0); /* in shutdown it could not be entered again */
        return CB_EXIT_SHUTDOWN;
    default:
        v->qual[0] = reason;
        v->qual[1] = vmcs_read(VMCS_QUALIFICATION);
        return CB_EXIT_OTHER;
    }
}

/* Exits that are caused by an instruction have its length (28.2.5): reasons 9 to 32, MWAIT, MONITOR, 50 to 63 but for the timer. */
#define REASONS_WITH_LENGTH                                                                            \
    ((0x1ffffffffull & ~0x1ffull) | 1ull << VMCS_REASON_MWAIT | 1ull << VMCS_REASON_MONITOR |           \
     (~0ull << VMCS_REASON_INVEPT & ~(1ull << VMCS_REASON_TIMER)))

static bool vmx_has_length(u32 reason)
{
    return reason < 64 && (REASONS_WITH_LENGTH >> reason & 1);
}

static unsigned vmx_cpuid(struct vcpu *v, const struct vmx *x)
{
    v->qual[0] = vmx_cr4(x);
    v->qual[1] = v->xcr0;
    return CB_EXIT_CPUID;
}

static unsigned vmx_exit(struct vcpu *v, struct vmx *x, u32 reason)
{
    if (vmx_has_length(reason))
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    switch (reason) {
    case VMCS_REASON_INTERRUPT:
    case VMCS_REASON_TIMER:
        __asm__ volatile("sti; nop; cli" : : : "memory"); /* here it is taken */
        return VIRT_EXIT_INTERRUPT;
    case VMCS_REASON_VMCALL: return vmx_vmcall(v);
    case VMCS_REASON_HLT: return CB_EXIT_HLT;
    case VMCS_REASON_WINDOW: return CB_EXIT_WINDOW;
    case VMCS_REASON_EPT_VIOLATION: return vmx_memory(v);
    case VMCS_REASON_RDMSR: return CB_EXIT_RDMSR;
    case VMCS_REASON_WRMSR: return vmx_wrmsr(v, x);
    case VMCS_REASON_CR: return vmx_cr(v, x);
    default: return vmx_rare_exit(v, x, reason);
    }
}

/* ---- Entries that fail ---- */

static unsigned vmx_invalid(struct vcpu *v, struct vmx *x, const char *why, u64 code, u64 more)
{
    if (!x->reported)
        log_printf("corbel: a vCPU (number %u) cannot be entered: %s", v->number, why);
    x->reported = true;
    vmcs_write(VMCS_ENTRY_EVENT, 0); /* only an exit takes it back */
    vcpu_set_special(v);
    v->insn_len = 0;
    v->qual[0] = code;
    v->qual[1] = more;
    return CB_EXIT_INVALID;
}

NORETURN void vmx_failed(struct vcpu *v)
{
    struct vmx *x = v->hw;
    u64 error = vmcs_read(VMCS_INSN_ERROR);

    vcpu_out(v);
    vmx_registers_leave(v, x);
    vmx_finish(v, x);
    if (error != VMCS_ERROR_NOT_LAUNCHED || !x->launched)
        vcpu_left(v, vmx_invalid(v, x, vmx_reason_insn(error), error, 0));
    /* Bochs does not count a launch that an interrupt ends at once. What was to be injected stays in the VMCS. */
    x->launched = false;
    vcpu_set_special(v);
    vcpu_left(v, VIRT_EXIT_HANDLED);
}

/* The processor has refused the guest's state. */
static unsigned vmx_refused(struct vcpu *v, struct vmx *x, u32 reason)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    return vmx_invalid(v, x, vmx_reason_entry(reason, q), reason, q);
}

unsigned vmx_run(struct vcpu *v)
{
    struct vmx *x = vmx_of(v);

    if (x->wrong)
        return vmx_invalid(v, x, x->wrong, 0, 0);
    if (vcpu_is_special(v))
        vmx_prepare(v, x);
    else if (v->inject)
        vmx_inject(v);
    vmx_registers_enter(v, x);
    vmx_enter(v, x->launched);
}

/* A hypercall from a guest that needs no more than it needed when it entered. */
static bool vmx_is_plain_call(const struct vcpu *v, u32 reason)
{
    return reason == VMCS_REASON_VMCALL && !vcpu_is_special(v) && RIGHTS_DPL(vmcs_read(VMCS_GUEST_SS_RIGHTS)) == 0;
}

static NORETURN void vmx_plain_call(struct vcpu *v, struct vmx *x)
{
    v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    if ((u32)v->ctx.regs.rdi == CB_CALL_call) {
        vmx_registers_leave(v, x);
        vcpu_left_to_call(v);
    }
    if (vcpu_hypercall(v)) {
        vmx_step(v->insn_len);
        if (vcpu_ready(v))
            vmx_enter(v, true);
    }
    fpu_was_closed();
    vmx_registers_leave(v, x);
    kernel_exit();
}

NORETURN void vmx_exited(struct vcpu *v)
{
    u32 reason = (u32)vmcs_read(VMCS_EXIT_REASON);
    struct vmx *x = v->hw;

    vcpu_out(v);
    if (vmx_is_plain_call(v, reason))
        vmx_plain_call(v, x);
    fpu_was_closed();
    vmx_registers_leave(v, x);
    if (vcpu_is_special(v))
        vmx_finish(v, x);
    if (reason == VMCS_REASON_CPUID || reason == VMCS_REASON_IO) {
        x->launched = true;
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
        vcpu_left_to_vmm(v, reason == VMCS_REASON_IO ? vmx_io(v) : vmx_cpuid(v, x));
    }
    v->insn_len = 0;
    v->qual[0] = v->qual[1] = 0;
    if (reason & VMCS_REASON_FAILED_ENTRY)
        vcpu_left(v, vmx_refused(v, x, reason));
    x->launched = true;
    vcpu_left(v, vmx_exit(v, x, reason));
}
