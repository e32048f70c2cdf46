/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads. The stack of a thread lies between an unmapped page below and its struct thread on top. Stacks are
 * kept for the next thread when theirs ends, since ram does not come back piece by piece.
 */
#include "thread.h"

#include "area.h"
#include "calls.h"
#include "clock.h"
#include "lock.h"
#include "pages.h"
#include "random.h"
#include "sel.h"

#include <corbel/boot.h>
#include <corbel/task.h>

#include <string.h>

#define STACK_SIZE (THREAD_STACK_PAGES * CB_PAGE_SIZE)
#define SLICE_US 10000u /* period of a scheduling context that has all the time of its priority */

_Static_assert(CB_CALL_reply == 2, "start.S knows the number");
_Static_assert(CB_TASK_SEL_ACCOUNT == CB_ROOT_SEL_ACCOUNT, "root and the other tasks pay from the same selector");
_Static_assert(CB_TASK_SEL_THREAD == CB_ROOT_SEL_THREAD, "and find their first thread there");

/* start.S */
void thread_entry(void);
_Noreturn void thread_begin(void);

bool thread_fault_portals;
uint32_t thread_portal_level = LEVEL_DEFAULT;

static struct thread main_thread;
static struct lock lock;
static uint64_t spare; /* lock; lowest address of an unused stack, whose first word is the next one; or 0 */

static void fill(struct thread *thread, uint32_t cpu, uint64_t utcb)
{
    thread->self = thread;
    thread->utcb = (struct cb_utcb *)utcb;
    thread->canary = random_u64() & ~0xffull; /* a zero byte stops overflowing strings */
    thread->cpu = cpu;
}

void thread_init(uint32_t cpu, uint64_t utcb)
{
    fill(&main_thread, cpu, utcb);
    main_thread.sel = CB_TASK_SEL_THREAD;
    main_thread.sched = CB_TASK_SEL_SCHED(cpu);
    /* Without these two, the library still works as long as nobody sleeps or uses a stack canary. */
    (void)!cb_thread_set(CB_TASK_SEL_THREAD, CB_THREAD_FS_BASE, (uint64_t)&main_thread);
    main_thread.event = sel_alloc();
    (void)!cb_event_create(CB_TASK_SEL_ACCOUNT, main_thread.event);
}

_Noreturn void thread_begin(void)
{
    struct thread *self = thread_self();

    self->function(self->argument);
    for (;;)
        thread_sleep_until(CB_DEADLINE_NONE);
}

/* Maps a new stack, with an unmapped page below; gives its lowest mapped address, 0 if that failed. */
static uint64_t stack_make(void)
{
    struct area area;

    return area_make(&area, THREAD_STACK_PAGES, 1, 1) == CB_OK ? (uint64_t)area.address : 0;
}

static uint64_t stack_take(void)
{
    lock_take(&lock);
    uint64_t stack = spare;

    if (stack)
        spare = *(uint64_t *)stack;
    lock_release(&lock);
    return stack ? stack : stack_make();
}

static void stack_give(uint64_t stack)
{
    lock_take(&lock);
    *(uint64_t *)stack = spare;
    spare = stack;
    lock_release(&lock);
}

