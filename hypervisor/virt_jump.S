/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virt_NAME(), as virt.h says: direct jumps. As linked, they lead to svm_NAME(); virt_probe() writes others over them if
 * vmx_NAME() is meant. So nothing is compared at each call, and where it leads is in the instruction.
 */

    .section .rodata.virt, "a"
    .balign 8
    .globl virt_jumps_vmx
virt_jumps_vmx: /* where each leads then */

    .text
    .globl virt_jumps, virt_jumps_end
    .balign 64
virt_jumps:
    /* Without a third name, AMD-V has nothing to do there. */
.macro jump name, vmx, svm = nothing
    .globl virt_\name
virt_\name:
    .byte 0xe9 /* with a distance of 32 bits */
    .long \svm - . - 4
    .pushsection .rodata.virt, "a"
    .quad \vmx
    .popsection
.endm

    jump turn_on, vmx_turn_on, svm_turn_on
    jump vcpu_init, vmx_vcpu_init, svm_vcpu_init
    jump vcpu_free, vmx_vcpu_free, svm_vcpu_free
    jump vcpu_forget, vmx_vcpu_forget
    jump run, vmx_run, svm_run
    jump get, vmx_get, svm_get
    jump put, vmx_put, svm_put
    jump skip, vmx_skip, svm_skip
    jump stepped, vmx_stepped, svm_stepped
    jump shadowed, vmx_shadowed, svm_shadowed
    jump interruptible, vmx_interruptible, svm_interruptible
    jump enable_interrupts, vmx_enable_interrupts, svm_enable_interrupts
    jump ports, vmx_ports, svm_ports
virt_jumps_end:

nothing:
    ret

    .section .note.GNU-stack, "", @progbits
