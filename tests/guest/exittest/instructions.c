/* SPDX-License-Identifier: GPL-2.0-only */
/* Instructions that leave the guest. */
#include "exittest.h"

#include <string.h>

#define LENGTH_CPUID 2u
#define LENGTH_MSR 2u
#define VECTOR_DB 1u
#define DR6_STEP 0x4000ull
#define SEL_TASK 0x30u
#define DR7_FIRST 0x401ull /* L0 */
#define CR4_PAE 0x20ull
#define CR4_MCE 0x40ull
#define CR4_UMIP 0x800ull
#define CR4_OSXSAVE 0x40000ull
#define CPUID_UMIP 0x4u /* leaf 7, ECX */
#define MSR_UNKNOWN 0x12345u
#define MSR_FAR 0x4b564d00u /* outside of what the bitmaps cover */

#define EXPECT_CPUID(label) \
    EXPECT_EACH(CB_EXIT_CPUID, vm_address(label), vendor_length(LENGTH_CPUID), now.cr4, now.xcr0)

/* Sent again until it is answered with an instruction pointer. */
void test_start(void)
{
    vm_make();
    EXPECT_EACH(CB_EXIT_START, now.rip, 0);
    vm_state(AT_hlt, false);
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    CHECK_EQUAL(vm_counter(CB_EXIT_START), GROUP_SETS + 1);
}

void test_cpuid(void)
{
    CHECK(vm_start(AT_cpuid));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_CPUID(AT_cpuid);
    now.rax = 0xfedcba9876543210;
    now.rbx = now.rcx = 7;
    vm_reply(CB_GROUP_ACDB | CB_GROUP_SKIP, LENGTH_CPUID);
    EXPECT_HLT(AT_cpuid_end);
}

/* The instructions of `io`, in pairs of 1, 2 and 4 bytes. */
static const struct {
    uint8_t length; /* without the prefix of an operand that is not of the usual size */
    bool in, fixed;
    uint16_t port;
} ios[] = {
    {2, true, true, 0x10},
    {1, true, false, 0},
    {2, false, true, 0x20},
    {1, false, false, 0},
};

static uint64_t prefix(uint32_t width)
{
    return width == (mode == REAL ? 4 : 2) ? 1 : 0;
}

/* Only what an IN reads changes: 4 bytes clear the upper half in any mode. */
static void answer_in(uint32_t width)
{
    uint64_t mask = width == 1 ? 0xff : width == 2 ? 0xffff : UINT64_MAX;

    now.rax = (now.rax & ~mask) | (0x89abcdefull & mask);
}

void test_io(void)
{
    uint64_t at;

    CHECK(vm_start(AT_io));
    at = now.rip;
    now.rdx = 0xffee;
    vm_reply(CB_GROUPS_VCPU, 0);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t width = 1u << i % 3, row = i / 3, port = ios[row].fixed ? ios[row].port + i % 3 * 2 : 0xffee;
        uint64_t length = ios[row].length + prefix(width);

        EXPECT_EACH(CB_EXIT_IO, at, length, port | width << 16 | (ios[row].in ? CB_IO_IN : 0), at + length);
        if (ios[row].in)
            answer_in(width);
        vm_reply(CB_GROUP_SKIP | (ios[row].in ? CB_GROUP_ACDB : 0), length);
        at += length;
    }
    EXPECT_HLT(AT_io_end);
}

/* The VMM moves the data; the hypervisor says what is to be moved, and how often is in rcx. */
void test_strings(void)
{
    uint64_t at;

    CHECK(vm_start(AT_strings));
    at = now.rip;
    now.rdx = 0x1234;
    now.rcx = 3;
    vm_reply(CB_GROUPS_VCPU, 0);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t width = 1u << i % 3;
        bool rep = i >= 6, in = i / 3 % 2 == 0;
        uint64_t length = 1 + prefix(width) + rep;
        uint64_t what = 0x1234 | width << 16 | vendor_string(in) | (rep ? CB_IO_REP : 0);


        EXPECT_EACH(CB_EXIT_IO, at, length, what, at + length);
        if (in)
            now.rdi += width * (rep ? 3 : 1);
        else
            now.rsi += width * (rep ? 3 : 1);
        vm_reply(CB_GROUP_BSD | CB_GROUP_SKIP, length);
        at += length;
    }
    EXPECT_HLT(AT_strings_end);
}

