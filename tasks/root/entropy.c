/* SPDX-License-Identifier: GPL-2.0-only */
#include "clock.h"
#include "firmware.h"
#include "lock.h"

#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

#define TRIES 100u

static bool rdseed(uint64_t *word)
{
    bool done = false;

    for (uint32_t i = 0; i < TRIES && !done; i++) {
        __asm__ volatile("rdseed %0" : "=r"(*word), "=@ccc"(done));
        lock_pause();
    }
    return done;
}

static bool rdrand(uint64_t *word)
{
    bool done = false;

    for (uint32_t i = 0; i < TRIES && !done; i++)
        __asm__ volatile("rdrand %0" : "=r"(*word), "=@ccc"(done));
    return done;
}

const char *entropy_read(void *buffer, size_t size)
{
    uint8_t *to = buffer;
    unsigned a, b, c, d, features = 0, extended = 0;
    bool good = true;

    if (__get_cpuid(1, &a, &b, &c, &d))
        features = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        extended = b;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        bool done = extended & bit_RDSEED && rdseed(&word);

        if (!done)
            done = features & bit_RDRND && rdrand(&word);
        good &= done;
        word ^= clock_tsc();
        memcpy(to + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
    }
    return good ? NULL : "the processor has neither RDSEED nor RDRAND that answers";
}
