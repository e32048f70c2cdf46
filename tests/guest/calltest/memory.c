/* SPDX-License-Identifier: GPL-2.0-only */
/* ram, frames and mappings. */
#include "calltest.h"

#include <corbel/boot.h>

#define RAM CB_TASK_SEL_RAM

static uint32_t make_ram(uint64_t pages)
{
    uint32_t ram = scratch();
    uint64_t status = cb_ram_split(RAM, ram, CB_SELF, pages, 1);

    return test_status(__FILE__, __LINE__, "splitting ram", status, CB_OK) ? ram : 0;
}

/* Both calls that take a piece of ram refuse the same things. */
static void refusals(uint64_t (*take)(uint32_t, uint32_t, uint32_t, uint64_t, uint64_t), uint32_t ram)
{
    uint32_t event = test_event(), weak = test_derive(CB_TASK_SEL_DOMAIN, CB_RIGHT_READ, 0), dst = scratch();

    CHECK(event && weak);
    CHECK_STATUS(take(event, dst, CB_SELF, 1, 1), STATUS(BAD_CAP, 0));
    CHECK_STATUS(take(ram, event, CB_SELF, 1, 1), STATUS(OCCUPIED, 1));
    CHECK_STATUS(take(ram, dst, event, 1, 1), STATUS(BAD_CAP, 1));
    CHECK_STATUS(take(ram, dst, weak, 1, 1), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(take(ram, dst, CB_SELF, 0, 1), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(take(ram, dst, CB_SELF, 1, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(take(ram, dst, CB_SELF, 1, 3), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(take(ram, dst, CB_SELF, 9, 1), STATUS(NO_ROOM, 0));
    CHECK_STATUS(take(ram, dst, CB_SELF, 1ull << 24, 1), STATUS(NO_ROOM, 0));
    CHECK_EQUAL(test_type(dst), CB_TYPE_NULL);
}

static uint64_t do_split(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    return cb_ram_split(ram, dst, domain, pages, align);
}

static uint64_t do_frame(uint32_t ram, uint32_t dst, uint32_t domain, uint64_t pages, uint64_t align)
{
    return cb_frame_create(ram, dst, domain, pages, align);
}

void test_ram_split(void)
{
    uint32_t ram = make_ram(8), a = scratch(), b = scratch();
    struct cb_identity identity;

    CHECK(ram);
    refusals(do_split, ram);
    CHECK_OK(cb_ram_split(ram, a, CB_SELF, 3, 1));
    CHECK_OK(cb_ram_split(ram, b, CB_SELF, 5, 1));
    CHECK_STATUS(cb_ram_split(ram, scratch(), CB_SELF, 1, 1), STATUS(NO_ROOM, 0));
    /* Only when all children are gone is there room again. */
    CHECK_OK(cb_revoke(a, CB_REVOKE_SELF));
    CHECK_STATUS(cb_ram_split(ram, a, CB_SELF, 1, 1), STATUS(NO_ROOM, 0));
    CHECK_OK(cb_revoke(b, CB_REVOKE_SELF));
    CHECK_OK(cb_identify(ram, &identity));
    CHECK(identity.type == CB_TYPE_RAM && identity.x == 8 && identity.y == 8);
    CHECK_OK(cb_ram_split(ram, a, CB_SELF, 8, 1));
}

void test_frame_create(void)
{
    uint32_t ram = make_ram(8), frame = scratch();
    struct cb_identity identity;

    CHECK(ram);
    refusals(do_frame, ram);
    CHECK_OK(cb_frame_create(ram, frame, CB_SELF, 8, 1));
    CHECK_OK(cb_identify(frame, &identity));
    CHECK(identity.type == CB_TYPE_FRAME && identity.x == 8);
    CHECK((identity.rights & (CB_RIGHT_READ | CB_RIGHT_WRITE | CB_RIGHT_EXEC)) == 7);
    CHECK_OK(cb_revoke(ram, 0));
    CHECK_EQUAL(test_type(frame), CB_TYPE_NULL);
}

void test_map_arguments(void)
{
    uint32_t event = test_event(), weak = test_derive(CB_TASK_SEL_DOMAIN, CB_RIGHT_READ, 0), dst = scratch();
    uint64_t at = test_space(TEST_FRAME_PAGES);
    const uint32_t read = CB_MAP_READ;

    CHECK(event && weak);
    CHECK_STATUS(cb_map(event, read, dst, CB_SELF, at, 0, 1), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_map(RAM, read, dst, CB_SELF, at, 0, 1), STATUS(BAD_CAP, 0));
    CHECK_STATUS(cb_map(test_frame, read, event, CB_SELF, at, 0, 1), STATUS(OCCUPIED, 1));
    CHECK_STATUS(cb_map(test_frame, read, dst, event, at, 0, 1), STATUS(BAD_CAP, 1));
    CHECK_STATUS(cb_map(test_frame, read, dst, weak, at, 0, 1), STATUS(BAD_RIGHT, 1));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, at + 1, 0, 1), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, CB_USER_END, 0, 1), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, CB_USER_END - CB_PAGE_SIZE, 0, 2), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, 0xffffffff80000000, 0, 1), STATUS(BAD_PARAM, 2));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, at, 0, 0), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, at, TEST_FRAME_PAGES, 1), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, at, 1, TEST_FRAME_PAGES), STATUS(BAD_PARAM, 3));
    CHECK_STATUS(cb_map(test_frame, read, dst, CB_SELF, at, UINT32_MAX, 1), STATUS(BAD_PARAM, 3));
    CHECK_OK(cb_map(test_frame, read, dst, CB_SELF, at, 0, TEST_FRAME_PAGES));
}

