/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between domains: predictions of branches and returns that others have made come to nothing, and the divider forgets its last
 * quotient. All registers are kept.
 */
#include "offsets.h"

#define MSR_PRED_CMD 0x49
#define PRED_CMD_IBPB 1

    .text
    .globl mitigations_barrier
mitigations_barrier:
    pushq %rax
    pushq %rcx
    pushq %rdx
    testl $DEFENCE_IBPB_MASK, defences
    jz 1f
    movl $MSR_PRED_CMD, %ecx
    movl $PRED_CMD_IBPB, %eax
    xorl %edx, %edx
    wrmsr
1:  testl $DEFENCE_RSB_MASK, defences
    jz 2f
    call mitigations_fill_rsb
2:  testl $DEFENCE_DIV_MASK, defences
    jz 3f
    xorl %edx, %edx
    movl $1, %eax
    divl %eax
3:  popq %rdx
    popq %rcx
    popq %rax
    ret

/* 32 return addresses, behind each of which nothing happens. */
    .globl mitigations_fill_rsb
mitigations_fill_rsb:
    pushq %rcx
    movl $16, %ecx
1:  call 3f
2:  pause
    lfence
    jmp 2b
3:  call 5f
4:  pause
    lfence
    jmp 4b
5:  decl %ecx
    jnz 1b
    addq $(32 * 8), %rsp
    lfence
    popq %rcx
    ret

    .section .note.GNU-stack, "", @progbits
