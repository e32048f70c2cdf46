/* SPDX-License-Identifier: GPL-2.0-only */
/* The table as a whole, and hardware: interrupts, I/O ports, the log. */
#include "calltest.h"

void test_null(void)
{
    CHECK_OK(cb_null());
    CHECK_OK(cb_do(CB_CALL_null + CB_CALL_TABLE, 0, 0, 0, 0, 0)); /* numbers are taken modulo the table's size */
}

/* Arguments keep their values in calls that name no result. */
void test_unknown_calls(void)
{
    static const uint8_t numbers[] = {6, 7, 15, 19, 25, 26, 27, 33, 34, 35, 39, 42, 47, 52, 63};

    for (uint32_t i = 0; i < sizeof(numbers); i++) {
        struct cb_args args = {1, 2, 3, 4, 5};

        CHECK_STATUS(cb_invoke(CB_CALL_WORD(numbers[i], 0, 1), &args), STATUS(BAD_CALL, 0));
        CHECK(args.a1 == 1 && args.a2 == 2 && args.a3 == 3 && args.a4 == 4 && args.a5 == 5);
    }
}

void test_guest_calls(void)
{
    CHECK_STATUS(cb_halt(0), STATUS(BAD_CALL, 0));
    CHECK_STATUS(cb_timer(CB_DEADLINE_NONE), STATUS(BAD_CALL, 0));
    CHECK_STATUS(cb_upcall(), STATUS(BAD_CALL, 0));
    CHECK_STATUS(cb_tlb_flush(CB_TASK_SEL_DOMAIN, 1), STATUS(BAD_CALL, 0));
}

void test_undefined_flags(void)
{
    uint32_t event = test_event(), dst = scratch();

    CHECK(event);
    CHECK_STATUS(cb_do(CB_CALL_WORD(CB_CALL_event_create, 1, CB_TASK_SEL_ACCOUNT), dst, 0, 0, 0, 0),
                 STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_do(CB_CALL_WORD(CB_CALL_derive, 1, event), dst, CB_RIGHTS_ALL, 0, 0, 0), STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_domain_create(CB_TASK_SEL_ACCOUNT, 2, dst), STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_map(test_frame, 8 | CB_MAP_READ, dst, CB_SELF, test_space(1), 0, 1), STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_map(test_frame, CB_MAP_WRITE, dst, CB_SELF, test_space(1), 0, 1), STATUS(BAD_PARAM, 0));
    CHECK_STATUS(cb_revoke(event, 2), STATUS(BAD_PARAM, 0));
    CHECK_EQUAL(test_type(dst), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(event), CB_TYPE_EVENT);
}

/* With the capability, of which root gives all or nothing. */
void test_irq(void)
{
    const uint64_t no_gsi = 100000;
    uint32_t event = test_event();

    CHECK(event);
    if (test_type(CB_TASK_SEL_IRQ) != CB_TYPE_IRQ) {
        CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, 5, event, 0), STATUS(BAD_CAP, 0));
        CHECK_STATUS(cb_irq_ack(CB_TASK_SEL_IRQ, 5), STATUS(BAD_CAP, 0));
        return;
    }
    uint32_t weak = test_derive(CB_TASK_SEL_IRQ, CB_RIGHT_READ, 0), mute = test_derive(event, CB_RIGHT_WAIT, 0);

    CHECK(weak && mute);
    CHECK_STATUS(cb_irq_bind(event, 5, event, 0), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_irq_bind(weak, 5, event, 0), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, no_gsi, event, 0), STATUS(BAD_PARAM, 1));
    CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, 5, CB_TASK_SEL_ACCOUNT, 0), STATUS(BAD_CAP, 2));
    CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, 5, mute, 0), STATUS(BAD_RIGHT, 2));
    CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, 4, event, 0), STATUS(BUSY, 1)); /* the console's */
    CHECK_OK(cb_irq_bind(CB_TASK_SEL_IRQ, 5, event, 0));
    CHECK_STATUS(cb_irq_bind(CB_TASK_SEL_IRQ, 5, event, 0), STATUS(BUSY, 1));
    CHECK_OK(cb_irq_ack(CB_TASK_SEL_IRQ, 5));
    CHECK_STATUS(cb_irq_ack(CB_TASK_SEL_IRQ, no_gsi), STATUS(BAD_PARAM, 1));
    /* With its event, the binding ends. */
    CHECK_OK(cb_destroy(event));
    event = test_event();
    CHECK(event);
    CHECK_OK(cb_irq_bind(CB_TASK_SEL_IRQ, 5, event, 0));
}

