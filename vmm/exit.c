/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of a vCPU. A patched guest has few: CPUID and MSRs while it boots, START and RECALL for its vCPUs. What a
 * handler does not understand ends the guest with a report, rather than being passed over.
 */
#include "vcpu.h"

#include <corbel.h>
#include <corbel/boot.h>

#include "cpuid.h"
#include "dev/dev.h"
#include "machine.h"
#include "msr.h"

#define VECTOR_UD 6u
#define VECTOR_GP 13u

/* Instruction lengths, where the hardware does not say (corbel/state.h). None of them takes a useful prefix. */
#define LENGTH_CPUID 2u
#define LENGTH_MSR 2u
#define LENGTH_XSETBV 3u
#define LENGTH_WBINVD 2u

#define ATTR_DPL(attr) ((attr) >> 5 & 3u)

static const uint32_t groups[CB_EXIT_COUNT] = {
    [CB_EXIT_START] = CB_GROUPS_VCPU,
    [CB_EXIT_RECALL] = CB_GROUPS_VCPU,
    [CB_EXIT_INVALID] = CB_GROUPS_VCPU,
    [CB_EXIT_SHUTDOWN] = CB_GROUPS_VCPU,
    [CB_EXIT_CPUID] = CB_GROUP_ACDB | CB_GROUP_QUAL,
    [CB_EXIT_IO] = CB_GROUP_ACDB | CB_GROUP_QUAL,
    [CB_EXIT_RDMSR] = CB_GROUP_INJECT | CB_GROUP_ACDB | CB_GROUP_SYSCALL,
    [CB_EXIT_WRMSR] = CB_GROUP_INJECT | CB_GROUP_ACDB | CB_GROUP_CR | CB_GROUP_SYSCALL,
    [CB_EXIT_CR] = CB_GROUPS_VCPU,
    [CB_EXIT_HLT] = CB_GROUPS_VCPU,
    [CB_EXIT_MEMORY] = CB_GROUPS_VCPU,
    [CB_EXIT_EXCEPTION] = CB_GROUPS_VCPU,
    [CB_EXIT_WINDOW] = CB_GROUPS_VCPU,
    [CB_EXIT_NMI_WINDOW] = CB_GROUPS_VCPU,
    [CB_EXIT_INSTRUCTION] = CB_GROUP_INJECT | CB_GROUP_ACDB | CB_GROUP_QUAL | CB_GROUP_CS_SS | CB_GROUP_CTRL,
    [CB_EXIT_OTHER] = CB_GROUPS_VCPU,
};

uint32_t exit_groups(uint32_t class)
{
    return groups[class];
}

static const char *exit_name(uint32_t class)
{
    switch (class) {
#define NAME(number, name) \
    case number: return #name;
        CB_EXITS(NAME)
#undef NAME
    default: return "?";
    }
}

/* The message of an exit has the length of the instruction, if the hardware says; the reply, by how much to advance. */
static uint32_t skip(struct cb_args *message, uint32_t length)
{
    message->a1 = message->a2 ? message->a2 : length;
    return CB_GROUP_SKIP;
}

static uint32_t inject(struct cb_state *state, uint32_t vector)
{
    state->inject = CB_INJECT_VALID | CB_INJECT_TYPE_EXCEPTION | vector;
    state->inject_error = 0;
    if (vector == VECTOR_GP)
        state->inject |= CB_INJECT_ERROR;
    return CB_GROUP_INJECT;
}

static uint32_t do_cpuid(const struct vcpu *vcpu, struct cb_args *message, struct cb_state *state)
{
    const struct cpuid_machine what = {
        .vcpu_count = machine.vcpu_count,
        .vmcall = (task_info()->features & CB_FEATURE_VMX) != 0,
        .nested = (task_info()->features & CB_FEATURE_NESTED) != 0,
        .event_page = machine_event_page(0),
        .console_page = machine.console_page,
        .console_signal = machine.console_signal,
        .console_port = machine.console_port,
        .tsc_khz = clock_khz,
        .wall_ns = clock_wall_ns,
    };
    const struct cpuid_vcpu who = {.number = vcpu->number, .cr4 = state->qual[0], .xcr0 = state->qual[1]};
    struct cpuid_regs r = cpuid_answer(&what, &who, (uint32_t)state->rax, (uint32_t)state->rcx);

    state->rax = r.eax;
    state->rbx = r.ebx;
    state->rcx = r.ecx;
    state->rdx = r.edx;
    return CB_GROUP_ACDB | skip(message, LENGTH_CPUID);
}

static uint32_t do_rdmsr(const struct vcpu *vcpu, struct cb_args *message, struct cb_state *state)
{
    uint64_t value;

    if (!msr_read(state, vcpu->number, (uint32_t)state->rcx, &value))
        return inject(state, VECTOR_GP);
    state->rax = (uint32_t)value;
    state->rdx = value >> 32;
    return CB_GROUP_ACDB | skip(message, LENGTH_MSR);
}

