/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the thread of a child domain runs, copied to CHILD_CODE: waits for its command event, makes the call
 * in the shared page (or loads a byte, if `load` is not zero), writes the results there, and signals that it
 * is done. No stack is used. If `look` is not zero, it looks first at registers that nobody has given it; with 2, at XINUSE.
 */
#define SHARED 0x20000
#define WAIT_COMMAND (4 + (16 << 32))
#define SIGNAL_DONE (3 + (17 << 32))

    .text
    .globl child_code, child_resume, child_code_end
child_code:
    movabs $WAIT_COMMAND, %rdi
    mov $-1, %rsi
    syscall
    mov $SHARED, %ebx
    cmpl $0, 108(%rbx)
    je 2f
    mov %ds, %eax
    mov %eax, 112(%rbx)
    mov %es, %eax
    mov %eax, 116(%rbx)
    mov %gs, %eax
    mov %eax, 120(%rbx)
    cmpl $1, 108(%rbx)
    je 2f
    mov $1, %ecx
    xgetbv
    mov %eax, 124(%rbx)
2:  mov 96(%rbx), %rax
    test %rax, %rax
    jz 1f
    movzbl (%rax), %eax
    mov %rax, 48(%rbx)
    jmp child_resume
1:  mov 0(%rbx), %rdi
    mov 8(%rbx), %rsi
    mov 16(%rbx), %rdx
    mov 24(%rbx), %r8
    mov 32(%rbx), %r9
    mov 40(%rbx), %r10
    syscall
    mov $SHARED, %ebx
    mov %rax, 48(%rbx)
    mov %rsi, 56(%rbx)
    mov %rdx, 64(%rbx)
    mov %r8, 72(%rbx)
    mov %r9, 80(%rbx)
    mov %r10, 88(%rbx)
child_resume:
    mov $SHARED, %ebx
    movl $1, 104(%rbx)
    movabs $SIGNAL_DONE, %rdi
    syscall
    jmp child_code
child_code_end:

    .section .note.GNU-stack, "", @progbits
