/* SPDX-License-Identifier: GPL-2.0-only */
/* The rounds between native tasks. */
#include "rounds.h"

#define CALL_reply 2

    .text

/* One system call without arguments. User part: 1. */
rounds_function round_syscall
    mov ROUNDS_WORD(%rbp), %rdi
    xor %r10d, %r10d
    round_begin
    syscall
    round_end
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/* A call with four words, each of which must come back changed. User part: 2. */
rounds_function round_words
    round_of_words syscall
    sub $1, %rsi
    sub ROUNDS_LEFT(%rbp), %rsi
    sub $0x1111 + 2, %rdx
    sub $0x2222 + 3, %r8
    sub $0x3333 + 4, %r9
    round_words_differ
rounds_end

/* signal(word), then wait(word2). User part: 5. */
rounds_function round_ping
    mov ROUNDS_WORD(%rbp), %rdi
    round_begin
    syscall
    or %rax, ROUNDS_FAILED(%rbp)
    mov ROUNDS_WORD2(%rbp), %rdi
    mov $-1, %rsi
    syscall
    round_end
    sub $1, %rsi /* the bits that came */
    or %rsi, %rax
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/* signal(word), then what came is taken with wait(word2), of which the time is not measured. User part: 1. */
rounds_function round_signal
    mov ROUNDS_WORD(%rbp), %rdi
    round_begin
    syscall
    round_end
    or %rax, ROUNDS_FAILED(%rbp)
    mov ROUNDS_WORD2(%rbp), %rdi
    mov $-1, %rsi
    syscall
    mov (%rsp), %rbp
    sub $1, %rsi
    or %rsi, %rax
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/* Makes a mapping with word2, and revokes it with word. User part: 1. */
rounds_function round_revoke
    mov ROUNDS_WORD2(%rbp), %rdi
    mov ROUNDS_ARG1(%rbp), %rsi
    mov ROUNDS_ARG2(%rbp), %rdx
    mov ROUNDS_ARG3(%rbp), %r8
    syscall
    or %rax, ROUNDS_FAILED(%rbp)
    mov ROUNDS_WORD(%rbp), %rdi
    round_begin
    syscall
    round_end
    or %rax, ROUNDS_FAILED(%rbp)
rounds_end

/*
 * What the other side runs: in this domain, and copied into another one. rsi, rdx, r8, r9 and r10 hold the message
 * when a call enters, and are the reply as they are.
 */
    .globl partner_begin, partner_end, partner_reply, partner_words, partner_pong, partner_spin
partner_begin:

/* User part: 2. */
partner_reply:
    mov $CALL_reply, %edi
    syscall
    ud2

/* Changes each word. User part: 6. */
partner_words:
    add $1, %rsi
    add $2, %rdx
    add $3, %r8
    add $4, %r9
    mov $CALL_reply, %edi
    syscall
    ud2

/* Answers each signal with one; event 16 comes, 17 goes. User part of a round: 6. */
partner_pong:
    movabs $4 + (16 << 32), %rdi
    mov $-1, %rsi
    syscall
    movabs $3 + (17 << 32), %rdi
    syscall
    jmp partner_pong

partner_spin:
    pause
    jmp partner_spin

partner_end:

    .section .note.GNU-stack, "", @progbits
