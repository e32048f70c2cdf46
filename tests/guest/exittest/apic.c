/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual APIC: what the guest does without an exit, what leaves it, and what its VMM finds and sets. Where the
 * machine has none, its state is zero, and no more is asked. SDM 3C, chapter 30.
 */
#include "exittest.h"

#define RIGHTS (CB_MAP_READ | CB_MAP_WRITE | CB_MAP_EXEC)
#define INJECT(type, vector) (CB_INJECT_VALID | CB_INJECT_TYPE_##type | (vector))

#define OFFSET_ID 0x20u
#define OFFSET_VERSION 0x30u
#define OFFSET_TPR 0x80u
#define OFFSET_EOI 0xb0u
#define OFFSET_ICR 0x300u
#define OFFSET_ICR_HIGH 0x310u
#define OFFSET_COUNT 0x390u /* of the timer, which nobody but the VMM knows */
#define OFFSET_NOTHING 0x400u

#define ID 0x07000000u
#define VERSION 0x00050014u
#define ICR_FIXED_TO_ALL 0x000c4041u
#define ICR_SELF 0x00040000u

#define VECTOR_A 0x51u
#define VECTOR_B 0x53u /* of A's class */
#define VECTOR_C 0x82u
#define VECTOR_LAST 0xffu

#define WRITTEN (CB_MEMORY_WRITE | CB_MEMORY_APIC | CB_MEMORY_DONE)

static void bit_set(uint32_t first, uint32_t vector)
{
    now.apic[first + vector / 32] |= 1u << vector % 32;
}

static void bit_clear(uint32_t first, uint32_t vector)
{
    now.apic[first + vector / 32] &= ~(1u << vector % 32);
}

static void task_priority(uint32_t value)
{
    now.apic[CB_APIC_TPR] = value;
    now.cr8 = value >> 4;
}

/* What the processor makes of priority and service, whenever one of them changes: 30.1.3. */
static void processor_priority(void)
{
    uint32_t service = 0, task = now.apic[CB_APIC_TPR] & 0xff;

    for (uint32_t vector = 0; vector < 256; vector++)
        if (now.apic[CB_APIC_ISR + vector / 32] & 1u << vector % 32)
            service = vector;
    now.apic[CB_APIC_PPR] = task >> 4 >= service >> 4 ? task : service & 0xf0;
}

/* The interrupt has been taken, without anybody's help. */
static void served(uint32_t vector)
{
    bit_clear(CB_APIC_IRR, vector);
    bit_set(CB_APIC_ISR, vector);
    processor_priority();
}

static void ended(uint32_t vector)
{
    bit_clear(CB_APIC_ISR, vector);
    processor_priority();
}

/* A guest with an APIC; its state is the test's to send. */
static bool begin(enum label where)
{
    if (!vm_start(where))
        return false;
    now.ctrl |= CB_CTRL_VAPIC;
    now.apic[CB_APIC_ID] = ID;
    now.apic[CB_APIC_VERSION] = VERSION;
    now.apic_page = GUEST_APIC;
    return true;
}

/* The guest is to do this next: a load from, or a store to, the register at this offset. */
static void next(enum label where, uint32_t offset, uint64_t value)
{
    now.rip = vm_address(where);
    now.rbx = GUEST_APIC + offset;
    now.rcx = value;
    vm_reply(CB_GROUP_ACDB | CB_GROUP_RIP, 0);
}

/* ---- State ---- */

static void fill(void)
{
    for (uint32_t i = 0; i < CB_APIC_REGISTERS; i++)
        now.apic[i] = 0x01010101 * i;
    for (uint32_t i = 0; i < 4; i++)
        now.apic_eoi_exit[i] = 0x1111111111111111 * i;
    now.apic_page = GUEST_APIC;
}

static void forget(void)
{
    for (uint32_t i = 0; i < CB_APIC_REGISTERS; i++)
        now.apic[i] = 0;
    for (uint32_t i = 0; i < 4; i++)
        now.apic_eoi_exit[i] = 0;
    now.apic_page = 0;
}

