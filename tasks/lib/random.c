/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ChaCha20 (RFC 8439, 2.3) as a generator. The first half of each request's first block becomes the next key,
 * so that what was handed out cannot be found again from a later state.
 */
#include "random.h"

#include "clock.h"
#include "lock.h"

#include <string.h>

#define ROUNDS 20
#define KEY_WORDS 8

static struct lock lock;
static uint32_t key[KEY_WORDS]; /* lock */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static void quarter_round(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate(s[b] ^ s[c], 7);
}

static void block(const uint32_t with[KEY_WORDS], uint64_t counter, uint64_t nonce, uint32_t out[16])
{
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(input + 4, with, sizeof(uint32_t) * KEY_WORDS);
    memcpy(input + 12, &counter, sizeof(counter));
    memcpy(input + 14, &nonce, sizeof(nonce));
    memcpy(out, input, sizeof(input));
    for (unsigned i = 0; i < ROUNDS; i += 2) {
        quarter_round(out, 0, 4, 8, 12);
        quarter_round(out, 1, 5, 9, 13);
        quarter_round(out, 2, 6, 10, 14);
        quarter_round(out, 3, 7, 11, 15);
        quarter_round(out, 0, 5, 10, 15);
        quarter_round(out, 1, 6, 11, 12);
        quarter_round(out, 2, 7, 8, 13);
        quarter_round(out, 3, 4, 9, 14);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] += input[i];
}

void random_seed(const void *seed, size_t size)
{
    const uint8_t *bytes = seed;
    uint32_t out[16];

    lock_take(&lock);
    while (size) {
        uint32_t part[KEY_WORDS] = {0};
        size_t count = size < sizeof(part) ? size : sizeof(part);

        memcpy(part, bytes, count);
        bytes += count;
        size -= count;
        for (unsigned i = 0; i < KEY_WORDS; i++)
            key[i] ^= part[i];
        block(key, 0, 0, out);
        memcpy(key, out, sizeof(key));
    }
    lock_release(&lock);
}

void random_bytes(void *buffer, size_t size)
{
    uint8_t *bytes = buffer;
    uint32_t mine[KEY_WORDS], out[16];

    lock_take(&lock);
    block(key, 0, clock_tsc(), out);
    memcpy(key, out, sizeof(key));
    lock_release(&lock);
    memcpy(mine, out + KEY_WORDS, sizeof(mine));
    for (uint64_t counter = 0; size; counter++) {
        size_t count = size < sizeof(out) ? size : sizeof(out);

        block(mine, counter, 1, out);
        memcpy(bytes, out, count);
        bytes += count;
        size -= count;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;

    random_bytes(&value, sizeof(value));
    return value;
}
