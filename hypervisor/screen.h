/* SPDX-License-Identifier: GPL-2.0-only */
/* A text console on the frame buffer, output only: for the log until user level takes over, and for panics. */
#ifndef SCREEN_H
#define SCREEN_H

#include "types.h"

#define FONT_WIDTH 5u  /* pixels of a glyph, without the gap to the next */
#define FONT_HEIGHT 9u /* two of them below the base line */

bool font_pixel(u8 c, u32 x, u32 y);

void screen_init(void);
void screen_write(const char *text, u32 bytes);

#endif
