/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Free selectors: one bit for each. The lowest free one is taken, since slots lie in pages that the account
 * pays for.
 */
#include "sel.h"

#include "calls.h"
#include "lock.h"

#include <stdbool.h>

#define SEL_WORDS (CB_SELECTORS / 64)

static struct lock lock;
static uint64_t used[SEL_WORDS]; /* lock */
static uint32_t lowest;          /* lock; no selector below it is free */

static bool is_used(uint32_t sel)
{
    return used[sel / 64] >> sel % 64 & 1;
}

void sel_init(uint32_t first)
{
    for (uint32_t sel = 0; sel < first; sel++)
        used[sel / 64] |= 1ull << sel % 64;
    lowest = first;
}

/* How many selectors from `sel` on are free, at most `count`. */
static uint32_t free_run(uint32_t sel, uint32_t count)
{
    uint32_t run = 0;

    while (run < count && sel + run < CB_SELECTORS && !is_used(sel + run))
        run++;
    return run;
}

static uint32_t find(uint32_t count)
{
    uint32_t sel = lowest;

    while (sel + count <= CB_SELECTORS) {
        if (sel % 64 == 0 && used[sel / 64] == UINT64_MAX) {
            sel += 64;
            continue;
        }
        uint32_t run = free_run(sel, count);

        if (run == count)
            return sel;
        sel += run + 1;
    }
    return 0;
}

uint32_t sel_alloc_range(uint32_t count)
{
    if (count == 0 || count > CB_SELECTORS)
        return 0;
    lock_take(&lock);
    uint32_t first = find(count);

    if (first) {
        for (uint32_t i = 0; i < count; i++)
            used[(first + i) / 64] |= 1ull << (first + i) % 64;
        if (first == lowest)
            lowest = first + count;
    }
    lock_release(&lock);
    return first;
}

uint32_t sel_alloc(void)
{
    return sel_alloc_range(1);
}

void sel_free_range(uint32_t first, uint32_t count)
{
    if (first == 0)
        return;
    lock_take(&lock);
    for (uint32_t sel = first; sel < first + count && sel < CB_SELECTORS; sel++)
        used[sel / 64] &= ~(1ull << sel % 64);
    if (first < lowest)
        lowest = first;
    lock_release(&lock);
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
