/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls to handlers on another CPU: what is particular about them. That they are calls like all others is what the
 * tests in IPC_TESTS find out.
 */
#include "calltest.h"

#define CALLERS 5u

/* What one caller finds. */
struct caller {
    uint32_t portal;
    uint64_t word;
    volatile uint64_t status;
};

static struct caller callers[CALLERS];
static uint32_t gate;
static volatile uint32_t entered, returned, position, stop;
static volatile uint64_t order[CALLERS];

static void call(void *argument)
{
    struct caller *caller = argument;
    struct cb_args message = {.a1 = caller->word};

    caller->status = cb_call(caller->portal, &message);
    __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
}

/* A caller on the main CPU; returns when it waits for the reply. */
static struct thread *call_by(uint32_t which, uint32_t priority, uint32_t portal)
{
    callers[which] = (struct caller){.portal = portal, .word = which, .status = UINT64_MAX};
    struct thread *thread = test_thread(CPU_MAIN, priority, call, &callers[which]);

    return thread && test_settle(CPU_MAIN) ? thread : NULL;
}

/* The first one is held until the gate opens; all leave their word. */
static void hold_first(uint64_t badge, struct cb_args *message)
{
    uint64_t bits;

    (void)badge;
    if (position < CALLERS)
        order[position++] = message->a1;
    if (entered++ == 0)
        (void)!cb_wait(gate, 0, CB_DEADLINE_NONE, &bits);
    message->a5 = 0;
}

/* A handler on the other CPU with time of its own; NULL, with a message, if that is refused. */
static struct thread *serve(thread_handler_fn *function)
{
    struct thread *handler = test_handler(test_other_cpu(), function, NULL);

    entered = returned = position = 0;
    gate = test_event();
    if (handler && gate &&
        test_status(__FILE__, __LINE__, "serving", thread_handler_serve(handler, PRIORITY_MID), CB_OK))
        return handler;
    return NULL;
}

static uint64_t serve_again(struct thread *handler)
{
    (void)!cb_destroy(handler->sched);
    return cb_sched_create(CB_TASK_SEL_ACCOUNT, handler->sched, handler->cpu, PRIORITY_MID, 10 * MS, 10 * MS) == CB_OK
               ? cb_sched_bind(handler->sched, handler->sel)
               : UINT64_MAX;
}

static void plus_one(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    message->a1++;
    message->a5 = 0;
}

/* Only on a scheduling context of its own does a handler serve other CPUs. */
void test_remote_bind(void)
{
    struct cb_args message = {.a1 = 7};

    struct thread *handler = test_handler(test_other_cpu(), plus_one, NULL);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    CHECK_STATUS(cb_call(portal, &message), STATUS(BAD_CPU, 0));
    CHECK_EQUAL(message.a1, 7);
    CHECK_OK(thread_handler_serve(handler, PRIORITY_MID));
    for (uint64_t i = 0; i < 100; i++) {
        message.a1 = i;
        CHECK_OK(cb_call(portal, &message));
        CHECK_EQUAL(message.a1, i + 1);
    }
    CHECK_OK(cb_destroy(handler->sched));
    CHECK_STATUS(cb_call(portal, &message), STATUS(BAD_CPU, 0));
    CHECK_OK(serve_again(handler));
    CHECK_OK(cb_call(portal, &message));
}

/* The highest priority first; among equals, who came first. */
void test_remote_priority(void)
{
    static const uint64_t wanted[CALLERS] = {0, 2, 4, 1, 3};

    struct thread *handler = serve(hold_first);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    CHECK(call_by(0, PRIORITY_LOW, portal));
    CHECK(test_await(&entered, 1));
    for (uint32_t i = 1; i < CALLERS; i++)
        CHECK(call_by(i, i % 2 ? PRIORITY_LOW : PRIORITY_MID, portal));
    CHECK_EQUAL(entered, 1);
    CHECK_OK(cb_signal(gate));
    CHECK(test_await(&returned, CALLERS));
    for (uint32_t i = 0; i < CALLERS; i++) {
        CHECK_OK(callers[i].status);
        CHECK_EQUAL(order[i], wanted[i]);
    }
}

