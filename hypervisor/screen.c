/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands on the screen is remembered as text, and only cells that change are drawn: reading a frame buffer is
 * slow. The log's lock guards everything here.
 */
#include "screen.h"

#include "boot_data.h"
#include "kpage.h"
#include "log.h"
#include "pte.h"

#define COLUMNS_MAX 160u
#define ROWS_MAX 64u
#define LARGE_WIDTH 1000u /* from here on every dot is doubled */
#define INK 0x00c8c8c8u
#define PAPER 0x00101018u

static volatile u32 *pixels; /* NULL: no screen */
static u32 columns, rows, scale;
static u32 column, row;
static char text[ROWS_MAX][COLUMNS_MAX];

static void draw(u32 at_row, u32 at_column)
{
    u32 stride = boot.screen.pitch / 4;
    volatile u32 *p = pixels + (u64)at_row * (FONT_HEIGHT + 1) * scale * stride + at_column * (FONT_WIDTH + 1) * scale;

    for (u32 y = 0; y < FONT_HEIGHT * scale; y++, p += stride)
        for (u32 x = 0; x < FONT_WIDTH * scale; x++)
            p[x] = font_pixel((u8)text[at_row][at_column], x / scale, y / scale) ? INK : PAPER;
}

static void set(u32 at_row, u32 at_column, char c)
{
    if (text[at_row][at_column] == c)
        return;
    text[at_row][at_column] = c;
    draw(at_row, at_column);
}

static void scroll(void)
{
    for (u32 y = 0; y < rows; y++)
        for (u32 x = 0; x < columns; x++)
            set(y, x, y + 1 < rows ? text[y + 1][x] : ' ');
}

static void next_line(void)
{
    column = 0;
    if (row + 1 < rows)
        row++;
    else
        scroll();
}

void screen_init(void)
{
    const struct boot_screen *s = &boot.screen;
    u64 bytes = (u64)s->pitch * s->height;

    if (!s->base)
        return;
    scale = s->width >= LARGE_WIDTH ? 2 : 1;
    columns = MIN(s->width / ((FONT_WIDTH + 1) * scale), COLUMNS_MAX);
    rows = MIN(s->height / ((FONT_HEIGHT + 1) * scale), ROWS_MAX);
    if (!columns || !rows)
        return;
    for (u32 y = 0; y < rows; y++)
        for (u32 x = 0; x < columns; x++)
            text[y][x] = ' ';
    pixels = kpage_device(s->base, bytes, PTE_WC);
    for (u64 i = 0; pixels && i < bytes / 4; i++)
        pixels[i] = PAPER;
    log_show(); /* what was said before */
}

void screen_write(const char *from, u32 bytes)
{
    for (u32 i = 0; pixels && i < bytes; i++) {
        if (from[i] == '\n') {
            next_line();
            continue;
        }
        if (column == columns)
            next_line();
        set(row, column++, from[i]);
    }
}
