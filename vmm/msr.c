/* SPDX-License-Identifier: GPL-2.0-only */
#include "msr.h"

#include "cpuid.h"

#include <stddef.h>
#include <string.h>

#define MSR_TSC 0x10u
#define MSR_APIC_BASE 0x1bu
#define MSR_PAT 0x277u
#define MSR_EFER 0xc0000080u
#define APIC_BASE_BSP 0x100u
#define APIC_BASE_ADDRESS 0xfee00000u

#define EFER_LMA 0x400ull /* APM 2, 3.1.7 */
#define EFER_LME 0x100ull
#define CR0_PG 0x80000000ull

/* Registers that are state: where, and which values they take. */
enum msr_kind { MSR_PLAIN, MSR_ADDRESS, MSR_KIND_PAT, MSR_KIND_EFER };

static const struct {
    uint32_t msr;
    uint16_t offset; /* in struct cb_state */
    uint16_t kind;
} registers[] = {
    {0x174, offsetof(struct cb_state, sysenter_cs), MSR_PLAIN},
    {0x175, offsetof(struct cb_state, sysenter_esp), MSR_ADDRESS},
    {0x176, offsetof(struct cb_state, sysenter_eip), MSR_ADDRESS},
    {MSR_PAT, offsetof(struct cb_state, pat), MSR_KIND_PAT},
    {MSR_EFER, offsetof(struct cb_state, efer), MSR_KIND_EFER},
    {0xc0000081, offsetof(struct cb_state, star), MSR_PLAIN},
    {0xc0000082, offsetof(struct cb_state, lstar), MSR_ADDRESS},
    {0xc0000083, offsetof(struct cb_state, cstar), MSR_ADDRESS},
    {0xc0000084, offsetof(struct cb_state, fmask), MSR_PLAIN},
    {0xc0000102, offsetof(struct cb_state, kernel_gs_base), MSR_ADDRESS},
};

/* Registers that read as a constant and take writes without effect. */
static const struct {
    uint32_t msr;
    uint32_t value;
} constants[] = {
    {0x17, 0},             /* PLATFORM_ID: Intel, for the microcode's revision */
    {0x8b, 0},             /* PATCH_LEVEL, BIOS_SIGN_ID: no microcode revision */
    {0x1a0, 1},            /* MISC_ENABLE: Intel; fast strings */
    {0x1d9, 0},            /* DEBUGCTL: nothing is traced */
    {0xc0010010, 0},       /* SYSCFG: no memory encryption */
    {0xc0010015, 1 << 24}, /* HWCR: the TSC counts with the frequency of P0 (Linux complains otherwise) */
    {0xc001001f, 0},       /* NB_CFG: Linux turns on extended access to PCI configuration space, which is not there */
    {0xc0011029, 1 << 1},  /* DE_CFG: LFENCE serializes */
};

static const void *register_at(const struct cb_state *state, uint32_t msr, enum msr_kind *kind)
{
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (registers[i].msr == msr) {
            *kind = registers[i].kind;
            return (const uint8_t *)state + registers[i].offset;
        }
    }
    return NULL;
}

bool msr_read(const struct cb_state *state, uint32_t vcpu, uint32_t msr, uint64_t *value)
{
    enum msr_kind kind;
    const void *at = register_at(state, msr, &kind);

    if (at) {
        memcpy(value, at, sizeof(*value));
        return true;
    }
    if (msr == MSR_TSC) {
        *value = __builtin_ia32_rdtsc();
        return true;
    }
    if (msr == MSR_APIC_BASE) {
        /* There is no APIC; but Linux asks here whether it runs on the boot CPU. */
        *value = APIC_BASE_ADDRESS | (vcpu == 0 ? APIC_BASE_BSP : 0);
        return true;
    }
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        if (constants[i].msr == msr) {
            *value = constants[i].value;
            return true;
        }
    }
    return false;
}

/* APM 2, 7.8.1: each byte is a memory type. */
static bool pat_valid(uint64_t pat)
{
    for (int shift = 0; shift < 64; shift += 8) {
        uint64_t type = pat >> shift & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static bool canonical(uint64_t address)
{
    int64_t high = (int64_t)address >> 47;

    return high == 0 || high == -1;
}

static bool acceptable(const struct cb_state *state, enum msr_kind kind, uint64_t *value)
{
    switch (kind) {
    case MSR_ADDRESS:
        return canonical(*value);
    case MSR_KIND_PAT:
        return pat_valid(*value);
    case MSR_KIND_EFER: /* LMA is the CPU's; LME does not change while paging is on */
        if ((*value & ~(cpuid_efer() | EFER_LMA)) != 0)
            return false;
        if ((state->cr0 & CR0_PG) != 0 && ((*value ^ state->efer) & EFER_LME) != 0)
            return false;
        *value = (*value & ~EFER_LMA) | (state->efer & EFER_LMA);
        return true;
    default:
        return true;
    }
}

bool msr_write(struct cb_state *state, uint32_t msr, uint64_t value)
{
    enum msr_kind kind;
    const void *at = register_at(state, msr, &kind);

    if (at) {
        if (!acceptable(state, kind, &value))
            return false;
        memcpy((uint8_t *)state + ((const uint8_t *)at - (const uint8_t *)state), &value, sizeof(value));
        return true;
    }
    if (msr == MSR_APIC_BASE)
        return true;
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        if (constants[i].msr == msr)
            return true;
    return false;
}
