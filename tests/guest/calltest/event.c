/* SPDX-License-Identifier: GPL-2.0-only */
/* Events, as native threads use them. */
#include "calltest.h"

static struct {
    uint32_t event;
    volatile uint32_t done;
    volatile uint64_t status, bits;
} now;

static void waiter(void *argument)
{
    uint64_t bits = 0;

    (void)argument;
    now.status = cb_wait(now.event, 0, CB_DEADLINE_NONE, &bits);
    now.bits = bits;
    now.done = 1;
}

/* A thread that waits on now.event when this returns. */
static struct thread *begin(uint32_t cpu)
{
    now.done = 0;
    now.event = test_event();
    struct thread *thread = now.event ? test_thread(cpu, PRIORITY_MAIN, waiter, NULL) : NULL;

    return thread && test_settle(cpu) ? thread : NULL;
}

void test_event_bits(void)
{
    uint32_t event = test_event();
    uint64_t bits = 0;

    CHECK(event);
    uint32_t low = test_derive(event, CB_RIGHT_SIGNAL, 0x5), high = test_derive(event, CB_RIGHT_SIGNAL, 1ull << 63);

    CHECK(low && high);
    CHECK_OK(cb_signal(low));
    CHECK_OK(cb_signal(high));
    CHECK_OK(cb_signal(low));
    CHECK_OK(cb_wait(event, 0, CB_DEADLINE_NONE, &bits));
    CHECK_EQUAL(bits, 1ull << 63 | 0x5);
    CHECK_OK(cb_signal(event));
    CHECK_OK(cb_wait(event, CB_WAIT_POLL, 0, &bits));
    CHECK_EQUAL(bits, 1); /* the first capability's badge */
}

void test_event_poll(void)
{
    uint32_t event = test_event();
    uint64_t bits = 0;

    CHECK(event);
    CHECK_STATUS(cb_wait(event, CB_WAIT_POLL, 0, &bits), STATUS(EMPTY, 0));
    CHECK_OK(cb_signal(event));
    CHECK_OK(cb_wait(event, CB_WAIT_POLL, CB_DEADLINE_NONE, &bits));
    CHECK_STATUS(cb_wait(event, CB_WAIT_POLL, CB_DEADLINE_NONE, &bits), STATUS(EMPTY, 0));
}

void test_event_timeout(void)
{
    uint32_t event = test_event();
    uint64_t bits = 0, start = clock_tsc();

    CHECK(event);
    CHECK_STATUS(cb_wait(event, 0, 0, &bits), STATUS(TIMEOUT, 0));
    CHECK_STATUS(cb_wait(event, 0, start + clock_ticks(5 * MS), &bits), STATUS(TIMEOUT, 0));
    uint64_t took = clock_tsc() - start;

    CHECK(took >= clock_ticks(5 * MS));
    CHECK(took < clock_ticks(PATIENCE));
    /* What is there counts more than the time. */
    CHECK_OK(cb_signal(event));
    CHECK_OK(cb_wait(event, 0, 0, &bits));
}

void test_event_rights(void)
{
    uint32_t event = test_event();
    uint64_t bits;

    CHECK(event);
    uint32_t signal = test_derive(event, CB_RIGHT_SIGNAL, 0), wait = test_derive(event, CB_RIGHT_WAIT, 0);

    CHECK(signal && wait);
    CHECK_STATUS(cb_signal(wait), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_wait(signal, CB_WAIT_POLL, 0, &bits), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_signal(CB_TASK_SEL_ACCOUNT), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_signal(NO_CAP), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_wait(CB_TASK_SEL_ACCOUNT, CB_WAIT_POLL, 0, &bits), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_event_bind(event, CB_TASK_SEL_THREAD, 1), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_event_bind(signal, CB_TASK_SEL_THREAD, 1), STATUS(BAD_RIGHT, 0));
}

/* Who can only signal cannot take on another badge. */
void test_event_badges(void)
{
    uint32_t event = test_event(), dst = scratch();
    struct cb_identity identity;

    CHECK(event);
    uint32_t six = test_derive(event, CB_RIGHT_SIGNAL, 6);

    CHECK(six);
    CHECK_STATUS(cb_derive(six, dst, CB_SELF, CB_RIGHTS_ALL, 8, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_derive(six, dst, CB_SELF, CB_RIGHTS_ALL, 7, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_derive(six, dst, CB_SELF, CB_RIGHTS_ALL, 2, 1), STATUS(BAD_PARAM, 4));
    CHECK_OK(cb_derive(six, dst, CB_SELF, CB_RIGHTS_ALL, 2, 0));
    CHECK_OK(cb_identify(dst, &identity));
    CHECK(identity.x == 2 && identity.rights == CB_RIGHT_SIGNAL);
}

void test_event_two_waiters(void)
{
    uint64_t bits;

    CHECK(begin(CPU_MAIN));
    CHECK_STATUS(cb_wait(now.event, 0, clock_in(MS), &bits), STATUS(BUSY, 0));
    CHECK_OK(cb_signal(now.event));
    CHECK(test_await(&now.done, 1));
    CHECK_OK(now.status);
    CHECK_EQUAL(now.bits, 1);
}

void test_event_recall(void)
{
    struct thread *thread = begin(CPU_MAIN);

    CHECK(thread);
    CHECK_EQUAL(now.done, 0);
    CHECK_OK(cb_recall(thread->sel));
    CHECK(test_await(&now.done, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
}

void test_event_destroy(void)
{
    CHECK(begin(CPU_MAIN));
    CHECK_OK(cb_destroy(now.event));
    CHECK(test_await(&now.done, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
    CHECK_STATUS(cb_signal(now.event), STATUS(BAD_CAP, 0));
}

/* There and back between two CPUs. */
static volatile uint32_t ping, pong, rounds;

static void answer(void *argument)
{
    uint64_t bits;

    (void)argument;
    while (cb_wait(ping, 0, CB_DEADLINE_NONE, &bits) == CB_OK) {
        rounds++;
        if (cb_signal(pong) != CB_OK)
            return;
    }
}

void test_event_cpus(void)
{
    uint64_t bits;

    ping = test_event();
    pong = test_event();
    rounds = 0;
    CHECK(ping && pong);
    CHECK(test_thread(test_other_cpu(), PRIORITY_MAIN, answer, NULL));
    for (uint32_t i = 0; i < 200; i++) {
        CHECK_OK(cb_signal(ping));
        CHECK_OK(cb_wait(pong, 0, clock_in(PATIENCE), &bits));
    }
    CHECK_EQUAL(rounds, 200);
}
