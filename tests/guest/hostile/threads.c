/* SPDX-License-Identifier: GPL-2.0-only */
/* Attacks by threads: many that wait for one, that are recalled, signalled, called, or whose time is over at once. */
#include "hostile.h"

#define CROWD 300u

static struct thread *crowd[CROWD], *handler;
static uint32_t crowd_size, portal, events, caught;
static volatile uint64_t deadline;

static bool crowd_start(uint32_t cpu, thread_fn *function)
{
    while (crowd_size < CROWD &&
           thread_start(cpu, BELOW, function, (void *)(uintptr_t)crowd_size, &crowd[crowd_size]) == CB_OK)
        crowd_size++;
    thread_sleep_us(20000); /* nobody else runs now: they come to where they wait */
    return crowd_size == CROWD;
}

static void crowd_end(void)
{
    while (crowd_size)
        thread_destroy(crowd[--crowd_size]);
}

static void spin(void *argument)
{
    (void)argument;
    for (;;)
        __asm__ volatile("pause");
}

/* Threads of the other CPU, which do not run. */
static bool recall_start(void)
{
    return crowd_start(there, spin);
}

static void recall_step(void)
{
    for (uint32_t i = 0; i < CROWD; i++)
        (void)!cb_recall(crowd[i]->sel);
}

static void wait_own(void *number)
{
    uint64_t bits;

    for (;;)
        (void)!cb_wait(events + (uint32_t)(uintptr_t)number, 0, deadline, &bits);
}

static bool events_make(void)
{
    events = sels + 100;
    for (uint32_t i = 0; i < CROWD; i++)
        if (cb_event_create(CB_TASK_SEL_ACCOUNT, events + i) != CB_OK)
            return false;
    return true;
}

static void events_drop(void)
{
    for (uint32_t i = 0; i < CROWD; i++)
        (void)!cb_revoke(events + i, CB_REVOKE_SELF);
}

static bool signal_start(void)
{
    deadline = CB_DEADLINE_NONE;
    return events_make() && crowd_start(there, wait_own);
}

static void signal_step(void)
{
    for (uint32_t i = 0; i < CROWD; i++)
        (void)!cb_signal(events + i);
}

static void signal_end(void)
{
    crowd_end();
    events_drop();
}

/* All of them at the same moment, in the middle of the attack. */
static bool timeout_start(void)
{
    deadline = clock_in(60000);
    return events_make() && crowd_start(there, wait_own);
}

static void timeout_step(void)
{
    (void)!cb_null();
}

/* ---- Many who call one ---- */

/* It waits again and again, and whoever calls meanwhile waits for it. */
static void serve_slowly(uint64_t badge, struct cb_args *message)
{
    (void)badge, (void)message;
    for (;;)
        thread_sleep_us(200);
}

static void call_it(void *argument)
{
    (void)argument;
    for (;;) {
        struct cb_args m = { 0 };

        (void)!cb_call(portal, &m);
    }
}

static bool handler_make(void)
{
    return thread_handler(here, serve_slowly, NULL, &handler) == CB_OK && thread_portal(handler, 0, 0, &portal) == CB_OK;
}

static bool callers_start(void)
{
    return handler_make() && crowd_start(here, call_it);
}

static void callers_step(void)
{
    thread_sleep_us(100);
}

static void callers_end(void)
{
    crowd_end();
    sel_drop(portal);
    thread_destroy(handler);
}

/* The portal dies under them, again and again. */
static void portal_step(void)
{
    (void)!cb_revoke(portal, CB_REVOKE_SELF);
    (void)!cb_portal_create(CB_TASK_SEL_ACCOUNT, portal, handler->sel, (uint64_t)thread_portal_entry, 0, 0,
                           thread_portal_level);
    thread_sleep_us(1000);
}

static bool far_start(void)
{
    return handler_make() && crowd_start(there, call_it);
}

/* ---- Messages ---- */

static void serve_at_once(uint64_t badge, struct cb_args *message)
{
    (void)badge;
    thread_utcb()->window = caught;
    thread_utcb()->window_count = CB_UTCB_ITEMS;
    message->a5 = 0;
}

static bool items_start(void)
{
    caught = sels + 1000;
    return thread_handler(here, serve_at_once, NULL, &handler) == CB_OK && thread_portal(handler, 0, 0, &portal) == CB_OK;
}

static void items_step(void)
{
    struct cb_args m = { .a5 = CB_INFO(CB_UTCB_WORDS, CB_UTCB_ITEMS, 0) };

    for (uint32_t i = 0; i < CB_UTCB_ITEMS; i++)
        thread_utcb()->items[i] = (struct cb_item){ .sel = CB_TASK_SEL_DOMAIN, .rights = CB_RIGHT_INSERT };
    (void)!cb_call(portal, &m);
    for (uint32_t i = 0; i < CB_UTCB_ITEMS; i++)
        (void)!cb_revoke(caught + i, CB_REVOKE_SELF);
}

static void items_end(void)
{
    sel_drop(portal);
    thread_destroy(handler);
}

/* ---- Threads themselves ---- */

static void thread_step(void)
{
    struct thread *t;

    if (thread_start(there, BELOW, spin, NULL, &t) == CB_OK)
        thread_destroy(t);
}

static void yield_step(void)
{
    (void)!cb_yield();
}

const struct attack attacks_threads[] = {
    { "300 threads recalled", recall_start, recall_step, crowd_end },
    { "300 waiters signalled", signal_start, signal_step, signal_end },
    { "300 waits that end at once", timeout_start, timeout_step, signal_end },
    { "300 callers of one who waits", callers_start, callers_step, callers_end },
    { "300 callers of a dying portal", callers_start, portal_step, callers_end },
    { "300 callers on another CPU", far_start, portal_step, callers_end },
    { "messages with 16 items", items_start, items_step, items_end },
    { "threads made and destroyed", NULL, thread_step, NULL },
    { "yield", NULL, yield_step, NULL },
    { NULL, NULL, NULL, NULL },
};