/* With its scheduling context, a handler loses its callers; with another one it goes on where it was. */
void test_remote_sched(void)
{
    struct cb_args message = {.a1 = 9};

    struct thread *handler = serve(hold_first);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    CHECK(call_by(0, PRIORITY_MID, portal));
    CHECK(test_await(&entered, 1));
    CHECK(call_by(1, PRIORITY_MID, portal));
    CHECK_OK(cb_destroy(handler->sched));
    CHECK(test_await(&returned, 2));
    CHECK_STATUS(callers[0].status, STATUS(ABORTED, 0));
    CHECK_STATUS(callers[1].status, STATUS(ABORTED, 0));
    CHECK_OK(serve_again(handler));
    CHECK_OK(cb_signal(gate));
    CHECK_OK(cb_call(portal, &message));
    CHECK_EQUAL(entered, 2);
    CHECK_EQUAL(returned, 2);
}

/* A portal takes along those who came through it, whether queued or served, and nobody else. */
void test_remote_portal(void)
{
    struct thread *handler = serve(hold_first);
    uint32_t portal = handler ? test_portal(handler, 1, 0) : 0, other = handler ? test_portal(handler, 2, 0) : 0;

    CHECK(portal && other);
    CHECK(call_by(0, PRIORITY_MID, portal));
    CHECK(test_await(&entered, 1));
    CHECK(call_by(1, PRIORITY_MID, other));
    CHECK(call_by(2, PRIORITY_MID, portal));
    CHECK_OK(cb_destroy(portal));
    CHECK(test_await(&returned, 2));
    CHECK_STATUS(callers[0].status, STATUS(ABORTED, 0));
    CHECK_STATUS(callers[2].status, STATUS(ABORTED, 0));
    CHECK_OK(cb_signal(gate));
    CHECK(test_await(&returned, 3));
    CHECK_OK(callers[1].status);
    CHECK_EQUAL(entered, 2);
}

/* A handler in the child's domain, with time of its own, that is entered at `entry`; its portal. */
static uint32_t child_portal(const struct child *child, uint64_t entry, uint32_t *thread)
{
    uint32_t sched = scratch(), portal = scratch();
    uint64_t status;

    *thread = scratch();
    status = cb_thread_create(child->account, *thread, child->domain, test_other_cpu(), CHILD_UTCB + CB_PAGE_SIZE, 0,
                              0);
    if (status == CB_OK)
        status = cb_portal_create(CB_TASK_SEL_ACCOUNT, portal, *thread, entry, 0, 0, LEVEL_DEFAULT);
    if (status == CB_OK)
        status = cb_sched_create(CB_TASK_SEL_ACCOUNT, sched, test_other_cpu(), PRIORITY_LOW, 10 * MS, 10 * MS);
    if (status == CB_OK)
        status = cb_sched_bind(sched, *thread);
    return test_status(__FILE__, __LINE__, "making a handler in a child domain", status, CB_OK) ? portal : 0;
}

/* A handler that stops at a fault that nobody handles. */
void test_remote_fault(void)
{
    struct cb_args message = {0};
    struct child child;
    uint32_t thread;

    CHECK(child_make(&child, 0, CHILD_PAGES));
    uint32_t portal = child_portal(&child, CHILD_DATA, &thread); /* nothing is mapped there */

    CHECK(portal);
    CHECK_STATUS(cb_call(portal, &message), STATUS(ABORTED, 0));
    CHECK_STATUS(cb_call(portal, &message), STATUS(ABORTED, 0));
}