/* It is kept as it was written, but for a page that is not mapped, or not as a page. */
void test_apic_state(void)
{
    static const uint64_t bad[] = {GUEST_SPARE, GUEST_LARGE, GUEST_APIC + 1, GUEST_APIC | 1ull << 48, UINT64_MAX, 0};

    CHECK(vm_start(AT_hlt));
    vm_map_large();
    fill();
    vm_reply(CB_GROUPS_VCPU, 0);
    if (!vendor_has_apic())
        forget();
    EXPECT_EACH(CB_EXIT_HLT, vm_address(AT_hlt), 1);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        now.apic_page = bad[i];
        vm_reply(CB_GROUP_VAPIC, 0);
        now.apic_page = 0;
        EXPECT_HLT(AT_hlt);
    }
}

/* Turned off, it is not there, and cr8 is a register of its own. */
void test_apic_off(void)
{
    uint32_t *memory = vm_view(GUEST_APIC + OFFSET_TPR);

    CHECK(vm_start(AT_hlt));
    now.cr8 = 3;
    now.apic_page = GUEST_APIC;
    bit_set(CB_APIC_IRR, VECTOR_A);
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    if (!vendor_has_apic())
        forget();
    EXPECT_HLT(AT_hlt);
    memory = vm_view(GUEST_APIC + OFFSET_TPR);
    next(AT_store, OFFSET_TPR, 0x12345678);
    EXPECT_HLT(AT_store_end);
    CHECK_EQUAL(*memory, 0x12345678);
    if (!vendor_has_apic())
        return;
    now.ctrl |= CB_CTRL_VAPIC;
    vm_reply(CB_GROUP_CTRL, 0); /* on: the interrupt comes, and cr8 is the APIC's */
    now.cr8 = 0;
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_store_end));
    now.ctrl &= ~CB_CTRL_VAPIC;
    vm_reply(CB_GROUP_CTRL, 0);
    now.cr8 = 3;
    EXPECT(CB_EXIT_IO, now.rip, 2, VECTOR_A | 1u << 16, now.rip + 2);
}

/* ---- Accesses ---- */

/* The page that is mapped is never touched. */
static bool untouched(void)
{
    const uint8_t *page = vm_view(GUEST_APIC);

    for (uint32_t i = 0; i < CB_PAGE_SIZE; i++)
        if (page[i])
            return false;
    return true;
}

void test_apic_registers(void)
{
    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    next(AT_load, OFFSET_ID, 0);
    now.rcx = ID;
    EXPECT_HLT(AT_load_end);
    next(AT_load, OFFSET_VERSION, 0);
    now.rcx = VERSION;
    EXPECT_HLT(AT_load_end);
    next(AT_store, OFFSET_TPR, 0x35);
    task_priority(0x35);
    processor_priority();
    EXPECT_HLT(AT_store_end);
    next(AT_load, OFFSET_TPR, 0);
    now.rcx = 0x35;
    EXPECT_HLT(AT_load_end);
    next(AT_store, OFFSET_ICR_HIGH, 0x12345678); /* its lower part does not exist */
    now.apic[CB_APIC_ICR + 1] = 0x12000000;
    EXPECT_HLT(AT_store_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 0);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_INSIDE), 0);
    CHECK(untouched());
}

/* It is the task priority's class. */
void test_apic_cr8(void)
{
    CHECK(begin(AT_cr8));
    if (!vendor_has_apic())
        return;
    now.rcx = 9;
    vm_reply(CB_GROUPS_VCPU, 0);
    task_priority(0x90);
    processor_priority();
    now.rdx = 9;
    EXPECT_HLT(AT_cr8_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_CR), 0);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_INSIDE), 0);
    task_priority(0x97);
    vm_reply(CB_GROUP_VAPIC, 0);
    processor_priority();
    EXPECT_HLT(AT_cr8_end);
    vm_reply(CB_GROUP_CR, 0); /* the same: the bits below stay */
    EXPECT_HLT(AT_cr8_end);
    now.cr8 = 2;
    vm_reply(CB_GROUP_CR, 0);
    task_priority(0x20);
    processor_priority();
    EXPECT_HLT(AT_cr8_end);
}

