/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For assembly: what stands around each round. Only instructions between `round_begin` and `round_end` count; those
 * for reading the clock are the same in each kind of round, and so in round_empty, whose ticks are subtracted. Calls
 * may lose all registers but the stack pointer, so what must stay is on the stack: a pointer to struct bench_rounds.
 */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include "bench.h"

/* With rbp = the rounds: takes the time. Keeps all but rax, rcx and rdx. */
.macro round_begin
    mov ROUNDS_PMC(%rbp), %rcx
    cmp $-1, %rcx
    je 2f
    lfence
    rdpmc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, ROUNDS_START_INSTRUCTIONS(%rbp)
2:  lfence
    rdtsc
    lfence
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, ROUNDS_START(%rbp)
    bench_mark BENCH_MARK_BEGIN
.endm

/* Takes the time again and writes down the difference. Leaves status and result 2 in rax and rdx. */
.macro round_end
    bench_mark BENCH_MARK_END
    mov %rax, %rbx
    mov %rdx, %r12
    lfence
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov (%rsp), %rbp
    sub ROUNDS_START(%rbp), %rax
    mov ROUNDS_TICKS(%rbp), %rcx
    mov %rax, (%rcx)
    addq $8, ROUNDS_TICKS(%rbp)
    mov ROUNDS_PMC(%rbp), %rcx
    cmp $-1, %rcx
    je 3f
    rdpmc
    shl $32, %rdx
    or %rdx, %rax
    sub ROUNDS_START_INSTRUCTIONS(%rbp), %rax
    mov ROUNDS_INSTRUCTIONS(%rbp), %rcx
    mov %rax, (%rcx)
    addq $8, ROUNDS_INSTRUCTIONS(%rbp)
3:  mov %rbx, %rax
    mov %r12, %rdx
.endm

/* A round of one call with four words, made by `call`; the words are in the registers then, as they came back. */
.macro round_of_words call
    mov ROUNDS_WORD(%rbp), %rdi
    mov ROUNDS_LEFT(%rbp), %rsi
    mov $0x2222, %r8d
    mov $0x3333, %r9d
    xor %r10d, %r10d
    round_begin
    mov $0x1111, %edx
    \call
    round_end
    or %rax, ROUNDS_FAILED(%rbp)
.endm

/* What each word differs from the one that is wanted, in rsi, rdx, r8 and r9. */
.macro round_words_differ
    or %rsi, %rdx
    or %r8, %rdx
    or %r9, %rdx
    or %rdx, ROUNDS_FAILED(%rbp)
.endm

.macro rounds_function name
    .globl \name
    .type \name, @function
\name:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    mov %rdi, %rbp
1:
.endm

.macro rounds_end
    decq ROUNDS_LEFT(%rbp)
    jnz 1b
    pop %rdi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.endm

#endif
