/* SPDX-License-Identifier: GPL-2.0-only */
#include "lock.h"

#include "thread.h"

#define SPINS 200u
#define SLEEP_FIRST 20u /* us */
#define SLEEP_LAST 1000u

bool lock_try(struct lock *lock)
{
    return __atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE) == 0;
}

void lock_take(struct lock *lock)
{
    uint32_t us = SLEEP_FIRST;

    for (uint32_t i = 0; i < SPINS; i++) {
        if (lock_try(lock))
            return;
        lock_pause();
    }
    while (!lock_try(lock)) {
        thread_sleep_us(us);
        us = us < SLEEP_LAST ? us * 2 : us;
    }
}

void lock_release(struct lock *lock)
{
    __atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}
