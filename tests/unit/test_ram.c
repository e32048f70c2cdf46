/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * root's ram and its pools of kernel memory against a model of the hypervisor: pieces do not overlap, what is left adds
 * up, and all comes back in one piece; also when any one of the calls underneath is refused.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "pool.h"
#include "ram.h"
#include "ram_world.h"
#include "random.h"

#define MANY 24u

static struct ram_chunk *chunks[MANY];
static uint64_t chunk_pages[MANY];

static struct {
    struct pool *pool;
    uint32_t account;
    uint64_t pages;
} accounts[MANY];

static uint32_t own, selectors, capabilities;
static uint64_t left, largest;

static void setup(void)
{
    world_start();
    cr_assert(ram_init(&own));
    left = ram_left() + pool_left();
    largest = ram_largest();
    selectors = world_selectors();
    capabilities = world_capabilities();
}

static uint64_t taken_pages(void)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < MANY; i++)
        pages += (chunks[i] ? chunk_pages[i] : 0);
    return pages;
}

/* Every piece is where no other is, aligned, and as large as it was asked for. */
static void check_chunks(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        if (chunks[i] == NULL)
            continue;
        uint64_t base = world_base(ram_sel(chunks[i])), end = base + chunk_pages[i];

        cr_assert(base % RAM_GRANULE_PAGES == 0 && world_pages(ram_sel(chunks[i])) == chunk_pages[i]);
        for (uint32_t n = 0; n < i; n++) {
            uint64_t other = chunks[n] ? world_base(ram_sel(chunks[n])) : 0;

            cr_assert(chunks[n] == NULL || end <= other || other + chunk_pages[n] <= base, "%u and %u overlap", n, i);
        }
        uint64_t own_base = world_base(own);

        cr_assert(end <= own_base || own_base + world_pages(own) <= base, "it is root's own");
    }
}

static void change_chunk(uint32_t i)
{
    if (chunks[i]) {
        ram_free(chunks[i]);
        chunks[i] = NULL;
        return;
    }
    uint64_t most = ram_largest();
    bool sound = world_fails_in == UINT32_MAX;

    chunk_pages[i] = (1 + random_below(random_below(4) ? 4 : 40)) * RAM_GRANULE_PAGES;
    chunks[i] = ram_alloc(chunk_pages[i]);
    if (sound)
        cr_assert_eq(chunks[i] != NULL, most >= chunk_pages[i], "%lu of %lu pages", chunk_pages[i], most);
}

static void change_account(uint32_t i)
{
    if (accounts[i].pool) {
        world_destroy(accounts[i].account);
        pool_give(accounts[i].pool);
        accounts[i].pool = NULL;
        return;
    }
    accounts[i].account = 1000 + i; /* among the domain's selectors */
    accounts[i].pages = 1 + random_below(1500);
    if (pool_take(accounts[i].account, accounts[i].pages, &accounts[i].pool) != 0)
        accounts[i].pool = NULL;
}

static uint64_t account_pages(void)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < MANY; i++)
        pages += accounts[i].pool ? accounts[i].pages + 1 : 0; /* one for the account itself */
    return pages;
}

static void free_all(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        if (chunks[i])
            change_chunk(i);
        if (accounts[i].pool)
            change_account(i);
    }
}

static void expect_all_back(void)
{
    cr_assert_eq(ram_left() + pool_left(), left);
    cr_assert_eq(ram_largest(), largest, "%lu pages in one piece, but there were %lu", ram_largest(), largest);
    cr_assert_eq(world_selectors(), selectors, "%u selectors are lost", world_selectors() - selectors);
    cr_assert_eq(world_capabilities(), capabilities);
}

Test(ram, what_there_is)
{
    setup();
    /* 61 MiB from 4 MiB on, 254 MiB from 260 MiB on, 32 MiB; root keeps 4 MiB of the largest. */
    cr_assert_eq(largest, 250ull << 8);
    cr_assert_eq(world_pages(own), 1024 + (0x10200000 - 0x10123000) / 4096, "with what lies before the first granule");
    cr_assert_null(ram_alloc(0));
    cr_assert_null(ram_alloc(largest + RAM_GRANULE_PAGES));
    chunks[0] = ram_alloc(chunk_pages[0] = largest);
    cr_assert_not_null(chunks[0]);
    check_chunks();
    free_all();
    chunks[0] = ram_alloc(chunk_pages[0] = 30ull << 8);
    cr_assert(chunks[0] && ram_largest() == largest, "the smallest piece that has it does");
    free_all();
    expect_all_back();
}

/* What was made from it may still be there. */
Test(ram, what_is_not_taken_back_is_not_given_again)
{
    setup();
    struct ram_chunk *chunk = ram_alloc(largest);

    world_fails_in = 0;
    ram_free(chunk);
    cr_assert(world_failed_to_revoke && ram_alloc(largest) == NULL && ram_largest() < largest);
}

Test(ram, chunks_and_accounts)
{
    setup();
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned n = 0; n < 100; n++) {
            if (random_below(3))
                change_chunk((uint32_t)random_below(MANY));
            else
                change_account((uint32_t)random_below(MANY));
            check_chunks();
            cr_assert_eq(ram_left() + pool_left() + taken_pages() + account_pages(), left);
        }
        free_all();
        expect_all_back();
    }
}

#define CALLS 100u

ParameterizedTestParameters(ram, any_call_may_fail)
{
    static uint32_t which[CALLS];

    for (uint32_t i = 0; i < CALLS; i++)
        which[i] = i;
    return cr_make_param_array(uint32_t, which, CALLS);
}

/* The nth call after the start fails, for each n. A chunk that cannot be cleared of what was made from it stays taken. */
ParameterizedTest(uint32_t *n, ram, any_call_may_fail)
{
    setup();
    world_fails_in = *n;
    for (unsigned i = 0; i < 60; i++) {
        uint32_t which = (uint32_t)random_below(MANY);

        if (random_below(3))
            change_chunk(which);
        else
            change_account(which);
        check_chunks();
        cr_assert_leq(ram_left() + pool_left() + taken_pages() + account_pages(), left);
    }
    cr_assert_eq(world_fails_in, UINT32_MAX, "it has failed");
    free_all();
    if (!world_failed_to_revoke)
        expect_all_back();
}
