/* SPDX-License-Identifier: MIT */
/*
 * The state of a vCPU or thread as a message: exit classes, register groups, and their layout.
 *
 * An exit or exception is a call through a portal. The portal names the groups it wants; exactly those are
 * copied into the handler's UTCB words as a struct cb_state (the other words are not written), and the
 * message information names the groups delivered. The reply's groups are written back. Registers:
 *   rdi = the portal's badge, rsi = exit class (vCPU) or exception vector (thread)
 *   rdx = length of the instruction that left the guest, 0 if not known, or if there was none; 0 for a thread
 */
#ifndef CORBEL_STATE_H
#define CORBEL_STATE_H

#include <corbel/types.h>

/* Exit classes of a vCPU. X(number, name) */
#define CB_EXITS(X)                                                                              \
    X(0, START)      /* the first entry after vcpu_create: all state is still the VMM's to set */ \
    X(1, RECALL)     /* somebody recalled the vCPU */                                             \
    X(2, INVALID)    /* the hardware refused the guest state; qual[0]: vendor's reason */         \
    X(3, SHUTDOWN)   /* triple fault */                                                           \
    X(4, CPUID)      /* qual[0]: CR4, qual[1]: XCR0, on which some leaves depend */               \
    X(5, IO)         /* qual[0]: CB_IO_*, qual[1]: rIP after the instruction */                   \
    X(6, RDMSR)                                                                                   \
    X(7, WRMSR)                                                                                   \
    X(8, CR)         /* qual[0]: CB_CR_* */                                                       \
    X(9, HLT)        /* only if the vCPU was told to deliver HLT, see CB_CTRL_HLT */              \
    X(10, MEMORY)    /* second-level fault, or virtual APIC; qual[0]: CB_MEMORY_*, qual[1]: guest-physical address */ \
    X(11, EXCEPTION) /* qual[0]: vector, qual[1]: error code, or fault address for #PF in cr2 */  \
    X(12, WINDOW)    /* interrupt window, asked for with CB_INJECT_WINDOW */                      \
    X(13, NMI_WINDOW)                                                                             \
    X(14, INSTRUCTION) /* another instruction that the hypervisor does not allow; qual[0]: CB_INSN_* */ \
    X(15, OTHER)     /* qual[0]: the vendor's exit reason */

enum cb_exit {
#define CB_EXIT_ENUM(number, name) CB_EXIT_##name = number,
    CB_EXITS(CB_EXIT_ENUM)
#undef CB_EXIT_ENUM
    CB_EXIT_COUNT = 16,
};

/*
 * CB_EXIT_IO, qual[0]: bits 15:0 port, 18:16 width in bytes (1, 2, 4), then flags. Of a string instruction also how it
 * addresses memory, if the processor tells: bits 31:28 the size of an address in bytes (2, 4, 8), 34:32 the segment (0 ES, 1
 * CS, 2 SS, 3 DS, 4 FS, 5 GS). Else both are 0.
 */
#define CB_IO_PORT(q) ((uint16_t)(q))
#define CB_IO_WIDTH(q) ((uint32_t)((q) >> 16) & 7u)
#define CB_IO_IN (1u << 24)
#define CB_IO_STRING (1u << 25)
#define CB_IO_REP (1u << 26)
#define CB_IO_ADDRESS_SIZE(q) ((uint32_t)((q) >> 28) & 0xfu)
#define CB_IO_SEGMENT(q) ((uint32_t)((q) >> 32) & 7u)

/* CB_EXIT_CR, qual[0]: bits 3:0 control register, bit 4: write, bits 11:8: general register. */
#define CB_CR_WRITE (1u << 4)

/* CB_EXIT_MEMORY, qual[0]. */
#define CB_MEMORY_READ 0x1u
#define CB_MEMORY_WRITE 0x2u
#define CB_MEMORY_EXEC 0x4u
#define CB_MEMORY_PRESENT 0x8u /* a translation was there and refused the access */
#define CB_MEMORY_TABLE 0x10u  /* the access was the walk of the guest's own page table */
#define CB_MEMORY_APIC 0x20u   /* the address is in apic_page, and the hardware did not know what to do there */
#define CB_MEMORY_DONE 0x40u   /* with APIC: the write has been done in `apic`, the instruction is over */
#define CB_MEMORY_VECTOR(q) ((uint8_t)((q) >> 8)) /* with DONE at EOI: the vector whose service has ended */

