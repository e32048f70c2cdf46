/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways into the kernel and out of it. From user mode, registers go into cpu.current->regs, and the CPU's one stack, to which
 * TSS.RSP0 points, starts anew. Inside the kernel (idling, or in the window of kernel_preempt()) they are saved on the stack in use.
 *
 * The fast paths of `null`, `call`, `reply` and `signal` are here, in full. They deal with what is common and leave all else, untouched, to
 * entry_syscall_slow: so there is nothing that they refuse, and no result that differs. docs/ipc.md goes through them line by line.
 *
 * This code exists in three forms, of which boot chooses one (cpu_init.c, trap.c; docs/security.md): as it stands here; with
 * ENTRY_GUARDED (entry_guarded.S), which clears buffers on the way out and predictions between domains; and with ENTRY_ROOTS too
 * (entry_roots.S), where user mode has page tables of its own. In these the kernel is not there, but for CPU_ENTRY, the CPU's
 * descriptor tables and the stacks of NMI, #MC and #DF, and the section of this code.
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

/*
 * On the way in, all registers but rsp are the user's; on the way out, all of them, and cpu.home is whose tables are
 * to be loaded. In between, interrupts are off.
 */
#ifdef ENTRY_ROOTS
    .section .text.entry, "ax"

.macro arrive
    movq %rsp, CPU_ENTRY + ENTRY_RSP
    movq CPU_ENTRY + ENTRY_KERNEL, %rsp
    movq %rsp, %cr3
    movq CPU_ENTRY + ENTRY_RSP, %rsp
.endm

.macro depart
    movq %rsp, CPU_ENTRY + ENTRY_RSP
    movq cpu + CPU_HOME, %rsp
    movq SPACE_CPU_USER(%rsp), %rsp
    movq %rsp, %cr3
    movq CPU_ENTRY + ENTRY_RSP, %rsp
    verw selector(%rip)
    sysretq
.endm
#else
    .text

.macro arrive
.endm

.macro depart
#ifdef ENTRY_GUARDED
    verw selector(%rip)
#endif
    sysretq
.endm
#endif

#ifdef ENTRY_GUARDED
/* The short ways between guests and their VMMs lead past all this: they are not taken (cpu_entry_guarded). */
#define entry_reply_exit entry_syscall_slow
#define entry_reply_vcpu entry_syscall_scrub

selector: /* VERW with any valid one empties the CPU's buffers */
    .word SEL_KERNEL_DATA
#endif

/* ---- System calls. rax, rcx and r11 are the kernel's (corbel/call.h); rsp is still the caller's. ---- */

/*
 * The rest of a switch to the thread whose tables rbp stands for: they are loaded if they are not. The word is always fit to
 * be loaded (tlb.h). Loses r14.
 */
.macro switch_tables
    cmpq %rbp, cpu + CPU_HOME
    je 1f
    movq SPACE_CPU_CR3(%rbp), %r14
#ifdef ENTRY_ROOTS
    movq %r14, CPU_ENTRY + ENTRY_KERNEL /* for the next way in: up to then, no tables differ that matter */
#else
    movq %r14, %cr3
#endif
    movq %rbp, cpu + CPU_HOME
#ifdef ENTRY_GUARDED
    xorl %r14d, %r14d /* the caller's selectors are the callee's otherwise: docs/security.md */
    movl %r14d, %ds
    movl %r14d, %es
    movl %r14d, %fs
    movl %r14d, %gs
    testl $DEFENCES_SWITCH_MASK, defences
    jz 1f
    movq %rsp, %r14
    movq $CPU_STACK_TOP, %rsp
    call mitigations_barrier
    movq %r14, %rsp
#endif
1:
.endm

/* What C will lose, but for rdi and rsi, into the context `c`; and the kernel's stack. */
.macro save_caller c
    movq %rsp, REG(RSP)(\c)
    movq $CPU_STACK_TOP, %rsp
    movq %rcx, REG(RIP)(\c)
    movq %r11, REG(RFLAGS)(\c)
    movq %rdx, REG(RDX)(\c)
    movq %r8, REG(R8)(\c)
    movq %r9, REG(R9)(\c)
    movq %r10, REG(R10)(\c)
