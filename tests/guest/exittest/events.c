/* SPDX-License-Identifier: GPL-2.0-only */
/* Exceptions that the VMM wants to see, events that it injects, and when these can be taken. */
#include "machine.h"

#define INJECT(type, vector) (CB_INJECT_VALID | CB_INJECT_TYPE_##type | (vector))
#define VECTOR_BP 3u
#define BAD_SELECTOR 0x500u
#define ROUNDS 50u
#define SPINS 100000u
#define RFLAGS_ARITHMETIC 0x8d5ull
#define CR4_RESERVED (1ull << 30)

/* ---- Exceptions that leave the guest ---- */

void test_exception(void)
{
    CHECK(vm_start(AT_ud2));
    now.exception_bitmap = 1u << VECTOR_UD;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_EXCEPTION, vm_address(AT_ud2), 0, VECTOR_UD);
    vm_reply(CB_GROUP_SKIP, 2);
    EXPECT_HLT(AT_ud2_end);
}

void test_exception_error(void)
{
    CHECK(vm_start(AT_selector));
    now.exception_bitmap = 1u << VECTOR_GP;
    now.rax = BAD_SELECTOR;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_EXCEPTION, vm_address(AT_selector), 0, VECTOR_GP, BAD_SELECTOR);
    now.exception_bitmap = 0;
    vm_reply(CB_GROUP_CTRL, 0);
    EXPECT_EVENT(VECTOR_GP, BAD_SELECTOR, vm_address(AT_selector));
}

/* The address stands in cr2. */
void test_exception_page(void)
{
    CHECK(vm_start(AT_walk));
    now.exception_bitmap = 1u << VECTOR_PF;
    now.rbx = GUEST_NOTHING + 0x123;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.cr2 = now.rbx;
    EXPECT_EACH(CB_EXIT_EXCEPTION, vm_address(AT_walk), 0, VECTOR_PF, 0);
    now.exception_bitmap = 0;
    vm_reply(CB_GROUP_CTRL, 0);
    EXPECT_EVENT(VECTOR_PF, 0, vm_address(AT_walk));
}

/* An instruction of this kind has a length. */
void test_exception_int3(void)
{
    CHECK(vm_start(AT_int3));
    now.exception_bitmap = 1u << VECTOR_BP;
    vm_reply(CB_GROUPS_VCPU, 0);
    if (vendor(INT3_EXITS)) {
        EXPECT_EACH(CB_EXIT_EXCEPTION, vm_address(AT_int3), vendor(LENGTH_REPORTED), VECTOR_BP);
        vm_reply(CB_GROUP_SKIP, 1);
    } else {
        EXPECT_EVENT(VECTOR_BP, NO_ERROR, vm_address(AT_int3_end));
        vm_return();
    }
    EXPECT_HLT(AT_int3_end);
}

/* ---- Injection ---- */

static bool begin(enum label where, uint32_t inject)
{
    if (!vm_start(where))
        return false;
    now.inject = inject;
    vm_reply(CB_GROUPS_VCPU, 0);
    return true;
}

