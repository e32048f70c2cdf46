/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NORETURN void svm_enter(struct vcpu *v, u64 guest): guest is the host-physical address of its VMCB. When the guest exits,
 * svm_exited() goes on with the CPU's stack empty, as after any other entry to the kernel.
 *
 * With GIF clear no interrupt of any kind is taken, so IF can be set for VMRUN: it decides whether physical interrupts end
 * guest mode (APM 2, 15.21.1). One that comes from CLGI on ends guest mode before it has begun. VMRUN switches neither the general
 * registers, except rax and rsp, nor what VMLOAD and VMSAVE do (15.5.2).
 */
#include "layout.h"
#include "offsets.h"
#include "regs.h"

    .section .text
    .global svm_enter_last
svm_enter_last: /* behind VERW, nothing of the host's is read. There is no L1TF here */
    clgi
    sti
    mov %rsi, %rax
    vmload %rax
    load_general %rdi
    mov REG(RDI)(%rdi), %rdi
    testl $DEFENCE_VERW_MASK, defences
    jz 1f
    verw selector(%rip)
1:  vmrun %rax
    jmp svm_arrive

    .global svm_enter
    .balign 64
svm_enter:
    clgi
    sti
    mov %rsi, %rax
    vmload %rax
    load_general %rdi
    mov REG(RDI)(%rdi), %rdi
    vmrun %rax

svm_arrive:
    cli
    vmsave %rax             /* VMRUN's rax has come back from the host save area: the guest's VMCB */
    mov cpu + CPU_CURRENT, %rax
    save_general %rax
    mov %rdi, REG(RDI)(%rax)
    mov %rax, %rdi
    mov cpu + CPU_VIRT_PHYSICAL, %rax
    vmload %rax
    stgi
    mov $CPU_STACK_TOP, %rsp
    call svm_exited
    ud2

selector: /* for VERW, any valid one will do */
    .word SEL_KERNEL_DATA

    .section .note.GNU-stack, "", @progbits
