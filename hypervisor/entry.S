/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways into the kernel and out of it. From user mode, registers go straight into cpu.current->regs: exceptions and interrupts
 * find its end in TSS.RSP0, system calls find it through `cpu`. Then the CPU's one stack starts anew.
 * Inside the kernel (idling, or in the window of kernel_preempt()) they are saved on the stack in use.
 */
#include "layout.h"
#include "regs.h"

#define CPU_CURRENT cpu /* offset 0, checked in trap.c */
#define REG(name) CTX_REGS + REGS_##name

.macro push_registers
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro pop_registers
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $16, %rsp /* vector, error code */
.endm

    .text

/* ---- System calls. rax, rcx and r11 are the kernel's (corbel/call.h); rsp is still the caller's. ---- */

    .globl entry_syscall
    .balign 64
entry_syscall:
    movq CPU_CURRENT, %rax
    movq %rsp, REG(RSP)(%rax)
    movq $CPU_STACK_TOP, %rsp
    movq %rcx, REG(RIP)(%rax)
    movq %r11, REG(RFLAGS)(%rax)
    movq $REGS_SYSCALL, REG(VECTOR)(%rax)
    movq %rdi, REG(RDI)(%rax)
    movq %rsi, REG(RSI)(%rax)
    movq %rdx, REG(RDX)(%rax)
    movq %r8, REG(R8)(%rax)
    movq %r9, REG(R9)(%rax)
    movq %r10, REG(R10)(%rax)
    movq %rbx, REG(RBX)(%rax)
    movq %rbp, REG(RBP)(%rax)
    movq %r12, REG(R12)(%rax)
    movq %r13, REG(R13)(%rax)
    movq %r14, REG(R14)(%rax)
    movq %r15, REG(R15)(%rax)
    xorl %ebp, %ebp
    call trap_syscall
    ud2

    .globl entry_return_syscall
    .balign 64
entry_return_syscall:
    movq REGS_RAX(%rdi), %rax
    movq REGS_RIP(%rdi), %rcx
    movq REGS_RFLAGS(%rdi), %r11
    movq REGS_RSI(%rdi), %rsi
    movq REGS_RDX(%rdi), %rdx
    movq REGS_R8(%rdi), %r8
    movq REGS_R9(%rdi), %r9
    movq REGS_R10(%rdi), %r10
    movq REGS_RBX(%rdi), %rbx
    movq REGS_RBP(%rdi), %rbp
    movq REGS_R12(%rdi), %r12
    movq REGS_R13(%rdi), %r13
    movq REGS_R14(%rdi), %r14
    movq REGS_R15(%rdi), %r15
    movq REGS_RSP(%rdi), %rsp
    movq REGS_RDI(%rdi), %rdi
    sysretq

    .globl entry_return
entry_return:
    movq %rdi, %rsp
    pop_registers
    iretq

/* ---- Exceptions and interrupts ---- */

entry_common:
    testb $3, 24(%rsp) /* CS, behind vector, error code and RIP */
    jz entry_kernel
    push_registers
    movq %rsp, %rdi
    movq $CPU_STACK_TOP, %rsp
    pushq $2 /* no flag of the user's stays: DF, AC */
    popfq
    xorl %ebp, %ebp
    call trap_user
    ud2

entry_kernel:
    push_registers
    movq %rsp, %rdi
    call trap_kernel
    pop_registers
    iretq

/* On a stack of their own, whatever was going on. */
entry_ist:
    push_registers
    cld
    movq %rsp, %rdi
    call trap_ist
    pop_registers
    iretq

/* One entry for each vector; those of exceptions with an error code find it pushed (APM 2, 8.2). */
    .altmacro
.macro entry_stub n
    .balign 16
entry_vector_\n:
    .if (\n != 8) && ((\n < 10) || (\n > 14)) && (\n != 17) && (\n != 21) && (\n != 29) && (\n != 30)
    pushq $0
    .endif
    pushq $\n
    .if (\n == 2) || (\n == 8) || (\n == 18)
    jmp entry_ist
    .else
    jmp entry_common
    .endif
.endm
.macro entry_address n
    .quad entry_vector_\n
.endm

.set vector, 0
.rept 256
    entry_stub %vector
    .set vector, vector + 1
.endr

    .section .rodata
    .balign 8
    .globl entry_vectors
entry_vectors:
.set vector, 0
.rept 256
    entry_address %vector
    .set vector, vector + 1
.endr

    .section .note.GNU-stack, "", @progbits
