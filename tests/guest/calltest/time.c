/* SPDX-License-Identifier: GPL-2.0-only */
/* Scheduling contexts: priorities, budgets, helping; and what a switch keeps. Emulators are slow: so are the limits. */
#include "calltest.h"

#define CPU_FAR 63u

static volatile uint32_t stop, turns[2];

static void take_turns(void *argument)
{
    volatile uint32_t *count = argument;

    while (!stop) {
        (*count)++;
        if (cb_yield() != CB_OK)
            return;
    }
}

/* Two threads of one priority on one CPU: both get on. */
void test_yield(void)
{
    stop = turns[0] = turns[1] = 0;
    CHECK_OK(cb_yield());
    CHECK(test_thread(CPU_MAIN, PRIORITY_MID, take_turns, (void *)(uint64_t)&turns[0]));
    CHECK(test_thread(CPU_MAIN, PRIORITY_MID, take_turns, (void *)(uint64_t)&turns[1]));
    bool both = test_await_more(&turns[0], 100) && test_await_more(&turns[1], 100);

    stop = 1;
    CHECK(both);
    uint32_t more = turns[0] > turns[1] ? turns[0] : turns[1], less = turns[0] + turns[1] - more;

    CHECK(more < 4 * less + 100);
}

static void spin(void *argument)
{
    volatile uint32_t *count = argument;

    while (!stop) {
        (*count)++;
        lock_pause(); /* under QEMU's instruction counting, only this lets the other CPU run */
    }
}

/* The lower one gets nothing while the higher one runs, and all when it sleeps. */
void test_priority(void)
{
    stop = turns[0] = turns[1] = 0;
    struct thread *low = test_thread(CPU_MAIN, PRIORITY_LOW, spin, (void *)(uint64_t)&turns[0]);

    CHECK(low && test_await_more(&turns[0], 0));
    struct thread *high = test_thread(CPU_MAIN, PRIORITY_MID, spin, (void *)(uint64_t)&turns[1]);

    CHECK(high && test_await_more(&turns[1], 0));
    uint32_t before = turns[0];

    thread_sleep_us(50 * MS); /* time in which the lower one could run */
    CHECK_EQUAL(turns[0], before);
    test_thread_end(high);
    CHECK(test_await_more(&turns[0], before));
    stop = 1;
}

/* Runs for 300 us in each ms. */
static void interrupt(void *argument)
{
    uint64_t next = clock_tsc();

    (void)argument;
    while (!stop) {
        uint64_t until = clock_in(300);

        while (clock_tsc() < until)
            ;
        next += clock_ticks(MS);
        if (next < clock_tsc())
            next = clock_in(MS);
        thread_sleep_until(next);
    }
}

static uint64_t consumed_by(const struct thread *thread)
{
    uint64_t counters[5] = {0};

    (void)!cb_counters(thread->sched, 0, counters);
    return counters[0];
}

/*
 * Two of one priority share what is left by a third above them, which interrupts whoever runs within its slice. The
 * emulator may stand still while one of them runs: so it is looked at for as long as it takes.
 */
void test_equals(void)
{
    uint64_t least, total, deadline = clock_in(PATIENCE);

    stop = turns[0] = turns[1] = 0;
    struct thread *first = test_thread(CPU_MAIN, PRIORITY_LOW, spin, (void *)(uint64_t)&turns[0]);
    struct thread *second = test_thread(CPU_MAIN, PRIORITY_LOW, spin, (void *)(uint64_t)&turns[1]);

    CHECK(first && second && test_thread(CPU_MAIN, PRIORITY_MID, interrupt, NULL));
    do {
        thread_sleep_us(400 * MS);
        uint64_t one = consumed_by(first), other = consumed_by(second);

        least = one < other ? one : other;
        total = one + other;
    } while ((total < clock_ticks(300 * MS) || least < total / 3) && clock_tsc() < deadline);
    stop = 1;
    CHECK(least >= total / 3);
}

