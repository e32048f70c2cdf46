/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The saved registers of an execution context. Ways out of the kernel take it for the stack, so its size and place keep
 * 16-byte alignment.
 */
#ifndef REGS_H
#define REGS_H

/* Offsets within struct regs, for assembly; checked below. */
#define REGS_R15 0
#define REGS_R14 8
#define REGS_R13 16
#define REGS_R12 24
#define REGS_RBP 32
#define REGS_RBX 40
#define REGS_R11 48
#define REGS_R10 56
#define REGS_R9 64
#define REGS_R8 72
#define REGS_RAX 80
#define REGS_RCX 88
#define REGS_RDX 96
#define REGS_RSI 104
#define REGS_RDI 112
#define REGS_VECTOR 120
#define REGS_ERROR 128
#define REGS_RIP 136
#define REGS_CS 144
#define REGS_RFLAGS 152
#define REGS_RSP 160
#define REGS_SS 168
#define REGS_SIZE 176

/* Offset of struct regs in struct ctx (ctx.h). */
#define CTX_REGS 48

#ifdef __ASSEMBLER__
#define REG(name) CTX_REGS + REGS_##name

/* The general registers but rax, rdi and rsp, into the context `c` (rax or rdi), and from it. */
.macro save_general c
    movq %rsi, REG(RSI)(\c)
    movq %rdx, REG(RDX)(\c)
    movq %rcx, REG(RCX)(\c)
    movq %r8, REG(R8)(\c)
    movq %r9, REG(R9)(\c)
    movq %r10, REG(R10)(\c)
    movq %r11, REG(R11)(\c)
    movq %rbx, REG(RBX)(\c)
    movq %rbp, REG(RBP)(\c)
    movq %r12, REG(R12)(\c)
    movq %r13, REG(R13)(\c)
    movq %r14, REG(R14)(\c)
    movq %r15, REG(R15)(\c)
.endm

.macro load_general c
    movq REG(R15)(\c), %r15
    movq REG(R14)(\c), %r14
    movq REG(R13)(\c), %r13
    movq REG(R12)(\c), %r12
    movq REG(RBP)(\c), %rbp
    movq REG(RBX)(\c), %rbx
    movq REG(R11)(\c), %r11
    movq REG(R10)(\c), %r10
    movq REG(R9)(\c), %r9
    movq REG(R8)(\c), %r8
    movq REG(RCX)(\c), %rcx
    movq REG(RDX)(\c), %rdx
    movq REG(RSI)(\c), %rsi
.endm
#else
#include <corbel/state.h>

#include "types.h"

struct regs {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 vector, error; /* of the last exception or interrupt; vector REGS_SYSCALL: entered by SYSCALL */
    u64 rip, cs, rflags, rsp, ss;
};
ASSERT_OFFSET(struct regs, rdi, REGS_RDI);
ASSERT_OFFSET(struct regs, vector, REGS_VECTOR);
ASSERT_OFFSET(struct regs, rip, REGS_RIP);
_Static_assert(sizeof(struct regs) == REGS_SIZE && REGS_SIZE % 16 == 0, "the CPU aligns its frame to 16");

/*
 * The general registers, as far as the groups ACDB, BSD and R8_R15 ask for them, to and from a message. Any value
 * will do.
 */
void regs_get(const struct regs *r, u32 groups, struct cb_state *out);
void regs_put(struct regs *r, u32 groups, const struct cb_state *in);

/* General register by its number in an instruction; NULL: rsp. */
u64 *regs_numbered(struct regs *r, u32 number);

static inline void regs_get_acdb(const struct regs *r, u32 groups, struct cb_state *out)
{
    if (groups & CB_GROUP_ACDB) {
        out->rax = r->rax;
        out->rcx = r->rcx;
        out->rdx = r->rdx;
        out->rbx = r->rbx;
    }
}

static inline void regs_put_acdb(struct regs *r, u32 groups, const struct cb_state *in)
{
    if (groups & CB_GROUP_ACDB) {
        r->rax = in->rax;
        r->rcx = in->rcx;
        r->rdx = in->rdx;
        r->rbx = in->rbx;
    }
}
#endif

#define REGS_SYSCALL 256

#endif
