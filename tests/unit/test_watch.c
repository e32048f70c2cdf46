/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls of root's that are not answered in time are ended, and no others. The two threads take turns where they wait. */
#include <criterion/criterion.h>
#include <setjmp.h>

#include "calls_fake.h"
#include "clock.h"
#include "thread.h"
#include "sel.h"
#include "watch.h"

#define PORTAL 9u
#define EVENT 33u

uint64_t clock_now;

static thread_fn *watch;
static jmp_buf waiting;
static uint64_t until, answer_after; /* us that the call takes */
static unsigned recalls, deaf;       /* recalls that come before the call has begun */

/* ---- What watch.c calls ---- */

uint32_t sel_alloc(void)
{
    return EVENT;
}

uint64_t cb_event_create(uint32_t account, uint32_t dst)
{
    (void)account;
    cr_assert_eq(dst, EVENT);
    return CB_OK;
}

uint64_t thread_start(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument, struct thread **thread)
{
    (void)argument, (void)thread;
    cr_assert(cpu == 0 && priority > 110, "above all that it waits for");
    watch = function;
    return CB_OK;
}

void thread_sleep_us(uint64_t us)
{
    static unsigned times;

    cr_assert_lt(++times, 1000u, "waits for ever");
    clock_now += us;
}

uint64_t cb_wait(uint32_t event, uint32_t flags, uint64_t deadline, uint64_t *bits)
{
    cr_assert(event == EVENT && flags == 0);
    *bits = 0;
    until = deadline;
    longjmp(waiting, 1);
}

uint64_t cb_signal(uint32_t event)
{
    cr_assert_eq(event, EVENT);
    return CB_OK;
}

uint64_t cb_recall(uint32_t sel)
{
    cr_assert_eq(sel, CB_ROOT_SEL_THREAD);
    recalls++;
    return CB_OK;
}

static void run_watch(void)
{
    if (setjmp(waiting) == 0)
        watch(NULL);
}

uint64_t cb_call(uint32_t portal, struct cb_args *message)
{
    uint64_t end = clock_now + answer_after;

    cr_assert_eq(portal, PORTAL);
    message->a1 = 77;
    while (clock_now < end) {
        run_watch();
        if (recalls > deaf)
            return CB_ABORTED;
        cr_assert_neq(until, CB_DEADLINE_NONE, "nobody watches");
        clock_now = until < end ? until : end;
    }
    return CB_OK;
}

/* ---- Tests ---- */

static uint64_t call(uint64_t takes)
{
    struct cb_args message = {0};

    recalls = 0;
    answer_after = takes;
    return watch_call(PORTAL, &message);
}

Test(watch, calls)
{
    uint64_t begun;

    cr_assert_eq(watch_init(), CB_OK);
    run_watch();
    cr_assert_eq(until, CB_DEADLINE_NONE);
    cr_assert(call(WATCH_US - 1) == CB_OK && recalls == 0);
    begun = clock_now;
    cr_assert(call(10ull * WATCH_US) == CB_ABORTED && recalls == 1);
    cr_assert(clock_now >= begun + WATCH_US && clock_now < begun + WATCH_US + 1000000, "after %lu us", clock_now - begun);
    deaf = 2;
    cr_assert(call(10ull * WATCH_US) == CB_ABORTED && recalls == 3, "again and again");
    deaf = 0;
    cr_assert(call(0) == CB_OK && recalls == 0);
    clock_now += 100ull * WATCH_US;
    run_watch();
    cr_assert(recalls == 0 && until == CB_DEADLINE_NONE, "a call that is over");
}