void test_msr(void)
{
    CHECK(vm_start(AT_rdmsr));
    now.rcx = MSR_UNKNOWN;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_RDMSR, vm_address(AT_rdmsr), vendor_length(LENGTH_MSR));
    now.rax = 1;
    now.rdx = 2;
    now.rcx = MSR_FAR;
    vm_reply(CB_GROUP_ACDB | CB_GROUP_SKIP, LENGTH_MSR);
    EXPECT_EACH(CB_EXIT_WRMSR, vm_address(AT_wrmsr), vendor_length(LENGTH_MSR));
    vm_reply(CB_GROUP_SKIP, LENGTH_MSR);
    EXPECT_HLT(AT_wrmsr_end);
}

/* They cause no exits; what the guest has written is in the group. */
void test_syscall_msrs(void)
{
    CHECK(vm_start(AT_syscall_msrs));
    now.rdx = 0;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.sysenter_cs = 0x10;
    now.sysenter_esp = 0x11000;
    now.sysenter_eip = 0x12000;
    now.star = 0x13000;
    now.lstar = now.rax = 0x14000;
    now.cstar = 0x15000;
    now.fmask = 0x200;
    now.kernel_gs_base = 0x16000;
    now.rcx = 0xc0000082;
    EXPECT_HLT(AT_syscall_msrs_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_WRMSR) + vm_counter(CB_EXIT_RDMSR), 0);
}

/* The class CR does not occur: the guest's own writes have their effect, and reading gives what was written. */
void test_control_registers(void)
{
    CHECK(vm_start(AT_control));
    vm_reply(CB_GROUPS_VCPU, 0);
    now.cr0 |= 0x60000022; /* CD NW NE MP */
    now.cr2 = 0x12345678;
    now.cr4 |= 0x48;       /* MCE DE */
    now.cr8 = mode == LONG ? 5 : 0;
    now.rax = mode == LONG ? 5 : now.cr4;
    now.rbx = now.cr0;
    now.rcx = now.cr4;
    vm_ignore(&now.rflags, 0xff);
    EXPECT_HLT(AT_control_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_CR), 0);
}

void test_hlt(void)
{
    CHECK(vm_start(AT_hlt));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_HLT, vm_address(AT_hlt), 1);
    vm_reply(CB_GROUP_SKIP, 1);
    EXPECT_HLT(AT_hlt_end);
}

/* With interrupts off it is the end, but for a recall. */
void test_halt_deaf(void)
{
    CHECK(vm_start(AT_hlt));
    now.ctrl = 0;
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(vm_idle());
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_HALT), 1);
    MUST(cb_recall(vm_vcpu()));
    EXPECT(CB_EXIT_RECALL, vm_address(AT_hlt_end), 0);
    now.ctrl = CB_CTRL_HLT;
    vm_reply(CB_GROUP_CTRL, 0);
    EXPECT_HLT(AT_hlt_end);
}

/* An upcall ends it. */
void test_halt_upcall(void)
{
    uint32_t event;

    CHECK(vm_start(AT_hlt));
    event = vm_event(5);
    now.ctrl = CB_CTRL_UPCALL;
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(vm_idle());
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_HALT), 1);
    MUST(cb_signal(event));
    EXPECT_EVENT(now.upcall_vector, NO_ERROR, vm_address(AT_hlt_end));
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_UPCALL), 1);
}

/* Out of guest mode, where it would stay for ever. */
void test_recall(void)
{
    CHECK(vm_start(AT_spin));
    vm_reply(CB_GROUPS_VCPU, 0);
    for (uint32_t set = 0; set < GROUP_SETS; set++) {
        thread_sleep_us(1);
        MUST(cb_recall(vm_vcpu()));
        EXPECT(CB_EXIT_RECALL, vm_address(AT_spin), 0);
        vm_groups(CB_EXIT_RECALL, set);
        vm_reply(0, 0);
    }
    CHECK_EQUAL(vm_counter(CB_EXIT_RECALL), GROUP_SETS);
}

/* While an exit waits for its answer: the recall follows, and knows nothing of the instruction. Then that leaves again. */
void test_recall_exit(void)
{
    uint64_t at;

    CHECK(vm_start(AT_io));
    at = now.rip;
    vm_reply(CB_GROUPS_VCPU, 0);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(CB_EXIT_IO, at, 2, 0x10 | 1u << 16 | CB_IO_IN, at + 2);
        MUST(cb_recall(vm_vcpu()));
        vm_reply(0, 0);
        EXPECT(CB_EXIT_RECALL, at, 0);
        vm_reply(0, 0);
    }
}