/* A domain ends with calls in it: its handler runs the child's code, and waits for a command that never comes. */
void test_remote_domain(void)
{
    uint64_t counters[5] = {0}, deadline = clock_in(PATIENCE);
    struct child child;
    uint32_t thread;

    returned = 0;
    CHECK(child_make(&child, 0, CHILD_PAGES));
    uint32_t portal = child_portal(&child, CHILD_CODE, &thread);

    CHECK(portal);
    CHECK(call_by(0, PRIORITY_MID, portal));
    while (counters[1] == 0 && clock_tsc() < deadline)
        CHECK_OK(cb_counters(thread, 0, counters));
    CHECK_EQUAL(counters[1], 1);
    CHECK(call_by(1, PRIORITY_MID, portal));
    CHECK_EQUAL(returned, 0);
    CHECK_OK(cb_destroy(child.domain));
    CHECK(test_await(&returned, 2));
    CHECK_STATUS(callers[0].status, STATUS(ABORTED, 0));
    CHECK_STATUS(callers[1].status, STATUS(ABORTED, 0));
}

static uint32_t next_portal[2];

/* Calls through the portal that the badge names, and tells how that went. */
static void pass_on(uint64_t badge, struct cb_args *message)
{
    struct cb_args inner = {0};

    __atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST);
    message->a1 = cb_call(next_portal[badge], &inner);
    message->a2 = inner.a1;
    message->a5 = 0;
}

/* From here to there and back to where it began: nobody gets on until one of them is recalled. */
void test_remote_circle(void)
{
    struct thread *there = serve(pass_on), *here = test_handler(CPU_MAIN, pass_on, NULL);

    CHECK(there && here);
    CHECK_OK(thread_handler_serve(here, PRIORITY_MID));
    next_portal[0] = test_portal(there, 1, 0);
    next_portal[1] = test_portal(here, 0, 0);
    CHECK(next_portal[0] && next_portal[1]);
    CHECK(call_by(0, PRIORITY_MID, next_portal[1]));
    CHECK(test_await(&entered, 2));
    CHECK(test_settle(test_other_cpu()));
    CHECK_EQUAL(returned, 0);
    CHECK_OK(cb_recall(there->sel));
    CHECK(test_await(&returned, 1));
    CHECK_OK(callers[0].status);
    CHECK_EQUAL(entered, 2);
}

/* ---- Whose time it is ---- */

static volatile uint32_t rounds[2];

static void call_on(void *argument)
{
    struct caller *caller = argument;
    volatile uint32_t *count = &rounds[caller->word];
    struct cb_args message = {0};

    while (!stop && cb_call(caller->portal, &message) == CB_OK)
        (*count)++;
    __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
}

/* Callers of the handler's own CPU that never pause, and one of another CPU: all get on. */
void test_remote_turns(void)
{
    uint64_t deadline = clock_in(PATIENCE);

    struct thread *handler = serve(plus_one);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    stop = rounds[0] = rounds[1] = 0;
    callers[0] = (struct caller){.portal = portal, .word = 0};
    callers[1] = (struct caller){.portal = portal, .word = 1};
    CHECK(test_thread(test_other_cpu(), PRIORITY_MID, call_on, &callers[0]));
    CHECK(test_thread(test_other_cpu(), PRIORITY_MID, call_on, &callers[0]));
    CHECK(test_thread(CPU_MAIN, PRIORITY_MID, call_on, &callers[1]));
    while ((rounds[0] < 20 || rounds[1] < 20) && clock_tsc() < deadline)
        thread_sleep_us(MS);
    stop = 1;
    CHECK(rounds[0] >= 20);
    CHECK(rounds[1] >= 20);
    CHECK(test_await(&returned, 3));
}

static void nap(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    thread_sleep_us(100);
    message->a5 = 0;
}

static uint64_t consumed(const struct thread *thread)
{
    uint64_t counters[5] = {0};

    return cb_counters(thread->sched, 0, counters) == CB_OK ? counters[0] : UINT64_MAX;
}

static void call_ten_times(void *argument)
{
    for (uint32_t i = 0; i < 10; i++)
        call(argument);
}

