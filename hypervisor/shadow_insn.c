/* SPDX-License-Identifier: GPL-2.0-only */
#include "shadow_insn.h"

#include "x86.h"

#define REG_RSP 4u
#define REG_RBP 5u
#define NO_REGISTER 16u

enum segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_DEFAULT };

/* What of the instruction was read. */
struct reader {
    const u8 *code;
    u32 size, at;
    bool ended;      /* it is longer than what there is */
    u8 rex, segment;
    bool address_prefix, operand_prefix;
    u8 mod, reg, rm;
};

static u64 register_read(const struct insn_context *c, u32 number)
{
    const u64 *at = regs_numbered(c->regs, number);

    return at ? *at : c->rsp;
}

static u8 next(struct reader *r)
{
    if (r->at == r->size) {
        r->ended = true;
        return 0;
    }
    return r->code[r->at++];
}

/* Little-endian, sign-extended. */
static u64 next_signed(struct reader *r, u32 bytes)
{
    u64 value = 0;

    for (u32 i = 0; i < bytes; i++)
        value |= (u64)next(r) << 8 * i;
    return bytes == 1 ? (u64)(s64)(int8_t)value : bytes == 2 ? (u64)(s64)(int16_t)value : (u64)(s64)(int32_t)value;
}

/* Prefixes, then the first byte behind them. */
static u8 prefixes(struct reader *r, u32 mode)
{
    for (;;) {
        u8 byte = next(r);

        switch (byte) {
        case 0x26: r->segment = SEG_ES; break;
        case 0x2e: r->segment = SEG_CS; break;
        case 0x36: r->segment = SEG_SS; break;
        case 0x3e: r->segment = SEG_DS; break;
        case 0x64: r->segment = SEG_FS; break;
        case 0x65: r->segment = SEG_GS; break;
        case 0x66: r->operand_prefix = true; break;
        case 0x67: r->address_prefix = true; break;
        case 0xf2:
        case 0xf3: break;
        default:
            if (mode != 64 || (byte & 0xf0) != 0x40)
                return byte;
            r->rex = byte; /* must be the last prefix */
            return next(r);
        }
    }
}

static void modrm(struct reader *r)
{
    u8 byte = next(r);

    r->mod = byte >> 6;
    r->reg = (u8)((byte >> 3 & 7) | (r->rex & 4) << 1);
    r->rm = byte & 7;
}

/* ModRM.mod is not 3. False: 16-bit addresses, only gone past. */
static bool effective_address(struct reader *r, const struct insn_context *c, u32 bits, u64 *address)
{
    u32 base = r->rm | (r->rex & 1u) << 3, index = NO_REGISTER, scale = 0, segment = r->segment;
    u64 sum = 0;

    if (bits == 16) {
        (void)next_signed(r, r->mod == 1 ? 1 : r->mod == 2 || r->rm == 6 ? 2 : 0);
        return false;
    }
    if (r->rm == REG_RSP) {
        u8 sib = next(r);

        scale = sib >> 6;
        index = (sib >> 3 & 7) | (r->rex & 2u) << 2;
        base = (sib & 7) | (r->rex & 1u) << 3;
        if (index == REG_RSP)
            index = NO_REGISTER;
    }
    if (r->mod == 0 && base % 8 == REG_RBP) {
        sum = next_signed(r, 4);
        if (r->rm == REG_RBP && c->mode == 64)
            sum += c->rip + r->at; /* behind the instruction: none of these has an immediate */
        base = NO_REGISTER;
    } else if (r->mod) {
        sum = next_signed(r, r->mod == 1 ? 1 : 4);
    }
    if (base != NO_REGISTER)
        sum += register_read(c, base);
    if (index != NO_REGISTER)
        sum += register_read(c, index) << scale;
    if (bits == 32)
        sum = (u32)sum;
    if (segment == SEG_DEFAULT)
        segment = base == REG_RSP || base == REG_RBP ? SEG_SS : SEG_DS;
    if (c->mode != 64 || segment == SEG_FS || segment == SEG_GS)
        sum += c->base[segment];
    *address = c->mode == 64 ? sum : (u32)sum;
    return true;
}

static u32 address_bits(const struct reader *r, u32 mode)
{
    if (!r->address_prefix)
        return mode;
    return mode == 32 ? 16 : 32;
}

/* 0F 01: a group of instructions; ModRM.reg says which. */
static void group(struct reader *r, const struct insn_context *c, struct insn *out)
{
    u32 rm;

    modrm(r);
    rm = r->rm | (r->rex & 1u) << 3;
    switch (r->reg & 7) {
    case 4: /* SMSW */
        if (r->mod != 3)
            return;
        *out = (struct insn){ .op = INSN_CR_READ, .number = 0, .reg = rm,
                              .bytes = r->rex & 8 ? 8 : r->operand_prefix != (c->mode == 16) ? 2 : 4 };
        return;
    case 6: /* LMSW sets PE, but does not clear it */
        if (r->mod != 3)
            return;
        *out = (struct insn){ .op = INSN_CR_WRITE, .number = 0,
                              .value = (c->cr0 & ~0xeull) | (register_read(c, rm) & 0xf) };
        return;
    case 7:
        if (r->mod == 3)
            return;
        out->op = effective_address(r, c, address_bits(r, c->mode), &out->value) ? INSN_INVLPG : INSN_INVLPG_ALL;
        return;
    default:
        return;
    }
}

struct insn insn_decode(const u8 *code, u32 size, const struct insn_context *c)
{
    struct reader r = { .code = code, .size = size, .segment = SEG_DEFAULT };
    struct insn out = { .op = INSN_UNKNOWN };
    u32 rm;

    if (prefixes(&r, c->mode) != 0x0f)
        return out;
    switch (next(&r)) {
    case 0x01: group(&r, c, &out); break;
    case 0x06: out = (struct insn){ .op = INSN_CR_WRITE, .number = 0, .value = c->cr0 & ~CR0_TS }; break;
    case 0x20: /* MOV takes ModRM.mod for 3 */
    case 0x22:
        modrm(&r);
        rm = r.rm | (r.rex & 1u) << 3;
        out = (struct insn){ .op = code[r.at - 2] == 0x22 ? INSN_CR_WRITE : INSN_CR_READ, .number = r.reg, .reg = rm,
                             .bytes = c->mode == 64 ? 8 : 4 };
        out.value = c->mode == 64 ? register_read(c, rm) : (u32)register_read(c, rm);
        break;
    default: break;
    }
    out.length = r.at;
    return r.ended ? (struct insn){ .op = INSN_UNKNOWN } : out;
}
