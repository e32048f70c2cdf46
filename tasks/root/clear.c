/* SPDX-License-Identifier: GPL-2.0-only */
#include "clear.h"

#include "calls.h"
#include "sel.h"
#include "service.h"
#include "thread.h"

#include <stddef.h>
#include <string.h>

#define PART_PAGES 16384u

/* It may stop for good anywhere, and takes no locks. */
static void run(void *argument)
{
    struct clear *clear = argument;

    for (;;) {
        if (__atomic_load_n(&clear->busy, __ATOMIC_ACQUIRE)) {
            memset(clear->part.address, 0, clear->part_pages * CB_PAGE_SIZE);
            __atomic_store_n(&clear->busy, 0, __ATOMIC_RELEASE);
            service_wake();
        }
        thread_sleep_until(CB_DEADLINE_NONE);
    }
}

static bool open_part(struct clear *clear)
{
    uint64_t left = clear->pages - clear->next, count = left < PART_PAGES ? left : PART_PAGES;

    if (area_map(&clear->part, clear->frame, CB_MAP_READ | CB_MAP_WRITE, clear->next, count, 0) != CB_OK)
        return false;
    clear->part_pages = count;
    clear->next += count;
    __atomic_store_n(&clear->busy, 1, __ATOMIC_RELEASE);
    return true;
}

uint64_t clear_begin(struct clear *clear, uint32_t ram, uint64_t pages, uint32_t cpu, uint32_t priority)
{
    *clear = (struct clear){.frame = sel_alloc(), .pages = pages};
    uint64_t status = clear->frame ? cb_frame_create(ram, clear->frame, CB_SELF, pages, 1) : CB_NO_ROOM;

    if (status == CB_OK && !open_part(clear))
        status = CB_NO_MEMORY;
    if (status == CB_OK)
        status = thread_start(cpu, priority, run, clear, &clear->thread);
    if (status != CB_OK)
        clear_end(clear);
    return status;
}

enum clear_state clear_look(struct clear *clear)
{
    if (__atomic_load_n(&clear->busy, __ATOMIC_ACQUIRE))
        return CLEAR_BUSY;
    area_drop(&clear->part);
    if (clear->next == clear->pages)
        return CLEAR_DONE;
    if (!open_part(clear))
        return CLEAR_FAILED;
    (void)!cb_signal(clear->thread->event);
    return CLEAR_BUSY;
}

void clear_end(struct clear *clear)
{
    if (clear->thread)
        thread_destroy(clear->thread);
    area_drop(&clear->part);
    sel_drop(clear->frame);
    *clear = (struct clear){0};
}

bool clear_now(uint32_t frame, uint64_t pages)
{
    for (uint64_t at = 0; at < pages; at += PART_PAGES) {
        uint64_t count = pages - at < PART_PAGES ? pages - at : PART_PAGES;
        struct area part;

        if (area_map(&part, frame, CB_MAP_READ | CB_MAP_WRITE, at, count, 0) != CB_OK)
            return false;
        memset(part.address, 0, count * CB_PAGE_SIZE);
        area_drop(&part);
    }
    return true;
}
