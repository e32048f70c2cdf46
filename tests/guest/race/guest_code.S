/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a vCPU has besides the code of threads: all of it runs at CPL 0, in 64 bits, on the actor's stack. The library's
 * SYSCALL leads to one of the vCPU's own two stubs, which makes the hypercall; a stub of somebody else's is noticed. GS
 * base points to the vCPU's struct guest.
 */
#include "guest.h"

    .text

    .balign GUEST_STUB_SIZE
    .global guest_stubs
guest_stubs:
    .set number, 0
    .rept 2 * GUEST_VCPUS
    .balign GUEST_STUB_SIZE
    push %rcx
    push %r11
    mov $number, %ecx
    jmp guest_hypercall
    .set number, number + 1
    .endr

guest_hypercall:
    cmp %rcx, %gs:GUEST_STUB
    jne guest_fault
    testb $1, %gs:GUEST_VMX
    jnz 1f
    vmmcall
    jmp 2f
1:  vmcall
2:  popfq
    ret

/* As corbel/event.h says; of all ports only the first 64 are in use. */
    .global guest_upcall
guest_upcall:
    push %rax
    push %rcx
    mov %gs:GUEST_PAGE, %rcx
    movl $0, PAGE_UPCALL(%rcx)
    xor %eax, %eax
    xchg %rax, (%rcx)
    xor %eax, %eax
    xchg %rax, PAGE_PENDING(%rcx)
    or %rax, %gs:GUEST_BITS
    incq %gs:GUEST_UPCALLS
    pop %rcx
    pop %rax
    iretq

    .global guest_interrupt
guest_interrupt:
    incq %gs:GUEST_INTERRUPTS
    iretq

/* Of the virtual APIC. */
    .global guest_apic
guest_apic:
    push %rax
    mov %gs:GUEST_APIC, %rax
    movl $0, APIC_EOI(%rax)
    incq %gs:GUEST_DELIVERED
    pop %rax
    iretq

/* Everything that must not happen: the VMM looks at what is on the stack. */
    .global guest_fault
guest_fault:
    mov %rsp, %rax
    mov $PORT_FAULT, %edx
    out %eax, %dx
    jmp guest_fault

    .section .note.GNU-stack, "", @progbits
