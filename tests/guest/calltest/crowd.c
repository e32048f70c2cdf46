/* SPDX-License-Identifier: GPL-2.0-only */
/* A thousand callers of one handler, and what becomes of them when that, or a portal to it, is destroyed. */
#include "calltest.h"

#include "clock.h"

#define CROWD 1000u
#define STACK 512u
#define ACCOUNT_PAGES 4600u /* four pages and a bit for each */
#define SELECTORS 40000u    /* free: three for each */
#define SEL_THREAD(i) (SELECTORS + 3 * (i))
#define SEL_SCHED(i) (SELECTORS + 3 * (i) + 1)
#define SEL_EVENT(i) (SELECTORS + 3 * (i) + 2)

static uint8_t stacks[CROWD][STACK] __attribute__((aligned(16)));
static volatile uint64_t status[CROWD];
static volatile uint32_t calling, returned, entered;
static uint32_t portals[2], gate;
static uint64_t deadline_us; /* the handler waits that long, again and again, until the gate opens; 0: without a deadline */

/* A caller's whole life; which one it is, its stack says. */
static void member(uint8_t *stack)
{
    uint32_t i = (uint32_t)((stack - stacks[0]) / (int64_t)STACK);
    struct cb_args message = {.a1 = i};
    uint64_t bits;

    __atomic_add_fetch(&calling, 1, __ATOMIC_SEQ_CST);
    status[i] = cb_call(portals[i % 2], &message);
    __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
    (void)!cb_wait(SEL_EVENT(i), 0, CB_DEADLINE_NONE, &bits);
}

__attribute__((naked)) static void member_entry(void)
{
    __asm__("mov %rsp, %rdi\n\tsub $8, %rsp\n\tjmp member_begin");
}

__attribute__((used)) void member_begin(uint8_t *stack);
void member_begin(uint8_t *stack)
{
    member(stack - 16);
    for (;;) {
    }
}

static void hold(uint64_t badge, struct cb_args *message)
{
    uint64_t bits;

    (void)badge;
    entered++;
    while (cb_wait(gate, 0, deadline_us ? clock_in(deadline_us) : CB_DEADLINE_NONE, &bits) == STATUS(TIMEOUT, 0)) {
    }
    message->a5 = 0;
}

/* All have called, and all but one wait for the handler; 0, with a message, or the account that has paid for them. */
static uint32_t begin(struct thread *handler)
{
    uint32_t account = scratch();
    uint64_t utcbs = test_space(CROWD), result = CB_OK;

    calling = returned = entered = 0;
    gate = test_event();
    for (uint32_t i = 0; i < 2; i++)
        portals[i] = handler ? test_portal(handler, 0, 0) : 0;
    if (!gate || !portals[0] || !portals[1] ||
        !test_status(__FILE__, __LINE__, "an account", cb_account_create(CB_TASK_SEL_ACCOUNT, account, ACCOUNT_PAGES), CB_OK))
        return 0;
    for (uint32_t i = 0; i < CROWD && result == CB_OK; i++) {
        status[i] = UINT64_MAX;
        result = cb_event_create(account, SEL_EVENT(i));
        if (result == CB_OK)
            result = cb_thread_create(account, SEL_THREAD(i), CB_SELF, CPU_MAIN, utcbs + i * CB_PAGE_SIZE,
                                      (uint64_t)member_entry, (uint64_t)(stacks[i] + STACK - 16));
        if (result == CB_OK)
            result = cb_sched_create(account, SEL_SCHED(i), CPU_MAIN, PRIORITY_LOW, 10 * MS, 10 * MS);
        if (result == CB_OK)
            result = cb_sched_bind(SEL_SCHED(i), SEL_THREAD(i));
    }
    if (test_status(__FILE__, __LINE__, "making a crowd", result, CB_OK) && test_await(&calling, CROWD) &&
        test_await(&entered, 1) && test_settle(CPU_MAIN))
        return account;
    test_fail(__FILE__, __LINE__, "%u call, %u calls are handled", calling, entered);
    return 0;
}

/* Callers through the portal have been told, and no others. */
static bool told(uint32_t which, uint64_t others)
{
    for (uint32_t i = 0; i < CROWD; i++) {
        uint64_t wanted = i % 2 == which ? STATUS(ABORTED, 0) : others;

        if (status[i] != wanted) {
            test_fail(__FILE__, __LINE__, "caller %u: %s instead of %s", i, cb_status_name(status[i]), cb_status_name(wanted));
            return false;
        }
    }
    return true;
}

static void destroy_all(struct thread *handler)
{
    uint32_t account = begin(handler);

    CHECK(account);
    CHECK_OK(cb_destroy(portals[1]));
    CHECK(test_await(&returned, CROWD / 2));
    CHECK(test_settle(CPU_MAIN));
    CHECK_EQUAL(returned, CROWD / 2);
    CHECK(told(1, UINT64_MAX));
    CHECK_OK(cb_destroy(handler->sel));
    CHECK(test_await(&returned, CROWD));
    CHECK(told(0, STATUS(ABORTED, 0)));
    CHECK_OK(cb_destroy(account));
}

void test_crowd_destroy(void)
{
    deadline_us = 0;
    destroy_all(test_handler(CPU_MAIN, hold, NULL));
}

/* The handler sits in `wait`, and wakes up again and again. */
void test_crowd_wait(void)
{
    deadline_us = 1000;
    destroy_all(test_handler(CPU_MAIN, hold, NULL));
}

void test_crowd_remote(void)
{
    struct thread *handler = test_handler(test_other_cpu(), hold, NULL);

    deadline_us = 0;
    CHECK(handler);
    CHECK_OK(thread_handler_serve(handler, PRIORITY_MID));
    destroy_all(handler);
}

/* All are served in the end. */
void test_crowd_served(void)
{
    deadline_us = 0;
    uint32_t account = begin(test_handler(CPU_MAIN, hold, NULL));

    CHECK(account);
    for (uint32_t i = 0; i < CROWD; i++) {
        CHECK(test_await(&entered, i + 1));
        CHECK_OK(cb_signal(gate));
    }
    CHECK(test_await(&returned, CROWD));
    for (uint32_t i = 0; i < CROWD; i++)
        CHECK_OK(status[i]);
    CHECK_OK(cb_destroy(account));
}
