/* SPDX-License-Identifier: GPL-2.0-only */
/* A part of a frame that root maps for itself for a while, to fill it. */
#ifndef ROOT_WINDOW_H
#define ROOT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_SLOTS 40u /* mappings that one window may take */

struct window {
    void *address;
    uint64_t pages;
    uint32_t slots;
};

/* Maps pages [offset, offset + pages) of a frame, readable and writable. */
bool window_open(struct window *window, uint32_t frame, uint64_t offset, uint64_t pages);
void window_close(const struct window *window);

/* Clears the first pages of a frame, a part at a time. */
bool window_clear(uint32_t frame, uint64_t pages);

#endif
