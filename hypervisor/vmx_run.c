/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x: into the guest and back. SDM 3C, chapters 26 and 27. */
#include "domain.h"
#include "fpu.h"
#include "vcpu_enter.h"
#include "virt.h"
#include "vmx.h"

/* What the end of any instruction does with these flags. */
static NOINLINE void vmx_step_flags(u64 rflags)
{
    vmcs_write(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
    if (rflags & RFLAGS_TF)
        vmcs_write(VMCS_PENDING_DEBUG, vmcs_read(VMCS_PENDING_DEBUG) | VMCS_PENDING_STEP);
}

static void vmx_step(u32 bytes)
{
    u64 blocked = vmcs_read(VMCS_INTERRUPTIBILITY), rflags = vmcs_read(VMCS_GUEST_RFLAGS);

    vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_RIP) + bytes);
    if (blocked & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS)) /* rarely: not written for nothing */
        vmcs_write(VMCS_INTERRUPTIBILITY, blocked & ~(u64)(VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS));
    if (rflags & (RFLAGS_TF | RFLAGS_RF))
        vmx_step_flags(rflags);
}

void vmx_skip(struct vcpu *v, u32 bytes)
{
    (void)vmx_of(v);
    vmx_step(bytes);
}

bool vmx_stepped(const struct vcpu *v)
{
    (void)vmx_of(v);
    return vmcs_read(VMCS_PENDING_DEBUG) & VMCS_PENDING_STEP;
}

bool vmx_shadowed(const struct vcpu *v)
{
    (void)vmx_of(v);
    return vmcs_read(VMCS_INTERRUPTIBILITY) & (VMCS_BLOCKED_STI | VMCS_BLOCKED_MOVSS);
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

    if (!v->tag.flush || v->shadow) /* with shadow page tables, there is no VPID: each entry flushes */
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
    debug_addresses_load(x->dr);
    __asm__ volatile("mov %0, %%dr6" : : "r"(x->dr6));
}

static void vmx_dr_leave(struct vmx *x)
{
    if (!x->dr_live)
        return;
    debug_addresses_store(x->dr);
    __asm__ volatile("mov %%dr6, %0" : "=r"(x->dr6));
    if (!(vmcs_read(VMCS_GUEST_DR7) & DR7_ENABLED)) {
        x->dr_live = false;
        vmx_controls(x, x->primary | VMCS_CONTROL_DR);
    }
}

/* What neither the VMCS nor vmx_resume() switches, and what another guest or a thread may have changed. */
static inline void vmx_msrs_enter(struct vmx *x)
{
    struct vmx_cpu *c = vmx_cpu();

    if (cpu.syscall != &x->syscall) {
        cpu_syscall_load(&x->syscall);
        cpu.syscall = &x->syscall;
    }
    if (c->gs_base != x) {
        if (c->gs_base)
            rdmsr_to(MSR_KERNEL_GS_BASE, &c->gs_base->kernel_gs_base);
        wrmsr_from(MSR_KERNEL_GS_BASE, &x->kernel_gs_base);
        c->gs_base = x;
    }
}

/* Into a vCPU that is not special: it is the upcall. Without a type or an error code, the other fields do not matter. */
static inline void vmx_inject_upcall(struct vcpu *v)
{
    u32 inject = v->inject;

    vmcs_write(VMCS_ENTRY_EVENT, inject);
    v->injected = inject;
    v->inject = 0;
}

static void vmx_inject(struct vcpu *v)
{
    u32 inject = v->inject;

    v->injected = inject & CB_INJECT_VALID ? inject : 0;
    if (!(inject & CB_INJECT_VALID))
        return;
    v->inject = 0;
    if (!(vmcs_read(VMCS_GUEST_CR0) & CR0_PE)) /* real mode has no error codes: 27.2.1.3 */
        inject &= ~CB_INJECT_ERROR;
    vmcs_write(VMCS_ENTRY_EVENT, inject & INJECT_MASK);
    vmcs_write(VMCS_ENTRY_EVENT_ERROR, v->inject_error);
    if ((inject & INJECT_TYPE) >= CB_INJECT_TYPE_SOFT) {
        vmcs_write(VMCS_ENTRY_INSN_LEN, 1);
        vmx_soft_move(-1);
    }
    if ((inject & INJECT_TYPE) == CB_INJECT_TYPE_NMI)
        v->nmi = VCPU_NMI_BLOCKED;
}

