/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions that change how a guest translates addresses, decoded where the hardware does not say which
 * registers and addresses they name: MOV to and from control registers, CLTS, LMSW and SMSW with a register, INVLPG.
 * APM 3, 1.2 to 1.8.
 */
#ifndef SHADOW_INSN_H
#define SHADOW_INSN_H

#include "regs.h"
#include "types.h"

enum insn_op {
    INSN_UNKNOWN,
    INSN_CR_WRITE,  /* `value` is to go to control register `number` (CLTS and LMSW too) */
    INSN_CR_READ,   /* control register `number` is to go to general register `reg`, `bytes` of it */
    INSN_INVLPG,    /* `value`: linear address */
    INSN_INVLPG_ALL, /* ... in 16-bit code, which is not computed */
};

/* What an instruction refers to besides its bytes. */
struct insn_context {
    struct regs *regs;       /* but for rsp and rip */
    u64 rsp, rip;
    u64 cr0;                 /* as the guest sees it */
    u8 mode;                 /* bits of an address: 16, 32, 64 */
    u64 base[6];             /* ES CS SS DS FS GS */
};

struct insn {
    enum insn_op op;
    u32 length;
    u32 number, reg, bytes;
    u64 value;
};

struct insn insn_decode(const u8 *code, u32 size, const struct insn_context *c);

#endif