/* CB_EXIT_INSTRUCTION, qual[0]. */
#define CB_INSN_XSETBV 1u
#define CB_INSN_WBINVD 2u
#define CB_INSN_INVD 3u
#define CB_INSN_MONITOR 4u
#define CB_INSN_MWAIT 5u
#define CB_INSN_RDPMC 6u
#define CB_INSN_VIRT 7u /* the guest tried hardware virtualization itself */
#define CB_INSN_TASK_SWITCH 8u /* qual[1]: CB_TASK_*; through an interrupt gate, the event is in `inject` */

/* CB_INSN_TASK_SWITCH, qual[1]: bits 15:0 the selector of the new TSS, 17:16 why. */
#define CB_TASK_SELECTOR(q) ((uint16_t)(q))
#define CB_TASK_REASON(q) ((uint32_t)((q) >> 16) & 3u)
#define CB_TASK_CALL 0u
#define CB_TASK_IRET 1u
#define CB_TASK_JUMP 2u
#define CB_TASK_EVENT 3u

/*
 * Counters of a vCPU: numbers 0 to 15 count exits delivered, by class; the others what the hypervisor dealt with
 * itself. X(number, name)
 */
#define CB_VCPU_COUNTERS(X)                                               \
    X(16, INTERRUPT) /* physical interrupts that ended guest mode */      \
    X(17, HYPERCALL)                                                      \
    X(18, HALT)      /* HLT, and the call halt */                         \
    X(19, FAULT)     /* second-level faults */                            \
    X(20, WINDOW)    /* interrupt windows */                              \
    X(21, UPCALL)    /* upcalls injected: no exit, they ride on an entry */ \
    X(22, INSIDE)    /* other exits */

enum cb_vcpu_counter {
#define CB_VCPU_COUNTER_ENUM(number, name) CB_VCPU_COUNTER_##name = number,
    CB_VCPU_COUNTERS(CB_VCPU_COUNTER_ENUM)
#undef CB_VCPU_COUNTER_ENUM
    CB_VCPU_COUNTER_COUNT = 23,
};

/* Register groups; struct cb_state says which fields belong to each. */
#define CB_GROUP_ACDB (1u << 0)
#define CB_GROUP_BSD (1u << 1)
#define CB_GROUP_R8_R15 (1u << 2)
#define CB_GROUP_RSP (1u << 3)
#define CB_GROUP_RIP (1u << 4)    /* rip and insn_len */
#define CB_GROUP_RFLAGS (1u << 5)
#define CB_GROUP_QUAL (1u << 6)   /* read only */
#define CB_GROUP_CR (1u << 7)     /* cr0, cr2, cr3, cr4, cr8, pdpte */
#define CB_GROUP_DR (1u << 8)     /* dr6, dr7, dr */
#define CB_GROUP_CS_SS (1u << 9)
#define CB_GROUP_DS_ES_FS_GS (1u << 10)
#define CB_GROUP_LDTR_TR (1u << 11)
#define CB_GROUP_GDTR_IDTR (1u << 12)
#define CB_GROUP_SYSCALL (1u << 13) /* efer, star, lstar, cstar, fmask, kernel_gs_base, sysenter_*, pat, tsc_aux */
#define CB_GROUP_INJECT (1u << 14)  /* event to inject, interruptibility, pending_debug */
#define CB_GROUP_CTRL (1u << 15)    /* ctrl, exception_bitmap, xcr0, tsc_offset */
#define CB_GROUP_SKIP (1u << 16)    /* a vCPU's reply only: it goes on behind its instruction, rsi (0 to 15) bytes long */
#define CB_GROUP_VAPIC (1u << 17)   /* apic, apic_eoi_exit, apic_page */
#define CB_GROUPS_VCPU 0x2ffffu     /* all but SKIP */
#define CB_GROUPS_THREAD 0x007fu    /* those that mean something for a native thread */

/* Segment attributes: bits 3:0 type, 4 S, 6:5 DPL, 7 P, 8 AVL, 9 L, 10 D/B, 11 G, 12 unusable. */
struct cb_segment {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit;
    uint64_t base;
};
CB_ASSERT_SIZE(struct cb_segment, 16);

