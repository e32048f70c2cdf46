/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-x's side of a vCPU's state and its exits, on a VMCS that no hardware reads. What a message says can be read back;
 * bits of control registers that the host depends on stay as it needs them, while the guest sees its own; what follows from
 * other state follows; and an exit says what the manual makes of it (SDM 3C, chapters 25 and 28).
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_init.h"
#include "domain.h"
#include "io.h"
#include "mce.h"
#include "random.h"
#include "reap_fake.h"
#include "shadow.h"
#include "space.h"
#include "vcpu.h"
#include "virt.h"
#include "vmx.h"

#define ROUNDS 2000u
#define FIELDS 0x8000u

struct vmx_machine vmx_machine = { .nested = true, .cr0_fixed = VMX_CR0_NE, .cr4_fixed = VMX_CR4_VMXE | VMX_CR4_MCE,
                                   .cr4_allowed = VMX_CR4_OWNED | VMX_CR4_MCE, .io_told = true };

static u64 vmcs[FIELDS];
static struct vmx_cpu here;
static struct vmx vmx;
static struct vcpu vcpu;
static struct domain domain;
static u32 injected, skipped;

u64 vmcs_read(enum vmcs_field field)
{
    return vmcs[field];
}

void vmcs_write(enum vmcs_field field, u64 value)
{
    vmcs[field] = value;
}

/* ---- What the files under test need of others ---- */

unsigned vcpu_inject_exception(struct vcpu *v, u32 vector, u32 error)
{
    (void)v, (void)error;
    injected = vector;
    return VIRT_EXIT_HANDLED;
}

unsigned vcpu_machine_check(struct vcpu *v)
{
    (void)v;
    return CB_EXIT_EXCEPTION;
}

bool io_exit(struct vcpu *v, u32 port, u32 width)
{
    (void)v, (void)port, (void)width;
    return false;
}

void interrupts_take(void)
{
}

void vmx_skip(struct vcpu *v, u32 bytes)
{
    (void)v;
    skipped = bytes;
}

bool vmx_interruptible(const struct vcpu *v)
{
    (void)v;
    return true;
}

void vmx_controls(struct vmx *x, u32 primary)
{
    x->primary = primary;
}

#define STAND_IN(type, name, ...) type name(__VA_ARGS__)
STAND_IN(void, vmx_shadow_put, struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in)
{
    (void)v, (void)x, (void)groups, (void)in;
}
STAND_IN(unsigned, vmx_shadow_fault, struct vcpu *v, struct vmx *x)
{
    (void)v, (void)x;
    return VIRT_EXIT_FAULT;
}
STAND_IN(unsigned, vmx_shadow_cr, struct vcpu *v, struct vmx *x, u64 q)
{
    (void)v, (void)x, (void)q;
    return VIRT_EXIT_HANDLED;
}
STAND_IN(unsigned, vmx_shadow_invlpg, struct vcpu *v)
{
    (void)v;
    return VIRT_EXIT_HANDLED;
}
STAND_IN(void, shadow_get, const struct shadow *s, u32 groups, struct cb_state *out)
{
    (void)s, (void)groups, (void)out;
}
STAND_IN(void, vmx_apic_put, struct vcpu *v, struct vmx *x, u32 groups, const struct cb_state *in)
{
    (void)v, (void)x, (void)groups, (void)in;
}
STAND_IN(void, vmx_apic_get, const struct vmx *x, struct cb_state *out)
{
    (void)x, (void)out;
}
STAND_IN(u64, vmx_apic_cr8, const struct vcpu *v, const struct vmx *x)
{
    (void)v;
    return x->cr8;
}
STAND_IN(void, vmx_apic_cr8_put, const struct vcpu *v, struct vmx *x, u64 value)
{
    (void)v;
    x->cr8 = value;
}
STAND_IN(unsigned, vmx_apic_exit, struct vcpu *v, const struct vmx *x, u32 reason)
{
    (void)v, (void)x, (void)reason;
    return CB_EXIT_MEMORY;
}

NORETURN void panic(const char *format, ...)
{
    cr_assert_fail("panic: %s", format);
    abort();
}

struct syscall_registers cpu_syscall;