/* Callers of its own CPU lend the handler their time, also when it has waited; those of others use its own. */
void test_remote_donation(void)
{
    struct cb_args message = {0};

    struct thread *handler = serve(nap);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal && test_settle(test_other_cpu()));
    uint64_t before = consumed(handler); /* what it took to start it */

    callers[0] = (struct caller){.portal = portal};
    CHECK(test_thread(test_other_cpu(), PRIORITY_LOW, call_ten_times, &callers[0]));
    CHECK(test_await(&returned, 10));
    CHECK_OK(callers[0].status);
    CHECK_EQUAL(consumed(handler), before);
    CHECK_OK(cb_call(portal, &message));
    CHECK(consumed(handler) > before);
}

static void work(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    entered++;
    for (volatile uint64_t i = 0; i < message->a1; i++)
        ;
    message->a5 = 0;
}

/*
 * A caller of the handler's CPU with 10 ms in a second asks for 300 ms of work, which would take it thirty seconds. The
 * handler's own time carries that on for a caller of another CPU. (With less, the caller might owe more time than anybody
 * waits for: an emulator that stands still delays the end of its budget, by up to 100 ms.)
 */
void test_remote_helping(void)
{
    struct cb_args message;
    uint64_t start, ticks = UINT64_MAX;

    struct thread *handler = serve(work);
    uint32_t portal = handler ? test_portal(handler, 0, 0) : 0;

    CHECK(portal);
    for (uint32_t i = 0; i < 10; i++) { /* the emulator may stand still in between: the shortest counts */
        message = (struct cb_args){.a1 = 1000000};
        start = clock_tsc();
        CHECK_OK(cb_call(portal, &message));
        uint64_t took = clock_tsc() - start;

        ticks = took < ticks ? took : ticks;
    }
    callers[0] = (struct caller){.portal = portal, .word = 1000000 * clock_ticks(300 * MS) / ticks};
    CHECK(test_thread_budget(test_other_cpu(), PRIORITY_MID + 1, 10 * MS, 1000 * MS, call, &callers[0]));
    CHECK(test_await(&entered, 11));
    CHECK(test_settle(test_other_cpu())); /* its budget is spent */
    CHECK_EQUAL(returned, 0);
    start = clock_tsc();
    message = (struct cb_args){0};
    CHECK_OK(cb_call(portal, &message));
    CHECK(clock_tsc() - start < clock_ticks(10000 * MS));
    CHECK(test_await(&returned, 1));
}

static volatile uint32_t lingering, finished;
static uint32_t inner_portal;

static void linger(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    lingering++;
    while (!stop)
        lock_pause();
    message->a5 = 0;
}

static void have_it_done(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    if (cb_call(inner_portal, message) == CB_OK)
        finished++;
}

/*
 * A handler with time of its own loses its only caller while another one works for it: it goes on by itself, with no
 * other call.
 */
void test_orphan(void)
{
    struct thread *handler = test_handler(CPU_MAIN, have_it_done, NULL), *inner = test_handler(CPU_MAIN, linger, NULL);

    returned = lingering = finished = stop = 0;
    inner_portal = scratch();
    CHECK(handler && inner);
    CHECK_OK(thread_handler_serve(handler, PRIORITY_LOW));
    CHECK_OK(cb_portal_create(CB_TASK_SEL_ACCOUNT, inner_portal, inner->sel, (uint64_t)thread_portal_entry, 0, 0,
                              LEVEL_DEFAULT - 1));
    callers[0] = (struct caller){.portal = test_portal(handler, 0, 0), .status = UINT64_MAX};
    struct thread *thread = test_thread(CPU_MAIN, PRIORITY_LOW, call, &callers[0]);

    CHECK(callers[0].portal && thread && test_await(&lingering, 1));
    CHECK_OK(cb_recall(thread->sel));
    CHECK(test_await(&returned, 1));
    CHECK_STATUS(callers[0].status, STATUS(ABORTED, 0));
    stop = 1;
    CHECK(test_await(&finished, 1));
}