/* inject: as EVENTINJ (APM 2, 15.20) and the VM-entry interruption information (SDM 3C, 25.8.3) have it. */
#define CB_INJECT_VECTOR(i) ((uint8_t)(i))
#define CB_INJECT_TYPE_INTR (0u << 8)
#define CB_INJECT_TYPE_NMI (2u << 8)
#define CB_INJECT_TYPE_EXCEPTION (3u << 8)
#define CB_INJECT_TYPE_SOFT (4u << 8)
#define CB_INJECT_ERROR (1u << 11)
#define CB_INJECT_WINDOW (1u << 12)     /* write: send CB_EXIT_WINDOW when an interrupt could be taken */
#define CB_INJECT_NMI_WINDOW (1u << 13)
#define CB_INJECT_VALID (1u << 31)

/* blocked: why an event cannot be taken now. */
#define CB_BLOCKED_STI 0x1u
#define CB_BLOCKED_MOVSS 0x2u
#define CB_BLOCKED_NMI 0x8u

/* ctrl: what the vCPU's VMM wants to see. */
#define CB_CTRL_HLT 0x1u      /* deliver HLT as an exit instead of blocking in the hypervisor */
#define CB_CTRL_UPCALL 0x2u   /* the event page and its upcall vector are in use */
#define CB_CTRL_VAPIC 0x4u    /* the virtual APIC is on; needs CB_FEATURE_VAPIC (corbel/boot.h), and HLT */

/* apic: the register at offset 16 * i of an APIC's page is apic[i]; those with 256 bits take eight. */
#define CB_APIC_REGISTERS 64u
#define CB_APIC_ID 0x02u
#define CB_APIC_VERSION 0x03u
#define CB_APIC_TPR 0x08u
#define CB_APIC_PPR 0x0au
#define CB_APIC_EOI 0x0bu
#define CB_APIC_ISR 0x10u
#define CB_APIC_TMR 0x18u
#define CB_APIC_IRR 0x20u
#define CB_APIC_ICR 0x30u

struct cb_state {
    uint64_t rax, rcx, rdx, rbx;                          /* ACDB */
    uint64_t rsp;                                         /* RSP */
    uint64_t rbp, rsi, rdi;                               /* BSD */
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;        /* R8_R15 */
    uint64_t rip;                                         /* RIP */
    uint64_t insn_len;                                    /* RIP: bytes, 0 if not known */
    uint64_t rflags;                                      /* RFLAGS */
    uint64_t qual[3];                                     /* QUAL; [2]: threads only */
    uint64_t cr0, cr2, cr3, cr4, cr8;                     /* CR */
    uint64_t pdpte[4];                                    /* CR: PAE paging outside of long mode; VT-x only, else 0 */
    uint64_t dr6, dr7;                                    /* DR */
    uint64_t dr[4];                                       /* DR: DR0 to DR3 */
    struct cb_segment cs, ss;                             /* CS_SS */
    struct cb_segment ds, es, fs, gs;                     /* DS_ES_FS_GS */
    struct cb_segment ldtr, tr;                           /* LDTR_TR */
    struct cb_segment gdtr, idtr;                         /* GDTR_IDTR: base and limit only */
    uint64_t efer, star, lstar, cstar, fmask;             /* SYSCALL */
    uint64_t kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, pat, tsc_aux;
    uint32_t inject, inject_error;                        /* INJECT */
    uint32_t blocked, upcall_vector;                      /* INJECT; upcall_vector: 32 to 255 */
    uint64_t pending_debug;                               /* INJECT: #DB that is due (SDM 3C, 25.4.2); VT-x only, else 0 */
    uint32_t ctrl, exception_bitmap;                      /* CTRL */
    uint64_t xcr0, tsc_offset;                            /* CTRL */
    uint32_t apic[CB_APIC_REGISTERS];                     /* VAPIC: the registers */
    uint64_t apic_eoi_exit[4];                            /* VAPIC: bit v: the end of vector v's service is an exit */
    uint64_t apic_page;                                   /* VAPIC: guest-physical, where they are seen; 0: nowhere */
};
CB_ASSERT_OFFSET(struct cb_state, rip, 128);
CB_ASSERT_OFFSET(struct cb_state, cs, 296);
CB_ASSERT_OFFSET(struct cb_state, apic, 592);
CB_ASSERT_SIZE(struct cb_state, 888);

/* qual of an exception of a native thread: [0] vector, [1] error code, [2] fault address (#PF). */

#endif