static void setup(void)
{
    memset(vmcs, 0, sizeof(vmcs));
    memset(&vmx, 0, sizeof(vmx));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(&here, 0, sizeof(here));
    vcpu.hw = &vmx;
    vcpu.ctx.domain = &domain;
    here.current = &vmx;
    cpu.virt = &here;
    vmx.cr4_mask = ~VMX_CR4_OWNED | vmx_machine.cr4_fixed;
    vmx_reset(&vmx);
    injected = UINT32_MAX;
    skipped = 0;
}

TestSuite(vmx, .init = setup);

/* ---- State ---- */

static struct cb_state sample(void)
{
    struct cb_state in = { .cr0 = 0x80050031, .cr2 = 1, .cr3 = 0x2000, .cr4 = 0x20, .cr8 = 5, .dr6 = 0xffff0ff1, .dr7 = 0x401 };

    in.cs = (struct cb_segment){ 8, 0xa9b, 0xffffffff, 0 };
    in.ss = (struct cb_segment){ 16, 0xc93, 0xffffffff, 0 };
    in.ds = in.es = in.fs = in.gs = (struct cb_segment){ 24, 0xcf3, 0xfffff, 0x1234000 };
    in.ldtr = (struct cb_segment){ 0, 0x1000, 0, 0 };
    in.tr = (struct cb_segment){ 40, 0x8b, 0x67, 0xffff800000001000 };
    in.gdtr = (struct cb_segment){ 0, 0, 0x7f, 0xffff800000002000 };
    in.idtr = (struct cb_segment){ 0, 0, 0xfff, 0xffff800000003000 };
    in.efer = 0xd01;
    in.star = 1;
    in.lstar = 0xffff800000004000;
    in.cstar = 3;
    in.fmask = 4;
    in.kernel_gs_base = 5;
    in.sysenter_cs = 6;
    in.sysenter_esp = 7;
    in.sysenter_eip = 8;
    in.pat = 0x0606060606060606;
    for (u32 i = 0; i < 4; i++)
        in.dr[i] = 0x1000 * i;
    in.rip = 0x1000;
    in.rsp = 0x2000;
    in.rflags = 0x202;
    return in;
}

Test(vmx, state_is_read_back)
{
    struct cb_state in = sample(), out;

    memset(&out, 0, sizeof(out));
    vmx_put(&vcpu, CB_GROUPS_VCPU & ~CB_GROUP_CTRL, &in);
    vmx_get(&vcpu, CB_GROUPS_VCPU, &out);
    for (size_t at = offsetof(struct cb_state, cr0); at < offsetof(struct cb_state, tsc_aux); at += 8)
        cr_expect_eq(*(u64 *)(void *)((char *)&out + at), *(u64 *)(void *)((char *)&in + at), "byte %zu", at);
    cr_expect_eq(out.rip, in.rip);
    cr_expect_eq(out.rsp, in.rsp);
    cr_expect_eq(out.rflags, in.rflags);
    cr_expect_null(vmx.wrong);
}

static void expect_host_is_safe(void)
{
    cr_assert(vmcs[VMCS_GUEST_CR0] & VMX_CR0_NE);
    cr_assert(!(vmcs[VMCS_GUEST_CR0] & (VMX_CR0_CD | VMX_CR0_NW)));
    cr_assert_eq(vmcs[VMCS_GUEST_CR4] & (VMX_CR4_VMXE | VMX_CR4_MCE), VMX_CR4_VMXE | VMX_CR4_MCE);
    cr_assert_eq(vmcs[VMCS_GUEST_CR4] & ~(VMX_CR4_OWNED | vmx_machine.cr4_fixed), 0);
}

