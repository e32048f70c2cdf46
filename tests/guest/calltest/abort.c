/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls that are broken off from outside. */
#include "calltest.h"

/* One caller and one handler that holds it until it is told to go on. */
static struct {
    uint32_t portal, gate;
    volatile uint32_t entered, returned;
    volatile uint64_t status;
    volatile uint64_t handler_status;
} now;

static void hold(uint64_t badge, struct cb_args *message)
{
    uint64_t bits;

    (void)badge;
    now.entered++;
    if (message->a1)
        now.handler_status = cb_wait(now.gate, 0, CB_DEADLINE_NONE, &bits);
    message->a5 = 0;
}

static void caller(void *argument)
{
    struct cb_args message = {.a1 = 1};

    (void)argument;
    now.status = way_call(now.portal, &message);
    now.returned++;
}

/* The same, when the handler is busy with the first one. */
static void caller_queued(void *argument)
{
    struct cb_args message = {.a1 = 1};

    (void)argument;
    now.status = way_call_queued(now.portal, &message);
    now.returned++;
}

/* The handler holds the caller when this returns. */
static struct thread *begin(struct thread **handler)
{
    now.entered = now.returned = 0;
    now.gate = test_event();
    *handler = way_handler(hold);
    now.portal = *handler ? way_portal(*handler, 0) : 0;
    struct thread *thread = now.portal && now.gate ? test_thread(CPU_MAIN, PRIORITY_MID, caller, NULL) : NULL;

    if (thread && test_await(&now.entered, 1))
        return thread;
    test_fail(__FILE__, __LINE__, "the handler was not entered");
    return NULL;
}

/* The reply to the aborted call is dropped, and the handler serves the next one. */
void test_abort_recall(void)
{
    struct thread *handler, *thread = begin(&handler);
    struct cb_args message = {.a1 = 0};

    if (thread == NULL)
        return;
    CHECK_EQUAL(now.returned, 0);
    CHECK_OK(cb_recall(thread->sel));
    CHECK(test_await(&now.returned, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
    CHECK_OK(cb_signal(now.gate));
    CHECK_OK(way_call(now.portal, &message));
    CHECK_EQUAL(now.entered, 2);
    CHECK_EQUAL(now.returned, 1);
    /* Whoever is not blocked takes no notice. */
    CHECK_OK(cb_recall(CB_TASK_SEL_THREAD));
    CHECK_STATUS(cb_recall(now.gate), STATUS(BAD_CAP, 0));
    uint32_t weak = test_derive(thread->sel, CB_RIGHT_READ, 0);

    CHECK(weak);
    CHECK_STATUS(cb_recall(weak), STATUS(BAD_RIGHT, 0));
}

void test_abort_portal(void)
{
    struct thread *handler, *thread = begin(&handler);

    if (thread == NULL)
        return;
    CHECK_OK(cb_destroy(now.portal));
    CHECK(test_await(&now.returned, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
    CHECK_EQUAL(test_type(now.portal), CB_TYPE_NULL);
    CHECK_OK(cb_signal(now.gate));
}

void test_abort_handler(void)
{
    struct thread *handler, *thread = begin(&handler);
    struct cb_args message = {0};

    if (thread == NULL)
        return;
    test_thread_end(handler);
    CHECK(test_await(&now.returned, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
    uint64_t status = cb_call(now.portal, &message); /* the portal may be gone with it, or lead nowhere */

    CHECK(CB_STATUS_CODE(status) == CB_ABORTED || CB_STATUS_CODE(status) == CB_BAD_CAP);
}

/* A caller that only queues for a busy handler can be aborted too, and the one inside is not disturbed. */
void test_abort_queued(void)
{
    struct thread *handler, *thread = begin(&handler);

    if (thread == NULL)
        return;
    struct thread *second = test_thread(CPU_MAIN, PRIORITY_MID, caller_queued, NULL);

    CHECK(second);
    CHECK(test_settle(CPU_MAIN));
    CHECK_EQUAL(now.returned, 0);
    CHECK_OK(cb_recall(second->sel));
    CHECK(test_await(&now.returned, 1));
    CHECK_STATUS(now.status, STATUS(ABORTED, 0));
    CHECK_OK(cb_signal(now.gate));
    CHECK(test_await(&now.returned, 2));
    CHECK_OK(now.status);
    CHECK_EQUAL(now.entered, 1);
}

static void call_oneself(uint64_t badge, struct cb_args *message)
{
    struct cb_args inner = {0};

    (void)badge;
    (void)message;
    now.entered++;
    now.handler_status = cb_call(now.portal, &inner);
}

/* A handler that calls its own portal blocks itself and its caller, but nobody else. */
void test_abort_self_call(void)
{
    struct thread *handler = way_handler(call_oneself);

    now.entered = now.returned = 0;
    now.portal = handler ? way_portal(handler, 0) : 0;
    CHECK(now.portal);
    struct thread *thread = test_thread(CPU_MAIN, PRIORITY_MID, caller, NULL);

    CHECK(thread);
    CHECK(test_await(&now.entered, 1));
    CHECK(test_settle(CPU_MAIN));
    if (now.returned == 0) {
        CHECK_OK(cb_recall(handler->sel));
        CHECK(test_await(&now.returned, 1));
    }
    CHECK(now.handler_status != CB_OK);
    CHECK_OK(now.status);
}
