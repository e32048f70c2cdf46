/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second-level fault while an event is delivered: the exit says which event, and it is delivered when the VMM has mapped
 * the page; once.
 */
#include "exittest.h"

#define RIGHTS (CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC)
#define INJECT(type, vector) (CB_INJECT_VALID | CB_INJECT_TYPE_##type | (vector))
#define BAD_SELECTOR 0x500u

static uint32_t gate_of(uint32_t vector)
{
    return GUEST_IDT + vector * (mode == REAL ? 4 : mode == LONG ? 16 : 8);
}

/* The guest runs, without the page. */
static bool begin(enum label where, uint32_t page, uint32_t inject, uint32_t error)
{
    if (!vm_start(where))
        return false;
    vm_unmap(page);
    now.rax = BAD_SELECTOR;
    now.inject = inject;
    now.inject_error = error;
    if ((inject & 0x700u) == CB_INJECT_TYPE_INTR)
        now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    return true;
}

/* The delivery of `event` reads the vector's gate; then it is complete. */
static bool resume(uint32_t vector, uint32_t event, uint64_t error, uint64_t rip, uint64_t returns)
{
    now.inject = event;
    now.inject_error = (uint32_t)error;
    vm_ignore(&now.rflags, RFLAGS_RF);
    if (!vm_expect(__FILE__, __LINE__, VALUES(CB_EXIT_MEMORY, rip, 0, CB_MEMORY_READ, gate_of(vector))))
        return false;
    vm_map(PAGE(GUEST_IDT), RIGHTS);
    vm_reply(0, 0);
    now.inject = 0;
    return vm_expect_event(__FILE__, __LINE__, vector, error, returns);
}

/* What the guest's own instruction has raised. */
void test_delivery_exception(void)
{
    uint64_t rip = vm_address(AT_ud2);

    CHECK(begin(AT_ud2, PAGE(GUEST_IDT), 0, 0));
    CHECK(resume(VECTOR_UD, INJECT(EXCEPTION, VECTOR_UD), NO_ERROR, rip, rip));
    vm_reply(CB_GROUP_SKIP, 2);
}

void test_delivery_error(void)
{
    uint64_t rip = vm_address(AT_selector);

    CHECK(begin(AT_selector, PAGE(GUEST_IDT), 0, 0));
    CHECK(resume(VECTOR_GP, INJECT(EXCEPTION, VECTOR_GP) | CB_INJECT_ERROR, BAD_SELECTOR, rip, rip));
}

/* INT is executed again. */
void test_delivery_soft(void)
{
    CHECK(begin(AT_intn, PAGE(GUEST_IDT), 0, 0));
    CHECK(resume(VECTOR_FREE, 0, NO_ERROR, vm_address(AT_intn), vm_address(AT_intn_end)));
    vm_return();
    EXPECT_HLT(AT_intn_end);
}

void test_delivery_interrupt(void)
{
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt, PAGE(GUEST_IDT), INJECT(INTR, VECTOR_FREE), 0));
    CHECK(resume(VECTOR_FREE, INJECT(INTR, VECTOR_FREE), NO_ERROR, rip, rip));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* It has not begun: NMIs are not blocked. */
void test_delivery_nmi(void)
{
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt, PAGE(GUEST_IDT), INJECT(NMI, VECTOR_NMI), 0));
    CHECK(resume(VECTOR_NMI, INJECT(NMI, VECTOR_NMI), NO_ERROR, rip, rip));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* An injected one is not: it comes once, and returns to where the guest was. */
void test_delivery_injected_soft(void)
{
    uint32_t event = INJECT(SOFT, VECTOR_FREE);
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt, PAGE(GUEST_IDT), event, 0));
    CHECK(resume(VECTOR_FREE, event, NO_ERROR, rip, rip));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

void test_delivery_injected(void)
{
    uint32_t event = INJECT(EXCEPTION, VECTOR_GP) | (mode == REAL ? 0 : CB_INJECT_ERROR);
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt, PAGE(GUEST_IDT), event, 0x4321));
    CHECK(resume(VECTOR_GP, event, mode == REAL ? NO_ERROR : 0x4321, rip, rip));
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* The stack is missing. Where the frame ends is not said by every processor: some begin at its other end. */
void test_delivery_stack(void)
{
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt, PAGE(GUEST_STACK), INJECT(INTR, VECTOR_FREE), 0));
    now.inject = INJECT(INTR, VECTOR_FREE);
    vm_ignore(&now.rflags, RFLAGS_RF);
    vm_ignore(&now.qual[1], CB_PAGE_SIZE - 1);
    EXPECT(CB_EXIT_MEMORY, rip, 0, CB_MEMORY_WRITE, GUEST_STACK);
    vm_map(PAGE(GUEST_STACK), RIGHTS);
    vm_reply(0, 0);
    now.inject = 0;
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, rip);
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* A reply without the event takes it back. */
void test_delivery_dropped(void)
{
    CHECK(begin(AT_hlt, PAGE(GUEST_IDT), INJECT(INTR, VECTOR_FREE), 0));
    now.inject = INJECT(INTR, VECTOR_FREE);
    vm_ignore(&now.rflags, RFLAGS_RF);
    EXPECT_EACH(CB_EXIT_MEMORY, vm_address(AT_hlt), 0, CB_MEMORY_READ, gate_of(VECTOR_FREE));
    now.inject = 0;
    vm_reply(CB_GROUP_INJECT, 0);
    EXPECT_HLT(AT_hlt);
}