/* Whatever a message says: what the host depends on stays, and what must agree agrees (SDM 3C, 27.3.1.1). */
Test(vmx, any_state_is_harmless)
{
    struct cb_state in, out;

    for (u32 n = 0; n < ROUNDS; n++) {
        u32 groups = (u32)random_next() & CB_GROUPS_VCPU;
        bool long_mode;

        for (size_t i = 0; i < sizeof(in); i++)
            ((u8 *)&in)[i] = (u8)random_next();
        if (random_below(2)) {
            in.cr0 &= VMX_CR0_OWNED | VMX_CR0_SHADOWED;
            in.cr4 &= vmx_machine.cr4_allowed;
        }
        vmx_put(&vcpu, groups, &in);
        expect_host_is_safe();
        long_mode = (vmcs[VMCS_GUEST_EFER] & EFER_LME) && (vmcs[VMCS_GUEST_CR0] & CR0_PG);
        cr_assert_eq(long_mode, (vmcs[VMCS_GUEST_EFER] & EFER_LMA) != 0);
        cr_assert_eq(long_mode, (vmcs[VMCS_ENTRY_CONTROLS] & VMCS_ENTRY_LONG_MODE) != 0);
        cr_assert_eq(vmcs[VMCS_GUEST_EFER] & ~(VMX_EFER_GUEST | EFER_LMA), 0);
        vmx_get(&vcpu, CB_GROUP_CR, &out);
        if (groups & CB_GROUP_CR) {
            cr_assert_eq(out.cr4, in.cr4, "the guest sees its own");
            cr_assert_eq(!vmx.wrong, !(in.cr4 & ~vmx_machine.cr4_allowed) &&
                                         !(in.cr0 & ~(VMX_CR0_OWNED | VMX_CR0_SHADOWED)) &&
                                         (!(in.cr0 & VMX_CR0_NW) || (in.cr0 & VMX_CR0_CD)));
        }
    }
}

/* What is in a register of the CPU is old then. */
Test(vmx, system_registers_are_loaded_again)
{
    struct cb_state in = sample();

    here.gs_base = &vmx;
    vmx_put(&vcpu, CB_GROUP_SYSCALL, &in);
    cr_expect_null(here.gs_base, "the next entry loads the kernel GS base");
    cr_expect_eq(vmx.kernel_gs_base, in.kernel_gs_base);
    cr_expect_eq(vmx.syscall.lstar, in.lstar);
}

/* The four entries of PAE paging are the message's; without it they are nobody's. */
Test(vmx, pae_entries)
{
    struct cb_state in = sample(), out;

    in.efer = 0;
    for (u32 i = 0; i < 4; i++)
        in.pdpte[i] = 0x1001 + 0x1000 * i;
    vmx_put(&vcpu, CB_GROUP_SYSCALL | CB_GROUP_CR, &in);
    cr_expect_null(vmx.wrong);
    for (u32 i = 0; i < 4; i++)
        cr_expect_eq(vmcs[VMCS_GUEST_PDPTE0 + 2 * i], in.pdpte[i]);
    vmx_get(&vcpu, CB_GROUP_CR, &out);
    cr_expect_eq(out.pdpte[3], in.pdpte[3]);
    in.efer = EFER_LME;
    vmx_put(&vcpu, CB_GROUP_SYSCALL, &in);
    vmx_get(&vcpu, CB_GROUP_CR, &out);
    cr_expect_eq(out.pdpte[3], 0);
}

/* In a shadow, entry wants a step that is due where TF is set, and none where it is not (27.3.1.5). */
Test(vmx, pending_steps)
{
    struct cb_state in = sample();

    in.blocked = CB_BLOCKED_MOVSS;
    in.pending_debug = VMCS_PENDING_STEP | 3;
    vmx_put(&vcpu, CB_GROUP_INJECT | CB_GROUP_RFLAGS, &in);
    cr_expect_eq(vmcs[VMCS_PENDING_DEBUG], 3);
    cr_expect_eq(vmcs[VMCS_INTERRUPTIBILITY], VMCS_BLOCKED_MOVSS);
    in.rflags |= RFLAGS_TF;
    in.pending_debug = ~0ull;
    vmx_put(&vcpu, CB_GROUP_INJECT | CB_GROUP_RFLAGS, &in);
    cr_expect_eq(vmcs[VMCS_PENDING_DEBUG], VMCS_PENDING_ALL);
    in.blocked = 0;
    vcpu.nmi = VCPU_NMI_BLOCKED;
    in.pending_debug = 0;
    vmx_put(&vcpu, CB_GROUP_INJECT, &in);
    cr_expect_eq(vmcs[VMCS_INTERRUPTIBILITY], VMCS_BLOCKED_NMI);
    cr_expect_eq(vmcs[VMCS_PENDING_DEBUG], 0);
}

/* ---- Exits ---- */