/* Those that the hypervisor does not allow; WBINVD and INVD do nothing. */
void test_instructions(void)
{
    CHECK(vm_start(AT_rdpmc));
    now.rcx = 0;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, vm_address(AT_rdpmc), vendor_length(2), CB_INSN_RDPMC);
    vm_reply(CB_GROUP_SKIP, 2);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, vm_address(AT_monitor), vendor_length(3), CB_INSN_MONITOR);
    vm_reply(CB_GROUP_SKIP, 3);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, vm_address(AT_mwait), vendor_length(3), CB_INSN_MWAIT);
    vm_reply(CB_GROUP_SKIP, 3);
    EXPECT_HLT(AT_wbinvd_end);
}

void test_virtualization(void)
{
    enum label where = vendor_is_vmx() ? AT_vmxoff : AT_clgi;

    CHECK(vm_start(where));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, vm_address(where), vendor_length(3), CB_INSN_VIRT);
    vm_reply(CB_GROUP_SKIP, 3);
    EXPECT_HLT(where + 1);
}

void test_xsetbv(void)
{
    CHECK(vm_start(AT_xsetbv));
    if (!vendor(XSETBV_EXITS))
        return;
    now.cr4 |= CR4_OSXSAVE;
    now.rax = 3;
    now.rcx = now.rdx = 0;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, vm_address(AT_xsetbv), 3, CB_INSN_XSETBV);
    now.xcr0 = 3;
    vm_reply(CB_GROUP_CTRL | CB_GROUP_SKIP, 3);
    EXPECT_HLT(AT_xsetbv_end);
}

/* The guest's own, without an exit. */
void test_debug_registers(void)
{
    CHECK(vm_start(AT_debug));
    now.rax = 0x123456;
    now.dr[0] = 0x1000;
    now.dr[1] = 0x2000;
    now.dr[3] = 0x3000;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rbx = now.dr[0] = now.rax;
    now.rcx = now.dr6;
    now.rax = now.dr[1];
    EXPECT_HLT(AT_debug_end);
}

/* What the guest arms is its own: not the address that another one has left in DR0. */
void test_debug_armed(void)
{
    CHECK(vm_start(AT_debug));
    now.rax = vm_address(AT_armed);
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rbx = now.dr[0] = now.rax;
    now.rcx = now.dr6;
    now.rax = 0;
    EXPECT_HLT(AT_debug_end);
    vm_end();
    CHECK(vm_start(AT_arm));
    now.rax = DR7_FIRST;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.dr7 = DR7_FIRST;
    EXPECT_HLT(AT_arm_end);
}

void test_single_step(void)
{
    CHECK(vm_start(AT_step));
    now.rflags |= RFLAGS_TF;
    now.exception_bitmap = 1u << VECTOR_DB;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.dr6 |= DR6_STEP;
    EXPECT(CB_EXIT_EXCEPTION, vm_address(AT_step_end), 0, VECTOR_DB);
    now.rflags &= ~RFLAGS_TF;
    vm_reply(CB_GROUP_RFLAGS, 0);
    EXPECT_HLT(AT_step_end);
}

/* The guest is at its CPUID, single-stepped. Bochs sets BS before an instruction has ended (SDM 28.3.4: it is clear). */
static bool stepped_cpuid(void)
{
    vm_ignore(&now.pending_debug, DR6_STEP);
    return vm_expect(__FILE__, __LINE__, VALUES(CB_EXIT_CPUID, vm_address(AT_cpuid), vendor_length(LENGTH_CPUID), now.cr4, now.xcr0));
}

/* An instruction that the VMM has skipped ends like any other: #DB, an exit or the guest's. */
void test_single_step_skipped(void)
{
    CHECK(vm_start(AT_cpuid));
    now.rflags |= RFLAGS_TF;
    now.exception_bitmap = 1u << VECTOR_DB;
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(stepped_cpuid());
    vm_reply(CB_GROUP_INJECT | CB_GROUP_SKIP, LENGTH_CPUID); /* nothing is due but for the skipping */
    now.dr6 |= DR6_STEP;
    EXPECT(CB_EXIT_EXCEPTION, vm_address(AT_cpuid_end), 0, VECTOR_DB);
    now.rip = vm_address(AT_cpuid);
    now.exception_bitmap = 0;
    vm_reply(CB_GROUP_CTRL | CB_GROUP_RIP, 0);
    CHECK(stepped_cpuid());
    vm_reply(CB_GROUP_INJECT | CB_GROUP_SKIP, LENGTH_CPUID);
    EXPECT_EVENT(VECTOR_DB, NO_ERROR, vm_address(AT_cpuid_end));
}