.endm

    .globl entry_syscall
    .balign 64
entry_syscall:
    arrive
    cmpl $NUMBER_CALL, %edi /* and no flags */
    jne 2f

    /* `call`: a message in registers alone (r10, its information, is 0), and nothing that must be looked at before a switch. */
    movl cpu + CPU_HAZARDS, %eax
    orq %r10, %rax
    jnz entry_syscall_slow
    movq %rdi, %rbx
    shrq $26, %rbx /* the selector, times the size of a slot */
    andl $((SELECTORS - 1) << 6), %ebx
    movabsq $CAP_BASE, %rax
    movq (%rax, %rbx), %rax /* the one look at the capability */
    xorq $WORD_PORTAL, %rax
    testl $WORD_PORTAL_MASK, %eax
    jnz entry_syscall_slow
    sarq $16, %rax /* struct portal */
    movq PORTAL_HANDLER(%rax), %rbx
    movq cpu + CPU_IDLE_HERE, %rbp
    cmpq %rbp, CTX_CPU(%rbx)
    jne entry_syscall_scrub
    movq cpu + CPU_CURRENT, %r12
    movl PORTAL_STANDING(%rax), %r13d
    cmpl %r13d, CTX_STATE(%r12)
    jbe entry_syscall_scrub
    /* All is checked; rax: portal, rbx: handler, r12: caller, r13: the handler's state (READY, with the portal's level). */
    movq CTX_HOME(%rbx), %rbp
    switch_tables
    movl %r13d, CTX_STATE(%rbx)
    movb $STATE_CALLING, CTX_STATE(%r12)
    movq %rsp, REG(RSP)(%r12)
    movq %rcx, REG(RIP)(%r12)
    movq %r11, REG(RFLAGS)(%r12)
    movq %rbx, CTX_CALLEE(%r12)
    movq %r12, CTX_CALLER(%rbx)
    movq %rax, CTX_PORTAL(%rbx)
    movq %rbx, cpu + CPU_CURRENT
    incq THREAD_CALLS(%r12)
    incq THREAD_HANDLED(%rbx)
    movq THREAD_FS_BASE(%rbx), %rbp
    wrfsbase %rbp
    movq PORTAL_BADGE(%rax), %rdi
    movq PORTAL_ENTRY(%rax), %rcx
    movq THREAD_STACK(%rbx), %rsp
    movl $0x202, %r11d
    xorl %ebp, %ebp
    wrgsbase %rbp
    xorl %eax, %eax /* what the message does not use does not reach the other domain */
    xorl %ebx, %ebx
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
    depart

2:  cmpl $NUMBER_REPLY, %edi
    jne 3f
    /* `reply`, likewise, to a thread that is in a `call`. Only a handler has a caller. */
    movl cpu + CPU_HAZARDS, %eax
    orq %r10, %rax
    jnz entry_reply_exit
    movq cpu + CPU_CURRENT, %rbx
    movq CTX_CALLER(%rbx), %r12
    testq %r12, %r12
    jz entry_syscall_scrub
    cmpw $STATE_CALLING, CTX_STATE(%r12) /* and no CTX_FLAG */
    jne entry_reply_vcpu
    movq CTX_HOME(%r12), %rbp
    switch_tables
    movl $STATE_IDLE, CTX_STATE(%rbx)
    movq $0, CTX_CALLER(%rbx)
    movb $STATE_READY, CTX_STATE(%r12)
    movq %r12, cpu + CPU_CURRENT
    movq THREAD_FS_BASE(%r12), %rbp
    wrfsbase %rbp
    movq REG(RSP)(%r12), %rsp
    movq REG(RIP)(%r12), %rcx
    movq REG(RFLAGS)(%r12), %r11
    xorl %ebp, %ebp
    wrgsbase %rbp
    xorl %eax, %eax /* CB_OK */
    xorl %ebx, %ebx
    xorl %edi, %edi
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
    depart

