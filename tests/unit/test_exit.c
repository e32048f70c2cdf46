/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of a vCPU, one after the other: what the VMM makes of the state, which groups its reply has, by how much the guest
 * goes on, and what ends it. The state is noise, but for what an exit delivers; and nothing changes beyond the groups of
 * the reply.
 */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <corbel.h>
#include <corbel/boot.h>

#include "cpuid.h"
#include "machine.h"
#include "msr.h"
#include "random.h"
#include "vcpu.h"

#define UD 6u
#define GP 13u
#define LSTAR 0xc0000082u
#define NO_MSR 0x12345678u
#define PORT 0x3f8u

struct cb_task_info task_fake = {.features = CB_FEATURE_NESTED};
struct machine machine = {.vcpu_count = 2, .special = 0x8000000, .console_page = 0x8060000};
uint64_t clock_khz = 1000, clock_wall_ns = 1;

static struct vcpu vcpu = {.number = 1};
static struct cb_state state, before;
static struct cb_args message;
static jmp_buf ended;
static uint64_t reason; /* of the end */
static char text[256];
static unsigned entered, written;

/* ---- What exit.c calls ---- */

uint32_t vcpu_enter(struct vcpu *which, struct cb_state *to)
{
    cr_assert(which == &vcpu && to == &state);
    entered++;
    return CB_GROUPS_VCPU & ~CB_GROUP_QUAL;
}

bool serial_write(uint16_t port, uint8_t value);
bool serial_write(uint16_t port, uint8_t value)
{
    cr_assert(port == PORT && value == (uint8_t)before.rax);
    written++;
    return true;
}

_Noreturn void task_exit(uint64_t why, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    reason = why;
    longjmp(ended, 1);
}

/* ---- The groups ---- */

#define FIELD(group, first, last)                                                                             \
    {CB_GROUP_##group, offsetof(struct cb_state, first), offsetof(struct cb_state, last) + sizeof(state.last)}

static const struct {
    uint32_t group;
    size_t from, to;
} fields[] = {
    FIELD(ACDB, rax, rbx), FIELD(RSP, rsp, rsp), FIELD(BSD, rbp, rdi), FIELD(R8_R15, r8, r15), FIELD(RIP, rip, insn_len),
    FIELD(RFLAGS, rflags, rflags), FIELD(QUAL, qual, qual), FIELD(CR, cr0, cr8), FIELD(DR, dr6, dr7),
    FIELD(CS_SS, cs, ss), FIELD(DS_ES_FS_GS, ds, gs), FIELD(LDTR_TR, ldtr, tr), FIELD(GDTR_IDTR, gdtr, idtr),
    FIELD(SYSCALL, efer, pat), FIELD(INJECT, inject, upcall_vector), FIELD(CTRL, ctrl, tsc_offset),
    FIELD(VAPIC, apic, apic_page),
};

static void set_noise(void)
{
    for (size_t i = 0; i < sizeof(state) / 8; i++)
        ((uint64_t *)(void *)&state)[i] = random_next();
    message = (struct cb_args){0};
    entered = written = 0;
    text[0] = 0;
    reason = UINT64_MAX;
}

/* Handles an exit. The groups of the reply; 0 with `reason` set if it ended the guest. */
static uint32_t handle(uint32_t class)
{
    uint32_t groups;

    before = state;
    if (setjmp(ended))
        return 0;
    message.a1 = class;
    groups = exit_handle(&vcpu, class, &message, &state);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        size_t from = fields[i].from, size = fields[i].to - from;

        if (!(groups & fields[i].group))
            cr_assert(memcmp((char *)&state + from, (char *)&before + from, size) == 0, "class %u: group %x", class,
                      fields[i].group);
        else if (entered == 0)
            cr_assert(exit_groups(class) & fields[i].group, "class %u: group %x was not asked for", class, fields[i].group);
    }
    return groups;
}

/* The guest goes on behind the instruction, as long as the hardware says, or as it is known to be. */
static void expect_skip(uint32_t class, void (*prepare)(void), uint32_t groups, uint32_t length)
{
    for (uint64_t said = length ? 0 : 1; said <= 15; said++) {
        set_noise();
        prepare();
        message.a2 = said;
        cr_assert_eq(handle(class), groups | CB_GROUP_SKIP, "%s", text);
        cr_assert_eq(message.a1, said ? said : length);
    }
}