void test_inject_exception(void)
{
    CHECK(begin(AT_hlt, INJECT(EXCEPTION, VECTOR_UD)));
    EXPECT_EVENT(VECTOR_UD, NO_ERROR, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
    now.inject = INJECT(EXCEPTION, 0);
    vm_reply(CB_GROUP_INJECT | CB_GROUP_SKIP, 1);
    EXPECT_EVENT(0, NO_ERROR, vm_address(AT_hlt_end));
    vm_return();
    EXPECT_HLT(AT_hlt_end);
}

/* In real mode there are no error codes. */
void test_inject_error(void)
{
    CHECK(vm_start(AT_hlt));
    now.inject = INJECT(EXCEPTION, VECTOR_GP) | CB_INJECT_ERROR;
    now.inject_error = 0x1234;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_GP, mode == REAL ? NO_ERROR : 0x1234, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

void test_inject_interrupt(void)
{
    CHECK(vm_start(AT_hlt));
    now.inject = INJECT(INTR, VECTOR_FREE);
    now.rflags |= RFLAGS_IF | RFLAGS_CF;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/*
 * Once, though the guest runs on for so long behind it that whoever executes it looks for other work. The handler does not
 * leave the guest.
 */
void test_inject_once(void)
{
    CHECK(vm_start(AT_count));
    vm_gate(VECTOR_FREE, AT_counter, false);
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        now.inject = INJECT(INTR, VECTOR_FREE);
        now.rip = vm_address(AT_count);
        now.rflags |= RFLAGS_IF;
        now.rcx = SPINS;
        vm_reply(CB_GROUPS_VCPU, 0);
        now.rcx = 0;
        vm_ignore(&now.rflags, RFLAGS_ARITHMETIC);
        EXPECT_HLT(AT_count_end);
        CHECK_EQUAL(*(const uint16_t *)vm_view(GUEST_STACK), round);
    }
}

/* It returns to where the guest was. */
void test_inject_soft(void)
{
    CHECK(begin(AT_hlt, INJECT(SOFT, VECTOR_FREE)));
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* From the NMI to its IRET, NMIs are blocked. */
void test_inject_nmi(void)
{
    CHECK(begin(AT_hlt, INJECT(NMI, 77)));
    EXPECT_EVENT(VECTOR_NMI, NO_ERROR, vm_address(AT_hlt));
    vm_return();
    EXPECT_HLT(AT_hlt);
    CHECK_EQUAL(now.blocked, 0);
}

/* What no hardware would take is not injected. */
void test_inject_refused(void)
{
    static const uint32_t bad[] = {INJECT(EXCEPTION, 31), INJECT(EXCEPTION, VECTOR_NMI), INJECT(EXCEPTION, 32),
                                   CB_INJECT_VALID | 1u << 8 | 0x30, CB_INJECT_VALID | 7u << 8, 0x30 | CB_INJECT_TYPE_INTR};

    CHECK(vm_start(AT_hlt));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        now.inject = bad[i];
        vm_reply(CB_GROUP_INJECT, 0);
        EXPECT_HLT(AT_hlt);
    }
    if (!vendor(INTERRUPT_WHEN_OFF))
        return;
    now.inject = INJECT(INTR, VECTOR_FREE);
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, vm_address(AT_hlt));
}

/* This thread's FPU: which registers are in use (APM 2, figure 11-8, FXSAVE's tag word). */
static uint8_t fpu_in_use(void)
{
    static uint8_t state[512] __attribute__((aligned(16)));

    __asm__ volatile("fxsave64 %0" : "=m"(state));
    return state[4];
}

/*
 * An event that the processor refuses (an error code that #UD does not have), or where it takes that, a state. Nobody gets at
 * what the guest has left in the FPU.
 */
void test_refused_fpu(void)
{
    bool event = vendor_is_vmx() && mode != REAL; /* where there are no error codes */

    CHECK(vm_start(AT_fpu));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_fpu_end);
    CHECK_EQUAL(fpu_in_use(), 0);
    now.inject = INJECT(EXCEPTION, VECTOR_UD) | CB_INJECT_ERROR;
    now.rip = vm_address(AT_fpu);
    if (!event)
        now.cr4 |= CR4_RESERVED;
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(machine_wait());
    CHECK_EQUAL(exchange.message.a1, CB_EXIT_INVALID);
    CHECK_EQUAL(fpu_in_use(), 0);
    vm_state(AT_hlt, false);
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
}

/*
 * #AC whose delivery raises #AC, without end and without an instruction in between: other threads of the CPU get on, and so
 * does the VMM.
 */
void test_alignment(void)
{
    CHECK(vm_start(AT_load));
    vm_state(AT_load, true);
    vm_gate(VECTOR_AC, AT_load, true);
    now.cr0 |= CR0_AM;
    now.rflags |= RFLAGS_AC;
    now.rbx = GUEST_STACK + 1;
    now.rcx = 0;
    now.rsp = vendor(ALIGNMENT_CHECKED) ? GUEST_STACK_TOP - 1 : GUEST_STACK_TOP;
    vm_reply(CB_GROUPS_VCPU, 0);
    if (!vendor(ALIGNMENT_CHECKED)) {
        EXPECT_EVENT(VECTOR_GP, 0, vm_address(AT_load_end)); /* HLT is not for users */
        return;
    }
    for (uint32_t i = 0; i < 1000 && vm_counter(CB_VCPU_COUNTER_INSIDE) < 1000; i++)
        thread_sleep_us(1000);
    CHECK(vm_counter(CB_VCPU_COUNTER_INSIDE) >= 1000);
    MUST(cb_recall(vm_vcpu()));
    now.inject = INJECT(EXCEPTION, VECTOR_AC) | CB_INJECT_ERROR;
    vm_ignore(&now.rflags, RFLAGS_RF);
    EXPECT(CB_EXIT_RECALL, vm_address(AT_load), 0);
}

/* ---- When an interrupt can be taken ---- */

static bool begin_window(enum label where)
{
    return begin(where, CB_INJECT_WINDOW);
}

