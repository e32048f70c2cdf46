/* SPDX-License-Identifier: GPL-2.0-only */
#include "sync.h"

#include <stdatomic.h>

#include "x86.h"

#define ROUNDS_MIN 8
#define ROUNDS_MAX 1000
#define TURN_ASK 1u    /* the other CPU's turn */
#define TURN_ANSWER 2u /* the boot CPU's turn */
#define TURN_END 3u

static _Atomic u32 turn;
static u64 answer; /* belongs to whose turn it is */

/* Nothing before is still to come when the time is read (SDM 2B, RDTSC; on AMD, MFENCE does it). */
static u64 now(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    __asm__ volatile("mfence; lfence" : : : "memory");
    return rdtsc();
}

/* One question. All atomics here pair with one another: what was written before a turn is seen after it. */
static void ask(struct sync_bounds *b)
{
    u64 asked = now(), answered;

    atomic_store_explicit(&turn, TURN_ASK, memory_order_release);
    while (atomic_load_explicit(&turn, memory_order_acquire) != TURN_ANSWER)
        cpu_pause();
    answered = now();
    b->low = MAX(b->low, (s64)(answer - answered));
    b->high = MIN(b->high, (s64)(answer - asked));
}

struct sync_bounds sync_ask(u64 least)
{
    struct sync_bounds b = { INT64_MIN, INT64_MAX };
    u64 begin = rdtsc();

    for (int i = 0; i < ROUNDS_MAX && (i < ROUNDS_MIN || rdtsc() - begin < least); i++)
        ask(&b);
    return b;
}

void sync_answer(void)
{
    u32 t;

    while ((t = atomic_load_explicit(&turn, memory_order_acquire)) != TURN_END) {
        if (t != TURN_ASK) {
            cpu_pause();
            continue;
        }
        answer = now();
        atomic_store_explicit(&turn, TURN_ANSWER, memory_order_release);
    }
    atomic_store_explicit(&turn, 0, memory_order_release);
}

void sync_end(void)
{
    atomic_store_explicit(&turn, TURN_END, memory_order_release);
    while (atomic_load_explicit(&turn, memory_order_acquire) != 0)
        cpu_pause();
}