void test_map_rights(void)
{
    uint32_t frame = test_derive(test_frame, CB_RIGHT_READ, 0), exec = test_derive(test_frame, CB_RIGHT_EXEC, 0);
    uint64_t at = test_space(2);
    struct cb_identity identity;
    uint32_t dst = scratch();

    CHECK(frame && exec);
    CHECK_STATUS(cb_map(frame, CB_MAP_READ | CB_MAP_WRITE, dst, CB_SELF, at, 0, 1), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_map(frame, CB_MAP_READ | CB_MAP_EXEC, dst, CB_SELF, at, 0, 1), STATUS(BAD_RIGHT, 0));
    CHECK_STATUS(cb_map(exec, CB_MAP_READ, dst, CB_SELF, at, 0, 1), STATUS(BAD_RIGHT, 0));
    CHECK_OK(cb_map(frame, CB_MAP_READ, dst, CB_SELF, at, 0, 2));
    CHECK_OK(cb_identify(dst, &identity));
    CHECK(identity.type == CB_TYPE_MAPPING && identity.x == 2 && identity.y == at);
}

/* The same memory at two places, and at an offset. */
void test_map_content(void)
{
    uint64_t at = test_space(4), again = test_space(1);
    volatile uint64_t *words = (volatile uint64_t *)at, *other = (volatile uint64_t *)again;

    CHECK_OK(cb_map(test_frame, CB_MAP_READ | CB_MAP_WRITE, scratch(), CB_SELF, at, 0, 4));
    CHECK_OK(cb_map(test_frame, CB_MAP_READ, scratch(), CB_SELF, again, 3, 1));
    for (uint64_t i = 0; i < 4 * 512; i++)
        words[i] = i;
    for (uint64_t i = 0; i < 512; i++)
        CHECK_EQUAL(other[i], i + 3 * 512);
}

void test_map_occupied(void)
{
    uint64_t at = test_space(4);
    uint32_t first = scratch(), second = scratch();

    CHECK_OK(cb_map(test_frame, CB_MAP_READ, first, CB_SELF, at + CB_PAGE_SIZE, 0, 1));
    CHECK_STATUS(cb_map(test_frame, CB_MAP_READ, second, CB_SELF, at + CB_PAGE_SIZE, 0, 1), STATUS(OCCUPIED, 2));
    CHECK_STATUS(cb_map(test_frame, CB_MAP_READ, second, CB_SELF, at, 0, 4), STATUS(OCCUPIED, 2));
    CHECK_STATUS(cb_map(test_frame, CB_MAP_READ, second, CB_SELF, CB_TASK_UTCB_ADDRESS, 0, 1), STATUS(OCCUPIED, 2));
    CHECK_OK(cb_revoke(first, CB_REVOKE_SELF));
    CHECK_OK(cb_map(test_frame, CB_MAP_READ, second, CB_SELF, at, 0, 4));
}

/* ---- Other CPUs stop using a mapping before its removal returns ---- */

#define SHOOTDOWNS 100u

static volatile uint64_t *watched;
static volatile uint32_t stop, go, seen, wrong;

static void shootdown_rounds(uint64_t at, uint64_t window, uint64_t *last)
{
    uint32_t dst = scratch();
    volatile uint64_t *pages = (volatile uint64_t *)window;

    watched = (volatile uint64_t *)at;
    for (uint32_t i = 1; i <= SHOOTDOWNS; i++) {
        uint32_t page = i % TEST_FRAME_PAGES;

        pages[page * 512] = i;
        CHECK_OK(cb_map(test_frame, CB_MAP_READ, dst, CB_SELF, at, page, 1));
        CHECK_EQUAL(*watched, i); /* a stale translation of our own would show another page's number */
        go = i;
        CHECK(test_await(&seen, i));
        CHECK_OK(cb_revoke(dst, CB_REVOKE_SELF));
    }
    *last = 1;
}

/* On the other CPU: must never see an old page through a new mapping. */
static void compare(void *argument)
{
    (void)argument;
    while (!stop) {
        uint32_t round = go;

        if (round != seen) {
            if (*watched != round)
                wrong++;
            seen = round;
        }
        lock_pause();
    }
}

void test_map_shootdown(void)
{
    uint64_t at = test_space(1), window = test_space(TEST_FRAME_PAGES), finished = 0;

    stop = go = seen = wrong = 0;
    CHECK_OK(cb_map(test_frame, CB_MAP_READ | CB_MAP_WRITE, scratch(), CB_SELF, window, 0, TEST_FRAME_PAGES));
    struct thread *thread = test_thread(test_other_cpu(), PRIORITY_MID, compare, NULL);

    CHECK(thread);
    shootdown_rounds(at, window, &finished);
    stop = 1;
    CHECK_EQUAL(finished, 1);
    CHECK_EQUAL(wrong, 0);
}
