/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guests run: the same instructions for 16, 32 and 64 bits. They are copied to GUEST_CODE, and do not know their
 * address. Each part ends with a HLT, which leaves the guest.
 */
#define SPARE 0x9000
#define STACK 0x6000

    .macro at name, bits
    .globl guest_\name\()_\bits
guest_\name\()_\bits:
    .endm

    .macro set_msr number, value
    mov $\number, %ecx
    mov $\value, %eax
    wrmsr
    .endm

    .macro parts bits, a, b, c
    .code\bits
    at cpuid \bits
    cpuid
    at cpuid_end \bits
    hlt

    at io \bits
    in $0x10, %al
    in $0x12, %ax
    in $0x14, %eax
    in %dx, %al
    in %dx, %ax
    in %dx, %eax
    out %al, $0x20
    out %ax, $0x22
    out %eax, $0x24
    out %al, %dx
    out %ax, %dx
    out %eax, %dx
    at io_end \bits
    hlt

    at strings \bits
    insb
    insw
    insl
    outsb
    outsw
    outsl
    rep insb
    rep insw
    rep insl
    rep outsb
    rep outsw
    rep outsl
    at strings_end \bits
    hlt

    at ports \bits
    out %al, %dx
    out %ax, %dx
    out %eax, %dx
    in %dx, %al
    in %dx, %ax
    in %dx, %eax
    .irp string, outsb, outsw, outsl, insb, insw, insl
    mov $3, %ecx
    rep \string
    .endr
    hlt

    at rdmsr \bits
    rdmsr
    at wrmsr \bits
    wrmsr
    at wrmsr_end \bits
    hlt

    at syscall_msrs \bits
    set_msr 0x174, 0x10
    set_msr 0x175, 0x11000
    set_msr 0x176, 0x12000
    set_msr 0xc0000081, 0x13000
    set_msr 0xc0000082, 0x14000
    set_msr 0xc0000083, 0x15000
    set_msr 0xc0000084, 0x200
    set_msr 0xc0000102, 0x16000
    mov $0xc0000082, %ecx
    rdmsr
    at syscall_msrs_end \bits
    hlt

    /* TS on and off, PE kept; CR2; CR3 as it is; NE, CD and NW, which are not the guest's; DE and MCE. */
    at control \bits
    mov %cr0, %\a
    or $0x60000028, %eax
    mov %\a, %cr0
    clts
    mov %cr0, %\a
    smsw %ax
    or $2, %ax
    lmsw %ax
    mov %cr3, %\a
    mov %\a, %cr3
    mov $0x12345678, %eax
    mov %\a, %cr2
    mov %cr4, %\a
    or $0x48, %eax
    mov %\a, %cr4
    mov %cr0, %\b
    mov %cr4, %\c
    .if \bits == 64
    mov $5, %eax
    mov %rax, %cr8
    .endif
    at control_end \bits
    hlt

    /* A bit that is not offered. */
    at cr4_vmxe \bits
    mov $0x2000, %eax
    at cr4_vmxe_at \bits
    mov %\a, %cr4

    at debug \bits
    mov %\a, %dr0
    mov %dr0, %\b
    mov %dr6, %\c
    mov %dr1, %\a
    at debug_end \bits
    hlt
    at arm \bits
    mov %\a, %dr7
    nop
    at armed \bits
    nop
    at arm_end \bits
    hlt
    .if \bits == 32
    at task \bits
    ljmp $0x30, $0
    .endif
    at step \bits
    nop
    at step_end \bits
    hlt

    at xsetbv \bits
    xsetbv
    at xsetbv_end \bits
    hlt

    at hlt \bits
    hlt
    at hlt_end \bits
    hlt

    at spin \bits
    jmp guest_spin_\bits

    at rdpmc \bits
    rdpmc
    at monitor \bits
    monitor
    at mwait \bits
    mwait
    at wbinvd \bits
    wbinvd
    invd
    at wbinvd_end \bits
    hlt

    at clgi \bits
    clgi
    at clgi_end \bits
    hlt
    at vmxoff \bits
    vmxoff
    at vmxoff_end \bits
    hlt

    at vmmcall \bits
    vmmcall
    at vmmcall_end \bits
    hlt
    at vmcall \bits
    vmcall
    at vmcall_end \bits
    hlt

    at read \bits
    movb SPARE + 0x123, %cl
    at read_end \bits
    hlt
    at write \bits
    movb %cl, SPARE + 0x234
    at write_end \bits
    hlt
    at jump \bits
    .if \bits == 16
    jmp *%bx
    .else
    jmp *%\b
    .endif
    at walk \bits
    .if \bits == 16
    movb (%bx), %cl
    .else
    movb (%\b), %cl
    .endif
    at walk_end \bits
    hlt

    /* ecx from and to (rbx), in the second case one byte of it also. */
    at load \bits
    .if \bits == 16
    movl (%bx), %ecx
    .else
    movl (%\b), %ecx
    .endif
    at load_end \bits
    hlt
    at store \bits
    .if \bits == 16
    movl %ecx, (%bx)
    .else
    movl %ecx, (%\b)
    .endif
    at store_end \bits
    hlt
    at store_byte \bits
    .if \bits == 16
    movb %cl, (%bx)
    .else
    movb %cl, (%\b)
    .endif
    at store_byte_end \bits
    hlt
    at cr8 \bits
    .if \bits == 64
    mov %rcx, %cr8
    mov %cr8, %rdx
    .endif
    at cr8_end \bits
    hlt

    at ud2 \bits
    ud2
    at ud2_end \bits
    hlt
    at selector \bits /* ax: one that does not exist */
    mov %ax, %es
    at selector_end \bits
    hlt
    at int3 \bits
    int3
    at int3_end \bits
    hlt
    at intn \bits
    int $0x30
    at intn_end \bits
    hlt

    at sti \bits
    nop
    sti
    at sti_shadow \bits
    nop
    at sti_open \bits
    nop
    at sti_end \bits
    hlt
    at sti_hlt \bits
    sti
    at sti_hlt_at \bits
    hlt
    at sti_hlt_end \bits
    hlt
    at count \bits /* interrupts are counted where the stack ends */
    dec %ecx
    jnz guest_count_\bits
    at count_end \bits
    hlt
    at counter \bits
    incw STACK
    .if \bits == 64
    iretq
    .elseif \bits == 32
    iretl
    .else
    iretw
    .endif
    at fpu \bits
    fldpi
    at fpu_end \bits
    hlt
    at popf \bits /* the flags are on the stack */
    popf
    at popf_open \bits
    nop
    at popf_end \bits
    hlt
    at sti_cpuid \bits
    sti
    at sti_cpuid_at \bits
    cpuid
    at sti_cpuid_end \bits
    hlt
    at ss_cpuid \bits /* ax: the stack's selector */
    mov %ax, %ss
    at ss_cpuid_at \bits
    cpuid
    at ss_cpuid_end \bits
    hlt
    .endm

    .section .rodata
    .globl guest_code, guest_code_end
guest_code:
    parts 16, eax, ebx, ecx
    parts 32, eax, ebx, ecx
    parts 64, rax, rbx, rcx
guest_code_end:

    .section .note.GNU-stack, "", @progbits
