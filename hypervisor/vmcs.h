/* SPDX-License-Identifier: GPL-2.0-only */
/* The virtual-machine control structure of VT-x: SDM 3C, chapter 25 and appendices A to C; and the instructions for it. */
#ifndef VMCS_H
#define VMCS_H

#include "types.h"

/* Encodings: SDM 3D, appendix B. Bits 14:13: width (0: 16, 1: 64, 2: 32, 3: natural), 11:10: kind. */
enum vmcs_field {
    /* 16 bits */
    VMCS_VPID = 0x0000,
    VMCS_GUEST_ES_SEL = 0x0800, /* and by 2: CS, SS, DS, FS, GS, LDTR, TR; see VMCS_SEGMENT_* */
    VMCS_GUEST_INTERRUPTS = 0x0810, /* bits 7:0 RVI, 15:8 SVI */
    VMCS_HOST_ES_SEL = 0x0c00,
    VMCS_HOST_CS_SEL = 0x0c02,
    VMCS_HOST_SS_SEL = 0x0c04,
    VMCS_HOST_DS_SEL = 0x0c06,
    VMCS_HOST_FS_SEL = 0x0c08,
    VMCS_HOST_GS_SEL = 0x0c0a,
    VMCS_HOST_TR_SEL = 0x0c0c,

    /* 64 bits */
    VMCS_IO_BITMAP_A = 0x2000, /* ports 0 to 0x7fff */
    VMCS_IO_BITMAP_B = 0x2002,
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_EXIT_MSR_LOAD_LIST = 0x2008,
    VMCS_ENTRY_MSR_LOAD_LIST = 0x200a,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_VIRTUAL_APIC = 0x2012,
    VMCS_APIC_ACCESS = 0x2014,
    VMCS_EPT_POINTER = 0x201a,
    VMCS_EOI_EXIT0 = 0x201c, /* and by 2: the next 64 vectors */
    VMCS_GUEST_PHYSICAL = 0x2400, /* read only: of an EPT violation */
    VMCS_LINK_POINTER = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE0 = 0x280a, /* and by 2 */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,

    /* 32 bits */
    VMCS_PIN_CONTROLS = 0x4000,
    VMCS_CONTROLS = 0x4002,
    VMCS_EXCEPTIONS = 0x4004,
    VMCS_PF_ERROR_MASK = 0x4006,
    VMCS_PF_ERROR_MATCH = 0x4008,
    VMCS_CR3_TARGETS = 0x400a,
    VMCS_EXIT_CONTROLS = 0x400c,
    VMCS_EXIT_MSR_STORES = 0x400e,
    VMCS_EXIT_MSR_LOADS = 0x4010,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_MSR_LOADS = 0x4014,
    VMCS_ENTRY_EVENT = 0x4016,
    VMCS_ENTRY_EVENT_ERROR = 0x4018,
    VMCS_ENTRY_INSN_LEN = 0x401a,
    VMCS_TPR_THRESHOLD = 0x401c,
    VMCS_CONTROLS2 = 0x401e,
    VMCS_INSN_ERROR = 0x4400, /* read only, up to ... */
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_EVENT = 0x4404,
    VMCS_EXIT_EVENT_ERROR = 0x4406,
    VMCS_VECTORING = 0x4408,
    VMCS_VECTORING_ERROR = 0x440a,
    VMCS_EXIT_INSN_LEN = 0x440c, /* ... here */
    VMCS_EXIT_INSN_INFO = 0x440e,
    VMCS_GUEST_ES_LIMIT = 0x4800,
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_RIGHTS = 0x4814,
    VMCS_GUEST_SS_RIGHTS = 0x4818,
    VMCS_INTERRUPTIBILITY = 0x4824,
    VMCS_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_PREEMPTION_TIMER = 0x482e,
    VMCS_HOST_SYSENTER_CS = 0x4c00,

    /* natural width */
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400, /* read only */
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14,
    VMCS_HOST_RIP = 0x6c16,
};

/* Guest segments, in the order of their fields: add twice this to the field of ES. */
enum vmcs_segment { VMCS_ES, VMCS_CS, VMCS_SS, VMCS_DS, VMCS_FS, VMCS_GS, VMCS_LDTR, VMCS_TR };

/* Pin-based controls: SDM 3C, 25.6.1. */
#define VMCS_PIN_INTERRUPT (1u << 0)
#define VMCS_PIN_NMI (1u << 3)
#define VMCS_PIN_VIRTUAL_NMI (1u << 5)
#define VMCS_PIN_TIMER (1u << 6)

