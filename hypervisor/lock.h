/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Spinlocks: ticket locks, so that every CPU gets its turn. The kernel runs with interrupts off, so a lock
 * is held for a bounded time by construction.
 *
 * Lock order: tree_lock (slot.h), then a CPU's post_lock or the log's lock; nothing nests inside those.
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdatomic.h>

#include "types.h"

struct lock {
    _Atomic u32 next;    /* ticket to draw */
    _Atomic u32 serving; /* ticket whose turn it is */
};

static inline void lock_take(struct lock *l)
{
    u32 ticket = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);

    /* Pairs with the release in lock_drop(). */
    while (atomic_load_explicit(&l->serving, memory_order_acquire) != ticket)
        __builtin_ia32_pause();
}

static inline void lock_drop(struct lock *l)
{
    u32 mine = atomic_load_explicit(&l->serving, memory_order_relaxed);

    atomic_store_explicit(&l->serving, mine + 1, memory_order_release);
}

#endif
