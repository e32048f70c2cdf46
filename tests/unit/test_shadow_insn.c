/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions that name control registers and addresses, as an assembler encodes them. */
#include <criterion/criterion.h>
#include <string.h>

#include "shadow_insn.h"
#include "x86.h"

static struct regs regs = { .rax = 0x1111111100000010, .rcx = 0x20, .rdx = 0x30, .rbx = 0x40, .rbp = 0x1000, .rsi = 0x60,
                            .rdi = 0x70, .r8 = 0x80, .r9 = 0x90, .r12 = 0xc0, .r13 = 0xd0, .r15 = 0xf0 };

static struct insn_context context(u8 mode)
{
    return (struct insn_context){ .regs = &regs, .rsp = 0x5000, .rip = 0x400000, .cr0 = 0x80050033, .mode = mode,
                                  .base = { 0x10000, 0x20000, 0x30000, 0x40000, 0x50000, 0x60000 } };
}

/* A row of the table: what the bytes mean. */
struct row {
    u8 mode;
    const char *code;
    u32 length;
    enum insn_op op;
    u32 number, reg, bytes;
    u64 value;
};

static const struct row rows[] = {
    { 64, "\x0f\x22\xd8", 3, INSN_CR_WRITE, 3, 0, 8, 0x1111111100000010 }, /* mov %rax, %cr3 */
    { 64, "\x41\x0f\x22\xdf", 4, INSN_CR_WRITE, 3, 15, 8, 0xf0 },          /* mov %r15, %cr3 */
    { 64, "\x0f\x22\xe4", 3, INSN_CR_WRITE, 4, 4, 8, 0x5000 },             /* mov %rsp, %cr4 */
    { 32, "\x0f\x22\xc0", 3, INSN_CR_WRITE, 0, 0, 4, 0x10 },               /* mov %eax, %cr0 */
    { 64, "\x44\x0f\x22\xc1", 4, INSN_CR_WRITE, 8, 1, 8, 0x20 },           /* mov %rcx, %cr8 */
    { 64, "\x0f\x20\xd9", 3, INSN_CR_READ, 3, 1, 8, 0x20 },                /* mov %cr3, %rcx */
    { 64, "\x66\x41\x0f\x20\xc1", 5, INSN_CR_READ, 0, 9, 8, 0x90 },        /* mov %cr0, %r9 */
    { 64, "\x0f\x06", 2, INSN_CR_WRITE, 0, 0, 0, 0x80050033 },             /* clts */
    { 64, "\x0f\x01\xf1", 3, INSN_CR_WRITE, 0, 0, 0, 0x80050031 },         /* lmsw %cx */
    { 64, "\x0f\x01\xe2", 3, INSN_CR_READ, 0, 2, 4, 0 },                   /* smsw %edx */
    { 64, "\x48\x0f\x01\xe2", 4, INSN_CR_READ, 0, 2, 8, 0 },               /* smsw %rdx */
    { 64, "\x66\x0f\x01\xe2", 4, INSN_CR_READ, 0, 2, 2, 0 },               /* smsw %dx */
    { 16, "\x0f\x01\xe2", 3, INSN_CR_READ, 0, 2, 2, 0 },
    { 64, "\x0f\x01\x20", 3, INSN_UNKNOWN, 0, 0, 0, 0 },                   /* smsw (%rax) */
    { 64, "\x0f\x01\xf8", 3, INSN_UNKNOWN, 0, 0, 0, 0 },                   /* swapgs */
    { 64, "\x0f\x01\x38", 3, INSN_INVLPG, 0, 0, 0, 0x1111111100000010 },   /* invlpg (%rax) */
    { 64, "\x41\x0f\x01\x3f", 4, INSN_INVLPG, 0, 0, 0, 0xf0 },             /* invlpg (%r15) */
    { 64, "\x0f\x01\x3c\x24", 4, INSN_INVLPG, 0, 0, 0, 0x5000 },           /* invlpg (%rsp) */
    { 64, "\x41\x0f\x01\x3c\x24", 5, INSN_INVLPG, 0, 0, 0, 0xc0 },         /* invlpg (%r12) */
    { 64, "\x41\x0f\x01\x7d\x00", 5, INSN_INVLPG, 0, 0, 0, 0xd0 },         /* invlpg 0(%r13) */
    { 64, "\x0f\x01\x7d\xf8", 4, INSN_INVLPG, 0, 0, 0, 0xff8 },            /* invlpg -8(%rbp) */
    { 64, "\x0f\x01\xbb\x00\x00\x00\x80", 7, INSN_INVLPG, 0, 0, 0, 0xffffffff80000040 }, /* invlpg -0x80000000(%rbx) */
    { 64, "\x0f\x01\x3c\xc8", 4, INSN_INVLPG, 0, 0, 0, 0x1111111100000110 }, /* invlpg (%rax,%rcx,8) */
    { 64, "\x42\x0f\x01\x3c\x63", 5, INSN_INVLPG, 0, 0, 0, 0x1c0 },        /* invlpg (%rbx,%r12,2) */
    { 64, "\x0f\x01\x3c\x25\x00\x10\x00\x00", 8, INSN_INVLPG, 0, 0, 0, 0x1000 }, /* invlpg 0x1000 */
    { 64, "\x0f\x01\x3d\x00\x01\x00\x00", 7, INSN_INVLPG, 0, 0, 0, 0x400107 }, /* invlpg 0x100(%rip) */
    { 64, "\x65\x0f\x01\x3a", 4, INSN_INVLPG, 0, 0, 0, 0x60030 },          /* invlpg %gs:(%rdx) */
    { 64, "\x3e\x0f\x01\x3a", 4, INSN_INVLPG, 0, 0, 0, 0x30 },             /* invlpg %ds:(%rdx) */
    { 64, "\x67\x0f\x01\x38", 4, INSN_INVLPG, 0, 0, 0, 0x10 },             /* invlpg (%eax) */
    { 32, "\x0f\x01\x38", 3, INSN_INVLPG, 0, 0, 0, 0x40010 },              /* invlpg (%eax) */
    { 32, "\x0f\x01\x7d\x10", 4, INSN_INVLPG, 0, 0, 0, 0x31010 },          /* invlpg 0x10(%ebp) */
    { 32, "\x64\x0f\x01\x3d\x00\x10\x00\x00", 8, INSN_INVLPG, 0, 0, 0, 0x51000 }, /* invlpg %fs:0x1000 */
    { 16, "\x0f\x01\x3e\x34\x12", 5, INSN_INVLPG_ALL, 0, 0, 0, 0 },        /* invlpg 0x1234 */
    { 16, "\x0f\x01\x7f\x01", 4, INSN_INVLPG_ALL, 0, 0, 0, 0 },            /* invlpg 1(%bx) */
    { 32, "\x67\x0f\x01\x3f", 4, INSN_INVLPG_ALL, 0, 0, 0, 0 },            /* invlpg (%bx) */
    { 64, "\x0f\xa2", 2, INSN_UNKNOWN, 0, 0, 0, 0 },                       /* cpuid */
};

