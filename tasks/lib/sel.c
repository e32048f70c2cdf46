/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Free selectors: one bit for each. The lowest free one is taken, since slots lie in pages that the account
 * pays for. No lock: a handler whose caller dies stops wherever it is, and nobody must wait for it then.
 */
#include "sel.h"

#include "calls.h"

#include <stdbool.h>

#define SEL_WORDS (CB_SELECTORS / 64)

/* All atomic. */
static uint64_t used[SEL_WORDS];
static uint32_t lowest; /* no selector below it is free; who frees one lowers this after the bit */

static bool is_used(uint32_t sel)
{
    return __atomic_load_n(&used[sel / 64], __ATOMIC_RELAXED) >> sel % 64 & 1;
}

/* False if somebody else has it. */
static bool claim(uint32_t sel)
{
    uint64_t bit = 1ull << sel % 64;

    return (__atomic_fetch_or(&used[sel / 64], bit, __ATOMIC_ACQUIRE) & bit) == 0;
}

static void unclaim(uint32_t sel)
{
    __atomic_fetch_and(&used[sel / 64], ~(1ull << sel % 64), __ATOMIC_RELEASE);
}

void sel_init(uint32_t first)
{
    for (uint32_t sel = 0; sel < first; sel++)
        claim(sel);
    lowest = first;
}

/* How many selectors from `sel` on are claimed, at most `count`. */
static uint32_t claim_run(uint32_t sel, uint32_t count)
{
    uint32_t run = 0;

    while (run < count && claim(sel + run))
        run++;
    return run;
}

static uint32_t find(uint32_t count)
{
    uint32_t sel = __atomic_load_n(&lowest, __ATOMIC_ACQUIRE);

    while (sel + count <= CB_SELECTORS) {
        if (sel % 64 == 0 && __atomic_load_n(&used[sel / 64], __ATOMIC_RELAXED) == UINT64_MAX) {
            sel += 64;
            continue;
        }
        uint32_t run = is_used(sel) ? 0 : claim_run(sel, count);

        if (run == count)
            return sel;
        for (uint32_t i = 0; i < run; i++)
            unclaim(sel + i);
        sel += run + 1;
    }
    return 0;
}

uint32_t sel_alloc_range(uint32_t count)
{
    if (count == 0 || count > CB_SELECTORS)
        return 0;
    uint32_t first = find(count), expected = first;

    if (first)
        __atomic_compare_exchange_n(&lowest, &expected, first + count, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    return first;
}

uint32_t sel_alloc(void)
{
    return sel_alloc_range(1);
}

void sel_free_range(uint32_t first, uint32_t count)
{
    uint32_t low = __atomic_load_n(&lowest, __ATOMIC_RELAXED);

    if (first == 0)
        return;
    for (uint32_t sel = first; sel < first + count && sel < CB_SELECTORS; sel++)
        unclaim(sel);
    while (first < low &&
           !__atomic_compare_exchange_n(&lowest, &low, first, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

void sel_free(uint32_t sel)
{
    sel_free_range(sel, 1);
}

void sel_drop(uint32_t sel)
{
    if (sel == 0)
        return;
    /* Refused only if the slot is empty already: the object may have died with something else. */
    (void)!cb_revoke(sel, CB_REVOKE_SELF);
    sel_free(sel);
}
