/* SPDX-License-Identifier: GPL-2.0-only */
/* Model-specific registers: whatever a guest writes, what becomes of its state is something that the hardware takes. */
#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

#include "cpuid.h"
#include "msr.h"
#include "random.h"

#define MSR_PAT 0x277u
#define MSR_EFER 0xc0000080u
#define MSR_LSTAR 0xc0000082u
#define EFER_SCE 0x1ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define EFER_NXE 0x800ull
#define EFER_SVME 0x1000ull
#define EFER_FFXSR 0x4000ull
#define CR0_PG 0x80000000ull

static uint64_t offered; /* what CPUID lets a guest set in EFER */
static struct cb_state state;

uint64_t cpuid_efer(void)
{
    return offered;
}

/* The registers that are state, with a value that each of them takes, and where it goes. */
static const struct {
    uint32_t msr;
    size_t offset;
    uint64_t value;
} registers[] = {
    {0x174, offsetof(struct cb_state, sysenter_cs), 0x10},
    {0x175, offsetof(struct cb_state, sysenter_esp), 0xffffffff81234568},
    {0x176, offsetof(struct cb_state, sysenter_eip), 0xffffffff81000000},
    {MSR_PAT, offsetof(struct cb_state, pat), 0x0007040600070406},
    {MSR_EFER, offsetof(struct cb_state, efer), EFER_SCE},
    {0xc0000081, offsetof(struct cb_state, star), 0x0023001000000000},
    {MSR_LSTAR, offsetof(struct cb_state, lstar), 0x00007fffffffffff},
    {0xc0000083, offsetof(struct cb_state, cstar), 0xffff800000000000},
    {0xc0000084, offsetof(struct cb_state, fmask), 0x47700},
    {0xc0000102, offsetof(struct cb_state, kernel_gs_base), 0xffff888000000000},
};

static bool write(uint32_t msr, uint64_t value)
{
    struct cb_state before = state;
    bool taken = msr_write(&state, msr, value);

    if (!taken)
        cr_assert_eq(memcmp(&before, &state, sizeof(state)), 0, "%x was refused, and changed the state", msr);
    return taken;
}

static void setup(void)
{
    memset(&state, 0, sizeof(state));
    offered = EFER_SCE | EFER_LME | EFER_NXE;
}

TestSuite(msr, .init = setup);

Test(msr, registers_are_state)
{
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        uint64_t *field = (uint64_t *)(void *)((uint8_t *)&state + registers[i].offset), value;
        struct cb_state before = state;

        cr_assert(write(registers[i].msr, registers[i].value), "%x", registers[i].msr);
        cr_assert_eq(*field, registers[i].value, "%x", registers[i].msr);
        cr_assert(msr_read(&state, 0, registers[i].msr, &value) && value == registers[i].value, "%x", registers[i].msr);
        *field = 0;
        cr_assert_eq(memcmp(&before, &state, sizeof(state)), 0, "%x changes other fields, too", registers[i].msr);
    }
}

Test(msr, addresses_are_canonical)
{
    static const uint64_t wrong[] = {0x0000800000000000, 0xffff7fffffffffff, 0x8000000000000000, 0x7fffffffffffffff};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(write(MSR_LSTAR, wrong[i]), "%llx", (unsigned long long)wrong[i]);
}

Test(msr, pat_has_memory_types_alone)
{
    for (uint64_t type = 0; type < 256; type++)
        for (int shift = 0; shift < 64; shift += 8)
            cr_assert_eq(write(MSR_PAT, type << shift), type <= 7 && type != 2 && type != 3, "%u", (unsigned)type);
}

Test(msr, efer_has_what_cpuid_offers)
{
    cr_assert(write(MSR_EFER, offered));
    cr_assert_not(write(MSR_EFER, EFER_SVME));
    cr_assert_not(write(MSR_EFER, EFER_FFXSR));
    offered |= EFER_FFXSR;
    cr_assert(write(MSR_EFER, EFER_FFXSR));
    offered = EFER_SCE | EFER_LME;
    cr_assert_not(write(MSR_EFER, EFER_NXE));
}

/* LMA is the processor's, and LME does not change under a guest that pages. */
Test(msr, efer_keeps_the_mode)
{
    cr_assert(write(MSR_EFER, EFER_LME | EFER_LMA));
    cr_assert_eq(state.efer, EFER_LME);
    state.efer |= EFER_LMA;
    state.cr0 = CR0_PG;
    cr_assert_not(write(MSR_EFER, EFER_SCE));
    cr_assert(write(MSR_EFER, EFER_LME | EFER_SCE));
    cr_assert_eq(state.efer, EFER_LME | EFER_LMA | EFER_SCE);
}

Test(msr, boot_cpu)
{
    uint64_t first, other;

    cr_assert(msr_read(&state, 0, 0x1b, &first) && msr_read(&state, 1, 0x1b, &other));
    cr_assert_eq(first ^ other, 0x100);
    cr_assert(write(0x1b, UINT64_MAX));
    cr_assert_eq(state.rax | state.efer | state.lstar, 0);
}

/* Whatever is read and written: what is not known is refused both ways, and nothing outside of the known fields changes. */
Test(msr, noise)
{
    static const uint32_t bases[] = {0, 0x170, 0x270, 0xc0000080, 0xc0000100, 0xc0010000, 0xc0011020};

    for (unsigned round = 0; round < 200000; round++) {
        uint32_t msr = bases[random_below(sizeof(bases) / sizeof(bases[0]))] + (uint32_t)random_below(48);
        uint64_t value = random_next(), seen;
        bool known = msr_read(&state, 0, msr, &seen), taken = write(msr, value);

        cr_assert(known || !taken, "%x is written, but not read", msr);
    }
    cr_assert_eq(state.rip | state.cr0 | state.cr3 | state.cr4 | state.rsp, 0);
    cr_assert_eq(state.efer & ~offered, 0);
}
