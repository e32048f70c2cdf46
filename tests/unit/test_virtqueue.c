/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtqueues against drivers that break every rule of virtio 1.1, 2.6, and against models where they keep them. What a
 * chain gives out is touched byte by byte: whatever lies outside of the guest's RAM, the sanitizer finds.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "random.h"
#include "ring.h"

#define SIZE 8u

static struct ring ring;
static struct virtqueue vq;
static struct virtqueue_chain chain;

static void setup(uint32_t size, bool event_idx)
{
    struct virtqueue_place place;

    ring_init(&ring, size);
    place = ring_place(&ring);
    cr_assert(virtqueue_init(&vq, &ring.mem, &place, event_idx));
}

/* Every buffer of the chain lies in RAM, and the sums are right. */
static void chain_check(void)
{
    uint64_t read = 0, written = 0;

    cr_assert_leq(chain.count, ring.size);
    cr_assert_leq(chain.read_count, chain.count);
    for (unsigned i = 0; i < chain.count; i++) {
        const struct virtqueue_span *span = &chain.spans[i];

        cr_assert_geq(span->at, ring.mem.base);
        cr_assert_leq(span->at + span->size, ring.mem.base + ring.mem.size);
        *(i < chain.read_count ? &read : &written) += span->size;
    }
    cr_assert_eq(chain.read_size, read);
    cr_assert_eq(chain.write_size, written);
}

static void expect_broken(const char *what)
{
    struct virtqueue_place place = ring_place(&ring);

    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_BROKEN, "%s", what);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_BROKEN, "%s: a broken queue stays broken", what);
    cr_assert(virtqueue_rest(&vq), "%s: nothing is left to do", what);
    cr_assert(virtqueue_init(&vq, &ring.mem, &place, false), "%s: a reset helps", what);
    memset(ring.desc, 0, 16 * ring.size);
    memset(ring.avail, 0, 6 + 2 * ring.size);
}

/* ---- Where the queue is ---- */

static bool init_works(uint32_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
    struct virtqueue_place place = {.size = size, .desc = desc, .avail = avail, .used = used};
    bool works = virtqueue_init(&vq, &ring.mem, &place, true);

    cr_assert_eq(vq.size, works ? size : 0, "a refused queue must not be in use");
    if (!works)
        cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_EMPTY);
    return works;
}

Test(virtqueue, sizes)
{
    static const uint32_t bad[] = {0, 3, 5, 7, 100, 255, 257, 384, 512, 32768, 65536, 65544, 0x80000000, UINT32_MAX};

    ring_init(&ring, SIZE);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(init_works(bad[i], RING_DESC, RING_AVAIL, RING_USED), "size %u", bad[i]);
    for (uint32_t size = 1; size <= VIRTQUEUE_SIZE_MAX; size *= 2)
        cr_assert(init_works(size, RING_DESC, RING_AVAIL, RING_USED), "size %u", size);
    ring_free(&ring);
}

Test(virtqueue, places)
{
    const uint64_t desc_end = RING_RAM - 16 * SIZE, avail_end = RING_RAM - 6 - 2 * SIZE;
    const uint64_t used_end = (RING_RAM - 6 - 8 * SIZE) & ~3ull;

    ring_init(&ring, SIZE);
    cr_assert(init_works(SIZE, desc_end, RING_AVAIL, RING_USED), "up to the last byte of RAM");
    cr_assert(init_works(SIZE, RING_DESC, avail_end, RING_USED));
    cr_assert(init_works(SIZE, RING_DESC, RING_AVAIL, used_end));
    cr_assert_not(init_works(SIZE, desc_end + 16, RING_AVAIL, RING_USED), "beyond");
    cr_assert_not(init_works(SIZE, RING_DESC, avail_end + 2, RING_USED));
    cr_assert_not(init_works(SIZE, RING_DESC, RING_AVAIL, used_end + 4));
    cr_assert_not(init_works(SIZE, RING_DESC + 8, RING_AVAIL, RING_USED), "not aligned");
    cr_assert_not(init_works(SIZE, RING_DESC, RING_AVAIL + 1, RING_USED));
    cr_assert_not(init_works(SIZE, RING_DESC, RING_AVAIL, RING_USED + 2));
    for (unsigned shift = 16; shift < 64; shift++) {
        cr_assert_not(init_works(SIZE, 1ull << shift, RING_AVAIL, RING_USED));
        cr_assert_not(init_works(SIZE, RING_DESC, 1ull << shift, RING_USED));
        cr_assert_not(init_works(SIZE, RING_DESC, RING_AVAIL, 1ull << shift));
    }
    cr_assert_not(init_works(SIZE, -16ull, RING_AVAIL, RING_USED), "around the end of all addresses");
    cr_assert_not(init_works(SIZE, RING_DESC, -2ull, RING_USED));
    cr_assert_not(init_works(SIZE, RING_DESC, RING_AVAIL, -4ull));
    ring_free(&ring);
}

