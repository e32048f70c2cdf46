/* SPDX-License-Identifier: GPL-2.0-only */
/* A small generator (xorshift), so that a failure can be repeated: seeded by the environment's SEED, printed once. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t random_next(void)
{
    static uint64_t state;

    if (!state) {
        const char *seed = getenv("SEED");

        state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ull;
        if (!state)
            state = 1;
        fprintf(stderr, "SEED=0x%llx\n", (unsigned long long)state);
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static inline uint64_t random_below(uint64_t limit)
{
    return random_next() % limit;
}

#endif
