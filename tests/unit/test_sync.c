/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two CPUs compare their TSCs: two threads, and one clock of which each sees its own shift. How long a message takes is up to
 * the host, as with emulators.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "random.h"
#include "sync.h"
#include "x86.h"

static _Atomic u64 time_now = 1ull << 40;
static _Thread_local s64 shift;
static s64 other_shift;

/* Time passes where somebody looks at it. */
u64 rdtsc(void)
{
    return atomic_fetch_add(&time_now, 1 + random_below(50)) + (u64)shift;
}

static void *other(void *unused)
{
    shift = other_shift;
    sync_answer();
    return unused;
}

static struct sync_bounds compare(s64 by)
{
    struct sync_bounds b;
    pthread_t thread;

    other_shift = by;
    cr_assert(!pthread_create(&thread, NULL, other, NULL));
    b = sync_ask(2000);
    sync_end();
    pthread_join(thread, NULL);
    cr_assert(b.low <= by && by <= b.high, "%ld is not from %ld to %ld", by, b.low, b.high);
    return b;
}

/* Nobody is refused who agrees, however slow the machine is. */
Test(sync, agree)
{
    for (int i = 0; i < 20; i++)
        cr_assert_eq(sync_error(compare(0)), 0);
}

/* What is so far off that a message could arrive before it was sent is found; the middle of the bounds corrects it. */
Test(sync, disagree)
{
    static const s64 shifts[] = { 1 << 20, -(1 << 20), 1ll << 39, -(1ll << 39), 5000, -5000 };

    for (u32 i = 0; i < ARRAY_SIZE(shifts); i++) {
        struct sync_bounds b = compare(shifts[i]);
        s64 error = sync_error(b);

        cr_assert((error > 0) == (shifts[i] > 0) && error, "%ld: %ld", shifts[i], error);
        cr_assert_eq(sync_error(compare(shifts[i] - (b.low / 2 + b.high / 2))), 0);
    }
}

/* The same two CPUs again, and others: nothing is left over from the last time. */
Test(sync, again)
{
    for (int i = 0; i < 20; i++)
        cr_assert_eq(sync_error(compare(i & 1 ? 1 << 20 : 0)) != 0, i & 1);
}

Test(sync, error)
{
    cr_assert_eq(sync_error((struct sync_bounds){ -5, 5 }), 0);
    cr_assert_eq(sync_error((struct sync_bounds){ 0, 0 }), 0);
    cr_assert_eq(sync_error((struct sync_bounds){ 3, 9 }), 3);
    cr_assert_eq(sync_error((struct sync_bounds){ -9, -3 }), -3);
}