/* Primary and secondary processor-based controls: 25.6.2. */
#define VMCS_CONTROL_WINDOW (1u << 2)
#define VMCS_CONTROL_TSC_OFFSET (1u << 3)
#define VMCS_CONTROL_HLT (1u << 7)
#define VMCS_CONTROL_INVLPG (1u << 9)
#define VMCS_CONTROL_MWAIT (1u << 10)
#define VMCS_CONTROL_RDPMC (1u << 11)
#define VMCS_CONTROL_CR3_LOAD (1u << 15)
#define VMCS_CONTROL_CR3_STORE (1u << 16)
#define VMCS_CONTROL_CR8_LOAD (1u << 19)
#define VMCS_CONTROL_CR8_STORE (1u << 20)
#define VMCS_CONTROL_TPR_SHADOW (1u << 21)
#define VMCS_CONTROL_NMI_WINDOW (1u << 22)
#define VMCS_CONTROL_DR (1u << 23)
#define VMCS_CONTROL_IO (1u << 24)
#define VMCS_CONTROL_IO_BITMAPS (1u << 25) /* then the one before does not matter */
#define VMCS_CONTROL_MSR_BITMAP (1u << 28)
#define VMCS_CONTROL_MONITOR (1u << 29)
#define VMCS_CONTROL_PAUSE (1u << 30)
#define VMCS_CONTROL_SECONDARY (1u << 31)
#define VMCS_CONTROL2_APIC_ACCESSES (1u << 0)
#define VMCS_CONTROL2_EPT (1u << 1)
#define VMCS_CONTROL2_VPID (1u << 5)
#define VMCS_CONTROL2_WBINVD (1u << 6)
#define VMCS_CONTROL2_UNRESTRICTED (1u << 7)
#define VMCS_CONTROL2_APIC_REGISTERS (1u << 8)
#define VMCS_CONTROL2_APIC_DELIVERY (1u << 9)
#define VMCS_CONTROL2_INVPCID (1u << 12)

/* VM-exit and VM-entry controls: 25.7.1, 25.8.1. */
#define VMCS_EXIT_SAVE_DEBUG (1u << 2)
#define VMCS_EXIT_HOST_64 (1u << 9)
#define VMCS_EXIT_LOAD_PAT (1u << 19)
#define VMCS_EXIT_SAVE_EFER (1u << 20)
#define VMCS_EXIT_LOAD_EFER (1u << 21)
#define VMCS_ENTRY_LOAD_DEBUG (1u << 2)
#define VMCS_ENTRY_LONG_MODE (1u << 9)
#define VMCS_ENTRY_LOAD_PAT (1u << 14)
#define VMCS_ENTRY_LOAD_EFER (1u << 15)

/* VM-entry event, VM-exit event, IDT-vectoring information: 25.8.3, 25.9.2, 25.9.3. CB_INJECT_* but for these. */
#define VMCS_EVENT_PRIVILEGED_SOFT (5u << 8) /* INT1 */
#define VMCS_EVENT_SOFT_EXCEPTION (6u << 8)  /* INT3, INTO */
#define VMCS_EVENT_NMI_UNBLOCKED (1u << 12)  /* exits: by an IRET that then faulted; in the qualification of EPT violations too */

/* Interruptibility: 25.4.2. Bits 1:0 are CB_BLOCKED_STI and CB_BLOCKED_MOVSS. */
#define VMCS_BLOCKED_STI (1u << 0)
#define VMCS_BLOCKED_MOVSS (1u << 1)
#define VMCS_BLOCKED_NMI (1u << 3)

#define VMCS_PENDING_STEP (1ull << 14) /* BS of VMCS_PENDING_DEBUG */
#define VMCS_PENDING_ALL (VMCS_PENDING_STEP | 1ull << 12 | 0xf) /* and enabled breakpoint, B3 to B0 */
#define VMCS_RIGHTS_LONG (1u << 13)
#define VMCS_RIGHTS_UNUSABLE (1u << 16)

/* EPT pointer: 25.6.11. */
#define VMCS_EPT_WB 6ull
#define VMCS_EPT_LEVELS (3ull << 3) /* four */
#define VMCS_EPT_AD (1ull << 6)

#define VMCS_ERROR_NOT_LAUNCHED 5u /* VMCS_INSN_ERROR: table 31-1 */