Test(shadow_insn, rows)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *x = &rows[i];
        const struct insn_context c = context(x->mode);
        u8 code[15];
        struct insn insn;

        memset(code, 0x90, sizeof(code));
        memcpy(code, x->code, x->length);
        insn = insn_decode(code, sizeof(code), &c);
        cr_assert_eq(insn.op, x->op, "row %u", i);
        if (x->op == INSN_UNKNOWN)
            continue;
        cr_assert_eq(insn.length, x->length, "row %u: %u bytes", i, insn.length);
        if (x->op == INSN_CR_WRITE || x->op == INSN_CR_READ)
            cr_assert_eq(insn.number, x->number, "row %u", i);
        if (x->op == INSN_CR_READ)
            cr_assert(insn.reg == x->reg && insn.bytes == x->bytes, "row %u: %u, %u", i, insn.reg, insn.bytes);
        else
            cr_assert_eq(insn.value, x->value, "row %u: %lx", i, (unsigned long)insn.value);
    }
}

/* Code that ends too early, and nothing but prefixes. */
Test(shadow_insn, never_reads_on)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct insn_context c = context(rows[i].mode);

        for (u32 size = 0; size < rows[i].length; size++) {
            u8 *code = malloc(size ? size : 1); /* whose end the sanitizer knows */

            memcpy(code, rows[i].code, size);
            cr_assert_eq(insn_decode(code, size, &c).op, INSN_UNKNOWN, "row %u, %u bytes", i, size);
            free(code);
        }
    }
}

Test(shadow_insn, clts)
{
    struct insn_context c = context(64);

    c.cr0 |= CR0_TS;
    cr_assert_eq(insn_decode((const u8 *)"\x0f\x06", 2, &c).value, 0x80050033);
}

Test(shadow_insn, registers)
{
    cr_assert_eq(regs_numbered(&regs, 0), &regs.rax);
    cr_assert_null(regs_numbered(&regs, 4));
    cr_assert_eq(regs_numbered(&regs, 15), &regs.r15);
}
