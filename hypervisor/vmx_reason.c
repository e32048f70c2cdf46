/* SPDX-License-Identifier: GPL-2.0-only */
/* VT-x: why a guest could not be entered, in the manual's words. */
#include "vmx.h"

/* SDM 3C, table 31-1. */
const char *vmx_reason_insn(u64 error)
{
    switch (error) {
    case 4: return "VMLAUNCH with a VMCS that is not clear";
    case VMCS_ERROR_NOT_LAUNCHED: return "VMRESUME with a VMCS that was not launched";
    case 6: return "VMRESUME after VMXOFF";
    case 7: return "entry with invalid control fields (an event that cannot be injected, for one)";
    case 8: return "entry with invalid host-state fields";
    case 12: return "VMREAD or VMWRITE of a field that is not there";
    case 13: return "VMWRITE to a read-only field";
    case 25: return "entry with invalid executive-VMCS pointer";
    case 26: return "entry with events blocked by MOV SS";
    case 28: return "invalid operand to INVEPT or INVVPID";
    default: return "an error without a name here";
    }
}

/* 27.7 and 27.8. */
const char *vmx_reason_entry(u32 reason, u64 qualification)
{
    switch (VMCS_REASON(reason)) {
    case VMCS_REASON_BAD_STATE:
        switch (qualification) {
        case 2: return "invalid guest state: page-directory-pointer-table entries";
        case 3: return "invalid guest state: an NMI while blocked by STI";
        case 4: return "invalid guest state: VMCS link pointer";
        default: return "invalid guest state";
        }
    case VMCS_REASON_BAD_MSR: return "loading of MSRs";
    case VMCS_REASON_BAD_MACHINE_CHECK: return "machine check";
    default: return "a reason without a name here";
    }
}
