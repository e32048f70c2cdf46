/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * void svm_enter(struct regs *r, u64 guest, u64 host): guest and host are host-physical addresses of VMCBs.
 *
 * With GIF clear no interrupt of any kind is taken, so IF can be set for VMRUN: it decides whether physical interrupts end
 * guest mode (APM 2, 15.21.1). One that comes from CLGI on ends guest mode before it has begun. VMRUN switches neither the general
 * registers, except rax and rsp, nor what VMLOAD and VMSAVE do (15.5.2).
 */
#include "regs.h"

    .section .text
    .global svm_enter
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    clgi
    sti
    mov %rsi, %rax
    vmload %rax

    mov REGS_R15(%rdi), %r15
    mov REGS_R14(%rdi), %r14
    mov REGS_R13(%rdi), %r13
    mov REGS_R12(%rdi), %r12
    mov REGS_RBP(%rdi), %rbp
    mov REGS_RBX(%rdi), %rbx
    mov REGS_R11(%rdi), %r11
    mov REGS_R10(%rdi), %r10
    mov REGS_R9(%rdi), %r9
    mov REGS_R8(%rdi), %r8
    mov REGS_RCX(%rdi), %rcx
    mov REGS_RDX(%rdi), %rdx
    mov REGS_RSI(%rdi), %rsi
    mov REGS_RDI(%rdi), %rdi
    vmrun %rax

    cli
    push %rdi
    mov 8(%rsp), %rdi
    mov %r15, REGS_R15(%rdi)
    mov %r14, REGS_R14(%rdi)
    mov %r13, REGS_R13(%rdi)
    mov %r12, REGS_R12(%rdi)
    mov %rbp, REGS_RBP(%rdi)
    mov %rbx, REGS_RBX(%rdi)
    mov %r11, REGS_R11(%rdi)
    mov %r10, REGS_R10(%rdi)
    mov %r9, REGS_R9(%rdi)
    mov %r8, REGS_R8(%rdi)
    mov %rcx, REGS_RCX(%rdi)
    mov %rdx, REGS_RDX(%rdi)
    mov %rsi, REGS_RSI(%rdi)
    pop REGS_RDI(%rdi)

    vmsave %rax             /* VMRUN's rax has come back from the host save area: the guest's VMCB */
    mov 8(%rsp), %rax
    vmload %rax
    stgi

    add $16, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    xor %ecx, %ecx          /* nothing of the guest's stays for code that runs ahead of itself */
    xor %edx, %edx
    xor %esi, %esi
    xor %edi, %edi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    ret

    .section .note.GNU-stack, "", @progbits