#ifndef ENTRY_GUARDED
    /* To a `call` of a vCPU. */
entry_reply_vcpu:
    cmpw $STATE_VCPU_CALLING, CTX_STATE(%r12)
    jne entry_syscall_scrub
    movq $CPU_STACK_TOP, %rsp
    movq %rsi, REG(RSI)(%r12)
    movq %rdx, REG(RDX)(%r12)
    movq %r8, REG(R8)(%r12)
    movq %r9, REG(R9)(%r12)
    movq %r12, %rdi
    movq %rbx, %rsi
    call vcpu_answered
    ud2

    /* To an exit of a vCPU; the message information has no typed items and is valid. A handler's registers are not kept. */
entry_reply_exit:
    cmpl $0, cpu + CPU_HAZARDS
    jne entry_syscall_slow
    cmpl $WORDS_MAX, %r10d
    ja entry_syscall_slow
    movq cpu + CPU_CURRENT, %rbx
    movq CTX_CALLER(%rbx), %r12
    testq %r12, %r12
    jz entry_syscall_scrub
    cmpw $STATE_IN_VCPU_EXIT, CTX_STATE(%r12)
    jne entry_syscall_scrub
    movq $CPU_STACK_TOP, %rsp
    movq %rsi, %rcx
    movq %r12, %rdi
    movq %rbx, %rsi
    movq %r10, %rdx
    shrq $32, %rdx
    call vcpu_replied
    ud2
#endif

3:  cmpl $NUMBER_SIGNAL, %edi
    jne 4f
    /* `signal` of an event that nobody waits for and no vCPU receives. */
    movq %rdi, cpu + CPU_SCRATCH
    movq %rsi, cpu + CPU_SCRATCH + 8
    shrq $26, %rdi
    andl $((SELECTORS - 1) << 6), %edi
    movabsq $CAP_BASE, %rax
    addq %rax, %rdi
    movq (%rdi), %rax
    movq SLOT_BADGE(%rdi), %rsi
    cmpq %rax, (%rdi) /* the same before and after: the badge belongs to it */
    jne 5f
    xorq $WORD_EVENT, %rax
    testl $WORD_EVENT_MASK, %eax
    jnz 5f
    sarq $16, %rax /* struct event */
    cmpq $0, EVENT_RECEIVER(%rax)
    jne 6f
    lock orq %rsi, EVENT_PENDING(%rax)
    cmpq $0, EVENT_RECEIVER(%rax) /* event.c: somebody who begins to wait now sees the bits, or is seen here */
    jne 6f
    lock incq EVENT_SIGNALS(%rax)
    movq cpu + CPU_SCRATCH, %rdi
    movq cpu + CPU_SCRATCH + 8, %rsi
    xorl %eax, %eax
    depart
5:  movq cpu + CPU_SCRATCH, %rdi
    movq cpu + CPU_SCRATCH + 8, %rsi
    jmp entry_syscall_slow
    /* Somebody is to be told, in C: the event is found, its badge is in rsi. */
6:  movq cpu + CPU_CURRENT, %rdi
    save_caller %rdi
    pushq %rdi
    movq %rax, %rdi
    call event_signal_here
    popq %rdi
    movq cpu + CPU_SCRATCH, %rax
    movq %rax, REG(RDI)(%rdi)
    movq cpu + CPU_SCRATCH + 8, %rsi
    movq %rsi, REG(RSI)(%rdi)
    xorl %eax, %eax
    movq %rax, REG(RAX)(%rdi)
    testb $HAZARD_EXIT_MASK, cpu + CPU_HAZARDS
    jnz 8f
    jmp return_to_caller

4:  testl %edi, %edi
    jnz entry_syscall_slow
    xorl %eax, %eax /* `null` */
    depart

    .globl entry_syscall_only_slow
entry_syscall_only_slow:
    arrive
    jmp entry_syscall_slow

    /* The kernel's pointers are not the caller's to see. */