static void expect_injected(uint32_t class, uint32_t vector, bool error)
{
    cr_assert_eq(handle(class), CB_GROUP_INJECT, "%s", text);
    cr_assert_eq(state.inject, CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | vector | (error ? CB_INJECT_ERROR : 0));
    cr_assert_eq(state.inject_error, 0);
}

static void expect_end(uint32_t class, uint64_t why, const char *words)
{
    handle(class);
    cr_assert_eq(reason, why);
    cr_assert(strstr(text, words), "%s", text);
}

/* ---- Tests ---- */

static void known_leaf(void)
{
    state.rax = random_next() << 32 | CB_CPUID_FEATURES;
}

Test(exit, cpuid)
{
    expect_skip(CB_EXIT_CPUID, known_leaf, CB_GROUP_ACDB, 2);
    cr_assert(state.rax == CB_ABI_VERSION && state.rbx == 2 && state.rcx == (0x8000000 >> 12) && state.rdx == 0);
    set_noise();
    state.rax = CB_CPUID_CONSOLE;
    handle(CB_EXIT_CPUID);
    cr_assert_eq(state.rax, 0x8060000 >> 12);
    machine.console_page = 0;
    state.rax = CB_CPUID_CONSOLE;
    handle(CB_EXIT_CPUID);
    cr_assert_eq(state.rax, 0, "there is no console");
}

static void good_msr(void)
{
    state.rcx = random_next() << 32 | LSTAR;
    state.lstar = 0xffffffff81000000 | (random_next() & 0xffff);
}

static void good_value(void)
{
    good_msr();
    state.rax = random_next() << 32 | 0x81000000u | (random_next() & 0xffff);
    state.rdx = random_next() << 32 | 0x7fff;
}

Test(exit, msrs)
{
    expect_skip(CB_EXIT_RDMSR, good_msr, CB_GROUP_ACDB, 2);
    cr_assert(state.rax == (uint32_t)before.lstar && state.rdx == before.lstar >> 32);
    expect_skip(CB_EXIT_WRMSR, good_value, CB_GROUP_SYSCALL, 2);
    cr_assert_eq(state.lstar, (0x7fffull << 32 | (uint32_t)before.rax), "only the lower halves count");
    set_noise();
    state.rcx = NO_MSR;
    expect_injected(CB_EXIT_RDMSR, GP, true);
    set_noise();
    state.rcx = NO_MSR;
    expect_injected(CB_EXIT_WRMSR, GP, true);
    set_noise();
    state.rcx = LSTAR;
    state.rdx = 0x80000000; /* not canonical */
    expect_injected(CB_EXIT_WRMSR, GP, true);
}

static uint64_t io;

static void access_port(void)
{
    state.qual[0] = io;
}

