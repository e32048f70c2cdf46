/* SPDX-License-Identifier: GPL-2.0-only */
/* Second-level faults: nothing is known of the instruction, and once there is memory it is executed. */
#include "exittest.h"

#define OP_HLT 0xf4u
#define RIGHTS (CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC)

static uint8_t *spare(uint32_t offset)
{
    return (uint8_t *)vm_view(GUEST_SPARE) + offset;
}

void test_memory_read(void)
{
    CHECK(vm_start(AT_read));
    *spare(0x123) = 0x77;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, vm_address(AT_read), 0, CB_MEMORY_READ, GUEST_SPARE + 0x123);
    vm_map(PAGE(GUEST_SPARE), RIGHTS);
    vm_reply(0, 0);
    now.rcx = (now.rcx & ~0xffull) | 0x77;
    EXPECT_HLT(AT_read_end);
}

void test_memory_write(void)
{
    CHECK(vm_start(AT_write));
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, vm_address(AT_write), 0, CB_MEMORY_WRITE, GUEST_SPARE + 0x234);
    CHECK_EQUAL(*spare(0x234), 0);
    vm_map(PAGE(GUEST_SPARE), RIGHTS);
    vm_reply(0, 0);
    EXPECT_HLT(AT_write_end);
    CHECK_EQUAL(*spare(0x234), now.rcx & 0xff);
}

void test_memory_exec(void)
{
    CHECK(vm_start(AT_jump));
    now.rbx = GUEST_SPARE + 0x40;
    *spare(0x40) = OP_HLT;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, GUEST_SPARE + 0x40, 0, CB_MEMORY_EXEC, GUEST_SPARE + 0x40);
    vm_map(PAGE(GUEST_SPARE), RIGHTS);
    vm_reply(0, 0);
    EXPECT(CB_EXIT_HLT, GUEST_SPARE + 0x40, 1);
}

/* There is memory, but not for this. */
void test_memory_rights(void)
{
    CHECK(vm_start(AT_write));
    vm_map(PAGE(GUEST_SPARE), CB_MAP_READ);
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, vm_address(AT_write), 0, CB_MEMORY_WRITE | CB_MEMORY_PRESENT, GUEST_SPARE + 0x234);
    CHECK_EQUAL(*spare(0x234), 0);
    now.rbx = GUEST_SPARE;
    now.rip = vm_address(AT_jump);
    vm_reply(CB_GROUP_ACDB | CB_GROUP_RIP, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, GUEST_SPARE, 0, CB_MEMORY_EXEC | CB_MEMORY_PRESENT, GUEST_SPARE);
    *spare(0) = OP_HLT;
    vm_unmap(PAGE(GUEST_SPARE));
    vm_map(PAGE(GUEST_SPARE), RIGHTS);
    vm_reply(0, 0);
    EXPECT(CB_EXIT_HLT, GUEST_SPARE, 1);
}

/* A table of the guest's is missing: 4 KiB pages behind the entry of 8 MiB, which is entry 0 of the table. */
void test_memory_table(void)
{
    uint64_t walk = vendor_is_nested() ? CB_MEMORY_WRITE : CB_MEMORY_READ;

    CHECK(vm_start(AT_walk));
    now.rbx = 0x800000;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EACH(CB_EXIT_MEMORY, vm_address(AT_walk), 0, walk | CB_MEMORY_TABLE, GUEST_SPARE);
    *(uint64_t *)(void *)spare(0) = GUEST_SPARE | 0x67;
    vm_map(PAGE(GUEST_SPARE), RIGHTS);
    vm_reply(0, 0);
    now.rcx = (now.rcx & ~0xffull) | 0x67;
    EXPECT_HLT(AT_walk_end);
}