/*
 * 2 ms in 20 ms: consumes about a tenth, and leaves the rest to a lower one. For a moment it may be more, if the emulator
 * itself did not run meanwhile; but that is taken off the next budgets.
 */
void test_budget(void)
{
    uint64_t counters[5], before, consumed, start, took, deadline = clock_in(PATIENCE);

    stop = turns[0] = turns[1] = 0;
    struct thread *high = test_thread_budget(CPU_MAIN, PRIORITY_MID, 2 * MS, 20 * MS, spin,
                                             (void *)(uint64_t)&turns[0]);
    struct thread *low = test_thread(CPU_MAIN, PRIORITY_LOW, spin, (void *)(uint64_t)&turns[1]);

    CHECK(high && low);
    start = clock_tsc();
    CHECK_OK(cb_counters(high->sched, 0, counters));
    before = counters[0];
    do {
        thread_sleep_us(300 * MS);
        took = clock_tsc() - start;
        CHECK_OK(cb_counters(high->sched, 0, counters));
        consumed = counters[0] - before;
    } while ((consumed <= took / 50 || consumed >= took / 5) && clock_tsc() < deadline);
    stop = 1;
    CHECK(turns[1] > 0);
    CHECK(consumed > took / 50);
    CHECK(consumed < took / 5);
}

/* ---- Time as a capability: who has 2 ms in 20 ms of a CPU gets no more ---- */

static uint32_t limited; /* that */

/* The thread goes on with time that is made under `limited`. */
static uint64_t share(const struct thread *thread)
{
    uint64_t status = cb_destroy(thread->sched);

    if (status == CB_OK)
        status = cb_sched_create_under(CB_TASK_SEL_ACCOUNT, thread->sched, limited, PRIORITY_MID, 10 * MS, 10 * MS);
    return status == CB_OK ? cb_sched_bind(thread->sched, thread->sel) : status;
}

static bool limited_make(void)
{
    stop = turns[0] = turns[1] = 0;
    limited = scratch();
    return test_status(__FILE__, __LINE__, "making time",
                       cb_sched_create(CB_TASK_SEL_ACCOUNT, limited, CPU_MAIN, PRIORITY_MID, 2 * MS, 20 * MS), CB_OK);
}

/* What is made under it is of its CPU, of no higher priority, and has no limit of its own; and there is an end to it. */
void test_time_made_under_it(void)
{
    const uint32_t count = 32;
    uint32_t first = scratch_range(count), far;

    CHECK(limited_make());
    CHECK_STATUS(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, first, limited, PRIORITY_MID + 1, MS, MS), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, first, limited, PRIORITY_MID, MS, 2 * MS), STATUS(BAD_PARAM, 3));
    for (uint32_t i = 1; i < count; i++) /* each under the one before: no matter */
        CHECK_OK(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, first + i, i == 1 ? limited : first + i - 1, PRIORITY_MID, MS, MS));
    CHECK_STATUS(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, first, first + 1, PRIORITY_MID, MS, MS), STATUS(BUSY, 1));
    if (test_has_two_cpus()) {
        struct thread *thread = test_handler(test_other_cpu(), NULL, NULL);

        far = scratch();
        CHECK(thread);
        CHECK_STATUS(cb_sched_bind(first + 1, thread->sel), STATUS(BAD_CPU, 1));
        if (task_info()->cpu_count <= CPU_FAR) /* nobody has time there */
            CHECK_STATUS(cb_sched_create(CB_TASK_SEL_ACCOUNT, far, CPU_FAR, PRIORITY_MID, MS, MS), STATUS(BAD_CAP, 1));
    }
    /* Taken back, with all that was made of it. */
    CHECK_OK(cb_destroy(first + 1));
    CHECK_EQUAL(test_type(first + 2), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(first + count - 1), CB_TYPE_NULL);
    CHECK_EQUAL(test_type(limited), CB_TYPE_SCHED);
    CHECK_OK(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, first, limited, PRIORITY_MID, MS, MS));
    CHECK_OK(cb_destroy(limited));
    CHECK_EQUAL(test_type(first), CB_TYPE_NULL);
}