static unsigned leave(u32 reason, u64 qualification)
{
    vmcs[VMCS_QUALIFICATION] = qualification;
    vmcs[VMCS_EXIT_INSN_LEN] = 2;
    vcpu.qual[0] = vcpu.qual[1] = 0;
    vcpu.insn_len = 0;
    skipped = 0;
    injected = UINT32_MAX;
    return vmx_exit(&vcpu, &vmx, reason);
}

/* Of RAX and RDX, WRMSR takes the lower halves; RDMSR clears the upper ones. */
Test(vmx, system_call_registers)
{
    struct regs *r = &vcpu.ctx.regs;

    r->rcx = 0xdead000000000000 | MSR_LSTAR;
    r->rax = 0xdeadbeef80001000;
    r->rdx = 0xdeadbeef00001234;
    cr_expect_eq(leave(VMCS_REASON_WRMSR, 0), VIRT_EXIT_HANDLED);
    cr_expect_eq(vmx.syscall.lstar, 0x123480001000);
    cr_expect_eq(skipped, 2);
    r->rax = r->rdx = ~0ull;
    cr_expect_eq(leave(VMCS_REASON_RDMSR, 0), VIRT_EXIT_HANDLED);
    cr_expect_eq(r->rax, 0x80001000);
    cr_expect_eq(r->rdx, 0x1234);
    r->rax = 0;
    r->rdx = 0x8000; /* not canonical */
    cr_expect_eq(leave(VMCS_REASON_WRMSR, 0), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_GP);
    cr_expect_eq(vmx.syscall.lstar, 0x123480001000);
    r->rcx = MSR_FMASK;
    r->rdx = 1;
    cr_expect_eq(leave(VMCS_REASON_WRMSR, 0), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_GP);
    r->rcx = 0x12345;
    cr_expect_eq(leave(VMCS_REASON_WRMSR, 0), CB_EXIT_WRMSR);
    cr_expect_eq(skipped, 0);
}

/* 28.2.3: an IRET that faulted has let NMIs in already; it is executed again, so they are blocked. */
Test(vmx, iret_that_faulted)
{
    vcpu.nmi = VCPU_NMI_OPEN;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EVENT_NMI_UNBLOCKED | VMCS_EPT_WRITE), CB_EXIT_MEMORY);
    cr_expect_eq(vcpu.nmi, VCPU_NMI_BLOCKED);
    cr_expect(vmcs[VMCS_INTERRUPTIBILITY] & VMCS_BLOCKED_NMI);
    cr_expect(vcpu_is_special(&vcpu));

    /* but not in the delivery of an event: the bit means nothing then */
    setup();
    vmcs[VMCS_VECTORING] = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | 13;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EVENT_NMI_UNBLOCKED), CB_EXIT_MEMORY);
    cr_expect_eq(vcpu.nmi, VCPU_NMI_OPEN);
    cr_expect_eq(vcpu.inject, CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | 13);
}

/* An NMI whose delivery left the guest comes again: then it is blocked, not before. */
Test(vmx, nmi_is_delivered_again)
{
    vcpu.nmi = VCPU_NMI_BLOCKED;
    vmcs[VMCS_INTERRUPTIBILITY] = VMCS_BLOCKED_NMI;
    vmcs[VMCS_VECTORING] = CB_INJECT_VALID | CB_INJECT_TYPE_NMI | EXCEPTION_NMI;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EPT_WRITE), CB_EXIT_MEMORY);
    cr_expect_eq(vcpu.nmi, VCPU_NMI_OPEN);
    cr_expect_eq(vmcs[VMCS_INTERRUPTIBILITY], 0);
    cr_expect_eq(vcpu.inject, CB_INJECT_VALID | CB_INJECT_TYPE_NMI | EXCEPTION_NMI);
}