/* Exit reasons: SDM 3D, appendix C. */
#define VMCS_REASON(word) ((word) & 0xffffu)
#define VMCS_REASON_FAILED_ENTRY (1u << 31)
enum vmcs_reason {
    VMCS_REASON_EXCEPTION = 0, /* or NMI */
    VMCS_REASON_INTERRUPT = 1,
    VMCS_REASON_TRIPLE_FAULT = 2,
    VMCS_REASON_INIT = 3,
    VMCS_REASON_STARTUP = 4,
    VMCS_REASON_WINDOW = 7,
    VMCS_REASON_NMI_WINDOW = 8,
    VMCS_REASON_TASK_SWITCH = 9,
    VMCS_REASON_CPUID = 10,
    VMCS_REASON_GETSEC = 11,
    VMCS_REASON_HLT = 12,
    VMCS_REASON_INVD = 13,
    VMCS_REASON_INVLPG = 14,
    VMCS_REASON_RDPMC = 15,
    VMCS_REASON_RSM = 17,
    VMCS_REASON_VMCALL = 18,
    VMCS_REASON_VMCLEAR = 19, /* and the other instructions of VT-x, up to VMXON */
    VMCS_REASON_VMXON = 27,
    VMCS_REASON_CR = 28,
    VMCS_REASON_DR = 29,
    VMCS_REASON_IO = 30,
    VMCS_REASON_RDMSR = 31,
    VMCS_REASON_WRMSR = 32,
    VMCS_REASON_BAD_STATE = 33, /* VM entries that failed, up to ... */
    VMCS_REASON_BAD_MSR = 34,
    VMCS_REASON_MWAIT = 36,
    VMCS_REASON_MONITOR = 39,
    VMCS_REASON_PAUSE = 40,
    VMCS_REASON_BAD_MACHINE_CHECK = 41, /* ... here */
    VMCS_REASON_APIC_ACCESS = 44,
    VMCS_REASON_APIC_EOI = 45,
    VMCS_REASON_EPT_VIOLATION = 48,
    VMCS_REASON_EPT_MISCONFIGURED = 49,
    VMCS_REASON_INVEPT = 50,
    VMCS_REASON_TIMER = 52,
    VMCS_REASON_INVVPID = 53,
    VMCS_REASON_WBINVD = 54,
    VMCS_REASON_XSETBV = 55,
    VMCS_REASON_APIC_WRITE = 56,
    VMCS_REASON_VMFUNC = 59,
};

/* Qualification of CR accesses, I/O, EPT violations and APIC accesses: 28.2.1. */
#define VMCS_CR_NUMBER(q) ((u32)(q) & 0xfu)
#define VMCS_CR_ACCESS(q) ((u32)(q) >> 4 & 3u)
#define VMCS_CR_TO 0u
#define VMCS_CR_FROM 1u
#define VMCS_CR_CLTS 2u
#define VMCS_CR_LMSW 3u
#define VMCS_CR_SOURCE(q) ((u16)((q) >> 16)) /* of LMSW */
#define VMCS_CR_REGISTER(q) ((u32)(q) >> 8 & 0xfu)
#define VMCS_IO_WIDTH(q) (((u32)(q) & 7u) + 1)
#define VMCS_IO_IN (1u << 3)
#define VMCS_IO_STRING (1u << 4)
#define VMCS_IO_REP (1u << 5)
#define VMCS_IO_PORT(q) ((u16)((q) >> 16))

/* Instruction information of INS and OUTS: table 28-8. */
#define VMCS_IO_ADDRESS(info) ((info) >> 7 & 7u) /* 0: 16 bits, 1: 32, 2: 64 */
#define VMCS_IO_SEGMENT(info) ((info) >> 15 & 7u)

/* Qualification of a task switch: table 28-2. */
#define VMCS_TASK_SELECTOR(q) ((u16)(q))
#define VMCS_TASK_REASON(q) ((q) >> 30 & 3u) /* CB_TASK_* */
#define VMCS_EPT_WRITE (1ull << 1)
#define VMCS_EPT_EXEC (1ull << 2)
#define VMCS_EPT_ALLOWED (7ull << 3)
#define VMCS_EPT_LINEAR (1ull << 7)
#define VMCS_EPT_FINAL (1ull << 8)
#define VMCS_APIC_OFFSET(q) ((q) & 0xfffu) /* of linear accesses */
#define VMCS_APIC_ACCESS_TYPE(q) ((u32)((q) >> 12) & 0xfu)
#define VMCS_APIC_READ 0u
#define VMCS_APIC_WRITE 1u
#define VMCS_APIC_FETCH 2u
#define VMCS_APIC_DELIVERY 3u           /* a read or write while an event was delivered */
#define VMCS_APIC_PHYSICAL_DELIVERY 10u /* the same, without a linear address */
#define VMCS_APIC_PHYSICAL 15u

/* Executes an instruction of VT-x: has it failed (SDM 3C, 31.2: CF or ZF is set)? */
#define VMCS_FAILS(text, ...)                                                    \
    __extension__({                                                             \
        bool failed_;                                                            \
                                                                                \
        __asm__ volatile(text : "=@ccna"(failed_) : __VA_ARGS__ : "memory");      \
        failed_;                                                                 \
    })

#ifdef UNIT_TEST
u64 vmcs_read(enum vmcs_field field);
void vmcs_write(enum vmcs_field field, u64 value);
#else
static inline u64 vmcs_read(enum vmcs_field field)
{
    u64 value;

    __asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"((u64)field) : "cc");
    return value;
}

static inline void vmcs_write(enum vmcs_field field, u64 value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"((u64)field), "rm"(value) : "cc", "memory");
}
#endif

#endif