#define SHARERS 3u

/*
 * How much of the time threads on time under `limited` get, in percent, at least once: the emulator may stand still
 * while one of them runs. `again`: each gets new time every few ms. With nobody else to run on that CPU.
 */
static uint64_t shares_take(struct thread *const threads[], bool again)
{
    uint64_t sum = 0, least = 100, deadline = clock_in(PATIENCE);

    do {
        uint64_t start = clock_tsc(), before = sum, held = 0;

        for (uint32_t round = 0; round < 40; round++) {
            thread_sleep_us(10 * MS);
            held = 0;
            for (uint32_t i = 0; i < SHARERS; i++) {
                held += consumed_by(threads[i]);
                if (again && share(threads[i]) != CB_OK)
                    return 100;
            }
            if (again)
                sum += held;
        }
        if (!again)
            sum = held;
        uint64_t percent = (sum - before) * 100 / (clock_tsc() - start);

        least = percent < least ? percent : least;
    } while (least >= 15 && clock_tsc() < deadline);
    return sum ? least : 0;
}

static void take_all(bool again)
{
    struct thread *threads[SHARERS];

    CHECK(limited_make());
    for (uint32_t i = 0; i < SHARERS; i++) {
        threads[i] = test_thread(CPU_MAIN, PRIORITY_MID, spin, (void *)(uint64_t)&turns[0]);
        CHECK(threads[i]);
        CHECK_OK(share(threads[i]));
    }
    uint64_t percent = shares_take(threads, again);

    stop = 1;
    CHECK(percent > 0 && percent < 15);
}

void test_time_shared(void)
{
    take_all(false);
}

void test_time_made_again(void)
{
    take_all(true);
}

/* Another domain, to which it is handed, gets no more either, and loses it when it is taken back. */
void test_time_handed_on(void)
{
    struct child child;
    uint32_t given = scratch();

    CHECK(limited_make());
    CHECK_OK(cb_sched_create_under(CB_TASK_SEL_ACCOUNT, given, limited, PRIORITY_MID, MS, MS));
    CHECK(child_make(&child, 0, CHILD_PAGES));
    CHECK_OK(cb_derive(given, CHILD_SEL_TEST, child.domain, CB_RIGHT_CONTROL, 0, 0));
    CHECK_OK(cb_derive(child.account, CHILD_SEL_TEST + 1, child.domain, CB_RIGHT_PAY, 0, 0));
    struct cb_args args = {CB_PAIR(CHILD_SEL_TEST + 2, CHILD_SEL_TEST), PRIORITY_MID, MS, 2 * MS, 0};
    const uint64_t create = CB_CALL_WORD(CB_CALL_sched_create, 0, CHILD_SEL_TEST + 1);

    CHECK_STATUS(child_call(&child, create, args), STATUS(BAD_PARAM, 3));
    args.a4 = MS;
    CHECK_OK(child_call(&child, create, args));
    CHECK_OK(cb_destroy(given));
    args.a1 = CHILD_SEL_TEST;
    CHECK_STATUS(child_call(&child, CB_CALL_WORD(CB_CALL_sched_bind, 0, CHILD_SEL_TEST + 2), args), STATUS(BAD_CAP, 0));
}

/* ---- Calls and budgets ---- */

static volatile uint32_t entered, returned;
static uint32_t portal;
static uint64_t spins_per_ms;

static void spin_for(uint64_t ms)
{
    for (volatile uint64_t i = 0; i < ms * spins_per_ms; i++)
        ;
}

static void calibrate(void)
{
    uint64_t start = clock_tsc();

    spins_per_ms = 100000;
    spin_for(1);
    uint64_t ticks = clock_tsc() - start;

    spins_per_ms = spins_per_ms * clock_khz / (ticks ? ticks : 1) + 1;
}

/* Word 0: ms of work. */
static void work(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    entered++;
    spin_for(message->a1);
    message->a1 = entered;
}