/* ---- Chains ---- */

Test(virtqueue, a_request_and_its_answer)
{
    struct virtqueue_cursor reader, writer;
    char text[16] = {0};

    setup(SIZE, false);
    memcpy(ring.mem.base + RING_DATA, "hello, ", 7);
    memcpy(ring.mem.base + RING_DATA + 100, "world", 6);
    ring_set(&ring, 3, RING_DATA, 7, RING_NEXT, 6);
    ring_set(&ring, 6, RING_DATA + 100, 6, RING_NEXT, 1);
    ring_set(&ring, 1, RING_DATA + 200, 4, RING_WRITE | RING_NEXT, 7);
    ring_set(&ring, 7, RING_DATA + 300, 4, RING_WRITE, 0);
    ring_offer(&ring, 3);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN);
    chain_check();
    cr_assert_eq(chain.read_count, 2);
    cr_assert_eq(chain.count, 4);
    reader = virtqueue_reader(&chain);
    writer = virtqueue_writer(&chain);
    cr_assert_eq(virtqueue_read(&chain, &reader, text, sizeof(text)), 13);
    cr_assert_str_eq(text, "hello, world");
    cr_assert_eq(virtqueue_write(&chain, &writer, "0123456789", 10), 8);
    cr_assert_arr_eq(ring.mem.base + RING_DATA + 200, "0123", 4);
    cr_assert_arr_eq(ring.mem.base + RING_DATA + 300, "4567\0", 5);
    virtqueue_put(&vq, &chain, 8);
    cr_assert_eq(ring.used[1], 1);
    cr_assert_eq(ring.used_entries[0], 3);
    cr_assert_eq(ring.used_entries[1], 8);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_EMPTY);
    ring_free(&ring);
}

Test(virtqueue, chains_that_loop)
{
    setup(SIZE, false);
    ring_set(&ring, 2, RING_DATA, 4, RING_NEXT, 2);
    ring_offer(&ring, 2);
    expect_broken("a descriptor that follows itself");
    ring_set(&ring, 0, RING_DATA, 4, RING_NEXT, 5);
    ring_set(&ring, 5, RING_DATA, 4, RING_NEXT, 0);
    ring_offer(&ring, 0);
    expect_broken("two that follow each other");
    for (uint16_t i = 0; i < SIZE; i++)
        ring_set(&ring, i, RING_DATA, 0, RING_NEXT | RING_WRITE, (uint16_t)(i + 1) % SIZE);
    ring_offer(&ring, 4);
    expect_broken("a ring of all, of no bytes");
    for (uint16_t i = 0; i < SIZE; i++)
        ring_set(&ring, i, RING_DATA + i * 16u, 16, i < SIZE - 1 ? RING_NEXT : 0, (uint16_t)(i + 1));
    ring_offer(&ring, 0);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN, "as long as the queue is allowed");
    cr_assert_eq(chain.count, SIZE);
    cr_assert_eq(chain.read_size, SIZE * 16);
    ring_free(&ring);
    setup(VIRTQUEUE_SIZE_MAX, false);
    for (uint16_t i = 0; i < VIRTQUEUE_SIZE_MAX; i++)
        ring_set(&ring, i, RING_DATA, 1, RING_NEXT, (uint16_t)(i + 1) % VIRTQUEUE_SIZE_MAX);
    ring_offer(&ring, 0);
    expect_broken("a ring of as many as there is room for");
    ring_free(&ring);
}

