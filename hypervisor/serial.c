/* SPDX-License-Identifier: GPL-2.0-only */
#include "serial.h"

#include "x86.h"

#define COM1 0x3f8u
#define DATA 0u
#define INTERRUPTS 1u
#define LINE 3u
#define MODEM 4u
#define STATUS 5u
#define SCRATCH 7u

#define LINE_8N1 0x03u
#define LINE_DIVISOR 0x80u
#define STATUS_EMPTY 0x20u
#define WAIT_MAX 100000u /* polls for one byte: a port that is not there must not stop the machine */

static bool present;

static void put(u16 index, u8 value)
{
    outb((u16)(COM1 + index), value);
}

/* What is not there may read as anything, but not as what was written. */
static bool keeps(u8 value)
{
    put(SCRATCH, value);
    return inb(COM1 + SCRATCH) == value;
}

/*
 * Output only. The receiver and the FIFOs stay as they are: what somebody has typed is for whoever serves the
 * console.
 */
bool serial_init(void)
{
    put(INTERRUPTS, 0);
    put(LINE, LINE_DIVISOR | LINE_8N1);
    put(DATA, 1); /* 115200 baud */
    put(INTERRUPTS, 0);
    put(LINE, LINE_8N1);
    put(MODEM, 0x03);
    present = keeps(0x5a) && keeps(0xa5);
    return present;
}

static void put_char(char c)
{
    for (u32 i = 0; i < WAIT_MAX && !(inb(COM1 + STATUS) & STATUS_EMPTY); i++)
        cpu_pause();
    put(DATA, (u8)c);
}

void serial_write(const char *text, u32 bytes)
{
    for (u32 i = 0; present && i < bytes; i++) {
        if (text[i] == '\n')
            put_char('\r');
        put_char(text[i]);
    }
}
