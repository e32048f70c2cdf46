/* SPDX-License-Identifier: GPL-2.0-only */
/* Where AMD-V and VT-x differ in what a VMM sees. */
#include "exittest.h"

#define SVM_CPUID 0x8000000au
#define SVM_EDX_NRIPS (1u << 3)
#define SEGMENT_DS 3ull
#define VMEXIT_INVALID 0xffffffffu
#define BAD_STATE 0x80000021u /* VT-x's exit reason: VM-entry failure due to invalid guest state */

/* APM is AMD's manual, volume 2; SDM is Intel's, volume 3C. */
static const struct {
    uint64_t svm, vmx;
} traits[TRAITS] = {
    /* 1: the length of each instruction that leaves the guest is told. APM 15.7.1 (nRIP), which QEMU lacks: vendor_length();
     * of I/O always: APM 15.10.2. SDM 28.2.5. */
    [LENGTH_REPORTED] = {0, 1},
    /* AMD-V has one kind of shadow. APM 15.21.5; SDM 25.4.2. */
    [BLOCKED_MOV_SS] = {CB_BLOCKED_STI, CB_BLOCKED_MOVSS},
    /* 1: the NMI window opens right behind the IRET. AMD-V tells of the IRET, not of its end: APM 15.21.8; SDM 26.2. */
    [NMI_WINDOW_EXACT] = {0, 1},
    /* 1: XSETBV leaves the guest. APM 15.9, but not on QEMU; SDM 26.1.2. */
    [XSETBV_EXITS] = {0, 1},
    /* 1: so does INT3, if #BP does. APM 15.12.4, but not on QEMU; SDM 26.2. */
    [INT3_EXITS] = {0, 1},
    /* 1: user code that is not aligned raises #AC if it asks for that. APM 8.2.17, but not on QEMU; SDM 3A, 6.15. */
    [ALIGNMENT_CHECKED] = {0, 1},
    /* 1: a bit of CR4 that is not offered gives #GP. APM 3.1.3, but on QEMU the guest's state is invalid then; SDM 26.3. */
    [CR4_CHECKED] = {0, 1},
    /* 1: an interrupt is injected though RFLAGS.IF is clear; else the state is invalid. APM 15.20; SDM 27.3.1.4. */
    [INTERRUPT_WHEN_OFF] = {1, 0},
    /* qual[0] of INVALID for bits in CR0 and CR4, which VT-x's backend finds by itself. APM 15.5.1; SDM 27.8. */
    [INVALID_REASON] = {VMEXIT_INVALID, 0},
    /* The same for what only the processor looks at. */
    [INVALID_REASON_ENTRY] = {VMEXIT_INVALID, BAD_STATE},
    /* 1: a refused entry leaves the state as it was. QEMU may write the host's into it: then it is as after power-up. */
    [STATE_AT_INVALID] = {0, 1},
    /* 1: how INS and OUTS address memory is told. APM 15.10.2, with decode assists, which QEMU lacks; SDM A.1, bit 54. */
    [STRING_TOLD] = {0, 1},
    /* 1: a task switch leaves the guest. APM 15.14.1, but not on QEMU; SDM 26.1.2. */
    [TASK_SWITCH_EXITS] = {0, 1},
};

bool vendor_is_vmx(void)
{
    return task_info()->features & CB_FEATURE_VMX;
}

uint64_t vendor(enum trait trait)
{
    return vendor_is_vmx() ? traits[trait].vmx : traits[trait].svm;
}

uint64_t vendor_length(uint64_t length)
{
    uint32_t a = SVM_CPUID, b, c = 0, d;

    if (vendor(LENGTH_REPORTED))
        return length;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d & SVM_EDX_NRIPS ? length : 0;
}

uint64_t vendor_string(bool in)
{
    uint64_t what = CB_IO_STRING | (in ? CB_IO_IN : 0), size = mode == REAL ? 2 : mode == LONG ? 8 : 4;

    return vendor(STRING_TOLD) ? what | size << 28 | (in ? 0 : SEGMENT_DS << 32) : what;
}

bool vendor_is_nested(void)
{
    return task_info()->features & CB_FEATURE_NESTED;
}

bool vendor_has_apic(void)
{
    return task_info()->features & CB_FEATURE_VAPIC;
}