Test(virtqueue, indices_out_of_range)
{
    static const uint16_t bad[] = {SIZE, SIZE + 1, 255, 256, 0x7fff, 0x8000, 0xffff};

    setup(SIZE, false);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ring_offer(&ring, bad[i]);
        expect_broken("head");
        ring_set(&ring, 0, RING_DATA, 4, RING_NEXT, bad[i]);
        ring_offer(&ring, 0);
        expect_broken("next");
        ring_set(&ring, 0, RING_DATA, 4, 0, bad[i]);
        ring_offer(&ring, 0);
        cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN, "next means nothing without its flag");
        virtqueue_stop(&vq);
        struct virtqueue_place place = ring_place(&ring);

        memset(ring.avail, 0, 6 + 2 * SIZE);
        cr_assert(virtqueue_init(&vq, &ring.mem, &place, false));
    }
    ring_free(&ring);
}

Test(virtqueue, buffers_out_of_range)
{
    static const struct {
        uint64_t address;
        uint32_t size;
        bool good;
    } cases[] = {
        {0, 1, true},
        {0, RING_RAM, true},
        {RING_RAM - 1, 1, true},
        {RING_RAM, 0, true},
        {0, RING_RAM + 1, false},
        {0, UINT32_MAX, false},
        {RING_RAM - 1, 2, false},
        {RING_RAM, 1, false},
        {RING_RAM + 1, 0, false},
        {1, RING_RAM, false},
        {1ull << 32, 4, false},
        {UINT64_MAX, 1, false},
        {UINT64_MAX, 0, false},
        {UINT64_MAX - 3, 8, false},
        {1ull << 63, 4, false},
        {UINT64_MAX - UINT32_MAX + 1, UINT32_MAX, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned write = 0; write < 2; write++) {
            setup(SIZE, false);
            ring_set(&ring, 0, RING_DATA, 4, RING_NEXT, 1);
            ring_set(&ring, 1, cases[i].address, cases[i].size, write ? RING_WRITE : 0, 0);
            ring_offer(&ring, 0);
            cr_assert_eq(virtqueue_take(&vq, &chain), cases[i].good ? VIRTQUEUE_TAKEN : VIRTQUEUE_BROKEN, "case %u", i);
            if (cases[i].good)
                chain_check();
            ring_free(&ring);
        }
    }
}

Test(virtqueue, rules_of_chains)
{
    setup(SIZE, false);
    ring_set(&ring, 0, RING_DATA, 4, RING_WRITE | RING_NEXT, 1);
    ring_set(&ring, 1, RING_DATA, 4, 0, 0);
    ring_offer(&ring, 0);
    expect_broken("to be read behind to be written");
    ring_set(&ring, 0, RING_DATA, 16, RING_INDIRECT, 0);
    ring_offer(&ring, 0);
    expect_broken("indirect descriptors were not offered");
    ring_free(&ring);
}

Test(virtqueue, overlong_chains_do_not_overflow_sums)
{
    setup(VIRTQUEUE_SIZE_MAX, false);
    for (unsigned i = 0; i < VIRTQUEUE_SIZE_MAX; i++)
        ring_set(&ring, (uint16_t)i, 0, RING_RAM, RING_WRITE | (i + 1 < VIRTQUEUE_SIZE_MAX ? RING_NEXT : 0),
                 (uint16_t)(i + 1));
    ring_offer(&ring, 0);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN);
    cr_assert_eq(chain.write_size, (uint64_t)VIRTQUEUE_SIZE_MAX * RING_RAM);
    cr_assert_eq(chain.count, VIRTQUEUE_SIZE_MAX);
    ring_free(&ring);
}

