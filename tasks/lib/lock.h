/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lock for threads of one domain. A waiter spins a little, with PAUSE, and then sleeps in growing steps:
 * under strict priorities a spinner could otherwise keep the holder from ever running.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct lock {
    uint32_t taken;
};

void lock_take(struct lock *lock);
bool lock_try(struct lock *lock);
void lock_release(struct lock *lock);

static inline void lock_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

#endif
