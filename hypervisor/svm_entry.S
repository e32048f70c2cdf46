/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NORETURN void svm_enter(struct vcpu *v, u64 guest): guest is the host-physical address of its VMCB. When the guest exits,
 * svm_exited() goes on with the CPU's stack empty, as after any other entry to the kernel.
 *
 * With GIF clear no interrupt of any kind is taken, so IF can be set for VMRUN: it decides whether physical interrupts end
 * guest mode (APM 2, 15.21.1). One that comes from CLGI on ends guest mode before it has begun. VMRUN switches neither the general
 * registers, except rax and rsp, nor what VMLOAD and VMSAVE do (15.5.2).
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

#define REG(name) CTX_REGS + REGS_##name

    .section .text
    .global svm_enter
    .balign 64
svm_enter:
    clgi
    sti
    mov %rsi, %rax
    vmload %rax
    mov REG(R15)(%rdi), %r15
    mov REG(R14)(%rdi), %r14
    mov REG(R13)(%rdi), %r13
    mov REG(R12)(%rdi), %r12
    mov REG(RBP)(%rdi), %rbp
    mov REG(RBX)(%rdi), %rbx
    mov REG(R11)(%rdi), %r11
    mov REG(R10)(%rdi), %r10
    mov REG(R9)(%rdi), %r9
    mov REG(R8)(%rdi), %r8
    mov REG(RCX)(%rdi), %rcx
    mov REG(RDX)(%rdi), %rdx
    mov REG(RSI)(%rdi), %rsi
    mov REG(RDI)(%rdi), %rdi
    vmrun %rax

    cli
    vmsave %rax             /* VMRUN's rax has come back from the host save area: the guest's VMCB */
    mov cpu + CPU_CURRENT, %rax
    mov %r15, REG(R15)(%rax)
    mov %r14, REG(R14)(%rax)
    mov %r13, REG(R13)(%rax)
    mov %r12, REG(R12)(%rax)
    mov %rbp, REG(RBP)(%rax)
    mov %rbx, REG(RBX)(%rax)
    mov %r11, REG(R11)(%rax)
    mov %r10, REG(R10)(%rax)
    mov %r9, REG(R9)(%rax)
    mov %r8, REG(R8)(%rax)
    mov %rcx, REG(RCX)(%rax)
    mov %rdx, REG(RDX)(%rax)
    mov %rsi, REG(RSI)(%rax)
    mov %rdi, REG(RDI)(%rax)
    mov %rax, %rdi
    mov cpu + CPU_VIRT_PHYSICAL, %rax
    vmload %rax
    stgi
    mov $CPU_STACK_TOP, %rsp
    call svm_exited
    ud2

    .section .note.GNU-stack, "", @progbits
