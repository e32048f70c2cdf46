/* SPDX-License-Identifier: GPL-2.0-only */
#include "regs.h"

u64 *regs_numbered(struct regs *r, u32 number)
{
    u64 *const all[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, NULL,    &r->rbp, &r->rsi, &r->rdi,
                           &r->r8,  &r->r9,  &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

    return all[number % 16];
}

void regs_get(const struct regs *r, u32 groups, struct cb_state *out)
{
    regs_get_acdb(r, groups, out);
    if (groups & CB_GROUP_BSD) {
        out->rbp = r->rbp;
        out->rsi = r->rsi;
        out->rdi = r->rdi;
    }
    if (groups & CB_GROUP_R8_R15) {
        out->r8 = r->r8;
        out->r9 = r->r9;
        out->r10 = r->r10;
        out->r11 = r->r11;
        out->r12 = r->r12;
        out->r13 = r->r13;
        out->r14 = r->r14;
        out->r15 = r->r15;
    }
}

void regs_put(struct regs *r, u32 groups, const struct cb_state *in)
{
    regs_put_acdb(r, groups, in);
    if (groups & CB_GROUP_BSD) {
        r->rbp = in->rbp;
        r->rsi = in->rsi;
        r->rdi = in->rdi;
    }
    if (groups & CB_GROUP_R8_R15) {
        r->r8 = in->r8;
        r->r9 = in->r9;
        r->r10 = in->r10;
        r->r11 = in->r11;
        r->r12 = in->r12;
        r->r13 = in->r13;
        r->r14 = in->r14;
        r->r15 = in->r15;
    }
}
