/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the boot loader (multiboot2, 32-bit protected mode) or a start-up interrupt (real mode) to C in long mode.
 *
 * The tables built here map the first 4 GiB of physical memory three times, by 2 MiB pages: one to one, at DIRECT_BASE, and
 * (the first GiB) at KERNEL_BASE. kpage.c replaces them.
 */
#include "layout.h"

#define PHYS(symbol) (symbol - KERNEL_BASE)

#define PTE_PW 0x003
#define PTE_PWL 0x083 /* a 2 MiB page */
#define CR0_BOOT 0x80010033 /* PG, WP, NE, ET, MP, PE; caches on */
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE_BIT 11
#define CPUID_LM_BIT 29 /* 0x80000001, EDX */
#define CPUID_NX_BIT 20
#define COM1 0x3f8

/* ---- Multiboot2 Specification 2.0, 3.1 ---- */

#define MB2_MAGIC 0xe85250d6
#define MB2_TAG_REQUEST 1
#define MB2_TAG_ENTRY 3
#define MB2_TAG_FRAMEBUFFER 5
#define MB2_TAG_MODULE_ALIGN 6
#define MB2_OPTIONAL 1

    .section .multiboot, "a"
    .balign 8
header:
    .long MB2_MAGIC, 0, header_end - header
    .long 0x100000000 - (MB2_MAGIC + (header_end - header))

    .balign 8 /* memory map, modules */
    .short MB2_TAG_REQUEST, 0
    .long 16, 6, 3

    .balign 8
    .short MB2_TAG_ENTRY, 0
    .long 12, PHYS(boot_entry)

    .balign 8 /* any size, 32 bits a pixel */
    .short MB2_TAG_FRAMEBUFFER, MB2_OPTIONAL
    .long 20, 0, 0, 32

    .balign 8 /* modules begin at page borders */
    .short MB2_TAG_MODULE_ALIGN, 0
    .long 8

    .balign 8
    .short 0, 0
    .long 8
header_end:

/* ---- What all CPUs do alike ---- */

/* A far jump to 64-bit code is due. NX is turned on where it is: cpu_probe() says so if it is missing. */
.macro enter_long_mode
    movl $0x80000001, %eax
    cpuid
    shrl $(CPUID_NX_BIT - EFER_NXE_BIT), %edx
    andl $(1 << EFER_NXE_BIT), %edx
    movl %edx, %ebp
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    orl %ebp, %eax
    wrmsr
    movl $CR0_BOOT, %eax
    movl %eax, %cr0
.endm

.macro clear_segments
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
.endm

/* ---- The boot CPU ---- */

    .section .text.boot, "ax"
    .code32
    .globl boot_entry
boot_entry:
    cli
    cld
    movl %eax, %esi /* kept for boot_early() */
    movl %ebx, %edi
    movl $PHYS(boot_stack_end), %esp

    movl $0x80000001, %eax /* such a CPU has CPUID and this leaf */
    cpuid
    testl $(1 << CPUID_LM_BIT), %edx
    jz no_long_mode

    movl $PHYS(boot_pds), %edx /* four page directories */
    movl $PTE_PWL, %eax
    xorl %ecx, %ecx
1:  movl %eax, (%edx, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 1b

    leal PTE_PW(%edx), %eax
    xorl %ecx, %ecx
2:  movl %eax, PHYS(boot_pdpt)(, %ecx, 8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 2b

    leal PTE_PW(%edx), %eax
    movl %eax, PHYS(boot_kernel_pdpt) + 510 * 8
    movl $PHYS(boot_pdpt) + PTE_PW, %eax
    movl %eax, PHYS(boot_pml4) + PML4_USER * 8
    movl %eax, PHYS(boot_pml4) + PML4_DIRECT * 8
    movl $PHYS(boot_kernel_pdpt) + PTE_PW, %eax
    movl %eax, PHYS(boot_pml4) + PML4_KERNEL * 8

    enter_long_mode
    lgdt PHYS(boot_gdtr)
    ljmp $SEL_KERNEL_CODE, $PHYS(boot_long)

no_long_mode: /* on the serial line, as the boot loader has left it */
    movl $PHYS(no_long_mode_text), %esi
    movw $COM1, %dx
    movl $no_long_mode_text_end - no_long_mode_text, %ecx
    rep outsb
5:  hlt
    jmp 5b

    .code64
boot_long:
    movabsq $1f, %rax
    jmp *%rax
1:  clear_segments
    movq $boot_stack_end, %rsp
    xorl %ebp, %ebp
    xchgl %esi, %edi /* magic, information; upper halves are zero */
    call boot_early
    movq $CPU_STACK_TOP, %rsp
    call boot_main
    ud2

/* ---- The other CPUs: copied to a page below 1 MiB by smp.c, which fills in the physical addresses ---- */

    .section .rodata
    .balign 16
    .code16
    .globl trampoline, trampoline_end, trampoline_gdtr, trampoline_jump, trampoline_gdt, trampoline_long
trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl trampoline_gdtr - trampoline
    enter_long_mode
    ljmpl *(trampoline_jump - trampoline)

    .code64
trampoline_long:
    movabsq $smp_long, %rax
    jmp *%rax

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* SEL_KERNEL_CODE */
trampoline_gdtr:
    .short 15
    .long 0 /* trampoline_gdt */
    .balign 8
trampoline_jump:
    .long 0 /* trampoline_long */
    .short SEL_KERNEL_CODE
trampoline_end:

    .section .text.boot, "ax"
smp_long:
    clear_segments
    movl $MSR_EFER, %ecx /* those tables have NX bits */
    rdmsr
    btl $EFER_NXE_BIT, %eax
    jnc 6f
    movq smp_pml4, %rax
    movq %rax, %cr3
    movq $CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call smp_main
    ud2
6:  hlt /* it "does not answer" */
    jmp 6b

/* ---- Data ---- */

    .section .rodata
no_long_mode_text:
    .ascii "hypervisor: panic: this is not a 64-bit CPU\r\n"
no_long_mode_text_end:
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* SEL_KERNEL_CODE */
boot_gdtr:
    .short 15
    .long PHYS(boot_gdt)

    .bss
    .balign 4096
    .globl boot_tables, boot_tables_end, boot_pdpt, boot_far_pds
boot_tables:
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_kernel_pdpt:
    .skip 4096
boot_pds:
    .skip 4 * 4096
boot_far_pds: /* boot_view.c */
    .skip 2 * 4096
boot_tables_end:
boot_stack:
    .skip 16384
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
