/* SPDX-License-Identifier: GPL-2.0-only */
/* Links between domains: made whole or not at all, clean, and gone when both ends are. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "calls_fake.h"
#include "clear.h"
#include "domain.h"
#include "link.h"
#include "ram.h"
#include "sel.h"

#define RAM 7u
#define FIRST_SEL 100u
#define SELS (FIRST_SEL + LINKS * LINK_SEL_COUNT)
#define KIB_PAGES 4u

struct domain domains[DOMAINS];

static struct domain *const left = &domains[3], *const right = &domains[5];
static bool used[SELS], made[SELS], clean; /* selectors; what is in them; whether the memory is */
static uint64_t taken;                     /* pages of ram */
static uint32_t fails_in = UINT32_MAX;
static struct config_error error;

static bool fails(void)
{
    return fails_in != UINT32_MAX && fails_in-- == 0;
}

/* ---- What link.c calls ---- */

uint64_t domain_pages_left(void)
{
    return 10000 - taken;
}

struct ram_chunk *ram_alloc(uint64_t pages)
{
    cr_assert(pages && pages % RAM_GRANULE_PAGES == 0 && taken == 0);
    if (fails())
        return NULL;
    taken = pages;
    clean = false;
    return (struct ram_chunk *)&taken;
}

void ram_free(struct ram_chunk *chunk)
{
    cr_assert(chunk == (struct ram_chunk *)&taken && taken);
    taken = 0;
}

uint32_t ram_sel(const struct ram_chunk *chunk)
{
    cr_assert(chunk == (struct ram_chunk *)&taken);
    return RAM;
}

uint64_t ram_largest(void)
{
    return 0;
}

uint32_t sel_alloc_range(uint32_t count)
{
    uint32_t sel = FIRST_SEL;

    cr_assert_eq(count, LINK_SEL_COUNT);
    if (fails())
        return 0;
    while (used[sel])
        sel += count;
    memset(used + sel, true, count);
    return sel;
}

void sel_drop(uint32_t sel)
{
    cr_assert(used[sel]);
    used[sel] = made[sel] = false;
}

static uint64_t make(uint32_t sel)
{
    cr_assert(used[sel] && !made[sel]);
    if (fails())
        return CB_NO_MEMORY;
    made[sel] = true;
    return CB_OK;
}

uint64_t cb_frame_create(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    cr_assert(ram == RAM && domain == CB_SELF && pages == KIB_PAGES && align == 1);
    return make(dst);
}

uint64_t cb_event_create(uint32_t account, uint32_t dst)
{
    (void)account;
    return make(dst);
}

uint64_t cb_revoke(uint32_t sel, uint32_t flags)
{
    cr_assert_eq(flags, CB_REVOKE_SELF);
    made[sel] = false;
    return CB_OK;
}

bool clear_now(uint32_t frame, uint64_t pages)
{
    cr_assert(made[frame] && pages == KIB_PAGES);
    clean = !fails();
    return clean;
}

bool config_error(struct config_error *to, const char *property, const char *format, ...)
{
    cr_assert_eq(to, &error);
    snprintf(to->property, sizeof(to->property), "%s", property);
    (void)format;
    return false;
}

/* ---- Tests ---- */

static struct config_link pair = {.name = "pair", .members = {"right", "left"}, .pages = KIB_PAGES};

static void setup(void)
{
    left->state = DOMAIN_RUNNING;
    right->state = DOMAIN_WAITING;
    strcpy(left->config.name, "left");
    strcpy(right->config.name, "right");
}

static uint32_t sels_used(void)
{
    uint32_t count = 0;

    for (uint32_t sel = 0; sel < SELS; sel++)
        count += used[sel] || made[sel];
    return count;
}

static void live(uint32_t first)
{
    const struct link *link = link_create(&pair, &error);

    cr_assert(link && link->ends[0] == right && link->ends[1] == left && link->pages == RAM_GRANULE_PAGES);
    cr_assert(clean, "who comes first must not see what was there before");
    for (uint32_t i = 0; i < LINK_SEL_COUNT; i++)
        cr_assert(made[link->sel + i]);
    cr_assert_null(link_abandoned());
    link_leave(link->ends[first]);
    cr_assert(!made[link->sel + LINK_SEL_EVENT + first] && made[link->sel + LINK_SEL_EVENT + 1 - first],
              "what the one that left received is gone");
    cr_assert_null(link_abandoned());
    link_leave(link->ends[1 - first]);
    cr_assert(!made[link->sel + LINK_SEL_EVENT + 1 - first] && made[link->sel + LINK_SEL_FRAME]);
    cr_assert_eq(link_abandoned(), link);
    link_destroy(link_abandoned());
    cr_assert(link_abandoned() == NULL && sels_used() == 0 && taken == 0);
}

Test(link, a_life)
{
    setup();
    live(0);
    live(1);
}

Test(link, each_call_refused)
{
    const struct link *link = NULL;

    setup();
    for (uint32_t call = 0; link == NULL; call++) {
        cr_assert_lt(call, 10u);
        fails_in = call;
        error.property[0] = 0;
        link = link_create(&pair, &error);
        if (link == NULL)
            cr_assert(error.property[0] && sels_used() == 0 && taken == 0, "call %u", call);
        cr_assert_null(link_abandoned());
    }
    cr_assert_eq(sels_used(), LINK_SEL_COUNT);
}

Test(link, more_than_there_is_room_for)
{
    struct config_link bare = {.name = "bare", .members = {"right", "left"}};

    setup();
    for (uint32_t i = 0; i < CB_TASK_LINKS; i++)
        cr_assert_not_null(link_create(&bare, &error));
    cr_assert_null(link_create(&bare, &error), "a domain has no more");
    cr_assert_str_eq(error.property, "members");
    cr_assert(sels_used() == CB_TASK_LINKS * LINK_SEL_COUNT && taken == 0, "memory was not asked for");
    strcpy(bare.members[1], "nobody");
    cr_assert_null(link_create(&bare, &error));
}