/* The VMM is told behind the instruction, and finds what was written. It does not come again. */
void test_apic_writes(void)
{
    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    for (uint32_t set = 0; set < GROUP_SETS; set++) {
        vm_groups(CB_EXIT_MEMORY, set);
        next(AT_store, OFFSET_ICR, ICR_FIXED_TO_ALL + set);
        now.apic[CB_APIC_ICR] = ICR_FIXED_TO_ALL + set;
        EXPECT(CB_EXIT_MEMORY, vm_address(AT_store_end), 0, WRITTEN, GUEST_APIC + OFFSET_ICR);
        vm_reply(0, 0);
        EXPECT_HLT(AT_store_end);
    }
    next(AT_store_byte, OFFSET_ID + 3, 0x55);
    now.apic[CB_APIC_ID] = 0x55000000;
    EXPECT(CB_EXIT_MEMORY, vm_address(AT_store_byte_end), 0, WRITTEN, GUEST_APIC + OFFSET_ID + 3);
    vm_reply(0, 0);
    EXPECT_HLT(AT_store_byte_end);
    CHECK(untouched());
}

/* Those that the hardware leaves to the VMM, before anything has happened. Instruction fetches are not tried: Bochs ends. */
void test_apic_accesses(void)
{
    static const struct {
        enum label where;
        uint32_t offset;
        uint64_t what;
    } rows[] = {
        {AT_load, OFFSET_COUNT, CB_MEMORY_READ},
        {AT_load, OFFSET_NOTHING, CB_MEMORY_READ},
        {AT_load, OFFSET_ID + 2, CB_MEMORY_READ}, /* not in the register's four bytes */
        {AT_load, OFFSET_ID + 4, CB_MEMORY_READ},
        {AT_store, OFFSET_VERSION, CB_MEMORY_WRITE},
        {AT_store_byte, OFFSET_VERSION, CB_MEMORY_WRITE},
        {AT_store, CB_PAGE_SIZE - 4, CB_MEMORY_WRITE},
    };

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    for (uint32_t row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
        next(rows[row].where, rows[row].offset, 0x77);
        EXPECT_EACH(CB_EXIT_MEMORY, vm_address(rows[row].where), 0, rows[row].what | CB_MEMORY_APIC,
                    GUEST_APIC + rows[row].offset);
        now.rip = vm_address(AT_hlt);
        vm_reply(CB_GROUP_RIP, 0);
        EXPECT_HLT(AT_hlt);
    }
    CHECK(untouched());
}

/* From one page to another, to none, and back. */
void test_apic_moved(void)
{
    uint32_t *memory;

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    for (uint32_t i = 0; i < 3; i++) {
        now.apic_page = i == 0 ? GUEST_STACK : i == 1 ? 0 : GUEST_APIC;
        vm_reply(CB_GROUP_VAPIC, 0);
        EXPECT_HLT(now.rip == vm_address(AT_hlt) ? AT_hlt : AT_load_end);
        memory = vm_view(GUEST_APIC + OFFSET_ID);
        *memory = 0x1234;
        next(AT_load, OFFSET_ID, 0);
        now.rcx = i == 2 ? ID : 0x1234;
        EXPECT_HLT(AT_load_end);
    }
    vm_unmap(PAGE(GUEST_APIC)); /* without the page, there is nothing to see */
    next(AT_load, OFFSET_ID, 0);
    EXPECT(CB_EXIT_MEMORY, vm_address(AT_load), 0, CB_MEMORY_READ, GUEST_APIC + OFFSET_ID);
    vm_map(PAGE(GUEST_APIC), RIGHTS);
    vm_reply(0, 0);
    now.rcx = ID;
    EXPECT_HLT(AT_load_end);
}

/* ---- Interrupts ---- */

/* The VMM puts it into IRR. It waits for RFLAGS.IF and for the task priority, and the guest lets it come without an exit. */
void test_apic_interrupt(void)
{
    CHECK(begin(AT_sti));
    if (!vendor_has_apic())
        return;
    bit_set(CB_APIC_IRR, VECTOR_A);
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rflags |= RFLAGS_IF;
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_sti_open));
    vm_return();
    EXPECT_HLT(AT_sti_end);
    bit_set(CB_APIC_IRR, VECTOR_B);
    vm_reply(CB_GROUP_VAPIC, 0);
    EXPECT_HLT(AT_sti_end); /* of the class that is in service */
    next(AT_store, OFFSET_TPR, 0x50);
    task_priority(0x50);
    EXPECT_HLT(AT_store_end);
    next(AT_store, OFFSET_EOI, 0x1234);
    ended(VECTOR_A);
    EXPECT_HLT(AT_store_end); /* of the class of the task */
    next(AT_store, OFFSET_TPR, 0x4f);
    task_priority(0x4f);
    served(VECTOR_B);
    EXPECT_EVENT(VECTOR_B, NO_ERROR, vm_address(AT_store_end));
    vm_return();
    EXPECT_HLT(AT_store_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 0);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_INSIDE), 0);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_WINDOW), 0);
}

