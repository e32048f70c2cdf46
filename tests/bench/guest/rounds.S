/* SPDX-License-Identifier: GPL-2.0-only */
/* The rounds of a guest, and what takes its upcalls. */
#include "rounds.h"

#include "guest.h"

/* VMMCALL, or VMCALL once guest_hypercalls_patch() has been there. */
.macro hypercall
9:  vmmcall
    .pushsection .hypercalls, "a"
    .quad 9b
    .popsection
.endm

    .text

/* A hypercall without arguments. */
rounds_function round_hypercall
    mov ROUNDS_WORD(%rbp), %rdi
    xor %r10d, %r10d
    round_begin
    hypercall
    round_end
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/* A call with four words, which must come back as they were. */
rounds_function round_words
    round_of_words hypercall
    sub ROUNDS_LEFT(%rbp), %rsi
    sub $0x1111, %rdx
    sub $0x2222, %r8
    sub $0x3333, %r9
    round_words_differ
rounds_end

/* CPUID of the leaf in `word`; eax must be what `word2` says. */
rounds_function round_cpuid
    round_begin
    mov ROUNDS_WORD(%rbp), %eax
    xor %ecx, %ecx
    cpuid
    round_end
    sub ROUNDS_WORD2(%rbp), %eax
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/* A byte written to the port in `word`. */
rounds_function round_port
    round_begin
    mov ROUNDS_WORD(%rbp), %edx
    out %al, %dx
    round_end
rounds_end

/* Signals an event (word), and stays awake until the answer has come; arg1 counts answers. */
.macro event_rounds name
rounds_function \name
    incq ROUNDS_ARG1(%rbp)
    mov ROUNDS_WORD(%rbp), %rdi
    round_begin
    hypercall
    or %rax, ROUNDS_FAILED(%rbp)
    sti
4:  pause
    mov upcall_count(%rip), %rcx
    cmp ROUNDS_ARG1(%rbp), %rcx
    jb 4b /* an upcall may have brought nothing */
    cli
    round_end
    mov upcall_count(%rip), %rax
    sub ROUNDS_ARG1(%rbp), %rax
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end
.endm

/* Twice, since each path is known by the address of its mark (vtx.py). */
event_rounds round_event
event_rounds round_event_other_cpu

/* uint64_t guest_call(uint64_t word, struct cb_args *args) */
    .globl guest_call
guest_call:
    push %rsi
    mov 8(%rsi), %rdx
    mov 16(%rsi), %r8
    mov 24(%rsi), %r9
    mov 32(%rsi), %r10
    mov (%rsi), %rsi
    hypercall
    pop %rcx
    mov %rsi, (%rcx)
    mov %rdx, 8(%rcx)
    mov %r8, 16(%rcx)
    mov %r9, 24(%rcx)
    mov %r10, 32(%rcx)
    ret

/* Takes what is pending at the link's port and counts it; signals back, if upcall_answer is a call word. */
    .globl upcall_entry
    .balign 16
upcall_entry:
    bench_mark BENCH_MARK_THERE
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov upcall_page(%rip), %rcx
    xor %eax, %eax
    mov %eax, EVENT_PAGE_UPCALL(%rcx)
    xchg %rax, EVENT_PAGE_SUMMARY(%rcx)
    mov upcall_word(%rip), %rdx
    xor %eax, %eax
    xchg %rax, EVENT_PAGE_PENDING(%rcx, %rdx, 8)
    test %rax, %rax
    jz 1f
    incq upcall_count(%rip)
    mov upcall_answer(%rip), %rdi
    test %rdi, %rdi
    jz 1f
    hypercall
    or %rax, upcall_failed(%rip)
1:  pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    iretq

    .section .note.GNU-stack, "", @progbits