Test(virtqueue, more_waiting_than_fits)
{
    for (unsigned ahead = SIZE - 1; ahead < 0x10000; ahead += ahead < 20 ? 1 : 997) {
        setup(SIZE, false);
        ring.avail[1] = (uint16_t)ahead;
        cr_assert_eq(virtqueue_take(&vq, &chain), ahead <= SIZE ? VIRTQUEUE_TAKEN : VIRTQUEUE_BROKEN, "%u", ahead);
        ring_free(&ring);
    }
    setup(SIZE, false);
    ring.avail[1] = (uint16_t)-1;
    expect_broken("an index that goes back");
    ring_free(&ring);
}

/* All that a queue consists of is noise: it ends, and stays inside. */
Test(virtqueue, noise)
{
    for (unsigned n = 0; n < 3000; n++) {
        unsigned taken = 0;

        setup(1u << random_below(9), random_below(2));
        for (uint64_t *word = (uint64_t *)(void *)ring.mem.base; (uint8_t *)word < ring.mem.base + RING_RAM; word++)
            *word = random_next();
        for (unsigned i = 0; i < ring.size; i++) /* of small numbers, so that some chains are good */
            ring_set(&ring, (uint16_t)i, random_below(RING_RAM + 64), (uint32_t)random_below(256),
                     (unsigned)(random_below(8) ? random_below(4) : random_below(0x10000)),
                     (uint16_t)(random_below(8) ? random_below(ring.size) : random_next()));
        for (unsigned i = 0; i < ring.size; i++)
            ring.avail[2 + i] = (uint16_t)random_below(ring.size + (random_below(8) ? 0 : 2));
        ring.avail[1] = (uint16_t)random_below(ring.size + 2);
        while (virtqueue_take(&vq, &chain) == VIRTQUEUE_TAKEN) {
            chain_check();
            virtqueue_put(&vq, &chain, 0); /* which may write over the descriptors as well */
            cr_assert_leq(++taken, 0x10000u, "no end");
            if (taken > 2 * ring.size)
                break;
        }
        virtqueue_rest(&vq);
        virtqueue_due(&vq);
        ring_free(&ring);
    }
}

/* ---- A driver that changes everything all the time, on another CPU ---- */

static bool stop;

static void *scribble(void *unused)
{
    static const uint16_t nexts[] = {1, 2, 3, SIZE, 0xffff, 0x8000};
    static const uint32_t sizes[] = {16, UINT32_MAX, 0, 64, RING_RAM};
    static const uint64_t addresses[] = {RING_DATA, UINT64_MAX - 7, RING_RAM - 16, 1ull << 40};

    (void)unused;
    for (unsigned n = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
        struct ring_desc *desc = &ring.desc[n % SIZE];

        __atomic_store_n(&desc->next, nexts[n % 6], __ATOMIC_RELAXED);
        __atomic_store_n(&desc->size, sizes[n % 5], __ATOMIC_RELAXED);
        __atomic_store_n(&desc->address, addresses[n / 3 % 4], __ATOMIC_RELAXED);
        __atomic_store_n(&desc->flags, (uint16_t)(n / 2 % 4), __ATOMIC_RELAXED);
        __atomic_store_n(&ring.avail[2 + n % SIZE], n % 3 ? (uint16_t)(n % SIZE) : 0xfff0, __ATOMIC_RELAXED);
        __atomic_store_n(&ring.avail[1], (uint16_t)(n % 5 ? 1 : n), __ATOMIC_RELAXED);
    }
    return NULL;
}

