/* SPDX-License-Identifier: GPL-2.0-only */
#include "pool.h"

#include "calls.h"
#include "ram.h"
#include "sel.h"

#include <stddef.h>

#define POOLS 64u
#define POOL_PAGES (2 * RAM_GRANULE_PAGES)
#define OVERHEAD_PAGES 16u /* more than an account needs for itself */

struct pool {
    uint32_t sel;            /* 0: this element of the table is unused */
    uint32_t children;
    uint64_t overhead;       /* pages of the chunk that cannot be given out */
    struct ram_chunk *chunk;
};

static struct pool pools[POOLS];

static uint64_t free_pages(const struct pool *pool)
{
    struct cb_identity identity;

    return cb_identify(pool->sel, &identity) == CB_OK ? identity.x : 0;
}

static void destroy(struct pool *pool)
{
    sel_drop(pool->sel);
    ram_free(pool->chunk);
    pool->sel = 0;
}

/* A new top account with room for `pages`. */
static struct pool *create(uint64_t pages)
{
    uint64_t want = (pages + OVERHEAD_PAGES + RAM_GRANULE_PAGES - 1) / RAM_GRANULE_PAGES * RAM_GRANULE_PAGES;
    struct pool *pool = NULL;

    for (uint32_t i = 0; i < POOLS && pool == NULL; i++)
        if (pools[i].sel == 0)
            pool = &pools[i];
    if (pool == NULL)
        return NULL;
    want = want < POOL_PAGES ? POOL_PAGES : want;
    pool->chunk = ram_alloc(want);
    if (pool->chunk == NULL)
        return NULL;
    pool->sel = sel_alloc();
    if (pool->sel == 0 || cb_account_create(ram_sel(pool->chunk), pool->sel, 0) != CB_OK) {
        sel_free(pool->sel);
        ram_free(pool->chunk);
        pool->sel = 0;
        return NULL;
    }
    pool->children = 0;
    pool->overhead = want - free_pages(pool);
    return pool;
}

uint64_t pool_take(uint32_t dst, uint64_t pages, struct pool **result)
{
    uint64_t status = CB_NO_MEMORY;

    for (uint32_t i = 0; i < POOLS; i++) {
        if (pools[i].sel == 0 || free_pages(&pools[i]) < pages)
            continue;
        status = cb_account_create(pools[i].sel, dst, pages);
        if (status == CB_OK) {
            pools[i].children++;
            *result = &pools[i];
            return CB_OK;
        }
    }
    struct pool *pool = create(pages);

    if (pool == NULL)
        return CB_NO_MEMORY;
    status = cb_account_create(pool->sel, dst, pages);
    if (status == CB_OK) {
        pool->children = 1;
        *result = pool;
    } else {
        destroy(pool);
    }
    return status;
}

void pool_give(struct pool *pool)
{
    if (--pool->children == 0)
        destroy(pool);
}

uint64_t pool_left(void)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < POOLS; i++)
        if (pools[i].sel)
            pages += free_pages(&pools[i]) + pools[i].overhead;
    return pages;
}
