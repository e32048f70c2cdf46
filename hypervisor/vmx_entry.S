/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * u32 vmx_enter(struct regs *r, bool launched, u64 *host_rsp)
 *
 * The VMCS is loaded. It holds neither the general registers (but for rsp) nor, for the way back, more than one rsp,
 * which is the same from call to call. Guest mode ends at vmx_exit_entry; an instruction that fails goes on behind
 * itself, with the guest's registers.
 */
#include "regs.h"

#define VMCS_HOST_RSP 0x6c14 /* vmcs.h */

    .section .text
    .global vmx_enter
vmx_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    cmp %rsp, (%rdx)
    je 1f
    mov %rsp, (%rdx)
    mov $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
1:
    test %sil, %sil
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
    mov REGS_RAX(%rdi), %rax
    mov REGS_RCX(%rdi), %rcx
    mov REGS_RDX(%rdi), %rdx
    mov REGS_RSI(%rdi), %rsi
    mov REGS_RDI(%rdi), %rdi
    jz 2f
    vmresume
    jmp 3f
2:
    vmlaunch
3:
    pop %rdi
    mov $1, %eax
    jmp 4f

    .global vmx_exit_entry
vmx_exit_entry:
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
    mov %rax, REGS_RAX(%rdi)
    mov %rcx, REGS_RCX(%rdi)
    mov %rdx, REGS_RDX(%rdi)
    mov %rsi, REGS_RSI(%rdi)
    pop REGS_RDI(%rdi)
    add $8, %rsp
    xor %eax, %eax
4:
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
