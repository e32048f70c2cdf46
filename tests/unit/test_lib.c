/* SPDX-License-Identifier: GPL-2.0-only */
/* What tasks lean on: free ranges, selectors and blocks of memory against models, random bytes against known ones. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "../../tasks/lib/random.h"
#include "calls_fake.h"
#include "clock.h"
#include "lock.h"
#include "pages.h"
#include "panic.h"
#include "random.h"
#include "range.h"
#include "sel.h"

#define PAGES 4096u
#define MANY 400u

uint64_t clock_now;

static uint32_t revoked;
static bool no_pages;
static jmp_buf panicked;

/* ---- The library below ---- */

uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    cr_assert_eq(flags, CB_REVOKE_SELF);
    revoked = sel;
    return CB_OK;
}

void lock_take(struct lock *lock)
{
    cr_assert_not(lock->taken);
    lock->taken = 1;
}

void lock_release(struct lock *lock)
{
    cr_assert(lock->taken);
    lock->taken = 0;
}

/* Pages that follow one another, with a gap now and then. */
void *pages_alloc(uint64_t count)
{
    static uint8_t memory[PAGES * 4096] __attribute__((aligned(4096)));
    static uint64_t used;
    uint64_t at = used + random_below(2);

    if (no_pages || at + count > PAGES)
        return NULL;
    used = at + count;
    return memory + at * 4096;
}

_Noreturn void panic(const char *format, ...)
{
    (void)format;
    longjmp(panicked, 1);
}

/* ---- Ranges ---- */

/* For each page of a space: who has it, 0 for nobody. */
static void check_ranges(const struct range_set *set, const uint8_t pages[PAGES])
{
    uint64_t last = 0, free = 0;

    for (uint32_t i = 0; i < set->count; i++) {
        const struct range *range = &set->ranges[i];

        cr_assert(range->size && (i == 0 || range->start > last), "range %u touches the one before", i);
        last = range->start + range->size;
        cr_assert_leq(last, PAGES);
        for (uint64_t page = range->start; page < last; page++)
            cr_assert_eq(pages[page], 0, "page %lu is free, and in use", page);
        free += range->size;
    }
    for (uint32_t page = 0; page < PAGES; page++)
        free -= pages[page] == 0;
    cr_assert_eq(free, 0, "pages are lost");
}

Test(lib, ranges)
{
    static struct range_set set = {1, {{0, PAGES}}};
    static uint8_t pages[PAGES];
    static struct range taken[MANY];

    for (unsigned round = 0; round < 40000; round++) {
        struct range *range = &taken[random_below(round % 4000 < 2000 ? MANY : 20)];
        uint64_t align = 1ull << random_below(6), size = 1 + random_below(random_below(8) ? 4 : 40);

        if (range->size) {
            if (set.count == RANGE_MAX)
                continue; /* it may not come back */
            cr_assert(range_give(&set, range->start, range->size));
            memset(pages + range->start, 0, range->size);
            range->size = 0;
        } else if (range_take(&set, size, align, &range->start)) {
            range->size = size;
            cr_assert_eq(range->start % align, 0);
            for (uint64_t page = range->start; page < range->start + size; page++)
                cr_assert_eq(pages[page]++, 0, "page %lu is given twice", page);
        }
        check_ranges(&set, pages);
    }
}

/* A set that is full gives no middle piece, of which the rest would be lost, and takes back what joins others. */
Test(lib, ranges_without_room)
{
    static struct range_set set;
    uint64_t start;

    for (uint64_t i = 0; i < RANGE_MAX; i++)
        cr_assert(range_give(&set, 16 * i + 4, 8));
    cr_assert_not(range_give(&set, 16 * RANGE_MAX + 4, 8));
    cr_assert_not(range_take(&set, 1, 16, &start) || range_take(&set, 2, 8, &start), "at the start of no range, %lu", start);
    cr_assert(range_take(&set, 4, 8, &start), "the second half of one");
    cr_assert(range_give(&set, start, 4));
    cr_assert(set.count == RANGE_MAX && set.ranges[0].start == 4 && set.ranges[0].size == 8);
}

/* ---- Selectors ---- */

static uint8_t used_sels[CB_SELECTORS];

