/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NORETURN void vmx_launch(struct vcpu *v), vmx_resume(struct vcpu *v): the VMCS, which is loaded, holds neither the general
 * registers, except rsp, nor CR2. When the guest exits, vmx_exited() goes on with the CPU's stack empty, as after any other
 * entry to the kernel. An instruction that fails goes on behind itself, with the guest's registers, and then to vmx_failed().
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

.macro load_guest
    load_general %rdi
    mov REG(RAX)(%rdi), %rax
    mov REG(RDI)(%rdi), %rdi
.endm

    .section .text
    .global vmx_resume
    .balign 64
vmx_resume:
    load_guest
    vmresume
    jmp 1f

    .global vmx_launch
vmx_launch:
    load_guest
    vmlaunch
1:  mov $CPU_STACK_TOP, %rsp
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

    .section .note.GNU-stack, "", @progbits