/* Most guests turn on all that there is. */
static bool vmx_switches_xcr0(const struct vcpu *v)
{
    return v->xcr0 != fpu_features && features.xsave;
}

/* What is not as at the last entry, or what that had beyond the usual. */
static void vmx_prepare(struct vcpu *v, struct vmx *x)
{
    u32 primary = x->primary & ~(VMCS_CONTROL_WINDOW | VMCS_CONTROL_NMI_WINDOW);

    if (v->want_window)
        primary |= VMCS_CONTROL_WINDOW;
    if (v->nmi_window_to_vmm) /* not open yet: vcpu_do_first() */
        primary |= VMCS_CONTROL_NMI_WINDOW;
    vmx_controls(x, primary);
    if (x->vpid != v->tag.tag) {
        x->vpid = v->tag.tag;
        vmcs_write(VMCS_VPID, x->vpid);
    }
    vmx_flush(v, x);
    vmx_inject(v);
    vmx_dr_enter(x);
    if (vmx_switches_xcr0(v))
        xsetbv(v->xcr0);
    if (v->shadow)
        vmx_shadow_enter(v);
    if (x->launched && !v->want_window && !(v->injected & INJECT_TYPE) && v->nmi == VCPU_NMI_OPEN && !v->nmi_window_to_vmm && !x->dr_live &&
        !vmx_switches_xcr0(v) && !v->shadow)
        atomic_fetch_and_explicit(&v->hazards, ~VCPU_HAZARD_STATE, memory_order_relaxed);
}

/* What vmx_prepare() has done beyond the usual comes to its end. */
static void vmx_finish(struct vcpu *v, struct vmx *x)
{
    vmx_dr_leave(x);
    if (vmx_switches_xcr0(v))
        xsetbv(fpu_features);
    if (v->nmi != VCPU_NMI_OPEN)
        v->nmi = vmcs_read(VMCS_INTERRUPTIBILITY) & VMCS_BLOCKED_NMI ? VCPU_NMI_BLOCKED : VCPU_NMI_OPEN;
}

/* What threads and other guests use, too. */
static inline void vmx_registers_enter(struct vmx *x)
{
    u64 cr3 = read_cr3();

    if (x->host_cr3 != cr3) {
        x->host_cr3 = cr3;
        vmcs_write(VMCS_HOST_CR3, cr3);
    }
    vmx_msrs_enter(x);
    if (read_cr2() != x->cr2)
        write_cr2(x->cr2);
}

static ALWAYS_INLINE void vmx_registers_leave(struct vmx *x)
{
    fpu_was_closed();
    x->cr2 = read_cr2();
}

/* ---- Entries that fail ---- */

/* Without the entry there was no event either. The VMCS still has it, since only an exit takes it back. */
static void vmx_inject_again(struct vcpu *v)
{
    v->inject = vmcs_read(VMCS_ENTRY_EVENT) & CB_INJECT_VALID ? v->injected : 0;
    if ((v->inject & INJECT_TYPE) >= CB_INJECT_TYPE_SOFT)
        vmx_soft_move(1);
    vmcs_write(VMCS_ENTRY_EVENT, 0);
}

static unsigned vmx_invalid(struct vcpu *v, struct vmx *x, const char *why, u64 code, u64 more)
{
    if (!x->reported)
        log_printf("corbel: a vCPU (number %u) cannot be entered: %s", v->number, why);
    x->reported = true;
    vcpu_not_entered(v);
    v->insn_len = 0;
    return vcpu_report(v, CB_EXIT_INVALID, code, more);
}

