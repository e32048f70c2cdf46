/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The main thread arms the watch, calls, and disarms it. When the time has come, the watch's thread recalls the main
 * thread, which ends the call; and again after a moment, since a recall that comes before the call has begun has no
 * effect. While it does, it has the watch for itself, so that no recall comes after the watch has been disarmed.
 */
#include "watch.h"

#include "boot.h"
#include "calls.h"
#include "clock.h"
#include "sel.h"
#include "thread.h"

#define BOOT_CPU 0u
#define PRIORITY 120u /* root's own */
#define AGAIN_US 10000u
#define BUSY_US 20u

enum { OFF, ARMED, RECALLING };

static uint32_t state;    /* atomic */
static uint64_t deadline; /* while armed: constant */
static uint32_t event;

static bool change(uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void recall_late_call(void)
{
    if (!change(ARMED, RECALLING))
        return;
    bool late = clock_tsc() >= deadline;

    if (late)
        (void)!cb_recall(CB_ROOT_SEL_THREAD);
    change(RECALLING, ARMED);
    if (late)
        thread_sleep_us(AGAIN_US);
}

static void watch(void *unused)
{
    uint64_t bits;

    (void)unused;
    for (;;) {
        uint64_t until = CB_DEADLINE_NONE;

        recall_late_call();
        if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != OFF)
            until = __atomic_load_n(&deadline, __ATOMIC_RELAXED);
        (void)!cb_wait(event, 0, until, &bits);
    }
}

uint64_t watch_init(void)
{
    struct thread *thread;

    event = sel_alloc();
    uint64_t status = cb_event_create(CB_ROOT_SEL_ACCOUNT, event);

    return status == CB_OK ? thread_start(BOOT_CPU, PRIORITY, watch, NULL, &thread) : status;
}

uint64_t watch_call(uint32_t portal, struct cb_args *message)
{
    __atomic_store_n(&deadline, clock_in(WATCH_US), __ATOMIC_RELAXED);
    __atomic_store_n(&state, ARMED, __ATOMIC_RELEASE);
    (void)!cb_signal(event);
    uint64_t status = cb_call(portal, message);

    while (!change(ARMED, OFF))
        thread_sleep_us(BUSY_US);
    return status;
}