Test(exit, ports)
{
    static const uint64_t ones[5] = {[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff};

    for (uint32_t width = 1; width <= 4; width *= 2) {
        io = PORT | width << 16 | CB_IO_IN;
        expect_skip(CB_EXIT_IO, access_port, CB_GROUP_ACDB, 0);
        cr_assert_eq(state.rax, width == 4 ? ones[4] : before.rax | ones[width]);
        io = PORT | width << 16;
        expect_skip(CB_EXIT_IO, access_port, 0, 0);
        cr_assert_eq(written, width == 1);
        io = PORT | width << 16 | CB_IO_STRING | CB_IO_REP | (random_below(2) ? CB_IO_IN : 0);
        expect_skip(CB_EXIT_IO, access_port, CB_GROUP_ACDB, 0);
        cr_assert(state.rcx == 0 && state.rax == before.rax && written == 0);
        io = PORT | width << 16 | CB_IO_STRING;
        expect_skip(CB_EXIT_IO, access_port, CB_GROUP_ACDB, 0);
        cr_assert(state.rcx == before.rcx && written == 0);
    }
    set_noise();
    state.qual[0] = PORT | 1 << 16;
    expect_end(CB_EXIT_IO, CB_EXIT_REASON_FAILED, "without the instruction's length");
    set_noise();
    message.a2 = 1;
    state.qual[0] = CB_GUEST_PORT_VERSION | 4 << 16;
    state.rax = 99;
    expect_end(CB_EXIT_IO, CB_EXIT_REASON_FAILED, "it knows version 99 of the interface");
}

static uint64_t instruction;

static void other_instruction(void)
{
    state.qual[0] = instruction;
}

static void set_xcr0(uint64_t value, uint16_t dpl, uint32_t number)
{
    set_noise();
    state.qual[0] = CB_INSN_XSETBV;
    state.rcx = random_next() << 32 | number;
    state.rax = random_next() << 32 | (uint32_t)value;
    state.rdx = random_next() << 32 | value >> 32;
    state.ss.attr = (uint16_t)((state.ss.attr & ~0x60) | dpl << 5);
}

Test(exit, other_instructions)
{
    for (instruction = CB_INSN_WBINVD; instruction <= CB_INSN_INVD; instruction++)
        expect_skip(CB_EXIT_INSTRUCTION, other_instruction, 0, 2);
    for (uint64_t insn = 0; insn < 16; insn++) {
        if (insn >= CB_INSN_XSETBV && insn <= CB_INSN_INVD)
            continue;
        set_noise();
        state.qual[0] = insn;
        expect_injected(CB_EXIT_INSTRUCTION, insn == CB_INSN_RDPMC ? GP : UD, insn == CB_INSN_RDPMC);
    }
    if (cpuid_xcr0()) {
        set_xcr0(1, 0, 0);
        cr_assert_eq(handle(CB_EXIT_INSTRUCTION), CB_GROUP_CTRL | CB_GROUP_SKIP);
        cr_assert(state.xcr0 == 1 && message.a1 == 3);
    }
    set_xcr0(1, 3, 0);
    expect_injected(CB_EXIT_INSTRUCTION, GP, true);
    set_xcr0(1, 0, 1);
    expect_injected(CB_EXIT_INSTRUCTION, GP, true);
    set_xcr0(0, 0, 0);
    expect_injected(CB_EXIT_INSTRUCTION, GP, true);
    set_xcr0(1ull << 62 | 1, 0, 0);
    expect_injected(CB_EXIT_INSTRUCTION, GP, true);
}

Test(exit, starts_and_stops)
{
    set_noise();
    handle(CB_EXIT_START);
    cr_assert_eq(entered, 1);
    set_noise();
    vcpu.state = VCPU_RUNNING;
    cr_assert_eq(handle(CB_EXIT_RECALL), 0, "it did not ask to stop");
    cr_assert_eq(entered, 0);
    vcpu.state = VCPU_STOPPED;
    handle(CB_EXIT_RECALL);
    cr_assert_eq(entered, 1);
}

Test(exit, what_ends_the_guest)
{
    static const uint32_t unexpected[] = {CB_EXIT_INVALID, CB_EXIT_CR, CB_EXIT_HLT, CB_EXIT_EXCEPTION, CB_EXIT_WINDOW,
                                          CB_EXIT_NMI_WINDOW, CB_EXIT_OTHER, CB_EXIT_COUNT};

    for (size_t i = 0; i < sizeof(unexpected) / sizeof(unexpected[0]); i++) {
        set_noise();
        expect_end(unexpected[i], CB_EXIT_REASON_CRASHED, "unexpected exit ");
    }
    set_noise();
    expect_end(CB_EXIT_SHUTDOWN, CB_EXIT_REASON_CRASHED, "triple fault at rip ");
    set_noise();
    state.qual[0] = CB_MEMORY_WRITE;
    state.qual[1] = 0x123000;
    expect_end(CB_EXIT_MEMORY, CB_EXIT_REASON_CRASHED, "write at guest-physical 0x123000, where it has no memory: vCPU 1");
    set_noise();
    state.qual[0] = CB_MEMORY_EXEC | CB_MEMORY_TABLE;
    expect_end(CB_EXIT_MEMORY, CB_EXIT_REASON_CRASHED, "(page table walk)");
}