/* Injected, it stood one byte before where it returns to; raised by the guest, its instruction is executed again. */
Test(vmx, software_interrupt_is_delivered_again)
{
    u32 event = CB_INJECT_VALID | CB_INJECT_TYPE_SOFT | 77;

    vcpu.injected = event;
    vmcs[VMCS_GUEST_RIP] = 0xfff;
    vmcs[VMCS_VECTORING] = event;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EPT_WRITE), CB_EXIT_MEMORY);
    cr_expect_eq(vcpu.inject, event);
    cr_expect_eq(vmcs[VMCS_GUEST_RIP], 0x1000);

    setup();
    vmcs[VMCS_GUEST_ES_RIGHTS + 2 * VMCS_CS] &= ~(u64)VMCS_RIGHTS_LONG;
    vcpu.injected = event;
    vmcs[VMCS_GUEST_RIP] = UINT32_MAX; /* injected at 0 */
    vmcs[VMCS_VECTORING] = event;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EPT_WRITE), CB_EXIT_MEMORY);
    cr_expect_eq(vmcs[VMCS_GUEST_RIP], 0);

    setup();
    vmcs[VMCS_GUEST_RIP] = 0xfff;
    vmcs[VMCS_VECTORING] = event;
    cr_expect_eq(leave(VMCS_REASON_EPT_VIOLATION, VMCS_EPT_WRITE), CB_EXIT_MEMORY);
    cr_expect_eq(vcpu.inject, 0);
    cr_expect_eq(vmcs[VMCS_GUEST_RIP], 0xfff);
}

/* CD and NW are remembered, not set; what cannot be is #GP, and changes nothing. */
Test(vmx, control_registers_that_leave)
{
    u64 before = vmx.cr0_shadow;

    vcpu.ctx.regs.rcx = 0x60000031;
    cr_expect_eq(leave(VMCS_REASON_CR, 0 | 1u << 8), VIRT_EXIT_HANDLED);
    cr_expect_eq(vmx.cr0_shadow, 0x60000031);
    cr_expect_eq(vmcs[VMCS_CR0_SHADOW], 0x60000031);
    expect_host_is_safe();
    before = vmx.cr0_shadow;
    vcpu.ctx.regs.rcx = VMX_CR0_NW;
    cr_expect_eq(leave(VMCS_REASON_CR, 0 | 1u << 8), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_GP);
    cr_expect_eq(vmx.cr0_shadow, before);
    vcpu.ctx.regs.rcx = VMX_CR4_VMXE;
    cr_expect_eq(leave(VMCS_REASON_CR, 4 | 1u << 8), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_GP);
    vcpu.ctx.regs.rcx = VMX_CR4_MCE;
    cr_expect_eq(leave(VMCS_REASON_CR, 4 | 1u << 8), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, UINT32_MAX);
    cr_expect_eq(vmx_cr4(&vmx), VMX_CR4_MCE);
    vcpu.ctx.regs.rcx = 0x10;
    cr_expect_eq(leave(VMCS_REASON_CR, 8 | 1u << 8), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_GP, "CR8 has four bits");
}

/* Tables 28-2, 28-5, 28-8. */
Test(vmx, qualifications)
{
    cr_expect_eq(leave(VMCS_REASON_TASK_SWITCH, 2u << 30 | 0x30), CB_EXIT_INSTRUCTION);
    cr_expect_eq(vcpu.qual[0], CB_INSN_TASK_SWITCH);
    cr_expect_eq(vcpu.qual[1], 0x30 | CB_TASK_JUMP << 16);
    vmcs[VMCS_EXIT_INSN_INFO] = 2u << 7 | 4u << 15; /* 64-bit addresses, FS */
    vmcs[VMCS_GUEST_RIP] = 0x1000;
    cr_expect_eq(leave(VMCS_REASON_IO, 0x3f8u << 16 | 1u << 4 | 1u << 5), CB_EXIT_IO);
    cr_expect_eq(vcpu.qual[0], 0x3f8 | 1u << 16 | CB_IO_STRING | CB_IO_REP | 8ull << 28 | 4ull << 32);
    cr_expect_eq(vcpu.qual[1], 0x1002);
    cr_expect_eq(leave(VMCS_REASON_IO, 0x60u << 16 | 3 | 1u << 3), CB_EXIT_IO);
    cr_expect_eq(vcpu.qual[0], 0x60 | 4u << 16 | CB_IO_IN);
}

/* A hypercall from user mode does not exist. */
Test(vmx, hypercalls)
{
    vmcs[VMCS_GUEST_SS_RIGHTS] = 0x93;
    cr_expect_eq(leave(VMCS_REASON_VMCALL, 0), VIRT_EXIT_HYPERCALL);
    vmcs[VMCS_GUEST_SS_RIGHTS] = 0xf3;
    cr_expect_eq(leave(VMCS_REASON_VMCALL, 0), VIRT_EXIT_HANDLED);
    cr_expect_eq(injected, EXCEPTION_UD);
}