entry_syscall_scrub:
    xorl %ebx, %ebx
    xorl %ebp, %ebp
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    /* All other calls, and these if they are not simple. The registers that C keeps are saved only if another context is next. */
entry_syscall_slow:
    movq cpu + CPU_CURRENT, %rax
    save_caller %rax
    movq %rdi, REG(RDI)(%rax)
    movq %rsi, REG(RSI)(%rax)
    cmpb $NUMBER_WAIT, %dil /* the only frequent one that has to be here: it does without comparisons */
    leaq CTX_REGS(%rax), %rdi
    pushq %rax
    jne 11f
    call event_wait
10: popq %rdi
    cmpl $CALL_UNFINISHED, %eax
    jae 7f
    movl %eax, %eax
    movq %rax, REG(RAX)(%rdi)
    testb $HAZARD_EXIT_MASK, cpu + CPU_HAZARDS
    jnz 8f
    cmpq %rdi, cpu + CPU_CURRENT
    jne 8f
    movq REG(RSI)(%rdi), %rsi
return_to_caller:
    movq REG(RIP)(%rdi), %rcx
    movq REG(RFLAGS)(%rdi), %r11
    movq REG(RDX)(%rdi), %rdx
    movq REG(R8)(%rdi), %r8
    movq REG(R9)(%rdi), %r9
    movq REG(R10)(%rdi), %r10
    movq REG(RSP)(%rdi), %rsp
    movq REG(RDI)(%rdi), %rdi
    depart
7:  cmpl $CALL_BLOCKED_PLAIN, %eax
    jne 8f
    /* In `call`, `reply` or `wait`, which lose those registers. Is a thread next that left the kernel's way by SYSCALL, too? */
    movq cpu + CPU_CURRENT, %rdi
    testq %rdi, %rdi
    jz 9f
    cmpl $0, cpu + CPU_HAZARDS
    jne 9f
    cmpl $REGS_SYSCALL, REG(VECTOR)(%rdi)
    jne 9f
    movq CTX_HOME(%rdi), %rbp
    switch_tables
    movq THREAD_FS_BASE(%rdi), %rbp
    wrfsbase %rbp
    xorl %ebp, %ebp
    wrgsbase %rbp
    jmp resume_by_syscall
11: call call_make
    jmp 10b
8:  movq %rbx, REG(RBX)(%rdi)
    movq %rbp, REG(RBP)(%rdi)
    movq %r12, REG(R12)(%rdi)
    movq %r13, REG(R13)(%rdi)
    movq %r14, REG(R14)(%rdi)
    movq %r15, REG(R15)(%rdi)
    xorl %ebp, %ebp
    movl %eax, %esi
    call trap_call_end
    ud2
9:  xorl %ebp, %ebp
    call kernel_exit
    ud2

resume_by_syscall:
    leaq CTX_REGS(%rdi), %rdi
    .globl entry_return_syscall
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
    depart

#ifndef ENTRY_GUARDED
/* entry_handler(thread, reason, insn_len, portal) and entry_handler_call(thread, registers, 0, portal) */
    .globl entry_handler
    .balign 64
entry_handler:
    movq PORTAL_EXIT_INFO(%rcx), %r10
    xorl %r8d, %r8d
    xorl %r9d, %r9d
handler_enter:
    movq THREAD_FS_BASE(%rdi), %rbx
    wrfsbase %rbx
    xorl %ebx, %ebx
    wrgsbase %rbx
    movq THREAD_STACK(%rdi), %rsp
    movq PORTAL_BADGE(%rcx), %rdi
    movq PORTAL_ENTRY(%rcx), %rcx
    movl $0x202, %r11d
    xorl %eax, %eax /* what the message does not use does not reach the handler */
    xorl %ebp, %ebp
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
    depart

    .globl entry_handler_call
entry_handler_call:
    movq REGS_RDX(%rsi), %rdx
    movq REGS_R8(%rsi), %r8
    movq REGS_R9(%rsi), %r9
    movq REGS_RSI(%rsi), %rsi
    xorl %r10d, %r10d
    jmp handler_enter
#endif

    .section .note.GNU-stack, "", @progbits