static volatile uint32_t port_done;

static void touch_port(void *argument)
{
    uint8_t value;

    (void)argument;
    __asm__ volatile("inb $0x80, %0" : "=a"(value));
    port_done = 1;
}

/* Ports that nobody granted give a general protection fault; granted ones do not. */
void test_ioport(void)
{
    struct fault fault = {.resume = 0};
    uint32_t weak, first = task_info()->cpu;

    if (test_type(CB_TASK_SEL_IOPORT) != CB_TYPE_IOPORT) {
        CHECK_STATUS(cb_ioport_grant(CB_TASK_SEL_IOPORT, CB_TASK_SEL_DOMAIN, 0x80, 1), STATUS(BAD_CAP, 0));
        return;
    }
    weak = test_derive(CB_TASK_SEL_IOPORT, CB_RIGHT_READ, 0);
    struct thread *handler = test_handler(first, fault_handler, &fault);
    uint32_t portal = handler ? test_portal(handler, 0, FAULT_GROUPS) : 0;

    CHECK(weak && portal);
    CHECK_STATUS(cb_ioport_grant(weak, CB_TASK_SEL_DOMAIN, 0x80, 1), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_ioport_grant(CB_TASK_SEL_IOPORT, CB_TASK_SEL_ACCOUNT, 0x80, 1), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_ioport_grant(CB_TASK_SEL_IOPORT, CB_TASK_SEL_DOMAIN, 0x10000, 1), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_ioport_grant(CB_TASK_SEL_IOPORT, CB_TASK_SEL_DOMAIN, 0xffff, 2), STATUS(BAD_PARAM, 3));
    CHECK_OK(cb_ioport_grant(CB_TASK_SEL_IOPORT, CB_TASK_SEL_DOMAIN, 0x80, 1));
    port_done = 0;
    struct thread *thread = test_thread(first, PRIORITY_MID, touch_port, NULL);

    CHECK(thread);
    CHECK(test_await(&port_done, 1));
}

void test_log(void)
{
    uint32_t event = test_event();
    uint64_t next = 0, bytes = 0;

    CHECK(event);
    if (test_type(CB_TASK_SEL_LOG) != CB_TYPE_LOG) {
        CHECK_STATUS(cb_log_read(CB_TASK_SEL_LOG, 0, &next, &bytes), STATUS(BAD_CAP, 0));
        CHECK_STATUS(cb_log_bind(CB_TASK_SEL_LOG, event), STATUS(BAD_CAP, 0));
        return;
    }
    uint32_t weak = test_derive(CB_TASK_SEL_LOG, CB_RIGHT_READ, 0), none = test_derive(CB_TASK_SEL_LOG, 0, 0);

    CHECK(weak && none);
    CHECK_STATUS(cb_log_read(none, 0, &next, &bytes), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_log_read(event, 0, &next, &bytes), STATUS(BAD_CAP, 0));
    CHECK_OK(cb_log_read(weak, 0, &next, &bytes));
    CHECK(bytes > 0 && bytes <= sizeof(thread_utcb()->words) && next >= bytes);
    while (bytes)
        CHECK_OK(cb_log_read(weak, next, &next, &bytes));
    CHECK_STATUS(cb_log_bind(weak, event), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_log_bind(CB_TASK_SEL_LOG, CB_TASK_SEL_ACCOUNT), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_log_bind(CB_TASK_SEL_LOG, event), STATUS(BUSY, 0)); /* the console's */
}