/* Everything that threads and handlers have in common; entry 0 makes a handler. */
static uint64_t create(uint32_t cpu, uint64_t entry, struct thread **result)
{
    uint64_t stack = stack_take(), utcb = pages_space(CB_PAGE_SIZE, CB_PAGE_SIZE), status = CB_NO_MEMORY;
    uint32_t sel = sel_alloc(), event = sel_alloc();

    if (stack == 0 || utcb == 0 || sel == 0 || event == 0)
        goto fail;
    struct thread *thread = (struct thread *)(stack + STACK_SIZE) - 1;

    memset(thread, 0, sizeof(*thread));
    fill(thread, cpu, utcb);
    thread->sel = sel;
    thread->event = event;
    thread->stack = stack;
    status = cb_event_create(CB_TASK_SEL_ACCOUNT, event);
    if (status != CB_OK)
        goto fail;
    status = cb_thread_create(CB_TASK_SEL_ACCOUNT, sel, CB_SELF, cpu, utcb, entry, (uint64_t)thread);
    if (status != CB_OK)
        goto fail_event;
    status = cb_thread_set(sel, CB_THREAD_FS_BASE, (uint64_t)thread);
    if (status == CB_OK && thread_fault_portals)
        status = cb_thread_set(sel, CB_THREAD_EXCEPTION, CB_TASK_SEL_ROOT(cpu));
    if (status == CB_OK) {
        *result = thread;
        return CB_OK;
    }
    (void)!cb_destroy(sel);
fail_event:
    (void)!cb_destroy(event);
fail:
    sel_free(sel);
    sel_free(event);
    if (utcb)
        pages_space_free(utcb, CB_PAGE_SIZE);
    if (stack)
        stack_give(stack);
    return status;
}

void thread_destroy(struct thread *thread)
{
    uint64_t stack = thread->stack, utcb = (uint64_t)thread->utcb;
    uint32_t sel = thread->sel, event = thread->event;

    sel_drop(thread->sched);
    sel_drop(sel);
    sel_drop(event);
    pages_space_free(utcb, CB_PAGE_SIZE);
    stack_give(stack);
}

/* On failure, what was made is dropped with the thread. */
static uint64_t sched_make(struct thread *thread, uint32_t priority, uint64_t budget, uint64_t period)
{
    thread->sched = sel_alloc();
    return cb_sched_create(CB_TASK_SEL_ACCOUNT, thread->sched, thread->cpu, priority, budget, period);
}

uint64_t thread_start_budget(uint32_t cpu, uint32_t priority, uint64_t budget, uint64_t period, thread_fn *function,
                             void *argument, struct thread **result)
{
    struct thread *thread;
    uint64_t status = create(cpu, (uint64_t)thread_entry, &thread);

    if (status != CB_OK)
        return status;
    thread->function = function;
    thread->argument = argument;
    status = sched_make(thread, priority, budget, period);
    if (status == CB_OK) {
        *result = thread; /* before it runs: it may look */
        status = cb_sched_bind(thread->sched, thread->sel);
    }
    if (status != CB_OK)
        thread_destroy(thread);
    return status;
}

uint64_t thread_start(uint32_t cpu, uint32_t priority, thread_fn *function, void *argument, struct thread **thread)
{
    return thread_start_budget(cpu, priority, SLICE_US, SLICE_US, function, argument, thread);
}

uint64_t thread_handler(uint32_t cpu, thread_handler_fn *handler, void *argument, struct thread **result)
{
    struct thread *thread;
    uint64_t status = create(cpu, 0, &thread);

    if (status == CB_OK) {
        thread->handler = handler;
        thread->argument = argument;
        *result = thread;
    }
    return status;
}

uint64_t thread_handler_serve(struct thread *handler, uint32_t priority)
{
    uint64_t status = sched_make(handler, priority, SLICE_US, SLICE_US);

    if (status == CB_OK)
        status = cb_sched_bind(handler->sched, handler->sel);
    if (status != CB_OK) {
        sel_drop(handler->sched);
        handler->sched = 0;
    }
    return status;
}

uint64_t thread_portal(const struct thread *handler, uint64_t badge, uint32_t groups, uint32_t *sel)
{
    uint32_t portal = sel_alloc();
    uint64_t status = cb_portal_create(CB_TASK_SEL_ACCOUNT, portal, handler->sel, (uint64_t)thread_portal_entry,
                                       badge, groups, thread_portal_level);

    if (status == CB_OK)
        *sel = portal;
    else
        sel_free(portal);
    return status;
}

void thread_sleep_until(uint64_t deadline)
{
    uint64_t bits;

    (void)!cb_wait(thread_self()->event, 0, deadline, &bits);
}

void thread_sleep_us(uint64_t us)
{
    thread_sleep_until(clock_in(us));
}
