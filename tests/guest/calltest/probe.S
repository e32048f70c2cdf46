/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call and a handler that look at all registers. Those that carry nothing of the message hold a secret on the way
 * in, and another one on the way back. Order in memory, as struct probe_regs has it: from rax at the bottom to r15,
 * then RFLAGS.
 */
#define DF_CF 0x401

    .macro save_all
    pushfq
    push %r15
    push %r14
    push %r13
    push %r12
    push %r11
    push %r10
    push %r9
    push %r8
    push %rdi
    push %rsi
    push %rbp
    push %rbx
    push %rdx
    push %rcx
    push %rax
    .endm

    /* All that no message goes through; %rax has the value. */
    .macro fill
    mov %rax, %rbx
    mov %rax, %rcx
    mov %rax, %rbp
    mov %rax, %r11
    mov %rax, %r12
    mov %rax, %r13
    mov %rax, %r14
    mov %rax, %r15
    .endm

    .macro set_flags
    pushq $(0x202 + DF_CF)
    popfq
    .endm

    .text
/* probe_call(word, info, secret, struct probe_regs *after): words 1 to 4 are the numbers 1 to 4. */
    .globl probe_call
probe_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rcx
    mov %rsi, %r10
    mov %rdx, %rax
    mov $1, %esi
    mov $2, %edx
    mov $3, %r8d
    mov $4, %r9d
    fill
    pushq $0x202
    popfq
    syscall
    save_all
    cld
    mov %rsp, %rsi
    mov 128(%rsp), %rdi
    mov $16, %ecx
    rep movsq
    add $136, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

/* Entry of the handler's portal. Replies with what came, and probe_reply_info. */
    .globl probe_entry
probe_entry:
    save_all
    cld
    mov %rsp, %rsi
    lea probe_seen(%rip), %rdi
    mov $16, %ecx
    rep movsq
    mov 40(%rsp), %rsi
    mov 16(%rsp), %rdx
    mov 56(%rsp), %r8
    mov 64(%rsp), %r9
    mov probe_reply_info(%rip), %r10
    mov probe_reply_secret(%rip), %rax
    mov $2, %edi /* reply */
    fill
    set_flags
    syscall
    ud2

    .section .note.GNU-stack, "", @progbits
