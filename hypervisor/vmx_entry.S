/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NORETURN void vmx_enter(struct vcpu *v, bool launched): the VMCS, which is loaded, holds neither the general registers, except
 * rsp, nor CR2. When the guest exits, vmx_exited() goes on with the CPU's stack empty, as after any other entry to the kernel. An
 * instruction that fails goes on behind itself, with the guest's registers, and then to vmx_failed().
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

#define REG(name) CTX_REGS + REGS_##name

    .section .text
    .global vmx_enter
    .balign 64
vmx_enter:
    test %sil, %sil
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
    mov REG(RAX)(%rdi), %rax
    mov REG(RCX)(%rdi), %rcx
    mov REG(RDX)(%rdi), %rdx
    mov REG(RSI)(%rdi), %rsi
    mov REG(RDI)(%rdi), %rdi
    jz 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  mov $CPU_STACK_TOP, %rsp
    mov cpu + CPU_CURRENT, %rdi
    call vmx_failed
    ud2

    /* rsp is CPU_STACK_TOP, rflags 2. */
    .global vmx_exit_entry
    .balign 64
vmx_exit_entry:
    push %rdi
    mov cpu + CPU_CURRENT, %rdi
    pop REG(RDI)(%rdi)
    mov %r15, REG(R15)(%rdi)
    mov %r14, REG(R14)(%rdi)
    mov %r13, REG(R13)(%rdi)
    mov %r12, REG(R12)(%rdi)
    mov %rbp, REG(RBP)(%rdi)
    mov %rbx, REG(RBX)(%rdi)
    mov %r11, REG(R11)(%rdi)
    mov %r10, REG(R10)(%rdi)
    mov %r9, REG(R9)(%rdi)
    mov %r8, REG(R8)(%rdi)
    mov %rax, REG(RAX)(%rdi)
    mov %rcx, REG(RCX)(%rdi)
    mov %rdx, REG(RDX)(%rdi)
    mov %rsi, REG(RSI)(%rdi)
    call vmx_exited
    ud2

    .section .note.GNU-stack, "", @progbits