/* The highest comes first; one of a higher class interrupts its handler. */
void test_apic_priorities(void)
{
    uint64_t rflags, rsp;

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    bit_set(CB_APIC_IRR, VECTOR_A);
    bit_set(CB_APIC_IRR, VECTOR_B);
    now.rflags |= RFLAGS_IF;
    rflags = now.rflags;
    rsp = now.rsp;
    vm_reply(CB_GROUPS_VCPU, 0);
    served(VECTOR_B);
    EXPECT_EVENT(VECTOR_B, NO_ERROR, vm_address(AT_hlt));
    bit_set(CB_APIC_IRR, VECTOR_LAST);
    bit_set(CB_APIC_IRR, VECTOR_C);
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUP_VAPIC | CB_GROUP_RFLAGS, 0);
    served(VECTOR_LAST);
    EXPECT_EVENT(VECTOR_LAST, NO_ERROR, now.rip);
    vm_return(); /* to the other handler's first instruction, and nothing interrupts that now */
    EXPECT(CB_EXIT_IO, now.rip = GUEST_STUBS + VECTOR_B * 16, 2, VECTOR_B | 1u << 16, now.rip + 2);
    vm_reply(CB_GROUP_SKIP, 2);
    now.rflags = rflags;
    now.rsp = rsp;
    EXPECT_HLT(AT_hlt);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_LAST);
    served(VECTOR_C);
    EXPECT_EVENT(VECTOR_C, NO_ERROR, vm_address(AT_store_end));
    vm_return();
    EXPECT_HLT(AT_store_end);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_C);
    EXPECT_HLT(AT_store_end);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_B);
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_store_end));
    vm_return();
    EXPECT_HLT(AT_store_end);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_A);
    EXPECT_HLT(AT_store_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 0);
}

/* To itself: without an exit. */
void test_apic_self(void)
{
    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_HLT(AT_hlt);
    next(AT_store, OFFSET_ICR, ICR_SELF | VECTOR_C);
    now.apic[CB_APIC_ICR] = ICR_SELF | VECTOR_C;
    served(VECTOR_C);
    EXPECT_EVENT(VECTOR_C, NO_ERROR, vm_address(AT_store_end));
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 0);
}

/* The VMM hears of the end of service if it wants to. */
void test_apic_eoi(void)
{
    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    bit_set(CB_APIC_ISR, VECTOR_A);
    bit_set(CB_APIC_ISR, VECTOR_C);
    bit_set(CB_APIC_ISR, VECTOR_LAST);
    now.apic_eoi_exit[VECTOR_A / 64] = 1ull << VECTOR_A % 64;
    now.apic_eoi_exit[VECTOR_LAST / 64] = 1ull << VECTOR_LAST % 64;
    vm_reply(CB_GROUPS_VCPU, 0);
    processor_priority();
    EXPECT_HLT(AT_hlt);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_LAST);
    EXPECT(CB_EXIT_MEMORY, vm_address(AT_store_end), 0, WRITTEN | VECTOR_LAST << 8, GUEST_APIC + OFFSET_EOI);
    CHECK_EQUAL(CB_MEMORY_VECTOR(now.qual[0]), VECTOR_LAST);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_C);
    EXPECT_HLT(AT_store_end);
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 1);
    bit_set(CB_APIC_IRR, VECTOR_B); /* what has waited for the end does not wait for the exit's answer */
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUP_VAPIC | CB_GROUP_RFLAGS, 0);
    EXPECT_HLT(AT_store_end);
    next(AT_store, OFFSET_EOI, 0);
    ended(VECTOR_A);
    EXPECT(CB_EXIT_MEMORY, vm_address(AT_store_end), 0, WRITTEN | VECTOR_A << 8, GUEST_APIC + OFFSET_EOI);
    vm_reply(0, 0);
    served(VECTOR_B);
    EXPECT_EVENT(VECTOR_B, NO_ERROR, vm_address(AT_store_end));
}

/* Behind STI, HLT is executed though an interrupt is there: the VMM must look. */
void test_apic_hlt(void)
{
    CHECK(begin(AT_sti_hlt));
    if (!vendor_has_apic())
        return;
    bit_set(CB_APIC_IRR, VECTOR_A);
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rflags |= RFLAGS_IF;
    now.blocked = CB_BLOCKED_STI;
    EXPECT_HLT(AT_sti_hlt_at);
    vm_reply(CB_GROUP_SKIP, 1);
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_sti_hlt_end));
}

