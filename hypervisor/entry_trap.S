/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions and interrupts, and the way back by IRET: in the forms of entry.S, which see. */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

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

#ifdef ENTRY_ROOTS
    .section .text.entry, "ax"
#else
    .text
#endif

    .globl entry_return
entry_return:
    movq $REGS_SYSCALL, REGS_VECTOR(%rdi) /* as entry_syscall expects it: it is not written there */
#ifdef ENTRY_ROOTS
    movq cpu + CPU_HOME, %rax
    movq SPACE_CPU_USER(%rax), %rax
    movq %rax, CPU_ENTRY + ENTRY_USER
    .irp word, 0, 8, 16, 24, 32
    movq REGS_RIP + \word(%rdi), %rax
    movq %rax, CPU_ENTRY_TOP - 40 + \word
    .endr
#endif
    movq %rdi, %rsp
    pop_registers
#ifdef ENTRY_ROOTS
    movq CPU_ENTRY + ENTRY_USER, %rsp
    movq %rsp, %cr3
    movq $(CPU_ENTRY_TOP - 40), %rsp
#endif
#ifdef ENTRY_GUARDED
    verw selector(%rip)
#endif
    iretq

#ifdef ENTRY_ROOTS
/* Loads the word in rdi, of a user root, only so that its tag is flushed; then that in rsi. */
    .globl entry_flush_user
entry_flush_user:
    movq %rdi, %cr3
    movq %rsi, %cr3
    ret
#endif

#if !defined(ENTRY_GUARDED) || defined(ENTRY_ROOTS)
entry_common:
    testb $3, 24(%rsp) /* CS, behind vector, error code and RIP */
    jz entry_kernel
#ifdef ENTRY_ROOTS
    movq CPU_ENTRY + ENTRY_KERNEL, %rsp
    movq %rsp, %cr3
    movq $(CPU_ENTRY_TOP - 56), %rsp
#endif
    pushq %rax
    movq cpu + CPU_CURRENT, %rax
    movq %rdi, REG(RDI)(%rax)
    save_general %rax
    popq REG(RAX)(%rax)
    popq REG(VECTOR)(%rax)
    popq REG(ERROR)(%rax)
    popq REG(RIP)(%rax)
    popq REG(CS)(%rax)
    popq REG(RFLAGS)(%rax)
    popq REG(RSP)(%rax)
    popq REG(SS)(%rax)
#ifdef ENTRY_ROOTS
    movq $CPU_STACK_TOP, %rsp
#endif
    leaq CTX_REGS(%rax), %rdi
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
#ifdef ENTRY_ROOTS
    movq %cr3, %rbx /* either root's; without the bit that keeps its tag, which is flushed then */
    movq CPU_ENTRY + ENTRY_IST, %rax
    movq %rax, %cr3
#endif
    movq %rsp, %rdi
    call trap_ist
#ifdef ENTRY_ROOTS
    movq %rbx, %cr3
#endif
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
#endif

    .section .note.GNU-stack, "", @progbits
