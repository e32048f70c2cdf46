/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NORETURN void vmx_launch_last(struct vcpu *v), vmx_resume_last(), vmx_resume(): the VMCS, which is loaded, holds neither the
 * general registers, except rsp, nor CR2. When the guest exits, vmx_exited() goes on with the CPU's stack empty, as after any other
 * entry to the kernel. An instruction that fails goes on behind itself, with the guest's registers, and then to vmx_failed().
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

#define MSR_FLUSH_CMD 0x10b
#define FLUSH_CMD_L1D 1

.macro load_guest
    load_general %rdi
    mov REG(RAX)(%rdi), %rax
    mov REG(RDI)(%rdi), %rdi
.endm

/* All that is read behind the flush of the first-level cache is the guest's; behind VERW, nothing is read. */
.macro load_guest_last
    testl $DEFENCE_L1D_MASK, defences
    jz 1f
    mov $MSR_FLUSH_CMD, %ecx
    mov $FLUSH_CMD_L1D, %eax
    xor %edx, %edx
    wrmsr
1:  load_guest
    testl $DEFENCE_VERW_MASK, defences
    jz 1f
    verw selector(%rip)
1:
.endm

    .section .text
    .global vmx_resume_last
vmx_resume_last:
    load_guest_last
    vmresume
    jmp vmx_not_entered

    .global vmx_launch_last
vmx_launch_last:
    load_guest_last
    vmlaunch
    jmp vmx_not_entered

    .global vmx_resume
    .balign 64
vmx_resume:
    load_guest
    vmresume
vmx_not_entered:
    mov $CPU_STACK_TOP, %rsp
    mov cpu + CPU_CURRENT, %rdi
    call vmx_failed
    ud2

    /* rsp is CPU_STACK_TOP, rflags 2. */
    .global vmx_exit_entry
    .balign 64
vmx_exit_entry:
    push %rdi
    mov cpu + CPU_CURRENT, %rdi
    pop REG(RDI)(%rdi)
    save_general %rdi
    mov %rax, REG(RAX)(%rdi)
    call vmx_exited
    ud2

selector: /* for VERW, any valid one will do */
    .word SEL_KERNEL_DATA

    .section .note.GNU-stack, "", @progbits