Test(virtqueue, rings_that_change_while_they_are_read)
{
    struct virtqueue_place place;
    unsigned taken = 0, broken = 0;
    pthread_t driver;

    ring_init(&ring, SIZE);
    place = ring_place(&ring);
    cr_assert_eq(pthread_create(&driver, NULL, scribble, NULL), 0);
    for (unsigned n = 0; n < 400000 || taken < 1000 || broken < 1000; n++) {
        if (n % 10000 == 0)
            sched_yield(); /* the driver may not have begun */
        cr_assert_lt(n, 1u << 28, "a driver too hostile, or too kind, to test anything");
        cr_assert(virtqueue_init(&vq, &ring.mem, &place, false));
        switch (virtqueue_take(&vq, &chain)) {
        case VIRTQUEUE_TAKEN:
            taken++;
            chain_check();
            break;
        case VIRTQUEUE_BROKEN:
            broken++;
            break;
        default:
            break;
        }
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(driver, NULL);
    ring_free(&ring);
}

/* ---- Indices and signals ---- */

Test(virtqueue, indices_wrap_around)
{
    setup(SIZE, false);
    for (unsigned n = 0; n < 0x10000 + 100; n++) {
        ring_set(&ring, n % SIZE, RING_DATA, 4, 0, 0);
        ring_offer(&ring, n % SIZE);
        cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN, "request %u", n);
        cr_assert_eq(chain.head, n % SIZE);
        virtqueue_put(&vq, &chain, n);
        cr_assert_eq(ring.used[1], (uint16_t)(n + 1));
        cr_assert_eq(ring.used_entries[2 * (n % SIZE)], n % SIZE);
        cr_assert_eq(ring.used_entries[2 * (n % SIZE) + 1], n);
    }
    ring_free(&ring);
}

Test(virtqueue, kicks_without_thresholds)
{
    setup(SIZE, false);
    ring_offer(&ring, 0);
    cr_assert_not(virtqueue_rest(&vq), "something is there");
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN);
    cr_assert_eq(ring.used[0], 1, "no kicks wanted while it looks by itself");
    cr_assert(virtqueue_rest(&vq));
    cr_assert_eq(ring.used[0], 0, "kicks wanted");
    cr_assert_not(virtqueue_due(&vq), "nothing was put");
    virtqueue_put(&vq, &chain, 0);
    cr_assert(virtqueue_due(&vq));
    cr_assert_not(virtqueue_due(&vq), "said already");
    ring.avail[0] = 1;
    virtqueue_put(&vq, &chain, 0);
    cr_assert_not(virtqueue_due(&vq), "the driver does not want it");
    ring_free(&ring);
}

/* 2.6.7.2, 2.6.8: a signal is due when the index that the driver named has been passed since the last look. */
Test(virtqueue, thresholds_against_a_model)
{
    unsigned signals = 0;

    setup(SIZE, true);
    for (unsigned n = 0; n < 200000; n++) {
        uint16_t before = ring.used[1], threshold = (uint16_t)(before - 4 + random_below(12));
        unsigned batch = (unsigned)random_below(SIZE + 1);
        bool expected = false;

        ring.avail[2 + SIZE] = threshold;
        for (unsigned i = 0; i < batch; i++) {
            expected |= (uint16_t)(before + i) == threshold;
            ring_offer(&ring, 0);
        }
        cr_assert_eq(virtqueue_rest(&vq), batch == 0);
        while (virtqueue_take(&vq, &chain) == VIRTQUEUE_TAKEN)
            virtqueue_put(&vq, &chain, 0);
        cr_assert(virtqueue_rest(&vq));
        cr_assert_eq(*ring_avail_event(&ring), ring.avail[1], "the next one is to be a kick");
        cr_assert_eq(virtqueue_due(&vq), expected, "from %u, %u more, threshold %u", before, batch, threshold);
        signals += expected;
    }
    cr_assert_gt(signals, 1000);
    cr_assert_eq(ring.used[0], 0, "the flag is not used with thresholds");
    ring_free(&ring);
}

Test(virtqueue, a_stopped_queue_does_nothing)
{
    setup(SIZE, false);
    ring_offer(&ring, 0);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_TAKEN);
    virtqueue_stop(&vq);
    virtqueue_put(&vq, &chain, 1);
    cr_assert_eq(ring.used[1], 0);
    ring_offer(&ring, 0);
    cr_assert_eq(virtqueue_take(&vq, &chain), VIRTQUEUE_EMPTY);
    cr_assert(virtqueue_rest(&vq));
    cr_assert_not(virtqueue_due(&vq));
    ring_free(&ring);
}