/* Upcalls come beside the APIC, before what waits in it, and leave no trace there. */
void test_apic_upcall(void)
{
    uint32_t event;

    CHECK(begin(AT_sti));
    if (!vendor_has_apic())
        return;
    event = vm_event(5);
    now.ctrl |= CB_CTRL_UPCALL;
    task_priority(0x48); /* not for upcalls */
    bit_set(CB_APIC_IRR, VECTOR_A);
    MUST(cb_signal(event));
    vm_reply(CB_GROUPS_VCPU, 0);
    now.rflags |= RFLAGS_IF;
    processor_priority();
    EXPECT_EVENT(now.upcall_vector, NO_ERROR, vm_address(AT_sti_open));
    vm_return();
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_sti_open));
    vm_return();
    EXPECT_HLT(AT_sti_end);
    CHECK_EQUAL(vm_counter(CB_VCPU_COUNTER_UPCALL), 1);
}

/* ---- Faults in between ---- */

/*
 * In service already, but not delivered: it is injected again, and comes once. Bochs forgets to say which it was, and says
 * what the last other event was: so there is one of the same kind first.
 */
void test_apic_delivery(void)
{
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    now.inject = INJECT(INTR, VECTOR_A);
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, rip);
    vm_return();
    EXPECT_HLT(AT_hlt);
    vm_unmap(PAGE(GUEST_IDT));
    bit_set(CB_APIC_IRR, VECTOR_A);
    vm_reply(CB_GROUP_VAPIC, 0);
    served(VECTOR_A);
    now.inject = INJECT(INTR, VECTOR_A);
    vm_ignore(&now.rflags, RFLAGS_RF);
    EXPECT(CB_EXIT_MEMORY, rip, 0, CB_MEMORY_READ, GUEST_IDT + VECTOR_A * (mode == REAL ? 4 : mode == LONG ? 16 : 8));
    vm_map(PAGE(GUEST_IDT), RIGHTS);
    vm_reply(0, 0);
    now.inject = 0;
    EXPECT_EVENT(VECTOR_A, NO_ERROR, rip);
    vm_return();
    EXPECT_HLT(AT_hlt);
}

/* An event's frame would go to the APIC. */
void test_apic_stack(void)
{
    uint64_t rip = vm_address(AT_hlt);

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    now.rsp = GUEST_APIC + 0x800;
    now.inject = INJECT(INTR, VECTOR_FREE);
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    now.inject = INJECT(INTR, VECTOR_FREE);
    vm_ignore(&now.rflags, RFLAGS_RF);
    vm_ignore(&now.qual[1], CB_PAGE_SIZE - 1);
    EXPECT(CB_EXIT_MEMORY, rip, 0, CB_MEMORY_APIC, GUEST_APIC);
    now.rsp = GUEST_STACK_TOP;
    vm_reply(CB_GROUP_RSP, 0);
    now.inject = 0;
    EXPECT_EVENT(VECTOR_FREE, NO_ERROR, rip);
    CHECK(untouched());
}

/* ---- All of it, elsewhere ---- */

/* Another vCPU goes on where this one was: one interrupt in service, one waiting. */
void test_apic_restored(void)
{
    struct cb_state saved;

    CHECK(begin(AT_hlt));
    if (!vendor_has_apic())
        return;
    bit_set(CB_APIC_IRR, VECTOR_C);
    bit_set(CB_APIC_IRR, VECTOR_A);
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    served(VECTOR_C);
    EXPECT_EVENT(VECTOR_C, NO_ERROR, vm_address(AT_hlt));
    saved = now;
    vm_end();
    vm_make();
    EXPECT(CB_EXIT_START, now.rip, 0);
    now = saved;
    now.rip = vm_address(AT_store);
    now.rbx = GUEST_APIC + OFFSET_EOI;
    now.rflags |= RFLAGS_IF;
    vm_reply(CB_GROUPS_VCPU, 0);
    ended(VECTOR_C);
    served(VECTOR_A);
    EXPECT_EVENT(VECTOR_A, NO_ERROR, vm_address(AT_store_end));
    CHECK_EQUAL(vm_counter(CB_EXIT_MEMORY), 0);
}