/* RF is for one instruction. */
void test_resume_flag(void)
{
    CHECK(vm_start(AT_cpuid));
    now.rflags |= RFLAGS_RF;
    vm_reply(CB_GROUPS_VCPU, 0);
    vm_ignore(&now.rflags, RFLAGS_RF);
    EXPECT(CB_EXIT_CPUID, vm_address(AT_cpuid), vendor_length(LENGTH_CPUID), now.cr4, now.xcr0);
    vm_reply(CB_GROUP_RFLAGS | CB_GROUP_SKIP, LENGTH_CPUID);
    now.rflags &= ~RFLAGS_RF;
    EXPECT_HLT(AT_cpuid_end);
}

/* Whither, and why. */
void test_task_switch(void)
{
    CHECK(vm_start(AT_hlt));
    now.rip = vm_address_task();
    if (!vendor(TASK_SWITCH_EXITS))
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_INSTRUCTION, now.rip, vendor_length(7), CB_INSN_TASK_SWITCH, SEL_TASK | CB_TASK_JUMP << 16);
}

/*
 * PAE paging outside of long mode: on VT-x, the first level comes with the message, on AMD-V from memory. What is not used
 * would fault.
 */
void test_pae(void)
{
    uint64_t *root = vm_view(GUEST_TABLES_OTHER), *directory = vm_view(GUEST_PAE);

    CHECK(vm_start(AT_hlt));
    directory[0] = 0xe3; /* 2 MiB from address 0 on */
    root[0] = GUEST_PAE | 1;
    now.cr3 = GUEST_TABLES_OTHER;
    now.cr4 |= CR4_PAE;
    if (vendor_is_vmx() && vendor_is_nested()) {
        root[0] = 0;
        now.pdpte[0] = GUEST_PAE | 1;
    }
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    vm_reply(CB_GROUP_CR | CB_GROUP_SKIP, 1);
    EXPECT_HLT(AT_hlt_end);
}

/* #GP, without an exit. */
void test_cr4_refused(void)
{
    CHECK(vm_start(AT_cr4_vmxe));
    if (!vendor(CR4_CHECKED))
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rax = 0x2000;
    EXPECT_EVENT(VECTOR_GP, mode == REAL ? NO_ERROR : 0, vm_address(AT_cr4_vmxe_at));
    CHECK_EQUAL(vm_counter(CB_EXIT_CR), 0);
}

/* A bit that this processor may lack, together with one that is not the guest's: nothing of CR4 changes. */
void test_cr4_missing(void)
{
    uint32_t a = 7, b, c = 0, d;

    CHECK(vm_start(AT_cr4_vmxe_at));
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!vendor(CR4_CHECKED) || (c & CPUID_UMIP))
        return;
    now.rax = now.cr4 | CR4_MCE | CR4_UMIP;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_GP, mode == REAL ? NO_ERROR : 0, vm_address(AT_cr4_vmxe_at));
}

/* No exit; the call's number is in the state that the guest starts with. */
void test_hypercall(void)
{
    enum label where = vendor_is_vmx() ? AT_vmcall : AT_vmmcall;

    CHECK(vm_start(where));
    now.rdi = CB_CALL_WORD(CB_CALL_null, 0, 0);
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rax = CB_OK;
    vm_ignore(&now.rcx, UINT64_MAX);
    vm_ignore(&now.r11, UINT64_MAX);
    EXPECT_HLT(where + 1);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_HYPERCALL), 1);
}

void test_hypercall_user(void)
{
    enum label where = vendor_is_vmx() ? AT_vmcall : AT_vmmcall;

    CHECK(vm_start(where));
    vm_state(where, true);
    now.rdi = CB_CALL_WORD(CB_CALL_null, 0, 0);
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_UD, NO_ERROR, vm_address(where));
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_HYPERCALL), 0);
}
