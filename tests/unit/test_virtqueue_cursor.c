/* SPDX-License-Identifier: GPL-2.0-only */
/* Cursors over chains: any pieces, read, written or skipped, are the same bytes as those of one flat buffer. */
#include <criterion/criterion.h>
#include <string.h>

#include "random.h"
#include "virtqueue.h"

#define BYTES 4096u

static uint8_t memory[BYTES], flat[BYTES];
static struct virtqueue_chain chain;

/* Cuts `memory` into spans, some of them empty, of which the first so many are to be read. */
static void chain_make(void)
{
    uint32_t at = 0;

    memset(&chain, 0, sizeof(chain));
    while (chain.count < 60 && at < BYTES) {
        uint32_t size = (uint32_t)random_below(4) ? (uint32_t)random_below(150) : 0;

        if (size > BYTES - at)
            size = BYTES - at;
        chain.spans[chain.count++] = (struct virtqueue_span){memory + at, size};
        at += size;
    }
    chain.read_count = (uint16_t)random_below(chain.count + 1u);
    for (unsigned i = 0; i < chain.count; i++)
        *(i < chain.read_count ? &chain.read_size : &chain.write_size) += chain.spans[i].size;
}

static void walk_readers(void)
{
    struct virtqueue_cursor cursor = virtqueue_reader(&chain);
    uint64_t at = 0;

    for (unsigned n = 0; n < 60; n++) {
        size_t size = random_below(200), left = chain.read_size - at, expected = size < left ? size : left;
        uint8_t piece[200];

        if (random_below(3)) {
            cr_assert_eq(virtqueue_read(&chain, &cursor, piece, size), expected);
            cr_assert(memcmp(piece, memory + at, expected) == 0);
        } else {
            virtqueue_skip(&chain, &cursor, size);
        }
        at += expected;
    }
}

static void walk_writers(void)
{
    struct virtqueue_cursor cursor = virtqueue_writer(&chain);
    uint64_t at = chain.read_size, end = at + chain.write_size;

    memcpy(flat, memory, BYTES);
    for (unsigned n = 0; n < 60; n++) {
        size_t size = random_below(200), expected = size < end - at ? size : end - at;
        uint8_t piece[200];

        memset(piece, (int)n, sizeof(piece));
        if (random_below(3)) {
            cr_assert_eq(virtqueue_write(&chain, &cursor, piece, size), expected);
            memset(flat + at, (int)n, expected);
        } else {
            virtqueue_skip(&chain, &cursor, size);
        }
        at += expected;
    }
    cr_assert(memcmp(flat, memory, BYTES) == 0, "written somewhere else");
}

Test(virtqueue_cursor, pieces_are_one_buffer)
{
    for (unsigned n = 0; n < 2000; n++) {
        for (unsigned i = 0; i < BYTES; i++)
            memory[i] = (uint8_t)random_next();
        chain_make();
        walk_readers();
        walk_writers();
    }
}

Test(virtqueue_cursor, the_end)
{
    struct virtqueue_cursor cursor;
    uint8_t byte = 0;

    memset(&chain, 0, sizeof(chain));
    cursor = virtqueue_reader(&chain);
    cr_assert_eq(virtqueue_read(&chain, &cursor, &byte, 1), 0);
    cursor = virtqueue_writer(&chain);
    cr_assert_eq(virtqueue_write(&chain, &cursor, &byte, 1), 0);
    virtqueue_skip(&chain, &cursor, UINT64_MAX);
}
