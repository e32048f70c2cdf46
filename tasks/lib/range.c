/* SPDX-License-Identifier: GPL-2.0-only */
#include "range.h"

/* Opens a place for one more range at index `at`. */
static bool insert(struct range_set *set, uint32_t at, struct range range)
{
    if (set->count == RANGE_MAX)
        return false;
    for (uint32_t i = set->count; i > at; i--)
        set->ranges[i] = set->ranges[i - 1];
    set->ranges[at] = range;
    set->count++;
    return true;
}

static void erase(struct range_set *set, uint32_t at)
{
    set->count--;
    for (uint32_t i = at; i < set->count; i++)
        set->ranges[i] = set->ranges[i + 1];
}

bool range_take(struct range_set *set, uint64_t size, uint64_t align, uint64_t *start)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct range *range = &set->ranges[i];
        uint64_t skip = -range->start & (align - 1);

        if (range->size < skip || range->size - skip < size)
            continue;
        uint64_t at = range->start + skip;
        struct range rest = {at + size, range->size - skip - size};

        if (skip && rest.size) {
            if (!insert(set, i + 1, rest))
                continue;
            range->size = skip;
        } else if (skip) {
            range->size = skip;
        } else if (rest.size) {
            *range = rest;
        } else {
            erase(set, i);
        }
        *start = at;
        return true;
    }
    return false;
}

bool range_give(struct range_set *set, uint64_t start, uint64_t size)
{
    uint32_t at = 0;

    if (size == 0)
        return true;
    while (at < set->count && set->ranges[at].start < start)
        at++;
    bool joins_last = at > 0 && set->ranges[at - 1].start + set->ranges[at - 1].size == start;
    bool joins_next = at < set->count && start + size == set->ranges[at].start;

    if (joins_last && joins_next) {
        set->ranges[at - 1].size += size + set->ranges[at].size;
        erase(set, at);
        return true;
    }
    if (joins_last) {
        set->ranges[at - 1].size += size;
        return true;
    }
    if (joins_next) {
        set->ranges[at].start = start;
        set->ranges[at].size += size;
        return true;
    }
    return insert(set, at, (struct range){start, size});
}
