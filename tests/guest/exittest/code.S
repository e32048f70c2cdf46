/* SPDX-License-Identifier: GPL-2.0-only */
/* What the vCPU executes: copied to CODE (exittest.c) in its memory. A NAME names the bytes from code_NAME to code_NAME_end. */
.macro snippet bits, name
    .code\bits
    .globl code_\name
code_\name:
.endm
.macro end name
    .globl code_\name\()_end
code_\name\()_end:
.endm

    .section .rodata

snippet 16, cpuid
    cpuid
end cpuid

snippet 16, in8
    inb %dx, %al
end in8
snippet 16, in16
    inw %dx, %ax
end in16
snippet 16, in32
    inl %dx, %eax
end in32
snippet 16, out8
    outb %al, %dx
end out8
snippet 16, out16
    outw %ax, %dx
end out16
snippet 16, out32
    outl %eax, %dx
end out32
snippet 16, out_port
    outb %al, $0x80
end out_port
snippet 16, rep_outs
    rep outsw (%si), %dx
end rep_outs
snippet 16, ins
    insb %dx, (%di)
end ins

snippet 16, rdmsr
    rdmsr
end rdmsr
snippet 16, wrmsr
    wrmsr
end wrmsr
snippet 16, hlt
    hlt
end hlt
snippet 16, ud2
    ud2
end ud2

/* Interrupts are opened: the window is behind the instruction that follows STI. */
snippet 16, sti
    nop
    sti
    nop
    nop
    hlt
end sti

snippet 16, iret
    iretw
end iret

snippet 32, read
    movl 0x30010, %eax
end read
snippet 32, write
    movl %eax, 0x20020
end write
snippet 32, jump
    .byte 0xe9
    .long 0x30030 - 0x1005
end jump
snippet 32, hlt32
    hlt
end hlt32

/* CD and NE are not the guest's own; PE and WP change with them. */
snippet 32, cr0
    movl $0x60010011, %eax
    movl %eax, %cr0
    movl %cr0, %ebx
    movl $0x31, %eax
    movl %eax, %cr0
    movl %cr0, %ecx
    hlt
end cr0
snippet 32, cr4
    movl $0x40, %eax /* MCE */
    movl %eax, %cr4
    movl %cr4, %ebx
    xorl %eax, %eax
    movl %eax, %cr4
    movl %cr4, %ecx
    hlt
end cr4
snippet 32, cr4_reserved
    movl $0x2000, %eax /* VMXE */
    movl %eax, %cr4
    hlt
end cr4_reserved

snippet 64, debug
    mov %rax, %db0
    mov %db0, %rbx
    mov %db6, %rcx
    hlt
end debug
snippet 64, star
    mov $0xc0000081, %ecx
    mov $0x11223344, %eax
    mov $0x55667788, %edx
    wrmsr
    xor %eax, %eax
    xor %edx, %edx
    rdmsr
    hlt
end star
snippet 64, xsetbv
    xsetbv
end xsetbv
snippet 64, step
    nop
    nop
    hlt
end step

    .section .note.GNU-stack, "", @progbits
