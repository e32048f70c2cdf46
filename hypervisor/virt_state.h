/* SPDX-License-Identifier: GPL-2.0-only */
/* What the backends know alike of a vCPU's state, and of messages that hold it. */
#ifndef VIRT_STATE_H
#define VIRT_STATE_H

#include <corbel/state.h>

#include "types.h"
#include "x86.h"

/* One field of a message, `in`, read once. */
#define IN(field) (*(const volatile __typeof__(in->field) *)&in->field)

/* All that exits and their replies have seldom. */
#define GROUPS_REST                                                                                               \
    (CB_GROUP_CR | CB_GROUP_DR | CB_GROUP_CS_SS | CB_GROUP_DS_ES_FS_GS | CB_GROUP_LDTR_TR | CB_GROUP_GDTR_IDTR |  \
     CB_GROUP_SYSCALL | CB_GROUP_INJECT | CB_GROUP_CTRL | CB_GROUP_VAPIC)

/*
 * Exceptions that the hypervisor must see whatever the VMM wants: an endless delivery of #DB or #AC would hang the
 * CPU.
 */
#define VIRT_EXCEPTIONS (1u << EXCEPTION_DB | 1u << EXCEPTION_AC | 1u << EXCEPTION_MC)

#define INJECT_TYPE 0x700u /* of CB_INJECT_*, and of what the hardware injects */
#define INJECT_MASK (INJECT_TYPE | 0xffu | CB_INJECT_ERROR | CB_INJECT_VALID)

#define SEGMENT_PRESENT 0x80u /* attributes */
#define SEGMENT_UNUSABLE 0x1000u
#define SEGMENT_TYPE 0xfu
#define TYPE_TSS_AVAILABLE 0x9u
#define TYPE_TSS_BUSY 0xbu

#define RFLAGS_ALL 0x3f7fd5ull
#define DR6_STEP (1ull << 14)
#define DR7_ENABLED 0xffull /* L0 to G3 */

/* Registers after power-up: APM 2, 14.1.3; SDM 3A, table 10-1. */
#define CR0_RESET 0x60000010ull
#define DR6_RESET 0xffff0ff0ull
#define DR7_RESET 0x400ull
#define PAT_RESET 0x0007040600070406ull

/* Registers that hold only canonical addresses would refuse others. */
static inline u64 canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16);
}

/* Those of the guest, which are in use only while it has touched or armed them. */
static inline void debug_addresses_load(const u64 dr[4])
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(dr[0]));
    __asm__ volatile("mov %0, %%dr1" : : "r"(dr[1]));
    __asm__ volatile("mov %0, %%dr2" : : "r"(dr[2]));
    __asm__ volatile("mov %0, %%dr3" : : "r"(dr[3]));
}

static inline void debug_addresses_store(u64 dr[4])
{
    __asm__ volatile("mov %%dr0, %0" : "=r"(dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(dr[3]));
}

#endif