static uint32_t do_wrmsr(struct cb_args *message, struct cb_state *state)
{
    uint64_t value = state->rdx << 32 | (uint32_t)state->rax;

    if (!msr_write(state, (uint32_t)state->rcx, value))
        return inject(state, VECTOR_GP);
    return CB_GROUP_SYSCALL | skip(message, LENGTH_MSR);
}

/* There is nothing at the I/O ports: reads give ones. A string read leaves memory as it is. */
static uint32_t do_io(struct cb_args *message, struct cb_state *state)
{
    uint64_t what = state->qual[0];
    uint32_t width = CB_IO_WIDTH(what);

    if (message->a2 == 0)
        task_exit(CB_EXIT_REASON_FAILED, "an I/O exit without the instruction's length");
    if ((what & CB_IO_STRING) != 0) {
        if ((what & CB_IO_REP) != 0)
            state->rcx = 0;
    } else if ((what & CB_IO_IN) != 0) {
        uint64_t ones = width == 4 ? 0xffffffff : width == 2 ? 0xffff : 0xff;

        state->rax = width == 4 ? ones : state->rax | ones;
    } else {
        if (width == 4 && CB_IO_PORT(what) == CB_GUEST_PORT_VERSION)
            task_exit(CB_EXIT_REASON_FAILED, "kernel: it knows version %u of the interface, but this is version %u",
                      (uint32_t)state->rax, CB_ABI_VERSION);
        if (width == 1)
            serial_write(CB_IO_PORT(what), (uint8_t)state->rax);
        return skip(message, 0);
    }
    return CB_GROUP_ACDB | skip(message, 0);
}

static uint32_t do_instruction(struct cb_args *message, struct cb_state *state)
{
    uint64_t value = state->rdx << 32 | (uint32_t)state->rax;

    switch (state->qual[0]) {
    case CB_INSN_XSETBV:
        if ((uint32_t)state->rcx != 0 || ATTR_DPL(state->ss.attr) != 0 || !cpuid_xcr0_valid(value))
            return inject(state, VECTOR_GP);
        state->xcr0 = value;
        return CB_GROUP_CTRL | skip(message, LENGTH_XSETBV);
    case CB_INSN_WBINVD:
    case CB_INSN_INVD: /* no device sees the guest's memory past the caches */
        return skip(message, LENGTH_WBINVD);
    case CB_INSN_RDPMC:
        return inject(state, VECTOR_GP);
    default: /* CPUID does not offer it */
        return inject(state, VECTOR_UD);
    }
}

static _Noreturn void crash_memory(const struct vcpu *vcpu, const struct cb_state *state)
{
    uint64_t how = state->qual[0];
    const char *access = (how & CB_MEMORY_EXEC) ? "execution" : (how & CB_MEMORY_WRITE) ? "write" : "read";

    task_exit(CB_EXIT_REASON_CRASHED, "%s at guest-physical 0x%lx, where it has no memory%s: vCPU %u, rip 0x%lx",
              access, state->qual[1], (how & CB_MEMORY_TABLE) ? " (page table walk)" : "", vcpu->number,
              state->rip);
}

static _Noreturn void crash(const struct vcpu *vcpu, uint32_t class, const struct cb_state *state)
{
    if (class == CB_EXIT_SHUTDOWN)
        task_exit(CB_EXIT_REASON_CRASHED,
                  "triple fault at rip 0x%lx: vCPU %u, rsp 0x%lx, cr0 0x%lx, cr2 0x%lx, cr3 0x%lx, cr4 0x%lx",
                  state->rip, vcpu->number, state->rsp, state->cr0, state->cr2, state->cr3, state->cr4);
    task_exit(CB_EXIT_REASON_CRASHED, "unexpected exit %s (0x%lx, 0x%lx) at rip 0x%lx: vCPU %u, efer 0x%lx",
              exit_name(class), state->qual[0], state->qual[1], state->rip, vcpu->number, state->efer);
}

uint32_t exit_handle(struct vcpu *vcpu, uint32_t class, struct cb_args *message, struct cb_state *state)
{
    switch (class) {
    case CB_EXIT_START:
        return vcpu_enter(vcpu, state);
    case CB_EXIT_RECALL:
        if (__atomic_load_n(&vcpu->state, __ATOMIC_RELAXED) == VCPU_RUNNING)
            return 0; /* it did not ask to stop */
        return vcpu_enter(vcpu, state);
    case CB_EXIT_CPUID:
        return do_cpuid(vcpu, message, state);
    case CB_EXIT_RDMSR:
        return do_rdmsr(vcpu, message, state);
    case CB_EXIT_WRMSR:
        return do_wrmsr(message, state);
    case CB_EXIT_IO:
        return do_io(message, state);
    case CB_EXIT_INSTRUCTION:
        return do_instruction(message, state);
    case CB_EXIT_MEMORY:
        crash_memory(vcpu, state);
    default:
        crash(vcpu, class, state);
    }
}
