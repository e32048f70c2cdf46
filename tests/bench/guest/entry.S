/* SPDX-License-Identifier: GPL-2.0-only */
/* A bzImage: its setup header (Documentation/arch/x86/boot.rst, "Details of Header Fields") and entry points. */
    .section .header, "a"
    .org 0x1f1
    .byte 1                     /* setup_sects */
    .word 0
    .long guest_paragraphs
    .word 0, 0, 0
    .word 0xaa55
    .org 0x200
    .byte 0xeb, 0x280 - 0x202
    .ascii "HdrS"
    .word 0x20c
    .org 0x211
    .byte 1                     /* loadflags: LOADED_HIGH */
    .org 0x22c
    .long 0x7fffffff            /* initrd_addr_max */
    .long 0x200000              /* alignment; not relocatable; XLF_KERNEL_64 */
    .byte 0, 21
    .word 1
    .long 2047                  /* cmdline_size */
    .org 0x258
    .quad guest_load
    .long guest_memory
    .org 0x400

    /* At the load address: the 32-bit entry point, which nobody uses; then the 64-bit one. */
    .section .entry, "ax"
    ud2
    .org 0x200
    lea guest_stack_end(%rip), %rsp
    mov %rsi, %rdi
    call guest_main
    ud2

    .bss
    .balign 16
    .skip 16384
guest_stack_end:

    .section .note.GNU-stack, "", @progbits
