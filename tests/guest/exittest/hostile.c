/* SPDX-License-Identifier: GPL-2.0-only */
/* Damaged states. Whatever a state says, the vCPU comes back, if need be because it is recalled. */
#include "machine.h"

#include <string.h>

#define ROUNDS 500u
#define ROUND_US 20000u
#define OP_HLT 0xf4u

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool await(void)
{
    if (machine_wait_us(ROUND_US))
        return true;
    MUST(cb_recall(vm_vcpu()));
    return machine_wait();
}

/* LSL: does this thread find a segment by the selector? */
static bool selector_exists(uint16_t selector)
{
    uint32_t limit;
    bool found;

    __asm__ volatile("lsl %2, %0" : "=r"(limit), "=@ccz"(found) : "r"((uint32_t)selector));
    return found;
}

/* An exit from a guest may leave the largest limit in GDTR. This is a user of the host: it sees nothing behind the GDT. */
void test_host_selectors(void)
{
    uint32_t count = 0;

    CHECK(vm_start(AT_cpuid));
    vm_reply(CB_GROUPS_VCPU, 0);
    CHECK(await());
    for (uint32_t index = 0; index < 0x2000; index++)
        count += selector_exists((uint16_t)(index << 3 | 3));
    CHECK_EQUAL(count, 2); /* for its code and its data */
    now.rax = now.rbx = now.rcx = now.rdx = 0;
    vm_reply(CB_GROUP_ACDB | CB_GROUP_SKIP, 2);
    EXPECT_HLT(AT_cpuid_end);
}

/* Every other guest has an APIC. No single bit leads from its code there: Bochs does not survive that. */
static void choose_apic(void)
{
    if (!vendor_has_apic() || random_next() % 2)
        return;
    now.ctrl |= CB_CTRL_VAPIC;
    now.apic_page = GUEST_APIC;
}

/* A few words of the state become what they like: 64 random bits, or one bit more or less. */
static void spoil(void)
{
    uint64_t *words = &now.rax;

    for (uint64_t n = 1 + random_next() % 3; n > 0; n--) {
        uint64_t *word = &words[random_next() % STATE_WORDS];

        if (random_next() % 4)
            *word ^= 1ull << random_next() % 64;
        else
            *word = random_next();
    }
}

void test_hostile(void)
{
    uint32_t counts[CB_EXIT_COUNT] = {0};

    CHECK(vm_start(AT_hlt));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        vm_state(AT_hlt, false);
        memset(vm_view((uint32_t)now.rip), OP_HLT, 64);
        choose_apic();
        spoil();
        vm_reply(CB_GROUPS_VCPU, 0);
        CHECK(await());
        CHECK(exchange.message.a1 < CB_EXIT_COUNT);
        counts[exchange.message.a1]++;
    }
    CHECK(counts[CB_EXIT_HLT] > ROUNDS / 4);
    CHECK(counts[CB_EXIT_INVALID] > ROUNDS / 50);
    vm_state(AT_hlt, false);
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
}