static void call_for_work(void *argument)
{
    struct cb_args message = {.a1 = (uint64_t)argument};

    if (cb_call(portal, &message) == CB_OK)
        returned++;
}

/*
 * The client with 1 ms in a second asks for 30 ms of work. On its own budget that takes thirty seconds; the second
 * client lends its time to the handler until it is free, and waits only as long as the work itself takes.
 */
void test_helping(void)
{
    struct thread *handler = test_handler(CPU_MAIN, work, NULL);
    struct cb_args message = {.a1 = 0};

    calibrate();
    entered = returned = 0;
    portal = handler ? test_portal(handler, 0, 0) : 0;
    CHECK(portal);
    CHECK(test_thread_budget(CPU_MAIN, PRIORITY_MID, MS, 1000 * MS, call_for_work, (void *)30ull));
    CHECK(test_await(&entered, 1));
    CHECK(test_settle(CPU_MAIN)); /* its budget is spent */
    uint64_t start = clock_tsc();

    CHECK_OK(cb_call(portal, &message));
    CHECK(clock_tsc() - start < clock_ticks(10000 * MS));
    CHECK_EQUAL(message.a1, 2);
}

static volatile uint32_t order[2], position;
static uint32_t gate;

/* The first caller holds the handler until the others have queued. */
static void note_order(uint64_t badge, struct cb_args *message)
{
    uint64_t bits;

    (void)badge;
    if (message->a1 == 0) {
        entered++;
        (void)!cb_wait(gate, 0, CB_DEADLINE_NONE, &bits);
    } else if (position < 2) {
        order[position++] = (uint32_t)message->a1;
    }
    message->a5 = 0;
}

/* Callers queue by priority, not in the order in which they came. */
void test_queue_priority(void)
{
    struct thread *handler = test_handler(CPU_MAIN, note_order, NULL);

    entered = returned = position = 0;
    gate = test_event();
    portal = handler ? test_portal(handler, 0, 0) : 0;
    CHECK(portal && gate);
    CHECK(test_thread(CPU_MAIN, PRIORITY_LOW, call_for_work, (void *)0ull));
    CHECK(test_await(&entered, 1));
    CHECK(test_thread(CPU_MAIN, PRIORITY_LOW + 1, call_for_work, (void *)1ull));
    CHECK(test_settle(CPU_MAIN));
    CHECK(test_thread(CPU_MAIN, PRIORITY_MID, call_for_work, (void *)2ull));
    CHECK(test_settle(CPU_MAIN));
    CHECK_OK(cb_signal(gate));
    CHECK(test_await(&returned, 3));
    CHECK_EQUAL(order[0], 2);
    CHECK_EQUAL(order[1], 1);
}

/* ---- FPU ---- */

static volatile uint32_t fpu_wrong, fpu_done;

/* Holds a pattern in XMM registers, which the compiler does not use, through switches and calls. */
static void hold_fpu(void *argument)
{
    uint64_t pattern = (uint64_t)argument * 0x0101010101010101ull, seen;

    __asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm15" ::"r"(pattern));
    for (uint32_t i = 0; i < 30; i++) {
        uint64_t until = clock_in(MS);

        while (clock_tsc() < until)
            lock_pause();
        thread_sleep_us(200);
        __asm__ volatile("movq %%xmm0, %0" : "=r"(seen));
        fpu_wrong += seen != pattern;
        __asm__ volatile("movq %%xmm15, %0" : "=r"(seen));
        fpu_wrong += seen != pattern;
    }
    __atomic_add_fetch(&fpu_done, 1, __ATOMIC_RELAXED);
}

void test_fpu_state(void)
{
    fpu_wrong = fpu_done = 0;
    for (uint64_t i = 1; i <= 3; i++)
        CHECK(test_thread(CPU_MAIN, PRIORITY_MID, hold_fpu, (void *)i));
    CHECK(test_thread(test_other_cpu(), PRIORITY_MID, hold_fpu, (void *)9ull));
    CHECK(test_await(&fpu_done, 4));
    CHECK_EQUAL(fpu_wrong, 0);
}
