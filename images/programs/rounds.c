/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rounds, measured one by one with the time-stamp counter. What reading it takes is measured with rounds that have
 * nothing in them, and subtracted.
 */
#include "ipcbench.h"

#include <stdlib.h>
#include <time.h>

#define WARMUP 16u
#define EMPTY_ROUNDS 1000u
#define BOX_NS 5000000000ull /* for a path, unless so many rounds are asked for */
#define LOOP 100000u         /* of two instructions each */
#define LOOP_AROUND 32u      /* instructions around it, at most */

static uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static bool nothing(void *unused)
{
    (void)unused;
    return true;
}

/* The rounds' ticks, unsorted; how many there were. */
static uint64_t run(const struct rounds *rounds, uint64_t *took, void (*prepare)(void *), round_fn *round, void *context,
                    bool *good)
{
    uint64_t begin = now_ns(), count, start;

    for (count = 0; count < rounds->wanted && *good; count++) {
        if (rounds->boxed && count >= ROUNDS_MIN && now_ns() - begin > BOX_NS)
            break;
        if (prepare)
            prepare(context);
        start = ticks();
        *good = round(context);
        took[count] = ticks() - start;
    }
    return count;
}

/* What an empty round takes. */
static uint64_t overhead(void)
{
    static uint64_t took[EMPTY_ROUNDS], least;
    const struct rounds empty = {.wanted = EMPTY_ROUNDS};
    bool good = true;

    if (!least) {
        run(&empty, took, NULL, nothing, NULL, &good);
        qsort(took, EMPTY_ROUNDS, sizeof(took[0]), compare);
        least = took[0];
    }
    return least;
}

void rounds_measure(const struct rounds *rounds, struct row *row, void (*prepare)(void *), round_fn *round,
                    void *context)
{
    const struct rounds warmup = {.wanted = WARMUP};
    uint64_t *took = calloc(rounds->wanted > WARMUP ? rounds->wanted : WARMUP, sizeof(*took));
    uint64_t count, empty = overhead();
    bool good = true;

    if (!took) {
        row->missing = "no memory";
        return;
    }
    run(&warmup, took, prepare, round, context, &good);
    count = run(rounds, took, prepare, round, context, &good);
    if (good) {
        qsort(took, count, sizeof(*took), compare);
        for (uint64_t i = 0; i < count; i++)
            took[i] = took[i] > empty ? took[i] - empty : 0;
        row->rounds = count;
        row->min = took[0];
        row->median = took[count / 2];
        row->p99 = took[count * 99 / 100];
    } else {
        row->missing = "a round failed";
    }
    free(took);
}

/* The length of the loop is known; interrupts can only make it longer, so the shortest of several tries counts. */
const char *rounds_unit(void)
{
    uint64_t least = ~0ull;

    for (int try = 0; try < 10; try++) {
        uint64_t left = LOOP, start = ticks(), took;

        __asm__ volatile("1: dec %0; jnz 1b" : "+r"(left) : : "cc");
        took = ticks() - start;
        least = took < least ? took : least;
    }
    return least >= 2 * LOOP && least <= 2 * LOOP + LOOP_AROUND ? "instructions" : "cycles";
}