NORETURN void vmx_failed(struct vcpu *v)
{
    struct vmx *x = v->hw;
    u64 error = vmcs_read(VMCS_INSN_ERROR);

    vcpu_out(v);
    vmx_finish(v, x); /* but nothing has been loaded as by an exit: the FPU is still open */
    vmx_inject_again(v);
    if (error != VMCS_ERROR_NOT_LAUNCHED || !x->launched)
        vcpu_left(v, vmx_invalid(v, x, vmx_reason_insn(error), error, 0));
    /* Bochs does not count a launch that an interrupt ends at once. */
    x->launched = false;
    vcpu_set_special(v);
    vcpu_left(v, VIRT_EXIT_HANDLED);
}

/* The processor has refused the guest's state. */
static unsigned vmx_refused(struct vcpu *v, struct vmx *x, u32 reason)
{
    u64 q = vmcs_read(VMCS_QUALIFICATION);

    vmx_inject_again(v);
    return vmx_invalid(v, x, vmx_reason_entry(reason, q), reason, q);
}

static NOINLINE unsigned vmx_run_special(struct vcpu *v, struct vmx *x)
{
    if (x->wrong)
        return vmx_invalid(v, x, x->wrong, 0, 0);
    vmx_prepare(v, x);
    vmx_registers_enter(x);
    if (x->launched)
        vmx_resume_last(v);
    vmx_launch_last(v);
}

unsigned vmx_run(struct vcpu *v)
{
    struct vmx *x = vmx_of(v);

    if (!vcpu_enters_plainly(v))
        return vmx_run_special(v, x);
    if (v->inject)
        vmx_inject_upcall(v);
    vmx_registers_enter(x);
    vmx_resume(v);
}

/* ---- Exits ---- */

static NOINLINE NORETURN void vmx_left(struct vcpu *v, u32 reason)
{
    struct vmx *x = v->hw;

    if (vcpu_is_special(v))
        vmx_finish(v, x);
    v->insn_len = 0;
    v->qual[0] = v->qual[1] = 0;
    if (reason & VMCS_REASON_FAILED_ENTRY)
        vcpu_left(v, vmx_refused(v, x, reason));
    x->launched = true;
    vcpu_left(v, vmx_exit(v, x, reason));
}

/* A hypercall of a vCPU that is not special. */
static NOINLINE NORETURN void vmx_plain_call(struct vcpu *v)
{
    v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    if ((u32)v->ctx.regs.rdi == CB_CALL_call) {
        vmx_registers_leave(v->hw);
        vcpu_left_to_call(v);
    }
    if (vcpu_hypercall(v)) {
        vmx_step(v->insn_len);
        if (vcpu_ready(v))
            vmx_resume(v);
    }
    vmx_registers_leave(v->hw);
    vcpu_left_after_call();
}

static NOINLINE NORETURN void vmx_left_by_port(struct vcpu *v)
{
    v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
    vcpu_left_to_vmm(v, vmx_io(v));
}

/* What is frequent is dealt with here, if the vCPU needs no more than it needed when it was entered. */
NORETURN void vmx_exited(struct vcpu *v)
{
    u32 reason = (u32)vmcs_read(VMCS_EXIT_REASON);
    struct vmx *x = v->hw;

    vcpu_out(v);
    if (reason == VMCS_REASON_VMCALL && !vcpu_is_special(v) && VMX_RIGHTS_DPL(vmcs_read(VMCS_GUEST_SS_RIGHTS)) == 0)
        vmx_plain_call(v);
    vmx_registers_leave(x);
    if (reason == VMCS_REASON_CPUID && !vcpu_is_special(v)) {
        v->insn_len = (u32)vmcs_read(VMCS_EXIT_INSN_LEN);
        vcpu_left_to_vmm(v, vmx_cpuid(v, x));
    }
    if (reason == VMCS_REASON_IO && !vcpu_is_special(v) && !v->ctx.domain->io_bitmap)
        vmx_left_by_port(v);
    vmx_left(v, reason);
}