static void change_sels(uint32_t *first, uint32_t count)
{
    if (*first) {
        sel_free_range(*first, count);
        memset(used_sels + *first, 0, count);
        *first = 0;
        return;
    }
    *first = sel_alloc_range(count);
    cr_assert(*first >= 40 && *first + count <= CB_SELECTORS, "%u of %u", *first, count);
    for (uint32_t sel = *first; sel < *first + count; sel++)
        cr_assert_eq(used_sels[sel]++, 0, "selector %u is given twice", sel);
}

Test(lib, selectors)
{
    static uint32_t first[MANY], count[MANY];

    sel_init(40);
    for (uint32_t i = 0; i < MANY; i++)
        count[i] = 1 + (uint32_t)random_below(i % 4 ? 3 : 100);
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t i = (uint32_t)random_below(MANY);

        change_sels(&first[i], count[i]);
    }
    for (uint32_t i = 0; i < MANY; i++)
        if (first[i])
            change_sels(&first[i], count[i]);
    cr_assert(sel_alloc_range(0) == 0 && sel_alloc_range(CB_SELECTORS + 1) == 0);
    cr_assert_eq(sel_alloc_range(CB_SELECTORS - 40), 40, "all of them are free again");
    cr_assert_eq(sel_alloc(), 0);
    sel_free_range(CB_SELECTORS - 2, 2);
    cr_assert_eq(sel_alloc_range(3), 0);
    cr_assert_eq(sel_alloc_range(2), CB_SELECTORS - 2);
    sel_drop(0);
    cr_assert_eq(revoked, 0);
    sel_drop(77);
    cr_assert_eq(revoked, 77, "the capability goes first");
    cr_assert_eq(sel_alloc(), 77);
}

/* ---- malloc ---- */

Test(lib, blocks)
{
    static uint8_t *blocks[MANY];
    static size_t sizes[MANY];
    volatile size_t too_much = SIZE_MAX - 20;

    for (unsigned round = 0; round < 40000; round++) {
        uint32_t i = (uint32_t)random_below(MANY);

        if (blocks[i]) {
            for (size_t at = 0; at < sizes[i]; at++)
                cr_assert_eq(blocks[i][at], (uint8_t)i, "block %u is somebody else's, too", i);
            free(blocks[i]);
            blocks[i] = NULL;
            continue;
        }
        sizes[i] = random_below(random_below(10) ? 200 : 20000);
        blocks[i] = malloc(sizes[i]);
        cr_assert(blocks[i], "blocks do not come together again");
        cr_assert_eq((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, sizes[i]);
    }
    free(NULL);
    cr_assert_null(malloc(too_much));
    no_pages = true;
    cr_assert_null(malloc(PAGES * 4096));
}

Test(lib, a_block_is_given_back_once)
{
    void *volatile last = malloc(100), *volatile middle = malloc(100), *volatile block = malloc(100);

    free(last);
    free(block); /* its header has the address of another one now, not nothing */
    cr_assert(middle);
    if (setjmp(panicked) == 0) {
        free(block);
        cr_assert_fail("nobody minds");
    }
}

/* ---- Random bytes; what OpenSSL's ChaCha20 makes of the same keys ---- */

static void expect_bytes(const char *hex, size_t size)
{
    uint8_t bytes[128];
    char text[2 * sizeof(bytes) + 1] = "";

    random_bytes(bytes, size);
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    cr_assert_str_eq(text, hex);
}

Test(lib, random_without_a_seed)
{
    expect_bytes("2490ff764b0f84df5900e27649e0efddb5285d31cd2c01e9a4fed1bc71d95017279ec9ac58d81ef9f6ff3a5587c681c1d6aa"
                 "828fac89fc4f4bfd1ddd4e4cc1a222d98a8d9952542b81e4fb416509ddf05edd0d608cf526eb045ab72478b09e98f5dd3d91", 100);
}

Test(lib, random_with_a_seed)
{
    uint8_t seed[40];

    for (uint8_t i = 0; i < sizeof(seed); i++)
        seed[i] = i;
    random_seed(seed, sizeof(seed));
    expect_bytes("a708e16e516fe9fa672002d637684451", 16);
    expect_bytes("2ae8714b9bdbabebbf301f874a306609", 16);
}