/* STI opens the window, behind the instruction that follows it. What is injected then arrives there. */
void test_window_sti(void)
{
    CHECK(begin_window(AT_sti));
    now.rflags |= RFLAGS_IF;
    now.inject = 0;
    EXPECT(CB_EXIT_WINDOW, vm_address(AT_sti_open), 0);
    now.inject = INJECT(INTR, VECTOR_FREE);
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, vm_address(AT_sti_open));
    vm_return();
    EXPECT_HLT(AT_sti_end);
    for (uint32_t set = 0; set < GROUP_SETS; set++) { /* open as it is */
        vm_groups(CB_EXIT_WINDOW, set);
        now.inject = CB_INJECT_WINDOW;
        vm_reply(CB_GROUP_INJECT, 0);
        now.inject = 0;
        EXPECT(CB_EXIT_WINDOW, vm_address(AT_sti_end), 0);
    }
}

/* POPF opens it at once. */
void test_window_popf(void)
{
    CHECK(vm_start(AT_popf));
    now.inject = CB_INJECT_WINDOW;
    now.rsp -= mode == REAL ? 2 : mode == LONG ? 8 : 4;
    *(uint16_t *)vm_view((uint32_t)now.rsp) = RFLAGS_IF | RFLAGS_1;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rsp = GUEST_STACK_TOP;
    now.rflags |= RFLAGS_IF;
    now.inject = 0;
    EXPECT(CB_EXIT_WINDOW, vm_address(AT_popf_open), 0);
    vm_reply(0, 0);
    EXPECT_HLT(AT_popf_end);
}

/* An exit in the shadow says so; behind the instruction there is none. */
static bool shadow(enum label at, uint32_t blocked)
{
    struct expected in = {CB_EXIT_CPUID, vm_address(at), vendor_length(2), {now.cr4, now.xcr0}};
    struct expected window = {CB_EXIT_WINDOW, vm_address(at) + 2, 0, {0}};

    now.blocked = blocked;
    if (!vm_expect(__FILE__, __LINE__, &in))
        return false;
    now.inject = CB_INJECT_WINDOW; /* does not open */
    vm_reply(CB_GROUP_INJECT, 0);
    if (!vm_expect(__FILE__, __LINE__, &in))
        return false;
    vm_reply(CB_GROUP_SKIP, 2);
    now.inject = 0;
    return vm_expect(__FILE__, __LINE__, &window);
}

void test_shadow_sti(void)
{
    CHECK(vm_start(AT_sti_cpuid));
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rflags |= RFLAGS_IF;
    CHECK(shadow(AT_sti_cpuid_at, CB_BLOCKED_STI));
    vm_reply(0, 0);
    EXPECT_HLT(AT_sti_cpuid_end);
}

void test_shadow_mov_ss(void)
{
    CHECK(vm_start(AT_ss_cpuid));
    now.rax = now.ss.sel;
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(shadow(AT_ss_cpuid_at, (uint32_t)vendor(BLOCKED_MOV_SS)));
    vm_reply(0, 0);
    EXPECT_HLT(AT_ss_cpuid_end);
}

/* Nor in a shadow. */
void test_nmi_window_shadow(void)
{
    CHECK(vm_start(AT_ss_cpuid));
    now.rax = now.ss.sel;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.blocked = (uint32_t)vendor(BLOCKED_MOV_SS);
    EXPECT(CB_EXIT_CPUID, vm_address(AT_ss_cpuid_at), vendor_length(2), now.cr4, now.xcr0);
    now.inject = CB_INJECT_NMI_WINDOW;
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT(CB_EXIT_CPUID, vm_address(AT_ss_cpuid_at), vendor_length(2), now.cr4, now.xcr0);
    vm_reply(CB_GROUP_SKIP, 2);
    now.blocked = 0;
    now.inject = 0;
    EXPECT(CB_EXIT_NMI_WINDOW, vm_address(AT_ss_cpuid_at) + 2, 0);
    vm_reply(0, 0);
    EXPECT_HLT(AT_ss_cpuid_end);
}

/*
 * It opens with the IRET, on AMD-V when the guest leaves guest mode after that. With shadow page tables it does so at once.
 */
void test_nmi_window(void)
{
    bool exact = vendor(NMI_WINDOW_EXACT) || !vendor_is_nested();

    CHECK(begin(AT_sti, INJECT(NMI, VECTOR_NMI)));
    EXPECT_EVENT(VECTOR_NMI, NO_ERROR, vm_address(AT_sti));
    now.inject = CB_INJECT_NMI_WINDOW;
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT_EACH(CB_EXIT_IO, now.rip, 2, VECTOR_NMI | 1u << 16, now.rip + 2); /* not yet */
    vm_return();
    if (!exact) {
        now.rflags |= RFLAGS_IF;
        EXPECT_HLT(AT_sti_end);
        vm_reply(0, 0);
    }
    now.inject = 0;
    EXPECT(CB_EXIT_NMI_WINDOW, exact ? vm_address(AT_sti) : vm_address(AT_sti_end), 0);
    now.inject = INJECT(NMI, VECTOR_NMI);
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT_EVENT(VECTOR_NMI, NO_ERROR, now.rip);
}
