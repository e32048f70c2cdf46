/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where threads enter this domain: its first thread at _start, those of thread_start() at thread_entry, and
 * calls to its handlers at thread_portal_entry. The kernel hands over a stack pointer aligned to 16.
 */
#include "offsets.h"

/* Number of the call, checked against the table in thread.c. */
#define CALL_reply 2

    .section .text.start, "ax"
    .globl _start
_start:
    xor %ebp, %ebp
    call start_main
    ud2

    .text
    .globl thread_entry
thread_entry:
    xor %ebp, %ebp
    call thread_begin
    ud2

/*
 * rdi: badge; rsi, rdx, r8, r9: message words; r10: message information; stack: empty. The C function gets
 * the badge and the five words as a struct cb_args, and what it leaves there is the reply.
 */
    .globl thread_portal_entry
thread_portal_entry:
    xor %ebp, %ebp
    cld
    sub $48, %rsp
    mov %rsi, 0(%rsp)
    mov %rdx, 8(%rsp)
    mov %r8, 16(%rsp)
    mov %r9, 24(%rsp)
    mov %r10, 32(%rsp)
    mov %rsp, %rsi
    call *%fs:THREAD_HANDLER
    mov 0(%rsp), %rsi
    mov 8(%rsp), %rdx
    mov 16(%rsp), %r8
    mov 24(%rsp), %r9
    mov 32(%rsp), %r10
    mov $CALL_reply, %edi
    syscall
    /* Refused: the handler built a message that cannot be sent. Free the caller all the same. */
    xor %r10d, %r10d
    mov $CALL_reply, %edi
    syscall
    ud2

    .section .note.GNU-stack, "", @progbits
