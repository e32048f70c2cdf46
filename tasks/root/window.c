/* SPDX-License-Identifier: GPL-2.0-only */
#include "window.h"

#include "calls.h"
#include "pages.h"
#include "ram.h"
#include "sel.h"

#include <stddef.h>
#include <string.h>

#define CLEAR_PAGES 16384u /* mapped at a time while clearing */

void window_close(const struct window *window)
{
    for (uint32_t i = 0; i < WINDOW_SLOTS && window->slots; i++)
        (void)!cb_revoke(window->slots + i, CB_REVOKE_SELF); /* refused where nothing was mapped */
    sel_free_range(window->slots, WINDOW_SLOTS);
    if (window->address)
        pages_space_free((uint64_t)window->address, window->pages * CB_PAGE_SIZE);
}

bool window_open(struct window *window, uint32_t frame, uint64_t offset, uint64_t pages)
{
    uint64_t address = pages_space(pages * CB_PAGE_SIZE, RAM_GRANULE);
    uint32_t slot;

    *window = (struct window){(void *)address, pages, sel_alloc_range(WINDOW_SLOTS)};
    slot = window->slots;
    if (address && slot &&
        pages_map(frame, CB_MAP_READ | CB_MAP_WRITE, CB_SELF, &slot, slot + WINDOW_SLOTS, address, offset, pages) ==
            CB_OK)
        return true;
    window_close(window);
    return false;
}

bool window_clear(uint32_t frame, uint64_t pages)
{
    for (uint64_t at = 0; at < pages; at += CLEAR_PAGES) {
        uint64_t count = pages - at < CLEAR_PAGES ? pages - at : CLEAR_PAGES;
        struct window window;

        if (!window_open(&window, frame, at, count))
            return false;
        memset(window.address, 0, count * CB_PAGE_SIZE);
        window_close(&window);
    }
    return true;
}
